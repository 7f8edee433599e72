"""How similar the attention of several runs is: agreement of their maps, of single images, and with human fixations."""

import collections
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from edram_fer import attention, intervals
from edram_fer.attention import agreement, baselines
from edram_fer.attention.fixations import Fixations
from edram_fer.attention.maps import normalise
from edram_fer.comparison.attention_tables import common_steps
from edram_fer.comparison.runs import Run, Runs
from edram_fer.errors import UserError

MEASURES = ("cc", "sim", "nss", "auc_judd")
FEW_RUNS = 8  # with more, the images that a single run has right have one title
_COMPARISONS, _FEWEST = 45_000, 100  # of images in all pairs of runs, two minutes at 48 pixels; images of each pair
_CHUNK = 1_000_000  # largest number of pixels of the maps of a run that are held at once


def map_agreement_rows(maps: Mapping[str, Mapping[str, np.ndarray]]) -> list[dict[str, Any]]:
    """Compare the mean maps of each pair of runs, by emotion and common step.

    Args:
        maps: {run: {emotion or "all": [steps + 1, H, W]}} from `attention_tables.maps`.

    Returns:
        One row per pair, emotion and step with "cc", "sim" and "kl" (see `attention.agreement`, with the second run's
        map as the human map) and "total_variation", the share of the attention that differs.
    """
    rows = []
    for (name, first_maps), (other_name, other_maps) in itertools.combinations(maps.items(), 2):
        for group in first_maps:
            for step, (index, other_index) in common_steps(first_maps[group], other_maps[group]).items():
                pair = normalise(np.stack([first_maps[group][index], other_maps[group][other_index]]))
                row = {"run": name, "other": other_name, "emotion": group, "glimpse": step}
                if np.isfinite(pair).all():
                    row |= {measure: getattr(agreement, measure)(*pair) for measure in ("cc", "sim", "kl")}
                    row["total_variation"] = float(attention.total_variation(attention.difference(*pair)))
                rows.append(row)
    return rows


