"""A run folder and the images of its splits to predictions.parquet and metrics.json."""

import datetime
import functools
import logging
import shlex
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from tqdm.auto import tqdm

from edram_fer import data as prepared
from edram_fer import files
from edram_fer.data import landmarks, views
from edram_fer.errors import UserError
from edram_fer.evaluation import cost, inference, summary
from edram_fer.run import checkpoints, environment, layout, predictions

log = logging.getLogger(__name__)


def evaluate(run, *, splits=("test",), data=None, data_dir=None, batch_size=128, flip=False, ten_crop=None):
    """Write predictions.parquet and metrics.json of a run; `edram_fer.figures.run.draw` draws what they show.

    Args:
        run: the run folder.
        splits: names of splits of the data set. Where a split marks some rows as duplicates of training images and
            its `<split>_clean` is not asked for, metrics also hold "<split>_clean": the other rows.
        data: a source that `edram_fer.data` reads; None: the one that the run was trained on.
        data_dir: where prepared data sets lie; None: where they lay for training.
        batch_size: images at a time.
        flip: predict the mirror images too; the average of both is scored beside the plain prediction, under its own
            name "<split>_flip".
        ten_crop: share of the side of five crops; the average of these and their mirror images is scored as
            "<split>_ten_crop". None: not.

    Returns: the content of metrics.json: {"run": what was evaluated and how, "splits": {name: `scores`}}. The run's
    "parameters" (those that are trained), "operations" (see `cost.operations`) and "seconds_per_image" tell what a
    image costs.

    Raises ValueError for a split without an image whose emotion the model knows, images of a wrong size or without
    the landmarks that the model needs, or a share out of (0, 1].
    """
    run, begin = Path(run), time.monotonic()
    splits = (splits,) if isinstance(splits, str) else tuple(splits)
    recipe = files.read_json(run / layout.RECIPE)
    source, data_dir = layout.run_data(run, data, data_dir)
    model, names = checkpoints.load(run), prepared.emotions(source, data_dir=data_dir)
    tables = []
    for split in splits:
        images = prepared.arrays(source, split, data_dir=data_dir)
        given = _named(lambda found: inference.inputs(model, found), images, split)
        if "landmarks" in given:
            landmarks.check(given["landmarks"], f"{source}, split {split}")
        try:
            for name, outputs in _predictions(model, split, given, batch_size, flip, ten_crop):
                tables.append(predictions.table(name, images, outputs, names, model.emotions))
        except inference.NonFiniteOutput as error:
            raise UserError(error.message_for(images["id"], split)) from error
    rows = pa.concat_tables(tables, promote_options="default")
    identity = _identification(recipe, source, model)
    identity["parameters"] = cost.parameters(model)
    identity["fingerprint"] = prepared.describe(source, data_dir=data_dir)["fingerprint"]
    identity["operations"], identity["seconds_per_image"] = cost.operations(model), _speed(model, given, batch_size)
    metrics = {"run": {**identity, "versions": environment.versions()}, "splits": {}}
    for name, part in _parts(rows, splits):
        metrics["splits"][name] = found = _named(summary.scores, part, name)
        log.info("%s: accuracy %.4f of %d images", name, found["accuracy"], found["images"])
    metrics["run"]["seconds"] = round(time.monotonic() - begin, 1)
    metrics = files.plain(metrics)
    _save(run, rows, metrics)
    return metrics


def _predictions(model, split, given, batch_size, flip, ten_crop):
    """(name, outputs) of a split and, where asked for, of the averages of its views.

    Of an average the probabilities and affect are means; the windows stay those of the image.
    """
    seen = functools.partial(_seen, model, batch_size=batch_size)

    def averaged(each):
        return {
            **own,
            **{key: sum(one[key] for one in each) / len(each) for key in ("probabilities", "affect") if key in own},
        }

    own = seen(given)
    yield split, own
    if flip:
        yield f"{split}_flip", averaged([own, seen(views.mirrored(given))])
    if ten_crop is not None:
        crops = tqdm(views.ten_crops(given, ten_crop), f"{split}, ten crops", total=10, disable=None)
        yield f"{split}_ten_crop", averaged([seen(view) for view in crops])


def _seen(model, view, batch_size):
    """`inference.predict` of what `inference.inputs` or a view of it holds."""
    return inference.predict(model, view["image"], batch_size, landmarks=view.get("landmarks"))


def _speed(model, given, batch_size, repeats=3):
    """Seconds for each image, of the quickest of some batches: the model is compiled already, and whatever else the
    machine does only takes time."""
    batch, seconds = {name: values[:batch_size] for name, values in given.items()}, []
    for _ in range(repeats):
        begin = time.perf_counter()
        _seen(model, batch, batch_size)
        seconds.append((time.perf_counter() - begin) / len(batch["image"]))
    return min(seconds)


def _save(run, rows, metrics):
    """The evaluation before goes first: whatever stops this one, no file of the two lies beside one of the other."""
    layout.clear_evaluation(run)
    predictions.write(rows, run / layout.PREDICTIONS)
    files.write_json(run / layout.METRICS, metrics)


def _parts(rows, splits):
    """(name, rows) of each split in the table, and of the clean part of those that mark duplicates."""
    for name in pc.unique(rows["split"]).to_pylist():
        part = rows.filter(pc.equal(rows["split"], name))
        yield name, part
        if "duplicate" in rows.column_names and f"{predictions.average(name)[0]}_clean" not in splits:
            clean = part.filter(pc.equal(part["duplicate"], False))
            if 0 < len(clean) < len(part) - part["duplicate"].null_count:
                yield f"{name}_clean", clean


def _named(function, part, split):
    try:
        return function(part)
    except ValueError as error:
        raise UserError(f"split {split}: {error}") from error


def _identification(recipe, source, model):
    return {
        "recipe": recipe.get("name"),
        "model": recipe.get("model", type(model).__name__),
        "emotions": list(model.emotions),
        "data": str(source),
        "command": shlex.join(sys.argv),
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
