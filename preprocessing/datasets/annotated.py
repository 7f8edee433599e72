"""Data sets of annotated photos: from `Annotations` to a prepared TFDS data set.

    records -> chunk files of faces (edram_fer.preprocessing.faces, resumable) -> splits and duplicates -> TFDS, rows,
    contact sheets

The builder of a data set holds its version and texts; the module `annotations` in the same folder finds the files.
"""

import contextlib
import dataclasses
import hashlib
import inspect
import io
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tqdm.auto import tqdm

from edram_fer.errors import FolderInUseError, MissingFileError, UserError
from edram_fer.preprocessing import contact_sheet, face_chunks, face_table, faces_beam, unread, work_folder
from edram_fer.preprocessing import published as published_faces
from edram_fer.preprocessing.datasets.readme import readme
from edram_fer.preprocessing.datasets.writing import (
    describe_write_errors,
    download_and_prepare,
    make_builder,
    move_into_place,
)
from edram_fer.preprocessing.emotions import EIGHT, SETS, SEVEN, parse_classes
from edram_fer.preprocessing.face_settings import FaceSettings
from edram_fer.preprocessing.face_table import FaceTable, SplitSettings
from edram_fer.preprocessing.folder_lock import exclusive_lock
from edram_fer.preprocessing.records import LANDMARK_COUNT, OK, Annotations, fingerprint

_CONFIG_NAME = re.compile(r"\w[\w.+-]{0,99}")
ROWS, FACES_SHEET, FAILURES_SHEET, README = "rows.parquet", "faces.png", "failures.png", "README.md"


@dataclasses.dataclass
class FacesConfig(tfds.core.BuilderConfig):
    """A configuration of prepared faces.

    Attributes:
        size: side in pixels.
        colour: RGB instead of grey.
        classes: names of the labels, in their order.
        landmarks: whether examples have landmarks.
        soft_label: whether examples have a soft label.
    """

    size: int = 100
    colour: bool = False
    classes: Sequence[str] = SEVEN
    landmarks: bool = False
    soft_label: bool = False


