"""Where the runs looked: maps of the emotions and steps, glimpses, regions of the face."""

import itertools

import numpy as np

from edram_fer import attention
from edram_fer.attention import regions
from edram_fer.attention.maps import normalised, shares

ALL = "all"


def maps(runs, shape):
    """Share of the images in which each pixel lies inside the window, as `attention.maps.shares` makes it.

    Args:
        runs: Runs; shape: (H, W) of the images.

    Returns: {run: {emotion or "all": [steps + 1, H, W]}}, the last map that of all steps together; [1, H, W] of a run
    that is not recurrent. Runs without windows of their own are left out.
    """
    found = {}
    for run in runs.runs:
        if run.has_windows:
            windows, weights, by_step = run.predictions["windows"], run.predictions["weights"], run.recurrent
            rows = {name: runs.truth == name for name in runs.present}
            each = {name: shares(windows[row], weights[row], shape, by_step) for name, row in rows.items()}
            sizes = [row.sum() for row in rows.values()]
            found[run.name] = {ALL: np.average(list(each.values()), axis=0, weights=sizes), **each}
    return found


def differences(found):
    """Densities of each run minus those of the first that has any, of the `common_steps`.

    Args:
        found: of `maps`.

    Returns: {run: {emotion or "all": {step or "mean": [H, W]}}}.
    """
    (_, first), *others = found.items()
    result = {}
    for name, maps_of in others:
        result[name] = {}
        for group, own in maps_of.items():
            steps = common_steps(own, first[group])
            result[name][group] = {
                step: attention.difference(*normalised(np.stack([own[place], first[group][other]])))
                for step, (place, other) in steps.items()
            }
    return result


def common_steps(own, other):
    """{"mean": (-1, -1), 1: (0, 0), 2: (1, 1), ...}: places in two stacks [steps + 1, H, W] of the maps of the steps
    that both have; a stack [1, H, W], of a run that looks at all its windows at once, has its map at every step."""
    stacks = (own, other)
    count = min((len(stack) - 1 for stack in stacks if len(stack) > 1), default=0)
    places = {step + 1: tuple(step if len(stack) > 1 else -1 for stack in stacks) for step in range(count)}
    return {"mean": (-1, -1), **places}


def glimpse_rows(runs):
    """A row for each run, emotion (and all) and step: mean place, zoom and scatter of the windows.

    within, between: variances of the centres, the mean of x and y, inside the emotions and between their means (only
    of all images); spread: the root of their sum, in [-1, 1].
    """
    rows = []
    for run in runs.runs:
        windows = run.predictions["windows"] if run.recurrent else run.predictions["windows"][:, :1]
        if not run.has_windows or not run.recurrent and run.predictions["windows"].shape[1] > 1:
            continue  # several windows at once have no order
        spread = attention.spread(windows, runs.truth)
        for group in (ALL, *runs.present):
            chosen = windows if group == ALL else windows[runs.truth == group]
            told = attention.glimpse_statistics(chosen)
            for step in range(windows.shape[1]):
                row = {"run": run.name, "emotion": group, "glimpse": step + 1, "images": len(chosen)}
                row |= {key: told[f"{key}_{step + 1}"] for key in ("x", "y", "zoom")}
                row |= {f"{key}_sd": told[f"{key}_{step + 1}_sd"] for key in ("x", "y", "zoom")}
                for key in ("variance_within", "variance_between"):
                    row[key] = float(spread[key][step].mean()) if group == ALL else None
                row["spread"] = float(np.sqrt(chosen[:, step, :, 2].var(axis=0).mean()))
                rows.append(row)
    return rows


def region_shares(runs, points, shape, *, repeats=1000, seed=0):
    """{run: what `attention.regions.shares_from_predictions` gives} of those that look.

    Args:
        points: landmarks [n, 68, 2] in pixels, nan where unknown, or None: then there is nothing to tell.
        shape: (H, W) of the images.
    """
    attending = [] if points is None else [run for run in runs.runs if run.has_windows]
    options = {"repeats": repeats, "seed": seed}
    return {
        run.name: regions.shares_from_predictions(run.predictions, points, shape, runs.present, **options)
        for run in attending
    }


def region_rows(found):
    """A row for each run, emotion (and all), step (and all together) and region."""
    rows = []
    for name, told in found.items():
        steps = [*range(1, told["share"].shape[1]), "all"]
        for (g, group), (s, step), (r, region) in itertools.product(
            enumerate(told["groups"]), enumerate(steps), enumerate(told["regions"])
        ):
            row = {"run": name, "emotion": group, "glimpse": step, "region": region, "area": told["area"][g, r]}
            for key in ("share", "preference"):
                low, high = told[f"{key}_interval"][g, s, r]
                row |= {key: told[key][g, s, r], f"{key}_low": low, f"{key}_high": high}
            rows.append(row | {"faces": told["images"][g]})
    return rows
