"""The rows of a predictions table to the numbers of metrics.json."""

import numpy as np

from edram_fer import attention
from edram_fer.errors import UserError
from edram_fer.evaluation import scores as measures
from edram_fer.preprocessing.emotions import EMOTIONS
from edram_fer.run import predictions


def scores(rows, *, repeats=1000, seed=0):
    """All numbers of one split's predictions table.

    Images whose emotion the model does not know are left out of all of them and counted.

    Returns: dict of "images" (scored), "excluded" ({emotion or "unknown": count}), everything of
    `edram_fer.evaluation.scores.classification` with the classes in canonical order, "valence" and "arousal" of
    `edram_fer.evaluation.scores.affect` where known, and "glimpses": for each window the `attention.glimpse_statistics`, spread
    and its shares (see `attention.spread`).

    Raises ValueError when no image is left.
    """
    found = predictions.unpack(rows)
    emotions = sorted(found["emotions"], key=lambda name: EMOTIONS.index(name) if name in EMOTIONS else len(EMOTIONS))
    order = [found["emotions"].index(name) for name in emotions]
    known = np.isin(found["truth"].astype(str), emotions)
    excluded, counts = np.unique([name or "unknown" for name in found["truth"][~known]], return_counts=True)
    if not known.any():
        raise UserError(f"no image has an emotion that the model knows ({', '.join(emotions)})")
    truth = np.array([emotions.index(name) for name in found["truth"][known]])
    options = {"repeats": repeats, "seed": seed}
    options["subjects"] = None if found["subjects"] is None else found["subjects"][known]
    result = {
        "images": int(known.sum()),
        "excluded": dict(zip(excluded.tolist(), counts.tolist(), strict=True)),
        **measures.classification(truth, found["probabilities"][known][:, :, order], emotions, **options),
    }
    if np.isfinite(found["affect"]).all():
        result |= measures.affect(found["true_affect"][known], found["affect"][known], **options)
    return {**result, "glimpses": _glimpses(found["windows"][known], truth)}


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
