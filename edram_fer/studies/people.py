"""Compare where runs and people look on different faces of the same emotions, in the space of the template."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from edram_fer.attention import mixed_models, observers, region_sequences, template_space
from edram_fer.attention.fixations import fixation_map, smooth
from edram_fer.attention.regions import REGIONS
from edram_fer.attention.windows import has_windows, is_recurrent
from edram_fer.data import face_landmarks
from edram_fer.errors import UserError
from edram_fer.gaze import layouts, recordings
from edram_fer.run.evaluated_run import EvaluatedRun

DEGREE = 0.235  # of visual angle, in distances between the eyes: 29 of 125 pixels in Uniss-FGD
PEOPLE = "people"
CENTRE, WHOLE, FACE, ANOTHER = "centre bias", "whole face", "landmarks", "other emotions"


@dataclass(frozen=True)
class People:
    """The comparison.

    Attributes:
        emotions: those that both people and runs have.
        notes: sentences on what was read and left out.
        tables: {name: DataFrame}: "regions" (share of each region in the fixations, the dwell time and the runs'
            windows, by emotion), "agreement" (`observers.summarise`), "observers" (`observers.compare`),
            "split_halves", "viewings" (means of `region_sequences.viewings`, by emotion), "transitions"
            (probabilities), "entropy" and, with the extra `statistics`, "mixed_model".
        maps: {"people" or run: {emotion: [steps + 1, H, W]}} in the frame, which sum to 1; the last map is for all
            steps together.
    """

    emotions: list[str]
    notes: list[str]
    tables: dict[str, pd.DataFrame]
    maps: dict[str, dict[str, np.ndarray]]


def compare_with_people(
    runs: Sequence[Path | str],
    paths: Sequence[Path | str],
    layout: str | Path,
    *,
    split: str | None = None,
    find_landmarks: bool = False,
    data: str | None = None,
    data_dir: Path | str | None = None,
    sigma: float = DEGREE,
    repeats: int = 1000,
    seed: int = 0,
    **reading: Any,
) -> People:
    """Compare evaluated runs with people's fixations on other photos.

    Args:
        runs: evaluated runs with windows of their own.
        paths: fixations or recordings, see `recordings.read`.
        layout: of the photos that people looked at, see `layouts.read`.
        split: a split that the runs were evaluated on; None: test, or the first of each run.
        find_landmarks: find the landmarks of the runs' images with dlib if the data set has none.
        data, data_dir: see `evaluation.evaluate`.
        sigma: standard deviation of the Gaussians in the maps of fixations, with which the runs' maps are smoothed as
            well, in distances between the eyes: one degree of visual angle.
        repeats: number of bootstrap samples of the observers.
        seed: seed of the bootstrap and of the halves.
        **reading: arguments of `recordings.read`.

    Raises:
        UserError: a run has no windows of its own, its images no landmarks, or nobody looked at faces of its emotions;
            see also `recordings.read`, `layouts.read`, `EvaluatedRun`.
    """
    recorded = recordings.read(paths, **reading)
    table, notes = layouts.in_frame(recorded.table, layouts.read(layout))
    notes = [*recorded.report(), *notes]
    cells = sigma * template_space.CELLS
    maps, baselines, known = {}, [], {}
    for run in runs:
        evaluated = EvaluatedRun(run)
        name = evaluated.folder.name if evaluated.folder.name not in maps else str(evaluated.folder)
        chosen = evaluated.choose(split)
        maps[name], of_faces, note = _run_maps(
            evaluated, chosen, set(table["emotion"]), cells, data, data_dir, find_landmarks, known
        )
        baselines.append(of_faces)
        notes.append(f"{name}: {note}")
    emotions = [name for name in dict.fromkeys(table["emotion"]) if all(name in of_run for of_run in maps.values())]
    if not emotions:
        raise UserError(
            f"nobody looked at faces of an emotion of {', '.join(maps)}: {', '.join(set(table['emotion']))}"
        )
    table = table[table["emotion"].isin(emotions)]
    framed = table[table["x"].notna()]
    candidates = _candidates(maps, emotions, baselines, cells)
    centre = candidates[CENTRE][emotions[0]]
    rows = observers.compare(candidates, framed, emotions, centre, cells)
    points = {name: framed.loc[framed["emotion"] == name, ["x", "y"]].to_numpy(float) for name in emotions}
    people_maps = {name: fixation_map(points[name], template_space.SHAPE, cells)[None] for name in emotions}
    tables = {
        "regions": _regions(table, maps, emotions, repeats, seed),
        "agreement": observers.summarise(rows, repeats=repeats, seed=seed),
        "observers": rows,
        "split_halves": observers.split_half(framed, emotions, cells, seed=seed),
        **_paths(table, emotions, repeats, seed),
    }
    if importlib.util.find_spec("statsmodels") is not None:
        shares = _observer_shares(table, "count").melt(["subject", "emotion"], var_name="region", value_name="share")
        reference = "neutral" if "neutral" in emotions else emotions[0]
        tables["mixed_model"] = mixed_models.fit_shares(shares, emotion=reference)
    else:
        notes.append(mixed_models.INSTALL)
    return People(emotions, notes, tables, {PEOPLE: people_maps, **maps})


def _run_maps(evaluated, split, emotions, cells, data, data_dir, find_landmarks, known):
    """{emotion: [steps + 1, H, W]} of a run, the baselines that depend on its images, and a sentence."""
    predictions = evaluated.predictions(split)
    if not has_windows(predictions["windows"]):
        raise UserError(f"{evaluated.folder}: the model sees the whole of every image: it has no windows to compare")
    chosen = np.isin(predictions["truth"], list(emotions))
    if not chosen.any():
        raise UserError(f"{evaluated.folder}: no image shows one of {', '.join(sorted(emotions))}")
    features = evaluated.features(split, data=data, data_dir=data_dir)
    features = {name: values[chosen] for name, values in features.items()}
    shape = features["image"].shape[1:3]
    # The names of images are unique within one split of one data set.
    images = (evaluated.metrics["run"].get("data_fingerprint"), data, data_dir, evaluated.data_split(split), shape)
    landmarks, note = face_landmarks.get_landmarks(features, find=find_landmarks, known=known.setdefault(images, {}))
    if landmarks is None or not np.isfinite(landmarks).all(axis=(1, 2)).any():
        raise UserError(f"{evaluated.folder}: no image has landmarks. {note}")
    windows, weights, truth = (predictions[name][chosen] for name in ("windows", "weights", "truth"))
    maps = template_space.densities(windows, weights, landmarks, shape, truth)
    if not is_recurrent(predictions):
        maps = {name: values[-1:] for name, values in maps.items()}
    count = np.isfinite(landmarks).all(axis=(1, 2)).sum()
    of_faces = {
        CENTRE: template_space.centre_bias(landmarks, shape),
        WHOLE: smooth(template_space.whole_faces(landmarks, shape), cells),
    }
    return maps, of_faces, f"{count:,} of {len(landmarks):,} faces of these emotions have landmarks. {note}"


def _candidates(maps, emotions, of_faces, cells):
    """{candidate: {emotion: map}}: the runs, over all steps and by step, and the baselines, means over the runs."""
    candidates = {}
    for name, by_emotion in maps.items():
        steps = len(by_emotion[emotions[0]])
        mean = {emotion: by_emotion[emotion][-1] for emotion in emotions}
        candidates[name] = mean
        for step in range(steps - 1):
            candidates[f"{name}, step {step + 1}"] = {emotion: by_emotion[emotion][step] for emotion in emotions}
        if len(emotions) > 1:
            candidates[f"{name}, {ANOTHER}"] = {
                emotion: np.mean([mean[other] for other in emotions if other != emotion], axis=0)
                for emotion in emotions
            }
    candidates = {
        name: {
            emotion: smooth(values, cells) if np.isfinite(values).all() else values
            for emotion, values in by_emotion.items()
        }
        for name, by_emotion in candidates.items()
    }
    baselines: dict[str, np.ndarray] = {
        name: np.mean([maps[name] for maps in of_faces], axis=0) for name in (CENTRE, WHOLE)
    }
    baselines[FACE] = template_space.landmark_map(cells)
    return candidates | {name: dict.fromkeys(emotions, values) for name, values in baselines.items()}


def _observer_shares(table, kind):
    """Columns subject, emotion, and for each region its share of a person's fixations ("count") or time ("dwell")."""
    weights = table["duration"] if kind == "dwell" else pd.Series(1.0, table.index)
    sums = weights.groupby([table["subject"], table["emotion"], table["region"]], sort=False).sum()
    wide = sums.unstack("region", fill_value=0).reindex(columns=list(REGIONS), fill_value=0)
    return wide.div(wide.sum(axis=1), axis=0).reset_index()


