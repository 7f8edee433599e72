"""The data sets by name: prepare one, open a prepared one, and identify its data.

A data set is a folder `<name>/` with a TFDS builder `<name>_dataset_builder.py`, class `Builder`; "name/config" selects
one of its configurations. A builder may store its "fingerprint" and a "report" (lines of text) in `info.metadata`, and
may have a method `source_fingerprint(source)`, with which `prepare` detects that the source has changed. TensorFlow is
imported only when a builder is needed.
"""

import contextlib
import hashlib
import importlib
import importlib.util
from collections.abc import Callable, Generator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edram_fer.errors import MissingFileError, UserError
from edram_fer.preprocessing import work_folder
from edram_fer.preprocessing.datasets.writing import (
    describe_write_errors,
    download_and_prepare,
    is_prepared,
    make_builder,
    move_into_place,
)
from edram_fer.preprocessing.folder_lock import exclusive_lock

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

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
    "table",
    "drawn_faces",
)


def builder(name: str, data_dir: Path | str) -> "tfds.core.DatasetBuilder":
    """Open a prepared data set.

    Args:
        name: "fer2013" or, with a configuration, "drawn_faces/grey48". For a data set of annotated photos the
            configuration may be omitted if only one is prepared.
        data_dir: the folder with the prepared data sets.

    Returns:
        The TFDS builder.

    Raises:
        UserError: the name is unknown, or ambiguous because several configurations are prepared.
        MissingFileError: the data set is not prepared in `data_dir`.

    Example:
        >>> datasets.builder("fer2013", "data").info.splits["train"].num_examples  # doctest: +SKIP
        28709
    """
    dataset, _, config = name.partition("/")
    if _has_annotations(dataset):
        from edram_fer.preprocessing.datasets import annotated

        return annotated.open_prepared(dataset, config, Path(data_dir).expanduser())
    tfds_builder = _make_builder(name, data_dir)
    if not is_prepared(tfds_builder):
        raise MissingFileError(
            f"data set {name} is not prepared in {data_dir}: no complete {tfds_builder.data_dir}; prepare it first"
        )
    return tfds_builder


def prepare(
    name: str,
    source: Path | str | None,
    data_dir: Path | str,
    *,
    force: bool = False,
    report: Callable[[str], None] = print,
    **options: Any,
) -> "tfds.core.DatasetBuilder":
    """Prepare a data set under `data_dir`/<name>/[<config>/]<version>.

    Everything is first written to a temporary folder. A failure therefore leaves no incomplete data set and keeps an
    older data set. A complete data set is reused unless its source has changed or `force` is set.

    Args:
        name: the data set, "fer2013" or "drawn_faces/grey48"; for a data set of annotated photos "folder/NAME" chooses
            the name of its configuration.
        source: file or folder with the original files; None for a data set that draws its own images.
        data_dir: the folder for prepared data sets.
        force: prepare the data set again even if it is complete.
        report: receives progress and results, line by line.
        options: only for data sets of annotated photos, see `annotated.prepare`.

    Returns:
        The TFDS builder.

    Raises:
        UserError: the name, the source or an option is invalid; a file that would be deleted was not written by a
            preparation.
        MissingFileError: the source does not exist.
        FolderInUseError: another process is preparing this data set in `data_dir`.
        OSError: the disk is full or `data_dir` is not writable; the message names the folder.

    Example:
        >>> datasets.prepare("fer2013", "fer2013.csv", "data")  # doctest: +SKIP
    """
    data_dir = Path(data_dir).expanduser().absolute()
    dataset, _, config = name.partition("/")
    if _has_annotations(dataset):
        from edram_fer.preprocessing.datasets import annotated

        if config and options.setdefault("config_name", config) != config:
            raise UserError(f"the data set is named twice: {config} and {options['config_name']}")
        return annotated.prepare(
            dataset, _builder_module(dataset).Builder, source, data_dir, force=force, report=report, **options
        )
    if options:
        names = ", ".join("name" if option == "config_name" else option for option in options)
        raise UserError(
            f"data set {name} is not made from annotated photos and has no option {names} "
            f"(a configuration is part of its name, as in drawn_faces/colour64)"
        )
    existing = _make_builder(name, data_dir)
    if existing.MANUAL_DOWNLOAD_INSTRUCTIONS:
        if source is None:
            raise UserError(
                f"data set {name} needs a source. {' '.join(existing.MANUAL_DOWNLOAD_INSTRUCTIONS.split())}"
            )
        options = {"source": source}
    elif source is not None:
        raise UserError(f"data set {name} is made without original files and takes no source, got {str(source)!r}")
    target = Path(existing.data_dir)
    if is_prepared(existing) and not force and not _source_changed(existing, source, report):
        report(f"{name} is already prepared in {target}: reused")
        return existing
    work_folder.check_replaceable(target)
    report(f"preparing {name} in {target}" + (f" from {source}" if source is not None else ""))
    with _temporary_folder(name, data_dir) as work:
        new = _make_builder(name, work / "tfds", **options)
        download_and_prepare(new)
        move_into_place(Path(new.data_dir), target, work)
    prepared = builder(name, data_dir)
    for line in (prepared.info.metadata or {}).get("report", []):
        report(line)
    return prepared


