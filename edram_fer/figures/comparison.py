"""All figures of a comparison of runs."""

from pathlib import Path
from typing import Any

from edram_fer.figures.agreement import CANDIDATES, MEASURES, PATH_MEASURES
from edram_fer.figures.differences import difference_maps
from edram_fer.figures.heatmaps import heatmaps, scale
from edram_fer.figures.multi_run import accuracy_curves, dots, exit_curves, glimpse_steps, robustness_curves
from edram_fer.figures.saliency import run_maps
from edram_fer.figures.scan_paths import scan_paths
from edram_fer.figures.style import save

TITLES = {"accuracy": "Accuracy", "mean_class_accuracy": "Mean class accuracy", "macro_f1": "Macro F1"}
CONTRASTS = {
    "model - mean": "own − mean windows",
    "place - mean": "own places − mean windows",
    "size - mean": "own sizes − mean windows",
    "mean - random": "mean − random windows",
    "model - shuffled": "own − another image's windows",
    "model - random": "own − random windows",
    "model - whole": "own − whole image",
}


def draw(study: Any, folder: Path, *, pdf: bool = False) -> dict[str, Path]:
    """Draw the figures of a comparison.

    Args:
        study: an `edram_fer.comparison.study.Study`.
        folder: folder to write into.
        pdf: also save each figure as PDF.

    Returns:
        {name: path} of the figures that the page shows, .svg or .png.
    """
    written = {}
    for name, figure in {**_score_figures(study), **_face_figures(study)}.items():
        written[name.split(".")[0]] = save(figure, folder / name)
        if pdf:
            save(figure, (folder / name).with_suffix(".pdf"))
    return written


def _score_figures(study):
    tables, names, present = study.tables, study.names, study.runs.present
    emotions, low, high = {name: name for name in present}, "{}_low", "{}_high"
    figures = {
        "scores.svg": dots(
            tables["scores"], names, {name: name for name in names}, TITLES, group="run", value="{}", low=low, high=high
        ),
        "recalls.svg": dots(
            tables["recalls"], names, emotions, {"recall": "Recall"}, group="emotion", value="{}", low=low, high=high
        ),
    }
    plain = [row for row in tables["splits"] if row["average"] is None]
    if len(splits := dict.fromkeys(row["split"] for row in plain)) > 1:
        figures["splits.svg"] = dots(
            plain, names, {name: name for name in splits}, {"": "Accuracy"}, group="split", value="accuracy"
        )
    if tables["robustness"]:
        figures["robustness.svg"] = robustness_curves(tables["robustness"], names)
    if study.exits:
        figures["accuracy_after_glimpse.svg"] = accuracy_curves(tables["accuracy_after_glimpse"], names)
        figures["early_exit.svg"] = exit_curves(study.exits, names)
    if overall := [row for row in tables["glimpses"] if row["emotion"] == "all"]:
        figures["glimpses.svg"] = glimpse_steps(overall, names, study.faces["all"])
    if study.regions:
        together = [row for row in tables["regions"] if row["glimpse"] == "all"]
        panels = {region: region for region in next(iter(study.regions.values()))["regions"]}
        figures["regions.svg"] = dots(
            together,
            names,
            {"all": "all", **emotions},
            panels,
            group="emotion",
            panel="region",
            value="preference",
            low="preference_low",
            high="preference_high",
            reference=1,
            percent=False,
            label="share of attention / share of area",
        )
    if human := tables["human_agreement"]:
        requested = {row["measure"] for row in human}
        panels = {name: title for name, title in MEASURES.items() if name in requested}
        paths = {name: panels.pop(name) for name in list(panels) if name in PATH_MEASURES}
        for name, chosen in (("human_agreement.svg", panels), ("human_agreement_paths.svg", paths)):
            if chosen:
                held = {
                    row["candidate"] for row in human if row["measure"] in chosen
                }  # centre bias and mean landmarks are maps, not paths
                candidates = {key: title for key, (title, _) in CANDIDATES.items() if key in held}
                figures[name] = dots(
                    human,
                    names,
                    candidates,
                    chosen,
                    group="candidate",
                    panel="measure",
                    value="mean",
                    percent=False,
                    shared=False,
                )
    if contrasts := [row for row in tables["window_ablation"] if row["kind"] == "contrasts"]:
        requested = {row["windows"] for row in contrasts}
        groups = {name: title for name, title in CONTRASTS.items() if name in requested}
        figures["window_ablation.svg"] = dots(
            contrasts, names, groups, {"": "Difference of the accuracies"}, group="windows", reference=0
        )
    return figures


def _face_figures(study):
    runs, figures = study.runs, {}
    top = scale([values.max() for maps in study.maps.values() for values in maps.values()]) if study.maps else None
    for number, run in enumerate(runs.runs, 1):
        if run.has_windows:
            figures[f"heatmaps_{number}.png"] = heatmaps(
                study.images,
                run.predictions["windows"],
                run.predictions["weights"],
                runs.truth,
                runs.present,
                by_step=run.recurrent,
                top=top,
            )
        if run.name in study.differences:
            figures[f"differences_{number}.png"] = _difference(study, run.name)
    if study.occlusion:
        maps = [[occlusion.mean(group) for group in study.faces] for occlusion in study.occlusion.values()]
        labels = [(name, len(occlusion.ids)) for name, occlusion in study.occlusion.items()]
        figures["saliency.png"] = run_maps(list(study.faces.values()), maps, labels, list(study.faces))
    for number, rows in enumerate(study.samples.values(), 1):
        figures[f"paths_{number}.png"] = _paths(study, rows)
    return figures


def _difference(study, name):
    maps = study.differences[name]
    steps = sorted(next(iter(maps.values())), key=lambda step: step == "mean")  # the mean last, as in the heat maps
    titles = ["mean" if step == "mean" else f"glimpse {step}" for step in steps]
    return difference_maps(
        [study.faces[group] for group in maps],
        [[by_step[step] for step in steps] for by_step in maps.values()],
        [(group, None) for group in maps],
        titles,
        meaning=f"{name}: more or less\nthan {next(iter(study.maps))}",
    )


def _paths(study, rows):
    """Scan paths on the same faces, one row per run; a run without windows in time order has no paths."""
    titles, windows = [], []
    for run in study.runs.runs:
        for row in rows:
            prediction, truth = run.predictions["prediction"][row], study.runs.truth[row]
            titles.append(f"✓ {prediction}" if prediction == truth else f"✗ {prediction} ({truth})")
            windows.append(run.predictions["windows"][row] if run.has_windows and run.recurrent else None)
    images = study.images[list(rows) * len(study.names)]
    return scan_paths(images, windows, titles, columns=len(rows), rows=study.names)
