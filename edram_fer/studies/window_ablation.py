"""Window ablation: the accuracy of a run with the model's own windows and with replacements."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from edram_fer import attention, files, intervals
from edram_fer.attention.alternatives import KINDS, alternative
from edram_fer.errors import UserError
from edram_fer.run import layout

CONTRASTS = (
    *(("model", "mean"), ("place", "mean"), ("size", "mean"), ("mean", "random")),
    *(("model", "shuffled"), ("model", "random"), ("model", "whole")),
)


def ablate_windows(
    run: Path | str,
    *,
    split: str = "test",
    data: str | None = None,
    data_dir: Path | str | None = None,
    out: Path | str | None = None,
    draws: int = 10,
    seed: int = 0,
    batch_size: int = 128,
) -> dict[str, Any]:
    """Predict a split with each kind of windows; write window_ablation.json and figures/window_ablation.svg of the run.

    Args:
        run: a run folder, a .keras file or the name of an included model.
        split: split of the images.
        data: see `evaluation.evaluate`.
        data_dir: see `evaluation.evaluate`.
        out: see `evaluation.evaluate`.
        draws: how often random and shuffled windows are drawn; the accuracy is the mean over the draws, and its
            interval allows for their spread if there are at least two.
        seed: seed of these windows and of the intervals.
        batch_size: images per batch.

    Returns:
        The content of window_ablation.json: "split", "images", "draws", "seed", "accuracy" and "contrasts" as
        returned by `compare_accuracies`, and "intervals_note", what the number of subjects means for the intervals.

    Raises:
        UserError: the model has no windows of its own, or no image of the split has an emotion that the model knows.
    """
    from edram_fer.evaluation import inference
    from edram_fer.figures.style import save
    from edram_fer.figures.window_ablation import window_ablation  # imports Matplotlib
    from edram_fer.run import checkpoints, evaluation_folder  # imports Keras

    run, data, data_dir = evaluation_folder.open_folder(run, data=data, data_dir=data_dir, out=out)
    model = checkpoints.load(run)
    features, labels = inference.load_labelled(run, model, split, data=data, data_dir=data_dir)
    images, landmarks = features["image"], inference.inputs(model, features).get("landmarks")
    original = inference.predict(model, images, batch_size, landmarks=landmarks)
    if not attention.has_windows(original["windows"]):
        raise UserError(f"{run}: the model sees the whole of every image: it has no windows to replace")
    correct = {"model": _correct(original, labels)}
    # With zoom_mode "clip" the sensor limits the zoom of the emitted matrix, but the where-path receives the unlimited
    # matrix. It must do so here as well, because it was not trained with limited zooms.
    emitted = original["emitted"][:, : original["windows"].shape[1]] if "emitted" in original else None
    seeds = {kind: [seed + i for i in range(draws if kind in ("shuffled", "random") else 1)] for kind in KINDS}
    drawn, jobs = {}, [(kind, number) for kind in KINDS for number in seeds[kind]]
    for kind, number in tqdm(jobs, desc="windows", disable=None):
        windows = alternative(kind, original["windows"], number)
        unlimited = None if emitted is None else _moved_to(windows, alternative(kind, emitted, number))
        outputs = inference.predict(model, images, batch_size, windows=windows, emitted=unlimited, landmarks=landmarks)
        drawn.setdefault(kind, []).append(_correct(outputs, labels))
    correct |= {kind: np.stack(columns, axis=1) for kind, columns in drawn.items()}
    subjects = features.get("subject")
    result = {"split": split, "images": len(labels), "draws": draws, "seed": seed}
    result |= compare_accuracies(correct, subjects=subjects, seed=seed)
    result["intervals_note"] = intervals.note(subjects)
    save(window_ablation(result), run / layout.FIGURES / layout.WINDOW_ABLATION_FIGURE)
    files.write_json(run / layout.WINDOW_ABLATION, files.plain(result))  # last: whoever finds it needs not repeat this
    return result


def compare_accuracies(
    correct: Mapping[str, np.ndarray],
    *,
    subjects: Sequence[str] | np.ndarray | None = None,
    repeats: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Accuracies with each kind of windows, and their differences.

    Args:
        correct: {kind of windows: [n], whether each image was classified correctly, or [n, D] for D draws}.
        subjects: [n] names, resampled together; None: the images are resampled.
        repeats: number of bootstrap samples.
        seed: seed of the bootstrap.

    Returns:
        {"accuracy": {kind: {"value", "interval", "sd"}}, "contrasts": {"model - mean": {"value", "interval"}, ...}}:
        the mean over the images and draws; its 95 % interval, paired for contrasts, of `intervals.bootstrap` or, with
        several draws, of `intervals.crossed` over images and draws; and the standard deviation of the accuracies of
        the draws, None for a single one.
    """
    columns = {kind: np.reshape(values, (len(values), -1)).astype(float) for kind, values in correct.items()}
    contrasts = {f"{a} - {b}": columns[a] - columns[b] for a, b in CONTRASTS if a in columns and b in columns}
    values = {name: samples.mean(axis=1) for name, samples in {**columns, **contrasts}.items()}
    ends = intervals.bootstrap(
        lambda rows: {name: samples[rows].mean() for name, samples in values.items()},
        len(next(iter(correct.values()))),
        shares=tuple(correct),
        subjects=subjects,
        repeats=repeats,
        seed=seed,
    )
    for name, samples in {**columns, **contrasts}.items():
        if samples.shape[1] > 1:
            ends[name] = intervals.crossed(samples, subjects=subjects)
    rows = {name: {"value": float(samples.mean()), "interval": ends[name].tolist()} for name, samples in values.items()}
    return {
        "accuracy": {name: {**rows[name], "sd": _sd(columns[name])} for name in correct},
        "contrasts": {name: rows[name] for name in contrasts},
    }


def _sd(samples):
    """Standard deviation of the accuracies of the draws [n, D]; None for a single draw."""
    return float(samples.mean(axis=0).std(ddof=1)) if samples.shape[1] > 1 else None


def _moved_to(places, windows):
    """The `windows` [n, N, 2, 3] with the centres of `places` [n, N, 2, 3]."""
    return np.concatenate([windows[..., :2], places[..., 2:]], axis=-1)


def _correct(outputs, labels):
    return (outputs["probabilities"][:, -1].argmax(axis=-1) == labels).astype(float)
