"""agreement.html: where people and several runs look, side by side, in one self-contained file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from edram_fer import files
from edram_fer.attention import maps as densities
from edram_fer.attention import template_space
from edram_fer.attention.fixations import fixation_map, read_for_images
from edram_fer.attention.template import TEMPLATE
from edram_fer.attention.windows import is_recurrent
from edram_fer.errors import UserError
from edram_fer.figures import people as figures
from edram_fer.figures.agreement import CANDIDATES, MEASURES, defined_measures
from edram_fer.figures.style import save
from edram_fer.report.images import embed
from edram_fer.report.template import number, percent, template
from edram_fer.run import layout as names
from edram_fer.run.evaluated_run import EvaluatedRun
from edram_fer.studies.agreement import measure_agreement
from edram_fer.studies.people import PEOPLE, People

PAGE = "agreement.html"
_COLUMNS = {
    "nss": "NSS",
    "auc_judd": "AUC (Judd)",
    "cc": "CC",
    "sim": "SIM",
    "kl": "KL, lower is better",
    "information_gain": "bits over centre bias",
    "auc_shuffled": "AUC, this emotion against the others",
    "information_gain_emotions": "bits over the other emotions",
}


def write_template_page(comparison: People, out: Path | str) -> Path:
    """Write a comparison in the space of the template: the page, figures/ and a CSV file for each table.

    Args:
        comparison: from `studies.people.compare_with_people`.
        out: folder to write into.

    Returns:
        Path of the page.

    Raises:
        OSError: `out` cannot be written.
    """
    out, tables = Path(out), comparison.tables
    for name, table in tables.items():
        files.write_csv(out / f"{name}.csv", _records(table))
    runs = ", ".join(name for name in comparison.maps if name != PEOPLE)
    shown = [
        _agreement_table(tables["agreement"]),
        _regions_table(tables["regions"]),
        _table(
            "split_halves",
            "How noisy are the maps of people?",
            "Maps of two random halves of the observers, with the range of 95 % of the halvings.",
            tables["split_halves"],
            "emotion",
            "measure",
        ),
    ]
    if "mixed_model" in tables:
        shown.append(_mixed_table(tables["mixed_model"]))
    landmarks = template_space.frame_points(TEMPLATE)
    title = f"Where people and {runs} look"
    return _write(out, title, comparison.notes, comparison.maps, comparison.emotions, shown, landmarks)


def compare_on_images(
    runs: Sequence[Path | str], fixations: Path | str, out: Path | str, **options: Any
) -> tuple[Path, list[dict[str, Any]]]:
    """Compare several runs with people's fixations on the runs' own images, on one page.

    Args:
        runs: evaluated runs, see `studies.agreement.measure_agreement`, which also writes into each run's folder.
        fixations: CSV of fixations on the images.
        out: folder to write into.
        **options: of `measure_agreement`.

    Returns:
        Path of the page, and the result of `measure_agreement` of each run.

    Raises:
        UserError: see `measure_agreement`.
        OSError: `out` or a run cannot be written.
    """
    out, results, maps, rows = Path(out), [], {}, []
    emotions: dict[str, None] = {}
    notes: dict[str, None] = {}
    for run in runs:
        result = measure_agreement(run, fixations, **options)
        results.append(result)
        evaluated = EvaluatedRun(run)
        name = evaluated.folder.name if evaluated.folder.name not in maps else str(evaluated.folder)
        notes[result["fixations_note"]] = None
        run_maps, people = _image_maps(evaluated, result, fixations, options)
        emotions |= dict.fromkeys(run_maps)
        maps[name] = run_maps
        maps[PEOPLE] = maps.get(PEOPLE, {}) | people
        for candidate, measures in defined_measures(result).items():
            label = name if candidate == "model" else f"{name}: {CANDIDATES[candidate][0]}"
            for measure, summary in measures.items():
                low, high = summary["interval"]
                rows.append({"candidate": label, "measure": measure, "mean": summary["mean"], "low": low, "high": high})
    table = pd.DataFrame(rows)
    files.write_csv(out / "agreement.csv", _records(table))
    maps = {PEOPLE: maps.pop(PEOPLE), **maps}
    text = "Means over the images and people, with 95 % intervals for other images and other people."
    shown = [_table("agreement", "How well do they predict people?", text, table, "candidate", "measure", MEASURES)]
    title = f"Where people and {', '.join(list(maps)[1:])} look"
    return _write(out, title, [*notes], maps, [*emotions], shown), results


def _image_maps(evaluated, result, fixations, options):
    """Maps of a run and of people, by emotion, on the images with fixations."""
    predictions = evaluated.predictions(result["split"])
    features = evaluated.features(
        result["split"], **{key: options[key] for key in ("data", "data_dir") if key in options}
    )
    shape = features["image"].shape[1:3]
    people = read_for_images(fixations, predictions["id"], shape, outside="drop")
    seen = np.isin(predictions["id"].astype(str), people.image.astype(str))
    windows, weights, truth = (predictions[name][seen] for name in ("windows", "weights", "truth"))
    order = [name for name in dict.fromkeys(truth) if name is not None]
    total = densities.densities(windows, weights, truth, order, shape, by_step=False)[:, None]
    if is_recurrent(predictions):  # other models look through all windows at once
        total = np.concatenate([densities.densities(windows, weights, truth, order, shape), total], axis=1)
    run_maps = dict(zip(order, total, strict=True))
    emotion_of = dict(zip(predictions["id"].astype(str), predictions["truth"], strict=True))
    shown = np.array([emotion_of[str(image)] for image in people.image], object)
    people_maps = {name: fixation_map(people.points[shown == name], shape, result["sigma"])[None] for name in order}
    return run_maps, people_maps


def _write(
    out: Path,
    title: str,
    notes: Sequence[str],
    maps: Mapping[str, Mapping[str, np.ndarray]],
    emotions: Sequence[str],
    tables: Sequence[Mapping[str, Any]],
    landmarks: ArrayLike | None = None,
) -> Path:
    if not emotions:
        raise UserError("no emotion is known of the images that people looked at")
    images = {}
    for emotion in emotions:
        rows = {name: by_emotion[emotion] for name, by_emotion in maps.items() if emotion in by_emotion}
        path = out / names.FIGURES / f"people_{len(images)}_{''.join(filter(str.isalnum, emotion))}.png"
        images[emotion] = embed(save(figures.maps(rows, emotion, landmarks), path))
    page = template("people.html").render(title=title, notes=notes, figures=images, tables=tables)
    with files.replace(out / PAGE) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return out / PAGE


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _cell(mean, low, high):
    return number(mean) if low != low else f"{number(mean)} ({number(low)} to {number(high)})"


def _table(name, title, text, table, row, column, labels=None):
    """Rows and columns of means with intervals."""
    values = table.set_index([row, column])[["mean", "low", "high"]].astype(float)
    order = [key for key in (labels or dict.fromkeys(table[column])) if key in set(table[column])]
    rows = [
        [key, *(_cell(*values.loc[(key, each)]) if (key, each) in values.index else "–" for each in order)]
        for key in dict.fromkeys(table[row])
    ]
    return {
        "name": name,
        "title": title,
        "text": text,
        "columns": ["", *((labels or {}).get(each, each) for each in order)],
        "rows": rows,
    }


def _agreement_table(table):
    text = (
        "Each map predicts the fixations of one person at a time; means over the emotions and people, with 95 % "
        "intervals over the people. What is specific to an emotion: an AUC above 0.5, and bits above 0."
    )
    overall = table[table["emotion"] == "all"]
    return _table("agreement", "How well do they predict people?", text, overall, "candidate", "measure", _COLUMNS)


def _regions_table(table):
    text = "Share of the fixations, of the dwell time, and of the windows; with 95 % intervals over the people."
    regions = list(dict.fromkeys(table["region"]))
    rows = []
    for (source, emotion), part in table.groupby(["source", "emotion"], sort=False):
        cells = []
        for _, value in part.set_index("region").loc[regions].iterrows():
            ends = "" if value.low != value.low else f" ({percent(value.low)} to {percent(value.high)})"
            cells.append(percent(value.share) + ends)
        rows.append([f"{source}, {emotion}", *cells])
    return {"name": "regions", "title": "Which regions?", "text": text, "columns": ["", *regions], "rows": rows}


def _mixed_table(table):
    text = (
        "Linear mixed model of the shares of fixations, emotion by region, with a random effect of each region of each "
        "person: differences from the first emotion with 95 % intervals."
    )
    rows = [
        [
            f"{row.region}, {row.emotion}",
            f"{percent(row.effect)} ({percent(row.low)} to {percent(row.high)})",
            number(row.z, 2),
            "< 0.001" if row.p < 0.001 else number(row.p),
        ]
        for row in table.itertuples()
    ]
    title = "Does the expression change where people look?"
    return {"name": "mixed_model", "title": title, "text": text, "columns": ["", "difference", "z", "p"], "rows": rows}
