"""How alike the runs look: agreement of their maps, and single images on which they agree and disagree."""

import itertools

import numpy as np

from edram_fer import attention, intervals
from edram_fer.attention import agreement, baselines
from edram_fer.attention.maps import normalised
from edram_fer.comparison.attention_tables import common_steps
from edram_fer.errors import UserError

MEASURES = ("cc", "sim", "nss", "auc_judd")


def map_agreement_rows(found):
    """A row for each pair of runs, emotion and common step: how alike the maps of the class are.

    Args:
        found: of `maps`.

    Returns: rows with cc, sim, kl (of `attention.agreement`, the second run in the place of the people) and moved, the
    share of the attention that differs.
    """
    rows = []
    for (name, own), (name_of_other, other) in itertools.combinations(found.items(), 2):
        for group in own:
            for step, (place, place_of_other) in common_steps(own[group], other[group]).items():
                pair = normalised(np.stack([own[group][place], other[group][place_of_other]]))
                row = {"run": name, "other": name_of_other, "emotion": group, "glimpse": step}
                if np.isfinite(pair).all():
                    row |= {key: getattr(agreement, key)(*pair) for key in ("cc", "sim", "kl")}
                    row["total_variation"] = float(attention.total_variation(attention.difference(*pair)))
                rows.append(row)
    return rows


def image_agreement_rows(runs, shape, *, limit=1000, repeats=1000, seed=0):
    """A row for each pair of runs and measure: how alike they look at the same image.

    The density of the first run against that of the second (cc, sim) and against the places of its glimpses (nss,
    auc_judd), the mean over images with its 95 % interval; beside it the same with the first run's density of another
    image (shuffled) and with a blob in the middle (centre_bias). Own above shuffled is agreement about THIS face.

    Args:
        runs: Runs; shape: (H, W) of the images.
        limit: number of images, drawn by seed; repeats: of the bootstrap.
    """
    attending = [run for run in runs.runs if run.has_windows]
    count = len(runs.truth)
    chosen = np.random.default_rng(seed).permutation(count)[:limit]
    turned = chosen[baselines.other_images(len(chosen), seed)] if len(chosen) > 1 else chosen
    subjects = None if runs.subjects is None else runs.subjects[chosen]
    densities = {run.name: _densities(run, shape) for run in attending}
    centre, rows = baselines.centre_bias(shape), []
    for run, other in itertools.combinations(attending, 2):
        own, human, points = densities[run.name], densities[other.name], _places(other, shape)
        pairs = {"same": chosen, "shuffled": turned, "centre_bias": None}
        values = {
            kind: np.array(
                [
                    _alike(centre if picks is None else own(picks[i]), human(row), points[row])
                    for i, row in enumerate(chosen)
                ]
            )
            for kind, picks in pairs.items()
        }
        values["same - shuffled"] = values["same"] - values["shuffled"]

        def means(rows, values=values):
            return {kind: _mean_of_known(each[rows]) for kind, each in values.items()}

        ends = intervals.bootstrap(means, len(chosen), subjects=subjects, repeats=repeats, seed=seed)
        for index, measure in enumerate(MEASURES):
            row = {"run": run.name, "other": other.name, "measure": measure, "images": len(chosen)}
            for kind, mean in means(slice(None)).items():
                key = kind.replace(" - ", "_minus_")
                row |= {key: mean[index], f"{key}_low": ends[kind][index, 0], f"{key}_high": ends[kind][index, 1]}
            rows.append(row)
    return rows


def human_agreement_rows(runs, read, shape, *, landmarks=None, repeats=1000, seed=0):
    """A row for each run that looks, what it is held beside, and measure: agreement with people's fixations.

    Args:
        runs: Runs; read: `attention.fixations.Fixations` on their images of `shape` (H, W).
        landmarks, repeats, seed: as of `baselines.compare_with_fixations`.

    Returns: rows with candidate (model, shuffled, centre_bias, mean_landmarks, ceiling), mean, low, high, images, and
    images_missed_by_windows, the number of images that the run's windows miss.

    Raises ValueError, naming the run, where it looks beside all of the images.
    """
    rows = []
    for run in (run for run in runs.runs if run.has_windows):
        try:
            found = baselines.compare_with_fixations(
                run.predictions, read, shape, landmarks=landmarks, repeats=repeats, seed=seed
            )
        except ValueError as error:
            raise UserError(f"{run.name}: {error}") from error
        for part in filter(None, (found["maps"], found["paths"])):
            for name, measure in ((name, measure) for name, told in part.items() for measure in told):
                told = part[name][measure]
                if not told["images"]:
                    continue
                low, high = told["interval"]
                row = {
                    "run": run.name,
                    "candidate": name,
                    "measure": measure,
                    "mean": told["mean"],
                    "low": low,
                    "high": high,
                }
                rows.append(
                    {**row, "images": told["images"], "images_missed_by_windows": found["images_missed_by_windows"]}
                )
    return rows


def samples(runs, *, count=6, seed=0):
    """Images on which the runs agree and disagree, drawn at random.

    Returns: {title: rows int [up to count]}: classified correctly by all, by one alone, by several but not all, by none; kinds
    without images are left out.
    """
    right, random = np.stack([run.correct for run in runs.runs]), np.random.default_rng(seed)
    votes, kinds = right.sum(axis=0), {"All are right": right.all(axis=0)}
    for run, own in zip(runs.runs, right, strict=True):
        kinds[f"Only {run.name} is right"] = own & (votes == 1)
    kinds["Several are right, not all"] = (votes > 1) & (votes < len(right))
    kinds["All are wrong"] = ~right.any(axis=0)
    found = {title: np.flatnonzero(rows) for title, rows in kinds.items()}
    return {title: random.permutation(rows)[:count] for title, rows in found.items() if len(rows)}


def sample_rows(runs, chosen):
    """A row for each shown image: its id, its emotion and what each run said."""
    rows = []
    for title, numbers in chosen.items():
        for row in numbers:
            said = {run.name: run.predictions["prediction"][row] for run in runs.runs}
            rows.append({"kind": title, "id": runs.runs[0].predictions["id"][row], "truth": runs.truth[row], **said})
    return rows


def _mean_of_known(values):
    """Mean over the rows of [n, M] without nan, [M]; nan where there is no other."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(axis=0) / known.sum(axis=0)


def _densities(run, shape):
    """Function from a row to the density of that image, [H, W]; None where its windows all lie outside."""

    def density(row):
        total = attention.weighted_coverage(run.predictions["windows"][row], run.predictions["weights"][row], shape)
        return total / total.sum() if total.sum() > 0 else None

    return density


def _places(run, shape):
    """The centres of the windows that lie in the image, for each image [up to N, 2] in pixels."""
    points = attention.pixels(attention.centres(run.predictions["windows"]), shape)
    inside = ((points >= 0) & (points <= np.array(shape[::-1]) - 1)).all(axis=-1)
    return [each[keep] for each, keep in zip(points, inside, strict=True)]


def _alike(density, human, points):
    """MEASURES of one image; nan where one of the two looked beside it."""
    if density is None or human is None:
        return [np.nan] * len(MEASURES)
    told = agreement.all_measures(density, points, human)
    return [told[name] for name in MEASURES]
