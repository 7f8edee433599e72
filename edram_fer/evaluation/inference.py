"""A model and the images of a split to arrays: what the model predicts."""

import numpy as np

from edram_fer import data as prepared
from edram_fer.errors import UserError
from edram_fer.preprocessing.records import UNKNOWN_AFFECT
from edram_fer.run import layout


class NonFiniteOutput(UserError):
    """An output of a model is nan or infinite; `rows` int [m] are the numbers of these images."""

    def __init__(self, message, rows):
        super().__init__(message)
        self.rows = rows

    def message_for(self, ids, split):
        """The message, with the names of the first images; `ids` [n] of all."""
        names = list(dict.fromkeys(str(name) for name in ids[self.rows]))
        return f"image {', '.join(names[:3])}{', ...' if len(names) > 3 else ''} of {split}: {self}"


def inputs(model, images):
    """What a model sees of the features of a split: {"image"}, and "landmarks" where it wants them.

    Raises ValueError where it wants what the data set does not have.
    """
    wanted = model.input_shapes()
    if missing := [name for name in wanted if name not in images]:
        raise UserError(
            f"the model needs {', '.join(missing)}, which the data set does not have; of photos "
            f"`prepare ... --landmarks` finds them"
        )
    return {name: images[name] for name in wanted}


def predict(model, images, batch_size=128, *, windows=None, emitted=None, landmarks=None):
    """Run a model over images.

    Args:
        model: maps {"image"} to the outputs that all models share.
        images: uint8 [n, H, W, C], or float in [0, 1].
        windows: optional [n, N, 2, 3] to look at in place of the model's own (all models but the baseline).
        emitted: optional [n, N, 2, 3], what an EDRAM's where-path sees with these windows; None: the windows.
        landmarks: [n, 68, 2] in pixels for a model that looks for its crops by them.

    Returns: dict of float32 arrays: "probabilities" [n, T, K], "windows" [n, N, 2, 3], "weights" [n, N] and, of a
    model with that head, "affect" [n, T, 2], of an EDRAM "emitted" [n, N + 1, 2, 3].

    Raises ValueError when images have another size than the model's, and NonFiniteOutput, a ValueError, for such an output.
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
            raise NonFiniteOutput(
                f"the model's output `{key}` is not finite for {bad.sum()} of {len(values)} images",
                np.flatnonzero(bad),
            )
    if "affect" in result and (result["affect"] == UNKNOWN_AFFECT).all():  # it has no head for that
        del result["affect"]
    result["probabilities"] = _softmax(result.pop("emotion"))
    return result


def labelled(run, model, split, *, data=None, data_dir=None):
    """The images of a split whose emotion a model knows.

    Args: as of `evaluate`; `model` as `edram_fer.load` gives it.

    Returns: (features of `edram_fer.data.arrays`, labels int [n] in the order of `model.emotions`).

    Raises ValueError where there is no such image.
    """
    source, data_dir = layout.run_data(run, data, data_dir)
    images, names = prepared.arrays(source, split, data_dir=data_dir), prepared.emotions(source, data_dir=data_dir)
    order = [model.emotions.index(name) if name in model.emotions else -1 for name in names]
    labels = np.array([order[label] if label >= 0 else -1 for label in images["emotion"]], int)
    known = labels >= 0
    if not known.any():
        raise UserError(f"split {split}: no image has an emotion that the model knows ({', '.join(model.emotions)})")
    return {name: values[known] for name, values in images.items()}, labels[known]


def _softmax(logits):
    values = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return (values / values.sum(axis=-1, keepdims=True)).astype(np.float32)


def _check_size(model, images):
    if images.ndim != 4 or not len(images):
        raise UserError(f"images must be [n > 0, H, W, C], not {list(images.shape)}")
    expected = model.input_shapes()["image"][1:]
    if images.shape[1:] != expected:
        raise UserError(f"the model takes images of H x W x C = {expected}, these have {images.shape[1:]}")
