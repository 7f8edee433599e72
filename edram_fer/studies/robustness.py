"""Robustness of a run: its accuracy under a growing occluder and under growing rotation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from edram_fer import files, intervals
from edram_fer.errors import UserError
from edram_fer.run import layout
from edram_fer.studies.observer import Observer
from edram_fer.studies.perturbations import cover_with_squares, rotate, rotate_points

SIDES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
ANGLES = (0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0)
PERTURBATIONS = ("occlusion", "rotation")


def robustness(
    observer: Observer, *, sides: Sequence[float] = SIDES, angles: Sequence[float] = ANGLES
) -> dict[str, Any]:
    """Measure the accuracy for each square and each angle; write robustness.json and figures/robustness.svg of the run.

    Args:
        observer: its seed determines the position of the square and the direction of the rotation for each image, so
            that the square grows at the same position and the rotation continues in the same direction.
        sides: sides of the black square, see `perturbations.cover_with_squares`.
        angles: angles in degrees, see `perturbations.rotate`.

    Returns:
        The content of robustness.json: "split", "images", "seed"; "majority_accuracy", the accuracy of always
        predicting the most frequent class; and "occlusion" and "rotation", lists of {"level", "accuracy",
        "accuracy_interval", "accuracy_drop", "accuracy_drop_interval"}: the level is the side or the angle, the drop is
        relative to the original images. Intervals are those of `intervals.bootstrap`, 95 %; "intervals_note" says what
        the number of subjects means for them.

    Raises:
        UserError: a side is outside [0, 1], an angle outside [-180, 180], or a prediction is not finite.
    """
    from edram_fer.figures.multi_run import robustness_curves  # imports Matplotlib
    from edram_fer.figures.style import save

    for name, values, low, high in (("side", sides, 0, 1), ("angle", angles, -180, 180)):
        for value in values:
            if not low <= value <= high:
                raise UserError(f"{name}: expected {low} to {high}, got {value}")
    count = len(observer.images)
    random = np.random.default_rng(observer.seed)
    places, directions = random.uniform(size=(count, 2)), random.choice((-1, 1), count)
    jobs = [("occlusion", side) for side in sorted(sides)] + [("rotation", angle) for angle in sorted(angles)]
    correct = {("original", 0.0): observer.original_correct()}
    for perturbation, level in tqdm(jobs, desc="perturbations", disable=None):
        if perturbation == "occlusion":
            images, landmarks = cover_with_squares(observer.images, level, places), observer.landmarks
        else:
            images, landmarks = rotate(observer.images, level * directions), observer.landmarks
            if landmarks is not None:
                landmarks = rotate_points(landmarks, level * directions, observer.images.shape[1:3])
        correct[perturbation, level] = observer.correct(images, np.arange(count), landmarks)
    rows = _rows(correct, observer)
    result = {
        "split": observer.split,
        "images": count,
        "seed": observer.seed,
        "majority_accuracy": float(np.bincount(observer.labels).max() / count),
        "intervals_note": intervals.note(observer.subjects),
    }
    for perturbation in PERTURBATIONS:
        result[perturbation] = [{"level": level, **rows[kind, level]} for kind, level in jobs if kind == perturbation]
    files.write_json(observer.run / layout.ROBUSTNESS, files.plain(result))
    figure = robustness_curves(table_rows(result, observer.run.name), [observer.run.name])
    save(figure, observer.run / layout.FIGURES / layout.ROBUSTNESS_FIGURE)
    return result


def table_rows(result: Mapping[str, Any], run: str) -> list[dict[str, Any]]:
    """A row for each perturbation and level.

    Args:
        result: as returned by `robustness`.
        run: name of the run.

    Returns:
        dicts with the columns run; perturbation, one of `PERTURBATIONS`; level; accuracy and accuracy_drop, with 95 %
        intervals (low, high, accuracy_drop_low, accuracy_drop_high); images, seed and majority_accuracy.
    """
    rows = []
    for perturbation in PERTURBATIONS:
        for numbers in result[perturbation]:
            (low, high), (drop_low, drop_high) = numbers["accuracy_interval"], numbers["accuracy_drop_interval"]
            row = {"run": run, "perturbation": perturbation, "level": numbers["level"]}
            row |= {"accuracy": numbers["accuracy"], "low": low, "high": high}
            row |= {"accuracy_drop": numbers["accuracy_drop"]}
            row |= {"accuracy_drop_low": drop_low, "accuracy_drop_high": drop_high}
            rows.append(row | {name: result[name] for name in ("images", "seed", "majority_accuracy")})
    return rows


def _rows(correct, observer):
    """{key: accuracy, its drop relative to the first key, and both intervals} from {key: bool [n]}."""
    values = np.array(list(correct.values()), float)

    def statistic(rows):
        accuracy = values[:, rows].mean(axis=1)
        return {"accuracy": accuracy, "accuracy_drop": accuracy[0] - accuracy}

    numbers = statistic(slice(None))
    ends = intervals.bootstrap(
        statistic, values.shape[1], shares=("accuracy",), subjects=observer.subjects, seed=observer.seed
    )
    return {
        key: {
            "accuracy": float(numbers["accuracy"][row]),
            "accuracy_interval": ends["accuracy"][row].tolist(),
            "accuracy_drop": float(numbers["accuracy_drop"][row]),
            "accuracy_drop_interval": ends["accuracy_drop"][row].tolist(),
        }
        for row, key in enumerate(correct)
    }
