"""The data sets by name: prepare one, open a prepared one, and its fingerprint.

A data set is a folder `<name>/` with a TFDS builder `<name>_dataset_builder.py`, class `Builder`; "name/config" picks
one of its configurations. A builder may keep in `info.metadata` its "fingerprint" and "report" (lines for people), and
have `source_fingerprint(source)`, by which `prepare` notices that the source is another one. TensorFlow is imported
only when a builder is asked for.
"""

import contextlib
import hashlib
import importlib
import importlib.util
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from edram_fer.errors import MissingFileError, UserError
from edram_fer.preprocessing.datasets.writing import (
    describe_write_errors,
    download_and_prepare,
    exclusive_lock,
    is_prepared,
    move,
)

NAMES = (
    "fer2013",
    "ferplus",
    "affectnet",
    "raf_db",
    "ck_plus",
    "jaffe",
    "ferg",
    "kdef",
    "sfew",
    "expw",
    "folder",
    "drawn_faces",
)


def builder(name: str, data_dir):
    """Open the data set `name` ("fer2013", "drawn_faces/grey48") that lies prepared under `data_dir`.

    The name of a data set of annotated faces may lack its configuration where only one is prepared.

    Returns its TFDS builder. Raises ValueError for an unknown name, FileNotFoundError where it is not prepared.
    """
    dataset, _, config = name.partition("/")
    if _has_annotations(dataset):
        from edram_fer.preprocessing.datasets import annotated

        return annotated.open_prepared(dataset, config, Path(data_dir).expanduser())
    opened = _make(name, data_dir, {})
    if not is_prepared(opened):
        raise MissingFileError(
            f"data set {name} is not prepared in {data_dir}: no complete {opened.data_dir}; prepare it first"
        )
    return opened


def prepare(name: str, source, data_dir, *, force: bool = False, report: Callable[[str], None] = print, **options):
    """Make the data set `name` from `source` under `data_dir`/<name>/[<config>/]<version> and return its TFDS builder.

    `source`: file or folder of the original files, None where the data set draws its own. A complete one is reused
    unless its source was another one or `force` is given. `report` is told in lines what happens; `options` of a data
    set of annotated photos are those of `annotated.prepare`. All is written into a temporary folder first, so that a
    failure leaves no half a data set, and an older one in place.

    Raises ValueError and FileNotFoundError for a bad name or source, OSError naming the place for a full disk, a
    folder that cannot be written, or where another process is at work.
    """
    data_dir = Path(data_dir).expanduser().absolute()
    if _has_annotations(name):
        from edram_fer.preprocessing.datasets import annotated

        return annotated.prepare(name, _module(name).Builder, source, data_dir, force=force, report=report, **options)
    if options:
        raise UserError(
            f"data set {name} is not made from annotated photos; no use for {', '.join(options)} "
            f"(what there is to choose of it stands in its name, as in drawn_faces/colour64)"
        )
    old = _make(name, data_dir, {})
    if old.MANUAL_DOWNLOAD_INSTRUCTIONS:
        if source is None:
            raise UserError(f"data set {name} needs a source. {_one_line(old.MANUAL_DOWNLOAD_INSTRUCTIONS)}")
        options = {"source": source}
    elif source is not None:
        raise UserError(f"data set {name} is made without original files; source {str(source)!r} has no use")
    target = Path(old.data_dir)
    if is_prepared(old) and not force and not _differs(old, source, report):
        report(f"{name} is already prepared in {target}: reused")
        return old
    report(f"preparing {name} in {target}" + (f" from {source}" if source is not None else ""))
    with _workplace(name, data_dir) as folder:
        made = _make(name, folder, options)
        download_and_prepare(made)
        move(folder, Path(made.data_dir), target)
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
    module = _module(dataset)
    configs = [known.name for known in module.Builder.BUILDER_CONFIGS]
    if config and config not in configs and hasattr(module, "config_from_name"):
        config = module.config_from_name(config)
    elif config and config not in configs:
        raise UserError(f"data set {dataset} has no configuration {config!r}; known: {', '.join(configs) or 'none'}")
    return module.Builder(data_dir=Path(data_dir).expanduser(), **({"config": config} if config else {}), **options)


def _module(dataset: str):
    """The module with the builder of a data set."""
    if dataset not in NAMES:
        raise UserError(f"unknown data set {dataset!r}; known: {', '.join(NAMES)}")
    return importlib.import_module(f"{__name__}.{dataset}.{dataset}_dataset_builder")


def _has_annotations(dataset: str) -> bool:
    """Whether a data set is made of annotated photos."""
    return importlib.util.find_spec(f"{__name__}.{dataset}.annotations") is not None if dataset in NAMES else False


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _differs(old, source, report: Callable[[str], None]) -> bool:
    if not hasattr(old, "source_fingerprint") or old.source_fingerprint(source) == fingerprint(old):
        return False
    report(f"{old.name} in {old.data_dir} was prepared from another source: preparing it again")
    return True


@contextlib.contextmanager
def _workplace(name: str, data_dir: Path) -> Iterator[Path]:
    """A folder in `data_dir` for this process alone, empty, gone afterwards. A failure to write there names it."""
    folder = data_dir / f"unfinished.{name.replace('/', '.')}"
    with describe_write_errors(name, data_dir, "nothing was kept"), exclusive_lock(folder):
        try:
            for left in folder.iterdir():  # by a process that was killed
                if left.is_dir():
                    shutil.rmtree(left)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
