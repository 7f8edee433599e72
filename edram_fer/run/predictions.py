"""The predictions table: what a model said about every image of a split, and where it looked.

One row for each image, columns as ARCHITECTURE.md lists them, and `subject` where the data set knows it. Lists are
flat (row-major); the file's metadata holds the class names, in the order of the probabilities, as JSON under
`emotions`.
"""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from edram_fer import files
from edram_fer.errors import MissingFileError, UserError

METADATA = b"emotions"
REQUIRED = (
    *("split", "id", "truth", "prediction", "probabilities", "step_predictions", "step_probabilities"),
    *("true_valence", "true_arousal", "valence", "arousal", "windows", "weights"),
)

# What the name of a split ends in where the predictions are averages over several views of each image.
AVERAGES = {"_flip": "averaged with the mirror images", "_ten_crop": "averaged over ten crops"}


def average(split):
    """(the split that an average is of, a phrase that says of what), or (split, None) where it is none."""
    for end, words in AVERAGES.items():
        if split.endswith(end):
            return split.removesuffix(end), words
    return split, None


def table(split, images, outputs, names, emotions):
    """Make the rows of one split.

    Args:
        split: its name.
        images: what `edram_fer.data.arrays` gives; used are "emotion" int [n] (indices into `names`, negative where
            unknown), "affect" [n, 2] (-2 where unknown), "id" and, where present, "duplicate" and "subject".
        outputs: what `edram_fer.evaluation.evaluate.predict` gives for the same images.
        names: class names of the data set.
        emotions: class names of the model.

    Returns: pyarrow.Table. An image whose emotion the model does not know is a row like any other.
    """
    emotions, count = np.array(emotions, dtype=object), len(outputs["probabilities"])
    steps = emotions[outputs["probabilities"].argmax(axis=-1)]
    columns = {
        "split": pa.array([split] * count, pa.string()),
        "id": pa.array([str(name) for name in images["id"]], pa.string()),
        "truth": pa.array([names[label] if label >= 0 else None for label in images["emotion"]], pa.string()),
        "prediction": pa.array(steps[:, -1], pa.string()),
        "probabilities": _lists(outputs["probabilities"][:, -1]),
        "step_predictions": _lists(steps, pa.string()),
        "step_probabilities": _lists(outputs["probabilities"]),
    }
    said = outputs["affect"][:, -1] if "affect" in outputs else np.full((count, 2), np.nan)
    true = images.get("affect", np.full((count, 2), np.nan))
    for column, name in enumerate(("valence", "arousal")):
        columns[f"true_{name}"] = _numbers(true[:, column])
        columns[name] = _numbers(said[:, column])
    columns |= {"windows": _lists(outputs["windows"]), "weights": _lists(outputs["weights"])}
    if "duplicate" in images:
        columns["duplicate"] = pa.array(np.asarray(images["duplicate"], bool))
    if "subject" in images:
        columns["subject"] = pa.array([str(name) for name in images["subject"]], pa.string())
    return pa.table(columns).replace_schema_metadata({METADATA: json.dumps(list(emotions))})


def unpack(rows):
    """A predictions table as NumPy arrays.

    Returns: dict of "emotions" (K names), "id", "truth" (None where unknown), "prediction", "steps" (names [n, T]) as
    object arrays, "probabilities" [n, T, K], "windows" [n, N, 2, 3], "weights" [n, N], "true_affect" and "affect"
    [n, 2] (nan where unknown), "subjects" [n] or None, and "duplicate" bool [n] or None.
    """
    emotions = json.loads(rows.schema.metadata[METADATA])
    count = len(rows)
    present = set(rows.column_names)
    return {
        "emotions": emotions,
        "id": _objects(rows["id"]),
        "truth": _objects(rows["truth"]),
        "prediction": _objects(rows["prediction"]),
        "steps": _flat(rows["step_predictions"]).reshape(count, -1) if count else np.empty((0, 0), object),
        "probabilities": _shaped(rows["step_probabilities"], count, len(emotions)),
        "windows": _shaped(rows["windows"], count, 2, 3),
        "weights": _shaped(rows["weights"], count),
        "true_affect": np.stack([_floats(rows[f"true_{name}"]) for name in ("valence", "arousal")], axis=-1),
        "affect": np.stack([_floats(rows[name]) for name in ("valence", "arousal")], axis=-1),
        "subjects": _objects(rows["subject"]) if "subject" in present else None,
        "duplicate": _objects(rows["duplicate"]).astype(bool) if "duplicate" in present else None,
    }


def select_split(rows, split):
    """The rows of one split of a table; "<split>_clean", where the table has none of that name, are the rows of
    "<split>" that are no duplicates of training images.

    Raises ValueError for a split that the table does not hold.
    """
    names = pc.unique(rows["split"]).to_pylist()
    if split in names:
        return rows.filter(pc.equal(rows["split"], split))
    whole = split.removesuffix("_clean")
    if whole not in names or "duplicate" not in rows.column_names:
        raise UserError(f"split: expected one of {', '.join(names)}, got {split!r}")
    return rows.filter(pc.and_(pc.equal(rows["split"], whole), pc.equal(rows["duplicate"], False)))


def write(rows, path):
    """Save a predictions table as Parquet, whole or not at all."""
    with files.replace(path) as temporary:
        pq.write_table(rows, temporary, compression="zstd")


def read(path):
    """Read a predictions table.

    Raises FileNotFoundError when there is none, ValueError when the file is damaged or lacks a column or the class
    names; both name the file.
    """
    try:
        rows = pq.read_table(path)
    except FileNotFoundError:
        raise MissingFileError(f"{path} is missing: evaluate the run first") from None
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is not a readable predictions table: {error}") from error
    missing = [name for name in REQUIRED if name not in rows.column_names]
    if missing or METADATA not in (rows.schema.metadata or {}):
        lacking = ", ".join(missing) or "the metadata `emotions`"
        raise UserError(f"{path} is not a complete predictions table: it lacks {lacking}")
    return rows


def _lists(values, kind=None):
    """[n, ...] as a column of n flat lists."""
    values = np.asarray(values)
    flat = pa.array(values.ravel(), kind or pa.float32())
    length = values[0].size if len(values) else 0
    return pa.ListArray.from_arrays(pa.array(np.arange(len(values) + 1) * length, pa.int32()), flat)


def _numbers(values):
    """float [n] as a column with null for nan and for everything outside [-1, 1], such as AffectNet's -2."""
    values = np.asarray(values, np.float32)
    return pa.array(values, pa.float32(), mask=~(np.abs(values) <= 1))


def _objects(column):
    return np.array(column.to_pylist(), dtype=object)


def _flat(column):
    """All entries of a column of lists in one array; `flatten` respects slices, where `values` would not."""
    return column.combine_chunks().flatten().to_numpy(zero_copy_only=False)


def _shaped(column, count, *shape):
    return _flat(column).reshape(count, -1, *shape) if count else np.empty((0, 0, *shape), np.float32)


def _floats(column):
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)
