"""The predictions table: what a model predicted for every image of a split, and where it looked.

One row per image, with the columns that ARCHITECTURE.md lists, and `duplicate` and `subject` where the data set has
them. Lists are flat (row-major). The file's metadata holds, as JSON, the class names in the order of the probabilities
under `emotions`, and the model's calibration, or null, under `calibration`.
"""

import json
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from edram_fer import files
from edram_fer.errors import MissingFileError, UserError, reason
from edram_fer.preprocessing.emotions import checked_classes, ordered
from edram_fer.preprocessing.values import path_component

METADATA, CALIBRATION = b"emotions", b"calibration"
_FLOATS, _TEXTS = pa.list_(pa.float32()), pa.list_(pa.string())
REQUIRED = {  # column: its type
    **dict.fromkeys(("split", "id", "truth", "prediction"), pa.string()),
    **{"probabilities": _FLOATS, "step_predictions": _TEXTS, "step_probabilities": _FLOATS},
    **dict.fromkeys(("true_valence", "true_arousal", "valence", "arousal"), pa.float32()),
    **{"windows": _FLOATS, "weights": _FLOATS},
}
OPTIONAL = {"duplicate": pa.bool_(), "subject": pa.string()}

# Suffixes of splits whose predictions are averages over several views of each image.
AVERAGES = {"_flip": "averaged with the mirror images", "_ten_crop": "averaged over ten crops"}


def average(split: str) -> tuple[str, str | None]:
    """Split the name of an average into the split and the kind of average; None if it is not an average.

    >>> average("test_flip")
    ('test', 'averaged with the mirror images')
    >>> average("test")
    ('test', None)
    """
    for end, phrase in AVERAGES.items():
        if split.endswith(end):
            return split.removesuffix(end), phrase
    return split, None


def table(
    split: str,
    images: Mapping[str, np.ndarray],
    outputs: Mapping[str, np.ndarray],
    names: Sequence[str],
    emotions: Sequence[str],
    calibration: Mapping[str, Any] | None = None,
) -> pa.Table:
    """Make the rows of one split, including images whose emotion the model does not know.

    Args:
        split: Name of the split.
        images: Features as returned by `edram_fer.data.load_split`; the table uses "emotion" int [n] (indices into
            `names`, negative where unknown), "affect" [n, 2] (-2 where unknown), "id" and, if present, "duplicate" and
            "subject".
        outputs: The result of `edram_fer.evaluation.inference.predict` for the same images.
        names: Class names of the data set.
        emotions: Class names of the model.
        calibration: How the probabilities were calibrated, see `evaluation.calibration.fit`; None: they were not.
    """
    # Of equal probabilities, as of models in eight bits, the first in the order of the scores is the prediction.
    classes, count = np.array(ordered(emotions), dtype=object), len(outputs["probabilities"])
    steps = classes[outputs["probabilities"][..., [emotions.index(name) for name in classes]].argmax(axis=-1)]
    columns = {
        "split": pa.array([split] * count, pa.string()),
        "id": pa.array([str(name) for name in images["id"]], pa.string()),
        "truth": pa.array([names[label] if label >= 0 else None for label in images["emotion"]], pa.string()),
        "prediction": pa.array(steps[:, -1], pa.string()),
        "probabilities": _lists(outputs["probabilities"][:, -1]),
        "step_predictions": _lists(steps, pa.string()),
        "step_probabilities": _lists(outputs["probabilities"]),
    }
    affect = outputs["affect"][:, -1] if "affect" in outputs else np.full((count, 2), np.nan)
    true = images.get("affect", np.full((count, 2), np.nan))
    for column, name in enumerate(("valence", "arousal")):
        columns[f"true_{name}"] = _numbers(true[:, column])
        columns[name] = _numbers(affect[:, column])
    columns |= {"windows": _lists(outputs["windows"]), "weights": _lists(outputs["weights"])}
    if "duplicate" in images:
        columns["duplicate"] = pa.array(np.asarray(images["duplicate"], bool))
    if "subject" in images:
        columns["subject"] = pa.array([str(name) for name in images["subject"]], pa.string())
    metadata = {METADATA: json.dumps(list(emotions)), CALIBRATION: json.dumps(calibration)}
    return pa.table(columns).replace_schema_metadata(metadata)


def unpack(rows: pa.Table) -> dict[str, Any]:
    """A predictions table as NumPy arrays.

    Returns:
        "emotions" (K names); "calibration" (see `table`); "id", "truth" (None where unknown), "prediction" and "steps"
        (names [n, T]) as object arrays; "probabilities" [n, T, K]; "windows" [n, N, 2, 3]; "weights" [n, N];
        "true_affect" and "affect" [n, 2] (nan where unknown); "subjects" [n] or None; and "duplicate" bool [n] or None.
    """
    emotions = json.loads(rows.schema.metadata[METADATA])
    calibration = json.loads(rows.schema.metadata.get(CALIBRATION, b"null"))
    count = len(rows)
    present = set(rows.column_names)
    return {
        "emotions": emotions,
        "calibration": calibration,
        "id": _objects(rows["id"]),
        "truth": _objects(rows["truth"]),
        "prediction": _objects(rows["prediction"]),
        "steps": _flat(rows["step_predictions"]).reshape(count, -1) if count else np.empty((0, 0), object),
        "probabilities": _reshape(rows["step_probabilities"], count, len(emotions)),
        "windows": _reshape(rows["windows"], count, 2, 3),
        "weights": _reshape(rows["weights"], count),
        "true_affect": np.stack([_floats(rows[f"true_{name}"]) for name in ("valence", "arousal")], axis=-1),
        "affect": np.stack([_floats(rows[name]) for name in ("valence", "arousal")], axis=-1),
        "subjects": _objects(rows["subject"]) if "subject" in present else None,
        "duplicate": _objects(rows["duplicate"]).astype(bool) if "duplicate" in present else None,
    }


