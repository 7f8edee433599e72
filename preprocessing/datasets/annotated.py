"""What the data sets of annotated photos share: from `Annotations` to a prepared TFDS data set.

    records -> chunk files of faces (edram_fer.preprocessing.faces, resumable) -> splits and duplicates -> TFDS, rows, sheets

The builder of a data set names its versions and texts; the module `annotations` beside it finds the files.
"""

import contextlib
import dataclasses
import hashlib
import inspect
import io
import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from tqdm.auto import tqdm

from edram_fer.errors import MissingFileError, UserError
from edram_fer.preprocessing import contact_sheet, face_table, faces, faces_beam
from edram_fer.preprocessing.datasets.writing import describe_write_errors, download_and_prepare, exclusive_lock, move
from edram_fer.preprocessing.emotions import EIGHT, SEVEN
from edram_fer.preprocessing.face_table import FaceTable, SplitSettings
from edram_fer.preprocessing.records import LANDMARK_COUNT, OK, Annotations, fingerprint

CLASSES = {"seven": SEVEN, "eight": EIGHT}
_NUMBERS = {"7": "seven", "8": "eight"}
ROWS, FACES_SHEET, FAILURES_SHEET = "rows.parquet", "faces.png", "failures.png"


@dataclasses.dataclass
class FacesConfig(tfds.core.BuilderConfig):
    """One form of prepared faces: side in pixels, RGB or grey, labels in canonical order, and optional features."""

    size: int = 100
    colour: bool = False
    classes: Sequence[str] = SEVEN
    landmarks: bool = False
    soft_label: bool = False


