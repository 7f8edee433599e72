"""Where the runs looked: maps by emotion and step, glimpse statistics, regions of the face."""

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from edram_fer import attention
from edram_fer.attention import regions
from edram_fer.attention.maps import normalise, shares
from edram_fer.comparison.runs import Runs

ALL = "all"


def maps(runs: Runs, shape: tuple[int, int]) -> dict[str, dict[str, np.ndarray]]:
    """Share of the images in which each pixel lies inside a window (see `attention.maps.shares`).

    Args:
        runs: the runs to compare; runs without windows are left out.
        shape: (H, W) of the images.

    Returns:
        {run: {emotion or "all": [steps + 1, H, W]}}; the last map is for all steps together. A run that is not
        recurrent has [1, H, W].
    """
    result = {}
    for run in runs.runs:
        if run.has_windows:
            windows, weights, by_step = run.predictions["windows"], run.predictions["weights"], run.recurrent
            members = {name: runs.truth == name for name in runs.present}
            by_emotion = {name: shares(windows[rows], weights[rows], shape, by_step) for name, rows in members.items()}
            sizes = [rows.sum() for rows in members.values()]
            result[run.name] = {ALL: np.average(list(by_emotion.values()), axis=0, weights=sizes), **by_emotion}
    return result


def differences(maps: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Density of each run minus the density of the first run, for the `common_steps` of the two.

    Args:
        maps: from `maps`.

    Returns:
        {run: {emotion or "all": {step or "mean": [H, W]}}}, without the first run.
    """
    (_, reference), *others = maps.items()
    result = {}
    for name, run_maps in others:
        result[name] = {}
        for group, stack in run_maps.items():
            steps = common_steps(stack, reference[group])
            result[name][group] = {
                step: attention.difference(*normalise(np.stack([stack[index], reference[group][reference_index]])))
                for step, (index, reference_index) in steps.items()
            }
    return result


def common_steps(stack: np.ndarray, other: np.ndarray) -> dict[str | int, tuple[int, int]]:
    """Indices of the maps of the steps that two stacks [steps + 1, H, W] have in common.

    Returns:
        {"mean": (-1, -1), 1: (0, 0), 2: (1, 1), ...}. A stack [1, H, W], of a run that uses all its windows at once,
        has the same map at every step.
    """
    stacks = (stack, other)
    count = min((len(maps) - 1 for maps in stacks if len(maps) > 1), default=0)
    steps: dict[str | int, tuple[int, int]] = {"mean": (-1, -1)}
    for step in range(count):
        index, other_index = (step if len(maps) > 1 else -1 for maps in stacks)
        steps[step + 1] = (index, other_index)
    return steps


def glimpse_rows(runs: Runs) -> list[dict[str, Any]]:
    """Mean position, zoom and scatter of the windows of each run, by emotion (and all) and step.

    Returns:
        Rows with the statistics of `attention.glimpse_statistics`; "variance_within" and "variance_between", the
        variances of the centre (mean of x and y) within the emotions and between their means, and "chance_between", the
        share of the latter by chance (`attention.spread`), only for all images; and
        "spread", the standard deviation of the centre in coordinates of [-1, 1]. A run that uses several windows at
        once has no steps and no rows.
    """
    rows = []
    for run in runs.runs:
        windows = run.predictions["windows"] if run.recurrent else run.predictions["windows"][:, :1]
        simultaneous = not run.recurrent and run.predictions["windows"].shape[1] > 1
        if not run.has_windows or simultaneous:
            continue
        spread = attention.spread(windows, runs.truth)
        for group in (ALL, *runs.present):
            chosen = windows if group == ALL else windows[runs.truth == group]
            statistics = attention.glimpse_statistics(chosen)
            for step in range(windows.shape[1]):
                row = {"run": run.name, "emotion": group, "glimpse": step + 1, "images": len(chosen)}
                row |= {key: float(statistics[key][step]) for key in ("x", "y", "zoom", "x_sd", "y_sd", "zoom_sd")}
                for key in ("variance_within", "variance_between"):
                    row[key] = float(spread[key][step].mean()) if group == ALL else None
                row["chance_between"] = float(spread["chance_between"]) if group == ALL else None
                row["spread"] = float(np.sqrt(chosen[:, step, :, 2].var(axis=0).mean()))
                rows.append(row)
    return rows


def region_shares(
    runs: Runs, landmarks: np.ndarray | None, shape: tuple[int, int], *, repeats: int = 1000, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Share of the attention on each region of the face, for the runs that have windows.

    Args:
        runs: the runs to compare.
        landmarks: [n, 68, 2] in pixels, nan where unknown; None: the result is empty.
        shape: (H, W) of the images.
        repeats, seed: samples and seed of the bootstrap.

    Returns:
        {run: result of `attention.regions.shares_from_predictions`}.
    """
    if landmarks is None:
        return {}
    attending, options = [run for run in runs.runs if run.has_windows], {"repeats": repeats, "seed": seed}
    return {
        run.name: regions.shares_from_predictions(run.predictions, landmarks, shape, runs.present, **options)
        for run in attending
    }


def region_rows(shares_by_run: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`region_shares` as rows: one per run, emotion (and all), step (and all together) and region."""
    rows = []
    for name, result in shares_by_run.items():
        steps = [*range(1, result["share"].shape[1]), "all"]
        for (g, group), (s, step), (r, region) in itertools.product(
            enumerate(result["groups"]), enumerate(steps), enumerate(result["regions"])
        ):
            row = {"run": name, "emotion": group, "glimpse": step, "region": region, "area": result["area"][g, r]}
            for key in ("share", "preference"):
                low, high = result[f"{key}_interval"][g, s, r]
                row |= {key: result[key][g, s, r], f"{key}_low": low, f"{key}_high": high}
            rows.append(row | {"faces": result["images"][g]})
    return rows