def select_split(rows: pa.Table, split: str) -> pa.Table:
    """The rows of one split of a table. If the table has no split "<split>_clean", it consists of the rows of "<split>"
    that are not duplicates of training images.

    Raises:
        UserError: The table does not hold the split.
    """
    names = pc.unique(rows["split"]).to_pylist()
    if split in names:
        return rows.filter(pc.equal(rows["split"], split))
    whole = split.removesuffix("_clean")
    if whole not in names or "duplicate" not in rows.column_names:
        raise UserError(f"split: expected one of {', '.join(names)}, got {split!r}")
    return rows.filter(pc.and_(pc.equal(rows["split"], whole), pc.equal(rows["duplicate"], False)))


def write(rows: pa.Table, path: Path | str) -> None:
    """Save a predictions table as Parquet, atomically."""
    with files.replace(path) as temporary:
        pq.write_table(rows, temporary, compression="zstd")


def read(path: Path | str) -> pa.Table:
    """Read a predictions table.

    Raises:
        MissingFileError: There is no such file.
        UserError: The file is damaged, lacks a column or the class names, or its lists do not fit together; the message
            names it.
    """
    try:
        rows = pq.read_table(path, partitioning=None)
        rows.validate(full=True)  # that texts are UTF-8, for one
        names = rows.column_names
    except FileNotFoundError:
        raise MissingFileError(f"{path} is missing: evaluate the run first") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if getattr(error, "errno", None) is not None:  # an error of the operating system, not of a damaged file
            raise
        raise UserError(f"{path} is not a readable predictions table: {reason(error)}") from error
    missing = [name for name in REQUIRED if name not in names]
    if missing or METADATA not in (rows.schema.metadata or {}):
        lacking = ", ".join(missing) or "the metadata `emotions`"
        raise UserError(f"{path} is not a complete predictions table: it lacks {lacking}")
    _check(rows, path)
    return rows


def _check(rows, path):
    """Raise a UserError unless the columns have the types and the lists the lengths that `table` writes."""
    for name, kind in (REQUIRED | OPTIONAL).items():
        if name in rows.column_names and rows.schema.field(name).type != kind:
            raise UserError(f"{path}: {name}: expected {kind}, got {str(rows.schema.field(name).type)[:80]}")
    try:
        emotions = files.parse_json(rows.schema.metadata[METADATA])
        calibration = files.parse_json(rows.schema.metadata.get(CALIBRATION, b"null"))
    except files.NOT_JSON as error:
        raise UserError(f"{path}: its metadata are not JSON: {reason(error)}") from error
    classes = len(checked_classes(emotions, f"{path}: emotions", 2))
    if calibration is not None and not isinstance(calibration, dict):
        raise UserError(f"{path}: calibration: expected an object or null, got {reprlib.repr(calibration)}")
    for split in pc.unique(rows["split"]).to_pylist():
        path_component(f"{path}: split", split)
        part = rows.filter(pc.equal(rows["split"], split))
        steps, windows = (_length(part, name, path) for name in ("step_predictions", "weights"))
        for name, length in {
            "probabilities": classes,
            "step_probabilities": steps * classes,
            "windows": 6 * windows,
        }.items():
            if _length(part, name, path) != length:
                raise UserError(f"{path}: {name}: expected lists of {length} numbers, got {_length(part, name, path)}")
    for name in ("id", "prediction"):
        if rows[name].null_count:
            raise UserError(f"{path}: {name}: expected a text in each row, got {rows[name].null_count} without")


def _length(rows, name, path):
    """The number of entries that all lists of a column have."""
    lengths = pc.unique(pc.list_value_length(rows[name])).to_pylist()
    if len(lengths) != 1 or not lengths[0]:
        raise UserError(f"{path}: {name}: expected lists of one length, got {reprlib.repr(lengths)}")
    return lengths[0]


def _lists(values, kind=None):
    """[n, ...] as a column of n flat lists."""
    values = np.asarray(values)
    flat = pa.array(values.ravel(), kind or pa.float32())
    length = values[0].size if len(values) else 0
    return pa.ListArray.from_arrays(pa.array(np.arange(len(values) + 1) * length, pa.int32()), flat)


def _numbers(values):
    """float [n] as a column with null for nan and for values outside [-1, 1], such as AffectNet's -2."""
    values = np.asarray(values, np.float32)
    return pa.array(values, pa.float32(), mask=~(np.abs(values) <= 1))


def _objects(column):
    return np.array(column.to_pylist(), dtype=object)


def _flat(column):
    """All entries of a column of lists in one array; unlike `values`, `flatten` respects slices."""
    return column.combine_chunks().flatten().to_numpy(zero_copy_only=False)


def _reshape(column, count, *shape):
    return _flat(column).reshape(count, -1, *shape) if count else np.empty((0, 0, *shape), np.float32)


def _floats(column):
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)
