"""The data sets by name: prepare one, open a prepared one, and its fingerprint.

A data set is a folder `<name>/` with a TFDS builder `<name>_dataset_builder.py`, class `Builder`; "name/config" picks
one of its configurations. A builder may keep in `info.metadata` its "fingerprint" and "report" (lines for people), and
have `source_fingerprint(source)`, by which `prepare` notices that the source is another one. TensorFlow is imported
only when a builder is asked for.
"""
import contextlib
import errno
import hashlib
import importlib
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

NAMES = ("fer2013", "drawn_faces")
_UNFINISHED = "incomplete."


def builder(name: str, data_dir):
    """Open the data set `name` ("fer2013", "drawn_faces/grey48") that lies prepared under `data_dir`.

    Returns its TFDS builder. Raises ValueError for an unknown name, FileNotFoundError where it is not prepared.
    """
    opened = _make(name, data_dir, {})
    if not _is_prepared(opened):
        raise FileNotFoundError(f"data set {name} is not prepared in {data_dir}: no complete {opened.data_dir}; "
                                f"prepare it first")
    return opened


def prepare(name: str, source, data_dir, *, force: bool = False, report: Callable[[str], None] = print, **options):
    """Make the data set `name` from `source` under `data_dir`/<name>/[<config>/]<version> and return its TFDS builder.

    `source`: file or folder of the original files, None where the data set draws its own. A complete one is reused
    unless its source was another one or `force` is given. `report` is told in lines what happens; `options` go to the
    builder. All is written into a temporary folder first, so that a failure leaves neither half a data set nor litter,
    and an older one in place.

    Raises ValueError and FileNotFoundError for a bad name or source, OSError naming the place for a full disk or
    a folder that cannot be written.
    """
    data_dir = Path(data_dir).expanduser().absolute()
    old = _make(name, data_dir, options)
    if old.MANUAL_DOWNLOAD_INSTRUCTIONS:
        if source is None:
            raise ValueError(f"data set {name} needs a source. {_one_line(old.MANUAL_DOWNLOAD_INSTRUCTIONS)}")
        options = {**options, "source": source}
    elif source is not None:
        raise ValueError(f"data set {name} is made without original files; source {str(source)!r} has no use")
    target = Path(old.data_dir)
    if _is_prepared(old) and not force and not _differs(old, source, report):
        report(f"{name} is already prepared in {target}: reused")
        return old
    report(f"preparing {name} in {target}" + (f" from {source}" if source is not None else ""))
    for left in sorted(data_dir.glob(f"{_UNFINISHED}*")):
        report(f"{left} was left by an interrupted run; delete it, unless another one is at work")
    with _workplace(name, data_dir) as folder:
        made = _make(name, folder, options)
        _download_and_prepare(made)
        _move(folder, Path(made.data_dir), target)
    done = builder(name, data_dir)
    for line in (done.info.metadata or {}).get("report", []):
        report(line)
    return done


def fingerprint(opened) -> str:
    """What identifies the data of a prepared TFDS builder: SHA-256 of its source, or of its record files."""
    known = (opened.info.metadata or {}).get("fingerprint")
    if known:
        return known
    digest = hashlib.sha256()
    for path in sorted(Path(opened.data_dir).glob("*record*")):
        with open(path, "rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _make(name: str, data_dir, options: dict):
    """The TFDS builder of `name`, prepared or not."""
    dataset, _, config = name.partition("/")
    if dataset not in NAMES:
        raise ValueError(f"unknown data set {name!r}; known: {', '.join(NAMES)}")
    module = importlib.import_module(f"{__name__}.{dataset}.{dataset}_dataset_builder")
    configs = [known.name for known in module.Builder.BUILDER_CONFIGS]
    if config and config not in configs:
        raise ValueError(f"data set {dataset} has no configuration {config!r}; known: {', '.join(configs) or 'none'}")
    return module.Builder(data_dir=Path(data_dir).expanduser(), **({"config": config} if config else {}), **options)


def _is_prepared(opened) -> bool:
    # TFDS alone would warn that nothing is there, which is the usual case before preparing.
    return (Path(opened.data_dir) / "dataset_info.json").exists() and opened.is_prepared()


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _differs(old, source, report: Callable[[str], None]) -> bool:
    if not hasattr(old, "source_fingerprint") or old.source_fingerprint(source) == fingerprint(old):
        return False
    report(f"{old.name} in {old.data_dir} was prepared from another source: preparing it again")
    return True


@contextlib.contextmanager
def _workplace(name: str, data_dir: Path) -> Iterator[Path]:
    """A temporary folder in `data_dir`, gone afterwards. A failure to write there raises OSError naming it."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=data_dir, ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except Exception as error:
        number = _write_error(error, data_dir)
        if number is None:
            raise
        raise OSError(number, f"cannot write data set {name} to {data_dir}, nothing was kept: {error}") from error


def _write_error(error: BaseException | None, data_dir: Path) -> int | None:
    """The errno of a failure to write in `data_dir`, found in `error` or what caused it; None for any other error."""
    from tensorflow.errors import OpError, ResourceExhaustedError
    while error is not None and not isinstance(error, (OSError, OpError)):
        error = error.__cause__  # TFDS wraps what TensorFlow raises
    if isinstance(error, OpError):
        return errno.ENOSPC if isinstance(error, ResourceExhaustedError) else errno.EIO
    if error is None or isinstance(error, FileNotFoundError):
        return None
    elsewhere = error.filename is not None and data_dir not in (Path(error.filename), *Path(error.filename).parents)
    return None if elsewhere else error.errno or errno.EIO


def _download_and_prepare(made) -> None:
    import tensorflow_datasets as tfds
    # GCS would be asked for a ready-made copy of data that must not be handed around.
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS would name the temporary folder as the place of the data
        made.download_and_prepare(download_config=config)


def _move(folder: Path, made: Path, target: Path) -> None:
    """The finished data set to its place, in one rename; an older one leaves with the temporary folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        target.rename(folder / "old")
    made.rename(target)
