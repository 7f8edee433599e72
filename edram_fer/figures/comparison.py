"""All figures of a comparison of runs."""

from edram_fer.figures.agreement import CANDIDATES, MEASURES, PATH_MEASURES
from edram_fer.figures.differences import difference_maps
from edram_fer.figures.heatmaps import heatmaps, scale
from edram_fer.figures.multi_run import accuracy_curves, dots, exit_curves, glimpse_steps, robustness_curves
from edram_fer.figures.saliency import run_maps
from edram_fer.figures.scan_paths import scan_paths
from edram_fer.figures.style import save

TITLES = {"accuracy": "Accuracy", "mean_class_accuracy": "Mean class accuracy", "macro_f1": "Macro F1"}
CONTRASTS = {
    "model - mean": "its own − mean windows",
    "mean - random": "mean − random windows",
    "model - shuffled": "its own − another image's",
    "model - random": "its own − random windows",
    "model - whole": "its own − the whole image",
}


def draw(study, folder):
    """Draw the figures of a comparison.

    Args:
        study: `edram_fer.comparison.study.Study`; folder: Path.

    Returns: {name: path} of what the page shows, .svg or .png; beside each lies the same as .pdf.
    """
    written = {}
    for name, figure in {**_of_numbers(study), **_of_faces(study)}.items():
        written[name.split(".")[0]] = save(figure, folder / name)
        save(figure, (folder / name).with_suffix(".pdf"))
    return written


def _of_numbers(study):
    tables, names, present = study.tables, study.names, study.runs.present
    emotions, ends = {name: name for name in present}, {"low": "{}_low", "high": "{}_high"}
    drawn = {
        "scores.svg": dots(
            tables["scores"], names, {name: name for name in names}, TITLES, group="run", value="{}", **ends
        ),
        "recalls.svg": dots(
            tables["recalls"], names, emotions, {"recall": "Recall"}, group="emotion", value="{}", **ends
        ),
    }
    plain = [row for row in tables["splits"] if row["average"] is None]
    if len(splits := dict.fromkeys(row["split"] for row in plain)) > 1:
        drawn["splits.svg"] = dots(
            plain, names, {name: name for name in splits}, {"": "Accuracy"}, group="split", value="accuracy"
        )
    if tables["robustness"]:
        drawn["robustness.svg"] = robustness_curves(tables["robustness"], names)
    if study.exits:
        drawn["accuracy_after_glimpse.svg"] = accuracy_curves(tables["accuracy_after_glimpse"], names)
        drawn["early_exit.svg"] = exit_curves(study.exits, names)
    if every := [row for row in tables["glimpses"] if row["emotion"] == "all"]:
        drawn["glimpses.svg"] = glimpse_steps(every, names, study.faces["all"])
    if study.regions:
        together = [row for row in tables["regions"] if row["glimpse"] == "all"]
        panels = {region: region for region in next(iter(study.regions.values()))["regions"]}
        drawn["regions.svg"] = dots(
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
            label="share of the attention / share of the area",
        )
    if people := tables["human_agreement"]:
        asked = {row["measure"] for row in people}
        panels = {name: title for name, title in MEASURES.items() if name in asked}
        paths = {name: panels.pop(name) for name in list(panels) if name in PATH_MEASURES}
        for name, chosen in (("human_agreement.svg", panels), ("human_agreement_paths.svg", paths)):
            if chosen:
                held = {
                    row["candidate"] for row in people if row["measure"] in chosen
                }  # a path has no blob in the middle
                candidates = {key: title for key, (title, _) in CANDIDATES.items() if key in held}
                drawn[name] = dots(
                    people,
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
        asked = {row["windows"] for row in contrasts}
        groups = {name: title for name, title in CONTRASTS.items() if name in asked}
        drawn["window_ablation.svg"] = dots(
            contrasts, names, groups, {"": "Difference of the accuracies"}, group="windows", reference=0
        )
    return drawn


def _of_faces(study):
    runs, drawn = study.runs, {}
    top = scale([values.max() for maps in study.maps.values() for values in maps.values()]) if study.maps else None
    for number, run in enumerate(runs.runs, 1):
        if run.has_windows:
            drawn[f"heatmaps_{number}.png"] = heatmaps(
                study.images,
                run.predictions["windows"],
                run.predictions["weights"],
                runs.truth,
                runs.present,
                by_step=run.recurrent,
                top=top,
            )
        if run.name in study.differences:
            drawn[f"differences_{number}.png"] = _difference(study, run.name)
    if study.occlusion:
        maps = [[own.mean(group) for group in study.faces] for own in study.occlusion.values()]
        labels = [(name, len(own.ids)) for name, own in study.occlusion.items()]
        drawn["saliency.png"] = run_maps(list(study.faces.values()), maps, labels, list(study.faces))
    for number, rows in enumerate(study.samples.values(), 1):
        drawn[f"paths_{number}.png"] = _paths(study, rows)
    return drawn


def _difference(study, name):
    maps = study.differences[name]
    steps = sorted(next(iter(maps.values())), key=lambda step: step == "mean")  # the mean last, as in the heat maps
    titles = ["mean" if step == "mean" else f"glimpse {step}" for step in steps]
    return difference_maps(
        [study.faces[group] for group in maps],
        [[each[step] for step in steps] for each in maps.values()],
        [(group, None) for group in maps],
        titles,
        meaning=f"{name}: more or less\nthan {next(iter(study.maps))}",
    )


def _paths(study, rows):
    """The same faces under each run, a row of faces for each; a run without windows in time order has no paths."""
    titles, windows = [], []
    for run in study.runs.runs:
        for row in rows:
            said, truth = run.predictions["prediction"][row], study.runs.truth[row]
            titles.append(f"✓ {said}" if said == truth else f"✗ {said} ({truth})")
            windows.append(run.predictions["windows"][row] if run.has_windows and run.recurrent else None)
    images = study.images[list(rows) * len(study.names)]
    return scan_paths(images, windows, titles, columns=len(rows), rows=study.names)
