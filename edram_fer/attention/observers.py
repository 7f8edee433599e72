"""How well maps predict each observer's fixations on faces of each emotion, in the frame of `template_space`.

A model's map of an emotion, the baselines and the map of all other people predict the fixations of one observer at a
time, so that they can be compared; the observers are the sample, over which intervals are taken.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from edram_fer.attention.agreement import all_measures, cc, kl, sim
from edram_fer.attention.fixations import fixation_map
from edram_fer.attention.information import information_gain
from edram_fer.attention.template_space import SHAPE
from edram_fer.errors import UserError
from edram_fer.intervals import bootstrap

ALL = "all"
PEOPLE, OTHER_EMOTIONS = "other people", "other people, other emotions"
MEASURES = ("nss", "auc_judd", "auc_shuffled", "cc", "sim", "kl", "information_gain", "information_gain_emotions")
_HALVES = ("cc", "sim", "kl")


def compare(
    candidates: Mapping[str, Mapping[str, np.ndarray]],
    table: pd.DataFrame,
    emotions: Sequence[str],
    centre: np.ndarray,
    sigma: float,
) -> pd.DataFrame:
    """The measures of each map for the fixations of each observer on the faces of each emotion.

    Args:
        candidates: {name: {emotion: map [H, W]}}, as smooth as the maps of fixations; nan maps are left out.
        table: a row per fixation with the columns "subject", "emotion", "x" and "y", in the frame; further emotions
            are ignored.
        emotions: the emotions to compare.
        centre: map [H, W] of the centre bias, a baseline of the information gain.
        sigma: standard deviation in cells of the Gaussians in maps of fixations.

    Returns:
        "candidate", "emotion", "subject" and MEASURES, see `agreement` and `information`. The candidates PEOPLE (all
        other observers, same emotion) and OTHER_EMOTIONS (all other observers, the other emotions) are added.
        Two measures tell what is specific to the emotion: "auc_shuffled", whose negatives are the observer's own
        fixations on the other emotions, and "information_gain_emotions", in bits per fixation over OTHER_EMOTIONS;
        "information_gain" is over `centre`.

    Raises:
        UserError: there are fewer than two observers or emotions with fixations, or no two observers looked at the
            same emotion.
    """
    table = table[table["emotion"].isin(list(emotions))]
    subject, emotion = table["subject"].to_numpy(object), table["emotion"].to_numpy(object)
    points = table[["x", "y"]].to_numpy(float)
    people = list(dict.fromkeys(subject))
    if len(people) < 2 or len(set(emotion)) < 2:
        raise UserError(
            f"expected fixations of at least two observers on at least two emotions, got {len(people)} and "
            f"{len(set(emotion))} of {', '.join(emotions)}"
        )
    rows = []
    for name in emotions:
        same = emotion == name
        for person in people:
            is_person = subject == person
            fixated = points[same & is_person]
            if not len(fixated) or not (same & ~is_person).any() or not (~same & ~is_person).any():
                continue
            human = fixation_map(fixated, SHAPE, sigma)
            others = fixation_map(points[~same & ~is_person], SHAPE, sigma)
            maps = {label: by_emotion[name] for label, by_emotion in candidates.items() if name in by_emotion}
            maps |= {PEOPLE: fixation_map(points[same & ~is_person], SHAPE, sigma), OTHER_EMOTIONS: others}
            for label, values in maps.items():
                if not np.isfinite(values).all():
                    continue
                row = {"candidate": label, "emotion": name, "subject": person}
                row |= all_measures(values, fixated, human, points[~same & is_person])
                row["information_gain"] = information_gain(values, centre, fixated)
                row["information_gain_emotions"] = information_gain(values, others, fixated)
                rows.append(row)
    if not rows:
        raise UserError(
            f"expected an emotion of which two observers have fixations, who also have some of another, got none of "
            f"{', '.join(emotions)}"
        )
    return pd.DataFrame(rows)


def summarise(
    rows: pd.DataFrame,
    by: Sequence[str] = ("candidate", "emotion"),
    values: Sequence[str] = MEASURES,
    *,
    repeats: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Means over the observers, with bootstrap intervals over the observers.

    Args:
        rows: a row per observer ("subject") and combination of `by`; the mean of several rows of an observer counts.
        by: columns whose combinations are summarised apart.
        values: columns to summarise.
        repeats: number of bootstrap samples.
        seed: seed of the bootstrap.

    Returns:
        The columns of `by`, "measure", "mean", "low", "high" (95 %) and "observers". If "emotion" is one of `by`, the
        mean over the emotions of each observer is added as emotion "all".
    """
    rows = rows[[*by, "subject", *values]].groupby([*by, "subject"], sort=False)[[*values]].mean().reset_index()
    if "emotion" in by:
        rest = [name for name in by if name != "emotion"]
        mean = rows.groupby([*rest, "subject"], sort=False)[[*values]].mean().reset_index().assign(emotion=ALL)
        rows = pd.concat([rows, mean], ignore_index=True)
    wide = rows.pivot(index="subject", columns=[*by], values=[*values])
    array = wide.to_numpy(float)
    present = np.isfinite(array)

    def mean_of(chosen):
        count = present[chosen].sum(axis=0)
        total = np.where(present[chosen], array[chosen], 0).sum(axis=0)
        return {"mean": np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)}

    ends = bootstrap(mean_of, len(array), repeats=repeats, seed=seed)["mean"]
    result = pd.DataFrame([*wide.columns], columns=["measure", *by])[[*by, "measure"]]
    return result.assign(
        mean=mean_of(np.arange(len(array)))["mean"],
        low=ends[:, 0],
        high=ends[:, 1],
        observers=present.sum(axis=0),
    )


def split_half(
    table: pd.DataFrame, emotions: Sequence[str], sigma: float, *, repeats: int = 100, seed: int = 0
) -> pd.DataFrame:
    """How much the maps of two random halves of the observers agree: the noise in a map of that many people.

    Args:
        table: see `compare`.
        emotions: see `compare`.
        sigma: see `compare`.
        repeats: number of random halvings.
        seed: seed of the halvings.

    Returns:
        "emotion", "measure" ("cc", "sim", "kl"), "mean" over the halvings, "low" and "high" (95 % of them).

    Raises:
        UserError: there are fewer than two observers.
    """
    random, rows = np.random.default_rng(seed), []
    people = list(dict.fromkeys(table["subject"]))
    if len(people) < 2:
        raise UserError(f"split halves need at least two observers, got {len(people)}")
    for name in emotions:
        part = table[table["emotion"] == name]
        points, subject = part[["x", "y"]].to_numpy(float), part["subject"].to_numpy(object)
        samples = []
        for _ in range(repeats):
            half = random.permutation(people)[: len(people) // 2]
            inside = np.isin(subject, half)
            if inside.any() and not inside.all():
                maps = [fixation_map(points[chosen], SHAPE, sigma) for chosen in (inside, ~inside)]
                samples.append([cc(*maps), sim(*maps), kl(*maps)])
        values = np.array(samples).reshape(-1, 3)
        for measure, column in zip(_HALVES, values.T, strict=True):
            low, high = np.quantile(column, (0.025, 0.975)) if len(column) else (np.nan, np.nan)
            mean = column.mean() if len(column) else np.nan
            rows.append({"emotion": name, "measure": measure, "mean": mean, "low": low, "high": high})
    return pd.DataFrame(rows)
