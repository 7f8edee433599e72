"""Does looking matter? The accuracy of a run with its own windows and with others in their place."""

from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from edram_fer import attention, files, intervals
from edram_fer.attention.alternatives import KINDS, alternative
from edram_fer.errors import UserError
from edram_fer.run import layout

CONTRASTS = (("model", "mean"), ("mean", "random"), ("model", "shuffled"), ("model", "random"), ("model", "whole"))


def ablate_windows(run, *, split="test", data=None, data_dir=None, draws=3, seed=0, batch_size=128):
    """Predict a split with each kind of windows; write window_ablation.json and figures/window_ablation.svg of the run.

    Args:
        run: the run folder; split, data, data_dir, batch_size: as in `evaluate.evaluate`.
        draws: how often random and shuffled windows are drawn anew; an image's result is the mean.
        seed: of these and of the intervals.

    Returns: the content of window_ablation.json, see `compared`, and "split", "images", "draws", "seed".

    Raises ValueError for a model without windows of its own, or a split without an image that it knows.
    """
    from edram_fer.evaluation import inference
    from edram_fer.figures.style import save
    from edram_fer.figures.window_ablation import window_ablation
    from edram_fer.run import checkpoints  # Keras only where a model runs

    run = Path(run)
    model = checkpoints.load(run)
    images, labels = inference.labelled(run, model, split, data=data, data_dir=data_dir)
    landmarks = inference.inputs(model, images).get("landmarks")
    own = inference.predict(model, images["image"], batch_size, landmarks=landmarks)
    if not attention.has_windows(own["windows"]):
        raise UserError(f"{run}: the model sees the whole of every image, there are no windows to exchange")
    right = {"model": _right(own, labels)}
    # Where the sensor cuts what was emitted to a limit (zoom_mode clip), the where-path sees it uncut: it would else
    # be shown zooms that it has never seen.
    uncut = own["emitted"][:, : own["windows"].shape[1]] if "emitted" in own else None
    jobs = [(kind, seed + i) for kind in KINDS for i in range(draws if kind in ("shuffled", "random") else 1)]
    for kind, number in tqdm(jobs, desc="windows", disable=None):
        windows = alternative(kind, own["windows"], number)
        seen = None if uncut is None else _at(windows, alternative(kind, uncut, number))
        given = {"windows": windows, "emitted": seen, "landmarks": landmarks}
        found = _right(inference.predict(model, images["image"], batch_size, **given), labels)
        right[kind] = right.get(kind, 0) + found / sum(kind == other for other, _ in jobs)
    about = {"split": split, "images": len(labels), "draws": draws, "seed": seed}
    result = {**about, **compared(right, subjects=images.get("subject"), seed=seed)}
    files.write_json(run / layout.WINDOW_ABLATION, result)
    save(window_ablation(result), run / layout.FIGURES / layout.WINDOW_ABLATION_FIGURE)
    return result


def compared(right, *, subjects=None, repeats=1000, seed=0):
    """Accuracies and their differences.

    Args:
        right: kind of windows -> [n], the share of draws in which each image was classified correctly.
        subjects: optional [n] names, resampled together.

    Returns: {"accuracy": {kind: {"value", "interval"}}, "contrasts": {"model - mean": {"value", "interval"}, ...}}; the
    intervals are paired bootstraps over the images, 95 %.
    """
    pairs = {f"{a} - {b}": right[a] - right[b] for a, b in CONTRASTS if a in right and b in right}
    values = {**right, **pairs}
    ends = intervals.bootstrap(
        lambda rows: {name: each[rows].mean() for name, each in values.items()},
        len(next(iter(right.values()))),
        subjects=subjects,
        repeats=repeats,
        seed=seed,
    )
    rows = {name: {"value": float(each.mean()), "interval": ends[name].tolist()} for name, each in values.items()}
    return {
        "accuracy": {name: rows[name] for name in right},
        "contrasts": {name: rows[name] for name in pairs},
    }


def _at(places, sizes):
    """The windows `sizes`, [n, N, 2, 3], at the centres of `places`."""
    return np.concatenate([sizes[..., :2], places[..., 2:]], axis=-1)


def _right(outputs, labels):
    return (outputs["probabilities"][:, -1].argmax(axis=-1) == labels).astype(float)