class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # pyright: ignore
    """The prepared faces of one data set, in the order of its annotations.

    Features: `image` uint8 [size, size, 1 or 3]; `emotion` in canonical order; `affect` float32 [2] = (valence,
    arousal), -2 if not annotated; `id`, `subject` text; `duplicate` bool, true for a face outside training that equals
    a training face or is from an equal image. If available also `landmarks` float32 [68, 2] in pixels of the face (nan
    if missing) and `soft_label` float32 [8] in the order of `emotions.EIGHT`.

    A subclass defines VERSION, RELEASE_NOTES, MANUAL_DOWNLOAD_INSTRUCTIONS and `find`, the reader of its annotations.
    """

    def __init__(
        self, *, table: FaceTable | None = None, metadata: Mapping[str, Any] | None = None, **options: Any
    ) -> None:
        """Make a builder.

        Args:
            table: the faces to write; None for a builder that only describes the data set.
            metadata: stored in `info.metadata`.
            options: options of the TFDS builder.
        """
        super().__init__(**options)
        self.table, self.new_metadata = table, metadata or {}

    def _info(self) -> tfds.core.DatasetInfo:
        config, types = self.builder_config, tfds.features
        channels = 3 if config.colour else 1
        features = {
            "image": types.Image(shape=(config.size, config.size, channels), encoding_format="png"),
            "emotion": types.ClassLabel(names=list(config.classes)),
            "affect": types.Tensor(shape=(2,), dtype=np.float32),
            "id": types.Text(),
            "subject": types.Text(),
            "duplicate": np.bool_,
        }
        if config.landmarks:
            features["landmarks"] = types.Tensor(shape=(LANDMARK_COUNT, 2), dtype=np.float32)
        if config.soft_label:
            features["soft_label"] = types.Tensor(shape=(len(EIGHT),), dtype=np.float32)
        return self.dataset_info_from_configs(
            features=types.FeaturesDict(features),
            supervised_keys=("image", "emotion"),
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        if self.table is None:
            raise UserError(
                f"{self.name}: prepare it with `edram-fer prepare {self.name}`, which makes the faces first"
            )
        self.info.metadata.update(self.new_metadata)
        generators = {split: self._generate_examples(self.table, split) for split in self.table.splits}
        if self.table.clean:
            generators["test_clean"] = self._generate_examples(self.table, "test", clean=True)
        return generators

    def _generate_examples(
        self, table: FaceTable, split: str, clean: bool = False
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        def belongs(row: dict[str, Any]) -> bool:
            return row["status"] == OK and row["split"] == split and not (clean and row["duplicate"])

        # TFDS sorts on disk in buckets that each cover an equal range of 128-bit keys, and loads one bucket at a time.
        # Consecutive keys would all fall into the first bucket.
        key_step = 2**128 // len(table)
        for number, row in enumerate(table.rows(chosen=belongs)):
            yield number * key_step, self._example(row)

    def _example(self, row: dict[str, Any]) -> dict[str, Any]:
        example = {
            "image": io.BytesIO(row["face"]),
            "emotion": row["emotion"],
            "affect": np.array([row["valence"], row["arousal"]], np.float32),
            "id": row["id"],
            "subject": row["subject"],
            "duplicate": row["duplicate"],
        }
        if self.builder_config.landmarks:
            points = row["landmarks"] or np.full(2 * LANDMARK_COUNT, np.nan)
            example["landmarks"] = np.reshape(np.array(points, np.float32), (LANDMARK_COUNT, 2))
        if self.builder_config.soft_label:
            label = row["soft_label"] or np.eye(len(EIGHT))[EIGHT.index(row["emotion"])]
            example["soft_label"] = np.array(label, np.float32)
        return example


def open_prepared(name: str, config: str, data_dir: Path) -> tfds.core.DatasetBuilder:
    """The TFDS builder of prepared faces.

    Args:
        name: the data set.
        config: its configuration; "" if only one configuration is prepared.
        data_dir: the folder with the prepared data sets.

    Raises:
        MissingFileError: the data set is not prepared.
        UserError: several configurations are prepared and `config` is "".
    """
    complete = sorted(path.parent for path in data_dir.glob(f"{name}/*/*/dataset_info.json"))
    prepared = [path for path in complete if config in ("", path.parent.name)]
    known = ", ".join(dict.fromkeys(f"{name}/{path.parent.name}" for path in complete))
    if not prepared:
        folder = data_dir / name / config
        raise MissingFileError(
            f"data set {name} is not prepared in {data_dir}: nothing complete in {folder}; prepare it first"
            + (f", or use one of {known}" if known else "")
        )
    if len({path.parent for path in prepared}) > 1:
        raise UserError(f"data set {name} is prepared in several configurations, name one: {known}")
    return tfds.builder_from_directory(prepared[-1])


def prepare(
    name: str,
    builder_class: type[Builder],
    source: Path | str | None,
    data_dir: Path,
    *,
    config_name: str = "",
    classes: str | int | Sequence[str] | None = None,
    published: str | None = None,
    workers: int | None = None,
    beam: Sequence[str] = (),
    force: bool = False,
    report: Callable[[str], None] = print,
    **options: Any,
) -> tfds.core.DatasetBuilder:
    """Prepare the faces of a data set under `data_dir`/<name>/<config>/<version>, or resume a stopped preparation.

    A killed run leaves its files in `data_dir`/unfinished.<name>.<config>. The preparation resumes if annotations and
    settings are the same; otherwise it starts from the beginning. A finished data set with the same annotations and
    settings is reused unless `force` is set.

    Args:
        name: the data set.
        builder_class: its builder.
        source: file or folder with the original files.
        data_dir: the folder for prepared data sets.
        config_name: the name of the configuration, so that several data sets of one kind can be kept in `data_dir`;
            "": a name made of the other settings, such as "grey100-seven".
        classes: "seven" or "eight" emotions, or names, see `emotions.parse_classes`; None: all emotions of the data
            set. Data sets of your own can have any names; of others, classes are selected.
        published: crop the faces as a paper did: a name in `preprocessing.published.PUBLISHED`, which becomes part of
            the configuration's name. Options of `FaceSettings` take precedence.
        workers: number of processes; None: one per core.
        beam: options of an Apache Beam pipeline that crops the faces instead of local processes.
        force: replace a finished data set.
        report: receives progress and results, line by line.
        options: fields of FaceSettings and SplitSettings, and options of the data set's `find`. An option that
            several of them have is passed to each: ExpW's `seed` assigns photos to its three splits by their names,
            while the `seed` of SplitSettings selects validation by the pixels of the faces; the two are independent.

    Returns:
        The TFDS builder.

    Raises:
        UserError: the annotations or an option are invalid; a finished data set with other annotations or settings
            exists and `force` is not set; a file that would be deleted was not written by a preparation.
        FolderInUseError: another process is preparing this data set in `data_dir`.
        OSError: the disk is full or `data_dir` is not writable.
    """
    if source is None:
        text = " ".join(builder_class.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
        raise UserError(f"data set {name} needs a source. {text}")
    if config_name and not _CONFIG_NAME.fullmatch(config_name):
        raise UserError(f"name: expected letters, digits, '-', '_', '.' and '+', at most 100, got {config_name!r}")
    class_names = None if classes is None else parse_classes(classes)
    face_options, split_options, find_options = _sort_options(options, name, builder_class)
    if class_names and "classes" in inspect.signature(builder_class.find).parameters:
        find_options["classes"] = class_names
    annotations = builder_class.find(source, **find_options)
    published_options = {} if published is None else published_faces.settings(published)
    settings = FaceSettings(**{"detectors": annotations.detectors, **published_options, **face_options})
    split_settings = SplitSettings(**{**annotations.shares, **split_options})
    config = _make_config(annotations, settings, class_names, config_name, published)
    metadata = _make_metadata(annotations, settings, split_settings, config) | {"published": published or ""}
    target = Path(make_builder(builder_class, data_dir=data_dir, config=config).data_dir)
    work = data_dir / f"unfinished.{name}.{config.name}"
    if not force and (existing := _stored_fingerprint(target)) is not None:
        if existing != metadata["fingerprint"]:
            raise UserError(
                f"{target} holds {name} with other annotations or settings; --force replaces it, another "
                f"--name or folder (--out) keeps both"
            )
        _remove_leftovers(work)
        report(f"{name} is already prepared in {target}: reused")
        return tfds.builder_from_directory(target)
    work_folder.check_replaceable(target)
    report(f"preparing {name} in {target} from {annotations.root}: {annotations.layout}")
    with (
        describe_write_errors(name, data_dir, "run the same command again when there is free space"),
        exclusive_lock(work),
    ):
        _start_or_resume(work, metadata, report)
        chunks = _make_chunks(annotations, work / "chunks", settings, workers, beam)
        table = FaceTable(chunks, config.classes, split_settings)
        if not table.splits:
            raise UserError(f"{annotations.root}: no usable face in its rows: {face_table.describe_excluded(table)}")
        config = dataclasses.replace(
            config,
            landmarks=settings.landmarks or _has(chunks, "landmarks"),
            soft_label=_has(chunks, "soft_label"),
        )
        images = (row["image"] for row in face_chunks.read_chunks(chunks, ["image"]))
        left_out = unread.describe(Path(source).expanduser(), annotations, images)
        unused = [
            f"--{split} has no effect: the data set has its own split {split}, or no train"
            for split in ("validation", "test")
            if split_options.get(split) and split not in (*table.drawn, *table.not_drawn)
        ]
        metadata["report"] = [*face_table.summary(annotations, table), *unused, *left_out]
        finished = _write(builder_class, work, config, table, metadata, annotations)
        move_into_place(finished, target, work)
        work_folder.remove(work)
    for line in metadata["report"]:
        report(line)
    return tfds.builder_from_directory(target)


def _sort_options(options: Mapping[str, Any], name: str, builder_class: type[Builder]) -> list[dict[str, Any]]:
    """The options of FaceSettings, of SplitSettings and of the data set's `find`."""
    accepted = [[field.name for field in dataclasses.fields(kind)] for kind in (FaceSettings, SplitSettings)]
    find_parameters = inspect.signature(builder_class.find).parameters
    accepted.append([parameter for parameter in find_parameters if parameter != "source"])
    option_names = dict.fromkeys(itertools.chain(*accepted))
    if unknown := sorted(set(options) - set(option_names)):
        raise UserError(f"unknown option {unknown[0]!r} for data set {name}; known: {', '.join(option_names)}")
    return [{key: value for key, value in options.items() if key in names} for names in accepted]


def _remove_leftovers(work: Path) -> None:
    """Remove the folder of a process that was killed just after completing its data set, unless it is in use."""
    if work.exists():
        with contextlib.suppress(FolderInUseError), exclusive_lock(work):
            work_folder.remove(work)


def _make_metadata(
    annotations: Annotations, settings: FaceSettings, split_settings: SplitSettings, config: FacesConfig
) -> dict[str, Any]:
    """The metadata of a data set except for its report; "fingerprint" is a digest of the other entries."""
    metadata = {
        "name": annotations.name,
        "layout": annotations.layout,
        "annotations": fingerprint(annotations),
        "classes": list(config.classes),
        "settings": settings.identity,
        "split_settings": dataclasses.asdict(split_settings),
    }
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode()).hexdigest()
    every_setting = {name: value for name, value in dataclasses.asdict(settings).items() if name != "models"}
    return metadata | {"settings": every_setting, "fingerprint": digest}


def _write(
    builder_class: type[Builder],
    work: Path,
    config: FacesConfig,
    table: FaceTable,
    metadata: Mapping[str, Any],
    annotations: Annotations,
) -> Path:
    """Write the complete data set below `work` and return its folder."""
    builder = make_builder(builder_class, data_dir=work / "tfds", config=config, table=table, metadata=metadata)
    download_and_prepare(builder)
    folder = Path(builder.data_dir)
    (folder / README).write_text(readme(metadata), encoding="utf-8")
    face_table.write_rows(table, folder / ROWS)
    contact_sheet.sheet(face_table.some_faces(table)).save(folder / FACES_SHEET)
    contact_sheet.sheet(face_table.some_failures(table, annotations)).save(folder / FAILURES_SHEET)
    return folder


def _make_config(
    annotations: Annotations,
    settings: FaceSettings,
    classes: tuple[str, ...] | None,
    config_name: str,
    published: str | None,
) -> FacesConfig:
    tone = "colour" if settings.colour else "grey"
    parts = (f"{tone}{settings.size}", _class_tag(classes), annotations.variant, published)
    return FacesConfig(
        name=config_name or "-".join(part for part in parts if part),
        size=settings.size,
        colour=settings.colour,
        classes=_select_classes(annotations, classes),
    )


def _has(chunks: Sequence[Path], column: str) -> bool:
    """Whether a row of the chunk files has a value in a column."""
    return any(row[column] for row in face_chunks.read_chunks(chunks, [column]))


def _class_tag(classes: tuple[str, ...] | None) -> str:
    """The part of a configuration's name for the requested classes: "seven", "eight", "3classes" or ""."""
    if classes is None:
        return ""
    return next((name for name, names in SETS.items() if names == classes), f"{len(classes)}classes")


def _select_classes(annotations: Annotations, classes: tuple[str, ...] | None) -> tuple[str, ...]:
    """The classes of the data set, or those requested; of "seven" and "eight" those that it has."""
    if classes is not None and classes in SETS.values():
        return tuple(name for name in annotations.classes if name in classes)
    if unknown := sorted(set(classes or ()) - set(annotations.classes)):
        raise UserError(f"classes: {annotations.name} has {', '.join(annotations.classes)}, not {', '.join(unknown)}")
    return classes or annotations.classes


def _stored_fingerprint(target: Path) -> str | None:
    """The fingerprint of the complete data set in `target`; None if there is none."""
    if not (target / "dataset_info.json").exists():
        return None
    return (tfds.builder_from_directory(target).info.metadata or {}).get("fingerprint")


def _start_or_resume(work: Path, metadata: Mapping[str, Any], report: Callable[[str], None]) -> None:
    """Remove what a killed process left in `work`, except chunks of the same annotations with the same settings."""
    for leftover in ("tfds", "old"):
        work_folder.clear(work, leftover)
    state = work / "fingerprint"
    if (work / "chunks").exists():
        if state.exists() and state.read_text() == metadata["fingerprint"]:
            report(f"resuming the preparation in {work}")
            return  # rewriting the file could empty it if the disk is full
        report(f"{work} was made from other annotations or settings: starting from the beginning")
        work_folder.clear(work, "chunks")
    state.write_text(metadata["fingerprint"])


def _make_chunks(
    annotations: Annotations, folder: Path, settings: FaceSettings, workers: int | None, beam: Sequence[str]
) -> list[Path]:
    total = annotations.count() if annotations.count else sum(1 for _ in annotations.records())
    with tqdm(total=total, unit=" rows", desc="faces", disable=None) as bar:

        def advance(rows: int) -> None:
            bar.update(rows)

        if beam:
            return faces_beam.process(annotations, folder, settings, beam, progress=advance)
        return face_chunks.process(annotations, folder, settings, workers=workers, progress=advance)
