"""Evaluate a run on splits of a data set: write predictions.parquet and metrics.json."""

import datetime
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tqdm.auto import tqdm

from edram_fer import data as prepared
from edram_fer import files
from edram_fer.data import landmarks, views
from edram_fer.errors import UserError
from edram_fer.evaluation import cost, inference, summary
from edram_fer.models import FERModel
from edram_fer.preprocessing.values import path_component
from edram_fer.run import checkpoints, environment, evaluation_folder, layout, predictions
from edram_fer.runtime import ExportedModel


def evaluate(
    run: Path | str,
    *,
    splits: Sequence[str] | str = ("test",),
    data: str | None = None,
    data_dir: Path | str | None = None,
    out: Path | str | None = None,
    batch_size: int = 128,
    flip: bool = False,
    ten_crop: float | None = None,
) -> dict[str, Any]:
    """Write predictions.parquet and metrics.json of a run; `edram_fer.figures.run.draw` draws them.

    Args:
        run: A run folder, a .keras file, a card, an exported file, or one of `edram_fer.list_weights()`.
        splits: Names of splits of the data set. If a split marks some rows as duplicates of training images, the
            metrics also hold "<split>_clean", all other rows, unless `splits` contains a split of that name.
        data: A source that `edram_fer.data` reads; None: the data set that the run was trained on.
        data_dir: Folder of prepared data sets; None: the folder used for training.
        out: Folder for the results. None: for a run and its data set, the run; otherwise a folder of its own, so that
            the evaluation of the run stays, see `run.evaluation_folder.open_folder`.
        batch_size: Images per batch.
        flip: Also predict the mirror images; the average over both is scored as "<split>_flip".
        ten_crop: Side of five crops as a share of the image's side; the average over the crops and their mirror images
            is scored as "<split>_ten_crop". None: no crops.

    Returns:
        The content of metrics.json: {"run": {...}, "splits": {name: `summary.scores`}}. "run" describes the model, the
        data and the evaluation, including the model's cost: trainable "parameters", "flops" (see `cost.flops`) and
        "seconds_per_image".

    Raises:
        MissingFileError: The run, its model or the data set is missing.
        ExistingRunError: `out` holds a run, or the evaluation of another model or data set.
        UserError: A file is damaged, a split has no image whose emotion the model knows, images have the wrong size or
            lack the landmarks that the model needs, an output is not finite, or a share is outside (0, 1].

    >>> metrics = evaluate("runs/demo", splits=("validation", "test"), flip=True)
    >>> {split: scores["images"] for split, scores in metrics["splits"].items()}
    {'validation': 14, 'validation_flip': 14, 'test': 14, 'test_flip': 14}
    """
    begin = time.monotonic()
    splits = (splits,) if isinstance(splits, str) else tuple(dict.fromkeys(splits))  # the rows of one only once
    for split in splits:
        path_component("split", split)
    run, source, data_dir = evaluation_folder.open_folder(run, data=data, data_dir=data_dir, out=out)
    model, names = checkpoints.open_model(run), prepared.emotions(source, data_dir=data_dir)
    tables = []
    for split in splits:
        features = prepared.load_split(source, split, data_dir=data_dir)
        inputs = _inputs(model, features, source, split)
        for name, outputs in _predictions(model, inputs, split, features["id"], batch_size, flip, ten_crop):
            classes, calibration = inference.class_names(model), getattr(model, "calibration", None)
            tables.append(predictions.table(name, features, outputs, names, classes, calibration))
    rows = pa.concat_tables(tables, promote_options="default")
    scores = {name: _scores(part, name) for name, part in _parts(rows, splits)}
    metrics = files.plain(
        {
            "run": {
                **_identification(run, source, data_dir, model),
                "parameters": cost.parameters(model),
                "flops": cost.flops(model),
                "seconds_per_image": cost.seconds_per_image(model, min(batch_size, len(tables[0]))),
                "versions": environment.versions(),
                "seconds": round(time.monotonic() - begin, 1),
            },
            "splits": scores,
        }
    )
    # Remove the previous evaluation first: if this one is stopped here, files of the two evaluations do not mix.
    layout.clear_evaluation(run)
    predictions.write(rows, run / layout.PREDICTIONS)
    files.write_json(run / layout.METRICS, metrics)
    return metrics


def _inputs(model, features, source, split):
    """The features that the model needs, checked."""
    try:
        inputs = inference.inputs(model, features)
    except UserError as error:
        raise UserError(f"split {split}: {error}") from error
    if "landmarks" in inputs:
        landmarks.check(inputs["landmarks"], f"{source}, split {split}")
    return inputs


def _predictions(
    model: FERModel | ExportedModel,
    inputs: Mapping[str, np.ndarray],
    split: str,
    ids: np.ndarray,
    batch_size: int,
    flip: bool,
    ten_crop: float | None,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, outputs) of a split and of the requested averages over its views.

    An average holds mean probabilities and mean affect, but the windows of the unchanged image.
    """
    try:
        plain = _predict(model, inputs, batch_size)
        yield split, plain
        if flip:
            mirrored = _predict(model, views.mirror(inputs), batch_size)
            yield f"{split}_flip", _average(plain, [plain, mirrored])
        if ten_crop is not None:
            crops = tqdm(views.ten_crops(inputs, ten_crop), f"{split}, ten crops", total=10, disable=None)
            yield f"{split}_ten_crop", _average(plain, [_predict(model, crop, batch_size) for crop in crops])
    except inference.NonFiniteOutput as error:
        raise UserError(error.message_for(ids, split)) from error


def _average(plain, outputs):
    """The outputs for the images, with probabilities and affect averaged over their views."""
    names = [name for name in ("probabilities", "affect") if name in plain]
    return {**plain, **{name: sum(view[name] for view in outputs) / len(outputs) for name in names}}


def _predict(model, inputs, batch_size):
    return inference.predict(model, inputs["image"], batch_size, landmarks=inputs.get("landmarks"))


def _parts(rows, splits):
    """(name, rows) of each split in the table, and of the clean part of splits that mark duplicates."""
    for name in pc.unique(rows["split"]).to_pylist():
        part = rows.filter(pc.equal(rows["split"], name))
        yield name, part
        if "duplicate" in rows.column_names and f"{predictions.average(name)[0]}_clean" not in splits:
            clean = part.filter(pc.equal(part["duplicate"], False))
            if 0 < len(clean) < len(part) - part["duplicate"].null_count:
                yield f"{name}_clean", clean


def _scores(rows, split):
    try:
        return summary.scores(rows)
    except UserError as error:
        raise UserError(f"split {split}: {error}") from error


def _identification(run, source, data_dir, model):
    recipe = files.read_json(run / layout.RECIPE)
    return {
        "recipe": recipe.get("name"),
        "model": recipe.get("model", type(model).__name__),
        "emotions": list(model.emotions),
        "calibration": getattr(model, "calibration", None),
        "data": str(source),
        "data_fingerprint": prepared.describe(source, data_dir=data_dir)["fingerprint"],
        "command": shlex.join(sys.argv),
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