def fingerprint(builder: "tfds.core.DatasetBuilder") -> str:
    """The identity of the data of a prepared TFDS builder: SHA-256 of its source, or of its record files."""
    stored = (builder.info.metadata or {}).get("fingerprint")
    if stored:
        return stored
    digest = hashlib.sha256()
    for path in sorted(Path(builder.data_dir).glob("*record*")):
        with open(path, "rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _make_builder(name: str, data_dir: Path | str, **options: Any) -> "tfds.core.DatasetBuilder":
    """The TFDS builder of `name`, prepared or not."""
    dataset, _, config = name.partition("/")
    module = _builder_module(dataset)
    configs = [known.name for known in module.Builder.BUILDER_CONFIGS]
    if config and config not in configs and hasattr(module, "config_from_name"):
        config = module.config_from_name(config)
    elif config and config not in configs:
        raise UserError(f"data set {dataset} has no configuration {config!r}; known: {', '.join(configs) or 'none'}")
    options |= {"config": config} if config else {}
    return make_builder(module.Builder, data_dir=Path(data_dir).expanduser(), **options)


def _builder_module(dataset: str) -> ModuleType:
    if dataset not in NAMES:
        raise UserError(f"unknown data set {dataset!r}; known: {', '.join(NAMES)}")
    return importlib.import_module(f"{__name__}.{dataset}.{dataset}_dataset_builder")


def _has_annotations(dataset: str) -> bool:
    """Whether a data set consists of annotated photos."""
    return dataset in NAMES and importlib.util.find_spec(f"{__name__}.{dataset}.annotations") is not None


def _source_changed(
    existing: "tfds.core.DatasetBuilder", source: Path | str | None, report: Callable[[str], None]
) -> bool:
    if not hasattr(existing, "source_fingerprint") or existing.source_fingerprint(source) == fingerprint(existing):
        return False
    report(f"{existing.name} in {existing.data_dir} was prepared from another source: preparing it again")
    return True


@contextlib.contextmanager
def _temporary_folder(name: str, data_dir: Path) -> Generator[Path, None, None]:
    """A folder in `data_dir` without leftovers, locked for this process and removed afterwards."""
    folder = data_dir / f"unfinished.{name.replace('/', '.')}"
    with describe_write_errors(name, data_dir, "nothing was kept"), exclusive_lock(folder):
        try:
            for leftover in ("tfds", "old"):  # of a killed process
                work_folder.clear(folder, leftover)
            yield folder
        finally:
            work_folder.remove(folder)
