"""From a run folder and pictures to predictions.parquet and metrics.json.

The steps can be used alone: `predict` (model and pictures to arrays), `table` (arrays to rows), `scores` (rows to
numbers).
"""

import datetime
import functools
import logging
import shlex
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tqdm.auto import tqdm

from edram_fer import attention, files, predictions
from edram_fer import scores as measures
from edram_fer.figures import clear
from edram_fer.predictions import table
from preprocessing.emotions import EMOTIONS
from preprocessing.records import UNKNOWN_AFFECT

__all__ = ["NotFinite", "evaluate", "inputs", "labelled", "predict", "read_metrics", "scores", "table"]

log = logging.getLogger(__name__)


class NotFinite(ValueError):
    """An output of a model is nan or infinite; `rows` int [m] are the numbers of these pictures."""

    def __init__(self, message, rows):
        super().__init__(message)
        self.rows = rows

    def of(self, ids, split):
        """The message, with the names of the first pictures; `ids` [n] of all."""
        names = list(dict.fromkeys(str(name) for name in ids[self.rows]))
        return f"picture {', '.join(names[:3])}{', ...' if len(names) > 3 else ''} of {split}: {self}"


def evaluate(
    run, *, splits=("test",), data=None, data_dir=None, batch_size=128, figures=True, flip=False, ten_crop=None
):
    """Write predictions.parquet and metrics.json (and figures/) of a run.

    Args:
        run: the run folder.
        splits: names of splits of the data set. Where a split marks some rows as duplicates of training pictures and
            its `<split>_clean` is not asked for, metrics also hold "<split>_clean": the other rows.
        data: a source that `edram_fer.data` reads; None: the one that the run was trained on.
        data_dir: where prepared data sets lie; None: where they lay for training.
        batch_size: pictures at a time.
        figures: also draw them, of each split.
        flip: predict the mirror images too; the average of both is scored beside the plain prediction, under its own
            name "<split>_flip".
        ten_crop: share of the side of five crops; the average of these and their mirror images is scored as
            "<split>_ten_crop". None: not.

    Returns: the content of metrics.json: {"run": what was evaluated and how, "splits": {name: `scores`}}. The run's
    "parameters" (those that are trained), "operations" (see `cost.operations`) and "seconds_per_picture" tell what a
    picture costs.

    Raises ValueError for a split without a picture whose emotion the model knows, pictures of a wrong size or without
    the landmarks that the model needs, or a share out of (0, 1].
    """
    from edram_fer import checkpoints, cost, environment  # Keras and the data only here: scores need neither
    from edram_fer import data as prepared
    from edram_fer.data import landmarks

    run, begin = Path(run), time.monotonic()
    splits = (splits,) if isinstance(splits, str) else tuple(splits)
    recipe = files.read_json(run / "recipe.json")
    source, data_dir = _source(run, recipe, data, data_dir)
    model, names = checkpoints.load(run), prepared.emotions(source, data_dir=data_dir)
    tables = []
    for split in splits:
        pictures = prepared.arrays(source, split, data_dir=data_dir)
        given = _named(lambda found: inputs(model, found), pictures, split)
        if "landmarks" in given:
            landmarks.check(given["landmarks"], f"{source}, split {split}")
        try:
            for name, outputs in _predictions(model, split, given, batch_size, flip, ten_crop):
                tables.append(table(name, pictures, outputs, names, model.emotions))
        except NotFinite as error:
            raise ValueError(error.of(pictures["id"], split)) from error
    rows = pa.concat_tables(tables, promote_options="default")
    identity = _identification(recipe, source, model)
    identity["parameters"] = cost.parameters(model)
    identity["fingerprint"] = prepared.describe(source, data_dir=data_dir)["fingerprint"]
    identity["operations"], identity["seconds_per_picture"] = cost.operations(model), _speed(model, given, batch_size)
    metrics = {"run": {**identity, "versions": environment.versions()}, "splits": {}}
    for name, part in _parts(rows, splits):
        metrics["splits"][name] = found = _named(scores, part, name)
        log.info("%s: accuracy %.4f of %d pictures", name, found["accuracy"], found["pictures"])
    metrics["run"]["seconds"] = round(time.monotonic() - begin, 1)
    metrics = files.plain(metrics)
    _save(run, rows, metrics)
    if figures:
        from edram_fer.evaluated import Evaluated  # Matplotlib only where something is drawn
        from edram_fer.figures.run import draw

        draw(run, functools.partial(Evaluated(run).pictures, data=source, data_dir=data_dir))
    return metrics


