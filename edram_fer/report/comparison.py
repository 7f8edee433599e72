"""comparison.html: two or more evaluated runs side by side, in one self-contained file."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edram_fer import files, intervals
from edram_fer.comparison.runs import Run, read
from edram_fer.comparison.study import Study, study, write_tables
from edram_fer.figures.comparison import CONTRASTS, TITLES, draw
from edram_fer.report.explorer import explorer
from edram_fer.report.images import embed
from edram_fer.report.template import template
from edram_fer.run import layout

PAGE = "comparison.html"
PERTURBATIONS = {
    "occlusion": ("side of a black square", lambda level: f"{100 * level:.4g} %"),
    "rotation": ("rotation", lambda level: f"{level:.4g}°"),
}


def compare(
    folders: Sequence[Path | str],
    out: Path | str,
    *,
    split: str | None = None,
    data: str | None = None,
    data_dir: Path | str | None = None,
    find_landmarks: bool = False,
    fixations: Path | str | None = None,
    outside: str = "raise",
    repeats: int = 1000,
    seed: int = 0,
    pdf: bool = False,
) -> Path:
    """Compare runs: write comparison.html, the tables as CSV, and figures/ into a folder.

    Args:
        folders: two or more evaluated runs; the others are compared with the first.
        out: folder to write into.
        split: split to compare on; None: test, or the first that all were evaluated on.
        data, data_dir: where the images are, as in `evaluation.evaluate.evaluate`.
        find_landmarks: find landmarks with dlib if the data set has none.
        fixations, outside: human fixations, see `comparison.study.study`.
        repeats: bootstrap repetitions of the intervals.
        seed: seed of the intervals and of the samples.
        pdf: also save each figure as PDF.

    Returns:
        Path of the page.

    Raises:
        UserError: see `comparison.runs.read` and `EvaluatedRun.features`.
        OSError: `out` cannot be written.
    """
    out, runs = Path(out), read(folders, split)
    files.check_writable(out)
    comparison = study(
        runs,
        runs.features(data=data, data_dir=data_dir),
        find_landmarks=find_landmarks,
        fixations=fixations,
        outside=outside,
        repeats=repeats,
        seed=seed,
    )
    write_tables(comparison, out)
    figures = {name: embed(path) for name, path in draw(comparison, out / layout.FIGURES, pdf=pdf).items()}
    page = template("comparison.html").render(**_context(comparison, figures, repeats, seed))
    with files.replace(out / PAGE) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return out / PAGE


def _context(study: Study, figures: Mapping[str, Mapping[str, Any]], repeats: int, seed: int) -> dict[str, Any]:
    runs, fixations = study.runs, study.fixations
    return {
        "data": runs.data,
        "split": runs.split,
        "images": len(runs.truth),
        "emotions": runs.present,
        "runs": runs.runs,
        "names": study.names,
        "windowless": [run.name for run in runs.runs if not run.has_windows],
        "scores": TITLES,
        "tables": study.tables,
        "by_split": _split_tables(study.tables["splits"]),
        "unevaluated": _missing_evaluations(runs.runs),
        "changes": _changes(study.tables["robustness"]),
        "robustness_settings": _group_by_value(
            {row["run"]: (row["images"], row["seed"]) for row in study.tables["robustness"]}
        ),
        "occlusion_settings": _group_by_value(
            {
                name: tuple(occlusion.settings[key] for key in ("images", "seed", "window", "stride", "fill"))
                for name, occlusion in study.occlusion.items()
            }
        ),
        "contrasts": CONTRASTS,
        "figures": figures,
        "samples": list(study.samples),
        "maps": explorer(study) if study.maps else None,
        "intervals_note": intervals.note(runs.subjects),
        "by_subject": runs.subjects is not None,
        "recall_tests": _recall_tests(study.tables["recalls"]),
        "agreement": [row for row in study.tables["map_agreement"] if row["emotion"] == "all"],
        "fixations": fixations,
        "without_fixations": len(runs.truth) - len(set(fixations.image)) if fixations else 0,
        "outside_image": {row["run"]: row["images_missed_by_windows"] for row in study.tables["human_agreement"]},
        "note": study.note,
        "without_landmarks": next((shares["excluded_share"] for shares in study.regions.values()), None),
        "repeats": repeats,
        "seed": seed,
    }


def _recall_tests(rows: Sequence[Mapping[str, Any]]) -> str:
    """A sentence on the differences in recall from the first run that hold for all runs and emotions together."""
    tested = [row for row in rows if row["p_holm"] is not None]
    clear = [f"{row['run']}, {row['emotion']}" for row in tested if row["p_holm"] < 0.05]
    count = f"{len(clear)} of the {len(tested)} differences from {rows[0]['run']}"
    return f" After Holm's correction {count} are significant{': ' + '; '.join(clear) if clear else ''}."


def _split_tables(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One table for the plain predictions and one for each kind of average over views.

    Each is a dict with "average" (a phrase that names the views, or None), "columns" [(split, number of images)] and
    "cells" {run: {column: row}}. A split with a different number of images has its own column: the images differ.
    """
    tables = []
    for average in sorted({row["average"] for row in rows}, key=lambda phrase: phrase or ""):
        selected, cells = [row for row in rows if row["average"] == average], {}
        for row in selected:
            cells.setdefault(row["run"], {})[row["split"], row["images"]] = row
        columns = list(dict.fromkeys((row["split"], row["images"]) for row in selected))
        tables.append({"average": average, "columns": columns, "cells": cells})
    return tables


def _missing_evaluations(runs: Sequence[Run]) -> dict[str, str]:
    """{run: command that evaluates the missing splits} of runs that lack a split of another run."""
    evaluated, commands = [run.evaluated for run in runs], {}
    splits = dict.fromkeys(name for run in evaluated for name in run.splits)
    data_splits = dict.fromkeys(run.data_split(name) for run in evaluated for name in run.splits)
    options = [f"--split {name}" for name in data_splits]
    for suffix, option in (("_flip", "--flip"), ("_ten_crop", "--ten-crop SHARE")):
        if any(name.removesuffix("_clean").endswith(suffix) for name in splits):
            options.append(option)
    for run in runs:
        if set(splits) - set(run.evaluated.splits):
            commands[run.name] = f"edram-fer evaluate {shlex.quote(str(run.evaluated.folder))} {' '.join(options)}"
    return commands


def _changes(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One table per kind of perturbation: its title, its runs, and (level, {run: row}) for each level."""
    tables = []
    for perturbation, (title, format_level) in PERTURBATIONS.items():
        selected = [row for row in rows if row["perturbation"] == perturbation]
        levels = [
            (format_level(level), {row["run"]: row for row in selected if row["level"] == level})
            for level in sorted({row["level"] for row in selected})
        ]
        tables.append({"title": title, "runs": list(dict.fromkeys(row["run"] for row in selected)), "levels": levels})
    return tables


def _group_by_value(settings: Mapping[str, tuple[Any, ...]]) -> dict[tuple[Any, ...], list[str]]:
    """{settings: names of the runs with these settings}."""
    groups = {}
    for run, value in settings.items():
        groups.setdefault(value, []).append(run)
    return groups