def image_agreement_rows(
    runs: Runs, shape: tuple[int, int], *, limit: int = 1000, repeats: int = 1000, seed: int = 0
) -> list[dict[str, Any]]:
    """Compare where each pair of runs looks in the same image.

    The density of the first run is compared with the density of the second (CC, SIM) and with the centres of its
    glimpses (NSS, AUC). There are two baselines: the first run's density for another image ("shuffled") and a Gaussian
    in the middle ("centre_bias"). Only agreement above "shuffled" concerns the individual face.

    Args:
        runs: the runs to compare.
        shape: (H, W) of the images.
        limit: most images, drawn at random; fewer, but at least 100, of more than 45 pairs, which would take long.
        repeats: bootstrap repetitions.
        seed: seed of the random choice and of the bootstrap.

    Returns:
        One row per pair and measure: the mean over images of "same", "shuffled", "centre_bias" and
        "same_minus_shuffled", each with the ends of its 95 % interval ("same_low", "same_high", ...).
    """
    attending = [run for run in runs.runs if run.has_windows]
    count, pairs = len(runs.truth), [*itertools.combinations(attending, 2)]
    limit = min(limit, max(_FEWEST, _COMPARISONS // max(len(pairs), 1)))
    chosen = np.random.default_rng(seed).permutation(count)[:limit]
    partners = chosen[baselines.other_images(len(chosen), seed)] if len(chosen) > 1 else chosen
    subjects = None if runs.subjects is None else runs.subjects[chosen]
    size = max(1, _CHUNK // (shape[0] * shape[1]))
    parts = [slice(start, start + size) for start in range(0, len(chosen), size)]
    centre, rows = baselines.centre_bias(shape), []
    for run, other in pairs:
        points, lists = _centres_inside(other, shape), collections.defaultdict(list)
        for part in parts:
            densities = {"same": _densities(run, chosen[part], shape)}
            densities["shuffled"] = _densities(run, partners[part], shape)
            densities["centre_bias"] = np.broadcast_to(centre, densities["same"].shape)
            other_densities = _densities(other, chosen[part], shape)
            for kind, maps in densities.items():
                lists[kind] += [
                    _measures(density, other_density, points[image])
                    for density, other_density, image in zip(maps, other_densities, chosen[part], strict=True)
                ]
        values = {kind: np.array(measures) for kind, measures in lists.items()}
        values["same - shuffled"] = values["same"] - values["shuffled"]

        def means(selected, values=values):
            return {kind: _finite_mean(per_image[selected]) for kind, per_image in values.items()}

        ends = intervals.bootstrap(means, len(chosen), subjects=subjects, repeats=repeats, seed=seed)
        for index, measure in enumerate(MEASURES):
            row = {"run": run.name, "other": other.name, "measure": measure, "images": len(chosen)}
            for kind, mean in means(slice(None)).items():
                key = kind.replace(" - ", "_minus_")
                row |= {key: mean[index], f"{key}_low": ends[kind][index, 0], f"{key}_high": ends[kind][index, 1]}
            rows.append(row)
    return rows


def human_agreement_rows(
    runs: Runs,
    fixations: Fixations,
    shape: tuple[int, int],
    *,
    landmarks: np.ndarray | None = None,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Compare each run that has windows, and the baselines, with human fixations.

    Args:
        runs: the runs to compare.
        fixations: fixations on their images.
        shape: (H, W) of the images.
        landmarks, seed: see `baselines.compare_with_fixations`.

    Returns:
        One row per run, candidate ("model", "shuffled", "centre_bias", "mean_landmarks", "random", "people") and
        measure with "mean", "low", "high", "images", "people", and "images_missed_by_windows", the number of images
        missed by its windows.

    Raises:
        UserError: a run whose windows miss every image; the message names the run.
    """
    rows = []
    for run in (run for run in runs.runs if run.has_windows):
        try:
            comparison = baselines.compare_with_fixations(
                run.predictions, fixations, shape, landmarks=landmarks, seed=seed
            )
        except UserError as error:
            raise UserError(f"{run.name}: {error}") from error
        for part in filter(None, (comparison["maps"], comparison["paths"])):
            for candidate, measures in part.items():
                for measure, summary in measures.items():
                    if not summary["images"]:
                        continue
                    low, high = summary["interval"]
                    rows.append(
                        {
                            "run": run.name,
                            "candidate": candidate,
                            "measure": measure,
                            "mean": summary["mean"],
                            "low": low,
                            "high": high,
                            "images": summary["images"],
                            "people": summary["people"],
                            "images_missed_by_windows": comparison["images_missed_by_windows"],
                        }
                    )
    return rows


def samples(runs: Runs, *, count: int = 6, seed: int = 0) -> dict[str, np.ndarray]:
    """Choose images on which the runs agree and disagree, at random.

    Returns:
        {title: int [up to count], indices of images} for images that all runs, only one run (a title for each run, if
        there are at most 8), several but not all runs, or no run classify correctly. Titles without images are absent.
    """
    correct, random = np.stack([run.correct for run in runs.runs]), np.random.default_rng(seed)
    votes = correct.sum(axis=0)
    masks = {"All are correct": correct.all(axis=0)}
    if len(runs.runs) > FEW_RUNS:
        masks["Only one is correct"] = votes == 1
    else:
        for run, run_correct in zip(runs.runs, correct, strict=True):
            masks[f"Only {run.name} is correct"] = run_correct & (votes == 1)
    masks["Several are correct, not all"] = (votes > 1) & (votes < len(correct))
    masks["All are wrong"] = ~correct.any(axis=0)
    candidates = {title: np.flatnonzero(mask) for title, mask in masks.items()}
    return {title: random.permutation(rows)[:count] for title, rows in candidates.items() if len(rows)}


def sample_rows(runs: Runs, chosen: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """One row per chosen image: its id, its true emotion and the prediction of each run."""
    ids = runs.runs[0].predictions["id"]
    return [
        {
            "kind": title,
            "id": ids[index],
            "truth": runs.truth[index],
            **{run.name: run.predictions["prediction"][index] for run in runs.runs},
        }
        for title, indices in chosen.items()
        for index in indices
    ]


def _finite_mean(values: np.ndarray) -> np.ndarray:
    """Mean over the rows of [n, M] without nan, [M]; nan where a column has no other value."""
    finite = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(finite, values, 0).sum(axis=0) / finite.sum(axis=0)


def _densities(run: Run, images: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The densities [n, H, W] of images with these indices; nan for one whose windows all lie outside."""
    windows, weights = (run.predictions[name][images] for name in ("windows", "weights"))
    totals = attention.grouped_coverage(windows, weights, np.arange(len(images))[:, None], len(images), shape)
    sums = totals.sum(axis=(1, 2), keepdims=True)
    return totals / np.where(sums > 0, sums, np.nan)


def _centres_inside(run: Run, shape: tuple[int, int]) -> list[np.ndarray]:
    """For each image the centres [up to N, 2] in pixels of the windows whose centre lies inside the image."""
    points = attention.pixels(attention.centres(run.predictions["windows"]), shape)
    inside = np.all((points >= 0) & (points <= np.array(shape[::-1]) - 1), axis=-1)
    return [centres[keep] for centres, keep in zip(points, inside, strict=True)]


def _measures(density: np.ndarray, other: np.ndarray, points: np.ndarray) -> list[float]:
    """MEASURES of one image; nan where the windows of one of the runs lie outside the image."""
    if np.isnan(density).any() or np.isnan(other).any():
        return [np.nan] * len(MEASURES)
    compared_with = {"cc": other, "sim": other, "nss": points, "auc_judd": points}
    return [getattr(agreement, name)(density, compared_with[name]) for name in MEASURES]