def inputs(model, pictures):
    """What a model sees of the features of a split: {"image"}, and "landmarks" where it wants them.

    Raises ValueError where it wants what the data set does not have.
    """
    wanted = model.input_shapes()
    if missing := [name for name in wanted if name not in pictures]:
        raise ValueError(
            f"the model needs {', '.join(missing)}, which the data set does not have; of photos "
            f"`prepare ... --landmarks` finds them"
        )
    return {name: pictures[name] for name in wanted}


def predict(model, images, batch_size=128, *, windows=None, emitted=None, landmarks=None):
    """Run a model over pictures.

    Args:
        model: maps {"image"} to the outputs that all models share.
        images: uint8 [n, H, W, C], or float in [0, 1].
        windows: optional [n, N, 2, 3] to look at in place of the model's own (all models but the yardstick).
        emitted: optional [n, N, 2, 3], what an EDRAM's where-path sees with these windows; None: the windows.
        landmarks: [n, 68, 2] in pixels for a model that looks for its crops by them.

    Returns: dict of float32 arrays: "probabilities" [n, T, K], "windows" [n, N, 2, 3], "weights" [n, N] and, of a
    model with that head, "affect" [n, T, 2], of an EDRAM "emitted" [n, N + 1, 2, 3].

    Raises ValueError when pictures have another size than the model's, and NotFinite, a ValueError, for such an output.
    """
    _check_size(model, images)
    size, parts = min(batch_size, len(images)), []
    more = {"windows": windows, "emitted": emitted, "landmarks": landmarks}
    more = {name: np.asarray(values, np.float32) for name, values in more.items() if values is not None}
    white = 255 if images.dtype == np.uint8 else 1
    for start in range(0, len(images), size):
        # The last batch starts earlier, so that all are of one size and the model is compiled once.
        begin = min(start, len(images) - size)
        batch = {"image": np.asarray(images[begin : begin + size], np.float32) / white}
        batch |= {name: values[begin : begin + size] for name, values in more.items()}
        outputs = model.predict_on_batch(batch)
        wanted = [key for key in ("emotion", "affect", "windows", "weights", "emitted") if key in outputs]
        parts.append({key: np.asarray(outputs[key]).astype(np.float32)[start - begin :] for key in wanted})
    result = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    for key, values in result.items():
        bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        if bad.any():
            raise NotFinite(f"the model's output `{key}` is not finite for {bad.sum()} of {len(values)} pictures",
                            np.flatnonzero(bad))
    if "affect" in result and (result["affect"] == UNKNOWN_AFFECT).all():  # it has no head for that
        del result["affect"]
    result["probabilities"] = _softmax(result.pop("emotion"))
    return result


def labelled(run, model, split, *, data=None, data_dir=None):
    """The pictures of a split whose emotion a model knows.

    Args: as of `evaluate`; `model` as `edram_fer.load` gives it.

    Returns: (features of `edram_fer.data.arrays`, labels int [n] in the order of `model.emotions`).

    Raises ValueError where there is no such picture.
    """
    from edram_fer import data as prepared

    source, data_dir = _source(run, files.read_json(run / "recipe.json"), data, data_dir)
    pictures, names = prepared.arrays(source, split, data_dir=data_dir), prepared.emotions(source, data_dir=data_dir)
    order = [model.emotions.index(name) if name in model.emotions else -1 for name in names]
    labels = np.array([order[label] if label >= 0 else -1 for label in pictures["emotion"]], int)
    known = labels >= 0
    if not known.any():
        raise ValueError(f"split {split}: no picture has an emotion that the model knows ({', '.join(model.emotions)})")
    return {name: values[known] for name, values in pictures.items()}, labels[known]


