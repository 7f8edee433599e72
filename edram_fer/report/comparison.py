"""comparison.html: two or more evaluated runs beside each other, in one file that needs nothing else."""

from pathlib import Path

from edram_fer import files
from edram_fer.comparison.runs import read
from edram_fer.comparison.study import study, write_tables
from edram_fer.figures.comparison import CONTRASTS, TITLES, draw
from edram_fer.report.explorer import explorer
from edram_fer.report.images import embedded
from edram_fer.report.template import template
from edram_fer.run import layout

PAGE = "comparison.html"
PERTURBATIONS = {
    "occlusion": ("black square, its side", lambda level: f"{100 * level:.4g} %"),
    "rotation": ("turn", lambda level: f"{level:.4g}°"),
}


def compare(
    folders,
    out,
    *,
    split=None,
    data=None,
    data_dir=None,
    find_landmarks=False,
    fixations=None,
    outside="raise",
    repeats=1000,
    seed=0,
):
    """Compare runs: write comparison.html, the tables as CSV, and figures/ (also as PDF) into a folder.

    Args:
        folders: of two or more evaluated runs; the first is the one that the others are compared with.
        out: folder to write into.
        split: None: the first that all were evaluated on.
        data, data_dir: where the images are, as in `evaluation.evaluate`.
        find_landmarks: let dlib find them where the data set has none.
        fixations, outside: people's, see `comparison.study.study`.
        repeats, seed: of the intervals; the seed also chooses the samples.

    Returns: path of the page.

    Raises ValueError and FileNotFoundError as `comparison.runs.read` and `EvaluatedRun.features`.
    """
    out, runs = Path(out), read(folders, split)
    features = runs.features(data=data, data_dir=data_dir)
    people = {"fixations": fixations, "outside": outside}
    found = study(runs, features, find_landmarks=find_landmarks, **people, repeats=repeats, seed=seed)
    write_tables(found, out)
    figures = {name: embedded(path) for name, path in draw(found, out / layout.FIGURES).items()}
    page = template("comparison.html").render(**_context(found, figures, repeats, seed))
    with files.replace(out / PAGE) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return out / PAGE


def _context(found, figures, repeats, seed):
    runs = found.runs
    return {
        "data": runs.data,
        "split": runs.split,
        "images": len(runs.truth),
        "emotions": runs.present,
        "runs": runs.runs,
        "names": found.names,
        "blind": [run.name for run in runs.runs if not run.has_windows],
        "scores": TITLES,
        "tables": found.tables,
        "by_split": _by_split(found.tables["splits"]),
        "unevaluated": _unevaluated(runs.runs),
        "changes": _changes(found.tables["robustness"]),
        "asked": _alike({row["run"]: (row["images"], row["seed"]) for row in found.tables["robustness"]}),
        "occluded": _alike(
            {
                name: tuple(own.settings[key] for key in ("images", "seed", "window", "stride", "fill"))
                for name, own in found.occlusion.items()
            }
        ),
        "contrasts": CONTRASTS,
        "figures": figures,
        "samples": list(found.samples),
        "maps": explorer(found) if found.maps else None,
        "agreement": [row for row in found.tables["map_agreement"] if row["emotion"] == "all"],
        "people": found.people,
        "without_fixations": len(runs.truth) - len(set(found.people.image)) if found.people else 0,
        "beside": {row["run"]: row["images_missed_by_windows"] for row in found.tables["human_agreement"]},
        "note": found.note,
        "without_landmarks": next((told["excluded_share"] for told in found.regions.values()), None),
        "repeats": repeats,
        "seed": seed,
    }


def _by_split(rows):
    """A dict for the plain predictions, and one for each kind of averages, of the phrase that tells of what views,
    the columns and {run: {column: row}}. A column is a split and its number of images: other images, other column.
    """
    parts = []
    for average in sorted({row["average"] for row in rows}, key=lambda phrase: phrase or ""):
        own, cells = [row for row in rows if row["average"] == average], {}
        for row in own:
            cells.setdefault(row["run"], {})[row["split"], row["images"]] = row
        columns = list(dict.fromkeys((row["split"], row["images"]) for row in own))
        parts.append({"average": average, "columns": columns, "cells": cells})
    return parts


def _unevaluated(runs):
    """{run: the command that evaluates it on all splits on which any run was} of those that lack one."""
    every, commands = [run.evaluated for run in runs], {}
    splits = dict.fromkeys(name for run in every for name in run.splits)
    read = dict.fromkeys(run.data_split(name) for run in every for name in run.splits)
    options = [f"--split {name}" for name in read]
    for end, option in (("_flip", "--flip"), ("_ten_crop", "--ten-crop SHARE")):
        options += [option] if any(name.removesuffix("_clean").endswith(end) for name in splits) else []
    for run in runs:
        if set(splits) - set(run.evaluated.splits):
            commands[run.name] = f"edram-fer evaluate {run.evaluated.folder} {' '.join(options)}"
    return commands


def _changes(rows):
    """A dict for each kind of changed images: its title, the runs asked, and (level, {run: row}) of each level."""
    parts = []
    for change, (title, unit) in PERTURBATIONS.items():
        own = [row for row in rows if row["perturbation"] == change]
        levels = sorted({row["level"] for row in own})
        cells = [(unit(level), {row["run"]: row for row in own if row["level"] == level}) for level in levels]
        parts.append({"title": title, "runs": list(dict.fromkeys(row["run"] for row in own)), "levels": cells})
    return parts


def _alike(settings):
    """{settings: the runs that have them} of {run: settings}."""
    return {each: [run for run, own in settings.items() if own == each] for each in settings.values()}