class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Prepared faces of one data set, in the order of its annotations.

    `image` uint8 [size, size, 1 or 3]; `emotion` in canonical order; `affect` float32 [2] = (valence, arousal), -2
    where not annotated; `id`, `subject` text; `duplicate` bool, a face outside training that equals one of it; where
    the data set has them `landmarks` float32 [68, 2] in pixels of the face (nan where missing) and `soft_label`
    float32 [8] in the order of `emotions.EIGHT`.
    """

    def __init__(self, *, table: FaceTable | None = None, about: dict | None = None, **options):
        """`table`: the faces to write; `about`: metadata. Without them the builder only describes the data set."""
        super().__init__(**options)
        self.table, self.about = table, about or {}

    def _info(self) -> tfds.core.DatasetInfo:
        config, features = self.builder_config, tfds.features
        kinds = {
            "image": features.Image(shape=(config.size, config.size, 3 if config.colour else 1), encoding_format="png"),
            "emotion": features.ClassLabel(names=list(config.classes)),
            "affect": features.Tensor(shape=(2,), dtype=np.float32),
            "id": features.Text(),
            "subject": features.Text(),
            "duplicate": np.bool_,
        }
        if config.landmarks:
            kinds["landmarks"] = features.Tensor(shape=(LANDMARK_COUNT, 2), dtype=np.float32)
        if config.soft_label:
            kinds["soft_label"] = features.Tensor(shape=(len(EIGHT),), dtype=np.float32)
        return self.dataset_info_from_configs(
            features=features.FeaturesDict(kinds),
            supervised_keys=("image", "emotion"),
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict:
        self.info.metadata.update(self.about)
        parts = {split: self._generate_examples(split) for split in self.table.splits}
        if self.table.clean:
            parts["test_clean"] = self._generate_examples("test", clean=True)
        return parts

    def _generate_examples(self, split: str, clean: bool = False) -> Iterator:
        def chosen(row: dict) -> bool:
            return row["status"] == OK and row["split"] == split and not (clean and row["duplicate"])

        # TFDS sorts on disk in buckets of equal ranges of 128 bits, each of which it then holds in memory: keys that
        # only count would all fall into the first.
        apart = 2**128 // len(self.table)
        for number, row in enumerate(self.table.rows(chosen=chosen)):
            yield number * apart, self._example(row)

    def _example(self, row: dict) -> dict:
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


def open_prepared(name: str, config: str, data_dir: Path):
    """The TFDS builder of prepared faces; without a `config` the only one. FileNotFoundError where there is none."""
    found = sorted(path.parent for path in data_dir.glob(f"{name}/{config or '*'}/*/dataset_info.json"))
    if not found:
        place = data_dir / name / config
        raise MissingFileError(
            f"data set {name} is not prepared in {data_dir}: nothing complete in {place}; prepare it first"
        )
    if len({path.parent for path in found}) > 1:
        known = ", ".join(f"{name}/{path.parent.name}" for path in found)
        raise UserError(f"data set {name} is prepared in several forms, name one: {known}")
    return tfds.builder_from_directory(found[-1])


def prepare(
    name: str,
    builder_class: type[Builder],
    source,
    data_dir: Path,
    *,
    classes: str | None = None,
    workers: int | None = None,
    beam: Sequence[str] = (),
    force: bool = False,
    report: Callable[[str], None] = print,
    **options,
):
    """Make, or go on making, the faces of a data set under `data_dir`/<name>/<config>/<version>.

    What a killed run leaves lies in `data_dir`/unfinished.<name>.<config> and is resumed where annotations and
    settings are the same, otherwise it is begun anew. A finished data set of the same is reused unless `force`.

    Args:
        source: file or folder of the original files.
        classes: "seven" or "eight" emotions, also 7 or 8; None: all that the data set has.
        workers: processes, None: one per core.
        beam: options of an Apache Beam pipeline, which then makes the faces in the place of local processes.
        options: fields of faces.Settings and of SplitSettings, and options of the data set's own `find`. One that several
            have goes to all: ExpW's `seed` chooses its three splits by the photos' names, SplitSettings's would draw
            validation by the faces' pixels where there is none; the two draws tell nothing of each other.

    Returns: the TFDS builder.

    Raises ValueError for bad annotations or options, and where a data set of other annotations or settings lies
    finished in the place, which `force` replaces; OSError for a full disk or where another process is at work.
    """
    if source is None:
        text = " ".join(builder_class.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
        raise UserError(f"data set {name} needs a source. {text}")
    classes = classes if classes is None else _NUMBERS.get(str(classes), classes)
    of_settings, of_splits, of_find = _parted(options, name, builder_class)
    found = builder_class.find(source, **of_find)
    how, split_settings = faces.Settings(**{"detectors": found.detectors, **of_settings}), SplitSettings(**of_splits)
    config = _config(found, how, classes)
    about = _about(found, how, split_settings, config)
    target = Path(builder_class(data_dir=data_dir, config=config).data_dir)
    unfinished = data_dir / f"unfinished.{name}.{config.name}"
    if not force and (there := _fingerprint_of(target)) is not None:
        if there != about["fingerprint"]:
            raise UserError(
                f"{target} holds {name} of other annotations or settings; --force replaces it, another "
                f"folder (--out) keeps both"
            )
        _clear(unfinished)
        report(f"{name} is already prepared in {target}: reused")
        return tfds.builder_from_directory(target)
    report(f"preparing {name} in {target} from {found.root}: {found.form}")
    with _workplace(name, unfinished, about, report) as work:
        table = FaceTable(_chunks(found, work / "chunks", how, workers, beam), config.classes, split_settings)
        if not table.splits:
            raise UserError(f"{found.root}: no usable face in its rows: {face_table.listed(table)}")
        about["report"] = face_table.summary(found, table)
        made = _written(builder_class, work, config, table, about, found)
        move(work, made, target)
        shutil.rmtree(work)
    for line in about["report"]:
        report(line)
    return tfds.builder_from_directory(target)


def _parted(options: Mapping, name: str, builder_class: type[Builder]) -> list[dict]:
    """The options of faces.Settings, of SplitSettings, and of the data set's `find`. ValueError for one that is of none."""
    known = [[field.name for field in dataclasses.fields(kind)] for kind in (faces.Settings, SplitSettings)]
    known.append([parameter for parameter in inspect.signature(builder_class.find).parameters if parameter != "source"])
    every = dict.fromkeys(itertools.chain(*known))
    if unknown := sorted(set(options) - set(every)):
        raise UserError(f"unknown option {unknown[0]!r} for data set {name}; known: {', '.join(every)}")
    return [{key: value for key, value in options.items() if key in names} for names in known]