def scores(rows, *, repeats=1000, seed=0):
    """All numbers of one split's predictions table.

    Pictures whose emotion the model does not know are left out of all of them and counted.

    Returns: dict of "pictures" (scored), "left_out" ({emotion or "unknown": count}), everything of
    `edram_fer.scores.classification` with the classes in canonical order, "valence" and "arousal" of
    `edram_fer.scores.affect` where known, and "glimpses": for each window the `attention.glimpse_statistics`, spread
    and its shares (see `attention.spread`).

    Raises ValueError when no picture is left.
    """
    found = predictions.unpack(rows)
    emotions = sorted(found["emotions"], key=lambda name: EMOTIONS.index(name) if name in EMOTIONS else len(EMOTIONS))
    order = [found["emotions"].index(name) for name in emotions]
    known = np.isin(found["truth"].astype(str), emotions)
    left_out, counts = np.unique([name or "unknown" for name in found["truth"][~known]], return_counts=True)
    if not known.any():
        raise ValueError(f"no picture has an emotion that the model knows ({', '.join(emotions)})")
    truth = np.array([emotions.index(name) for name in found["truth"][known]])
    options = {"repeats": repeats, "seed": seed}
    options["subjects"] = None if found["subjects"] is None else found["subjects"][known]
    result = {
        "pictures": int(known.sum()),
        "left_out": dict(zip(left_out.tolist(), counts.tolist(), strict=True)),
        **measures.classification(truth, found["probabilities"][known][:, :, order], emotions, **options),
    }
    if np.isfinite(found["affect"]).all():
        result |= measures.affect(found["true_affect"][known], found["affect"][known], **options)
    return {**result, "glimpses": _glimpses(found["windows"][known], truth)}


def read_metrics(path):
    """Read metrics.json. FileNotFoundError when missing, ValueError when damaged; both name the file."""
    metrics = files.read_json(path)
    if not metrics.get("splits") or "run" not in metrics:
        raise ValueError(f"{path} holds no metrics: expected `run` and `splits` with at least one split")
    return metrics


def _predictions(model, split, given, batch_size, flip, ten_crop):
    """(name, outputs) of a split and, where asked for, of the averages of its views.

    Of an average the probabilities and affect are means; the windows stay those of the picture.
    """
    from edram_fer.data import views

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
    """`predict` of what `inputs` or a view of it holds."""
    return predict(model, view["image"], batch_size, landmarks=view.get("landmarks"))


def _speed(model, given, batch_size, repeats=3):
    """Seconds for each picture, of the quickest of some batches: the model is compiled already, and whatever else the
    machine does only takes time."""
    batch, seconds = {name: values[:batch_size] for name, values in given.items()}, []
    for _ in range(repeats):
        begin = time.perf_counter()
        _seen(model, batch, batch_size)
        seconds.append((time.perf_counter() - begin) / len(batch["image"]))
    return min(seconds)


def _save(run, rows, metrics):
    """The evaluation before goes first: whatever stops this one, no file of the two lies beside one of the other."""
    for name in ("report.html", "regions.json", "metrics.json"):
        (run / name).unlink(missing_ok=True)
    clear(run / "figures")
    predictions.write(rows, run / "predictions.parquet")
    files.write_json(run / "metrics.json", metrics)


def _glimpses(windows, classes):
    spread = attention.spread(windows, classes)
    moves, jumps = attention.moves(windows), attention.saccades(windows)
    return {
        "statistics": attention.glimpse_statistics(windows),
        "area": attention.area(windows).mean(axis=0),
        "extents": attention.extents(windows).mean(axis=0),
        "moves": moves.mean(axis=0),
        "saccades": jumps.mean(axis=0),
        **spread,
    }


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
        raise ValueError(f"split {split}: {error}") from error


def _softmax(logits):
    values = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return (values / values.sum(axis=-1, keepdims=True)).astype(np.float32)


def _check_size(model, images):
    if images.ndim != 4 or not len(images):
        raise ValueError(f"pictures must be [n > 0, H, W, C], not {list(images.shape)}")
    expected = model.input_shapes()["image"][1:]
    if images.shape[1:] != expected:
        raise ValueError(f"the model takes pictures of H x W x C = {expected}, these have {images.shape[1:]}")


def _source(run, recipe, data, data_dir):
    """The data set and its folder: what is asked for, or else what the run was trained on."""
    if data is None and "data" not in recipe:
        raise ValueError(f"{Path(run) / 'recipe.json'} is not the recipe of a run: it names no `data`")
    trained = Path(run) / "environment.json"
    if data_dir is None and trained.exists():
        data_dir = files.read_json(trained).get("data_dir")
    return recipe["data"] if data is None else data, data_dir


def _identification(recipe, source, model):
    return {
        "recipe": recipe.get("name"),
        "model": recipe.get("model", type(model).__name__),
        "emotions": list(model.emotions),
        "data": str(source),
        "command": shlex.join(sys.argv),
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