def _regions(table, maps, emotions, repeats, seed):
    """Shares of the regions, of people with intervals over the observers, and of runs."""
    parts = []
    for kind, source in (("count", "people, fixations"), ("dwell", "people, dwell time")):
        shares = _observer_shares(table, kind)
        part = observers.summarise(shares, ["emotion"], REGIONS, repeats=repeats, seed=seed)
        parts.append(part.rename(columns={"measure": "region", "mean": "share"}).assign(source=source))
    region, rows = template_space.region_map(), []
    for name, by_emotion in maps.items():
        for emotion in emotions:
            stack = by_emotion[emotion]
            for step, values in enumerate(stack):
                label = name if step == len(stack) - 1 else f"{name}, step {step + 1}"
                for number, region_name in enumerate(REGIONS):
                    share = values[region == number].sum()
                    rows.append({"source": label, "emotion": emotion, "region": region_name, "share": share})
    result = pd.concat([*parts, pd.DataFrame(rows)], ignore_index=True)
    area = {name: float(np.mean(region == number)) for number, name in enumerate(REGIONS)}
    result["area"] = result["region"].map(area)
    return result[["source", "emotion", "region", "share", "low", "high", "area", "observers"]]


def _paths(table: pd.DataFrame, emotions: Sequence[str], repeats: int, seed: int) -> dict[str, pd.DataFrame]:
    """Viewings, transitions and entropy by emotion."""
    viewings = region_sequences.viewings(table)
    for order in ("first", "second"):
        for name in REGIONS:
            viewings[f"{order} {name}"] = np.where(viewings[order].isna(), np.nan, viewings[order] == name)
    kinds = ("dwell ", "entry ", "first ", "second ")
    columns = ["fixations", *(name for name in map(str, viewings) if name.startswith(kinds))]
    counts = region_sequences.transitions(table, ["emotion", "subject"])
    size = len(REGIONS)
    entropies = [
        {"emotion": emotion, "subject": subject, **dict(zip(("regions", "transitions"), values, strict=True))}
        for (emotion, subject), part in counts.groupby(["emotion", "subject"], sort=False)
        for values in [region_sequences.entropy(part["count"].to_numpy().reshape(size, size))]
    ]
    pooled = counts.groupby(["emotion", "from", "to"], sort=False)["count"].sum().reset_index()
    pooled["probability"] = np.concatenate(
        [
            region_sequences.transition_matrix(part["count"].to_numpy().reshape(size, size)).ravel()
            for _, part in pooled.groupby("emotion", sort=False)
        ]
    )
    summary: Callable[..., pd.DataFrame] = observers.summarise
    return {
        "viewings": summary(viewings, ["emotion"], columns, repeats=repeats, seed=seed),
        "transitions": pooled,
        "entropy": summary(
            pd.DataFrame(entropies), ["emotion"], ["regions", "transitions"], repeats=repeats, seed=seed
        ),
    }