def _clear(work: Path) -> None:
    """Remove what a process left that was killed after its data set had taken its place; not what one is at work in."""
    if work.exists():
        with contextlib.suppress(BlockingIOError), exclusive_lock(work):
            shutil.rmtree(work)


def _about(found: Annotations, how: faces.Settings, split_settings: SplitSettings, config: FacesConfig) -> dict:
    """The metadata of a data set but its report; its "fingerprint" is that of all the others."""
    settings = {name: value for name, value in dataclasses.asdict(how).items() if name != "models"}
    about = {
        "name": found.name,
        "form": found.form,
        "annotations": fingerprint(found),
        "classes": list(config.classes),
        "settings": settings,
        "split_settings": dataclasses.asdict(split_settings),
    }
    return about | {"fingerprint": hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()}


def _written(
    builder_class: type[Builder], work: Path, config: FacesConfig, table: FaceTable, about: dict, found: Annotations
) -> Path:
    """The folder with the whole data set, not yet in its place."""
    shutil.rmtree(work / "tfds", ignore_errors=True)
    made = builder_class(data_dir=work / "tfds", config=config, table=table, about=about)
    download_and_prepare(made)
    folder = Path(made.data_dir)
    face_table.write_rows(table, folder / ROWS)
    contact_sheet.sheet(face_table.some_faces(table)).save(folder / FACES_SHEET)
    contact_sheet.sheet(face_table.some_failures(table, found)).save(folder / FAILURES_SHEET)
    return folder


def _config(found: Annotations, settings: faces.Settings, classes: str | None) -> FacesConfig:
    if classes is not None and classes not in CLASSES:
        raise UserError(f"classes: expected one of {', '.join(CLASSES)}, got {classes!r}")
    first = list(itertools.islice(found.records(), 1000))
    chosen = found.classes if classes is None else tuple(name for name in CLASSES[classes] if name in found.classes)
    tone = "colour" if settings.colour else "grey"
    return FacesConfig(
        name="-".join(part for part in (f"{tone}{settings.size}", classes, found.variant) if part),
        size=settings.size,
        colour=settings.colour,
        classes=chosen,
        landmarks=settings.landmarks or any(record.landmarks for record in first),
        soft_label=any(record.soft_label for record in first),
    )


def _fingerprint_of(target: Path) -> str | None:
    """Of the data set that lies complete in `target`."""
    if not (target / "dataset_info.json").exists():
        return None
    return (tfds.builder_from_directory(target).info.metadata or {}).get("fingerprint")


@contextlib.contextmanager
def _workplace(name: str, work: Path, about: dict, report: Callable[[str], None]) -> Iterator[Path]:
    """The folder of an unfinished preparation, locked; emptied where it belongs to other annotations or settings."""
    with (
        describe_write_errors(name, work.parent, "run the same command again when there is room"),
        exclusive_lock(work),
    ):
        _begin(work, about, report)
        yield work


def _begin(work: Path, about: dict, report: Callable[[str], None]) -> None:
    state = work / "fingerprint"
    if (work / "chunks").exists():
        if state.exists() and state.read_text() == about["fingerprint"]:
            report(f"resuming what lies in {work}")
            return  # written again on a full disk, the file would lose what it says
        report(f"{work} was of other annotations or settings: begun anew")
        shutil.rmtree(work / "chunks")
    state.write_text(about["fingerprint"])


def _chunks(
    found: Annotations, folder: Path, settings: faces.Settings, workers: int | None, beam: Sequence[str]
) -> list[Path]:
    total = found.count() if found.count else sum(1 for _ in found.records())
    with tqdm(total=total, unit=" rows", desc="faces", disable=None) as bar:
        if beam:
            return faces_beam.process(found, folder, settings, beam, progress=bar.update)
        return faces.process(found, folder, settings, workers=workers, progress=bar.update)
