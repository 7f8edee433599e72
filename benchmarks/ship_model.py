"""Include the model of a run in the package: its file, its ONNX graph, its entry in registry.json, its model card and
docs/models.md.

    edram-fer calibrate RUN
    edram-fer evaluate RUN --split test
    edram-fer evaluate RUN --data ferplus --split test  # optional: each folder in RUN/evaluations is reported
    edram-fer robustness RUN                            # optional: covers and rotation
    python -m benchmarks.ship_model RUN NAME
    python -m benchmarks.ship_model                     # writes cards and page again, after a change of the template

All numbers come from the files of the run. The optimizer's state is dropped and the weights are stored in float16.
"""

import argparse
import re
import shlex
from pathlib import Path
from typing import Any

import jinja2

from benchmarks.model_card.training_data import training_data
from edram_fer import files, keras_file, weights
from edram_fer.errors import UserError
from edram_fer.exporting import once
from edram_fer.exporting.export import export_graph
from edram_fer.report.template import count, number, percent
from edram_fer.run import layout

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "models.md"
TEMPLATES = Path(__file__).parent / "model_card"
NOT_KEPT = ("glimpses", "bins")  # long, and in metrics.json of the run


def ship(run: Path, name: str) -> Path:
    """Copy the model of a run and describe it in registry.json.

    Args:
        run: A run folder, calibrated and evaluated.
        name: Name of the included model.

    Returns:
        The copied file.

    Raises:
        UserError: The run is not calibrated, was not evaluated since, was not evaluated on its test split, or was
            evaluated on an NPZ file, whose name says nothing to others.
    """
    source, recipe = run / layout.MODEL, files.read_json(run / layout.RECIPE)
    environment, metrics = files.read_json(run / layout.ENVIRONMENT), layout.read_metrics(run / layout.METRICS)
    calibration = keras_file.read(source)[keras_file.CONFIG]["config"].get("calibration")
    if calibration is None:
        raise UserError(f"{run} is not calibrated: run edram-fer calibrate {run}")
    if metrics["run"].get("calibration") != calibration or "test" not in metrics["splits"]:
        raise UserError(f"{run} was not evaluated on test after its calibration: run edram-fer evaluate {run}")
    if (data := metrics["run"]["data"]).endswith(".npz"):
        raise UserError(f"{run} was evaluated on {data}: evaluate it on the prepared data set, with --data NAME")
    target = weights.FOLDER / f"{name}.keras"
    keras_file.strip(source, target, half=True)
    graph_file = target.with_suffix(".onnx")
    taken = export_graph(target, graph_file)
    described = environment["data"]
    entry = {
        "file": target.name,
        "sha256": files.digest(target),
        "bytes": target.stat().st_size,
        "graph": {
            "file": graph_file.name,
            "sha256": files.digest(graph_file),
            "weights": taken,
            "architecture": once.architecture(source),
        },
        "model": metrics["run"]["model"],
        "parameters": metrics["run"]["parameters"],
        "flops": metrics["run"]["flops"],
        "emotions": metrics["run"]["emotions"],
        "recipe": recipe,
        "seed": recipe["seed"],
        "commit": environment["starts"][-1]["git_revision"],
        "command": _without_folders(environment["starts"][0]["command"]),
        "versions": metrics["run"]["versions"],
        "data": {**described, "source": data},
        "calibration": calibration,
        "scores": _scores(metrics),
        "other_data": [_other(path) for path in sorted((run / layout.EVALUATIONS).glob(f"*/{layout.METRICS}"))],
        "robustness": files.read_json(run / layout.ROBUSTNESS) if (run / layout.ROBUSTNESS).exists() else None,
    }
    registry = weights.registry() if (weights.FOLDER / weights.REGISTRY).exists() else {}
    files.write_json(weights.FOLDER / weights.REGISTRY, dict(sorted({**registry, name: entry}.items())))
    return target


def _without_folders(command: str) -> str:
    """A command without the options that name folders of the machine on which it ran."""
    words = shlex.split(command)
    for option in ("--out", "--data-dir"):
        if option in words:
            del words[words.index(option) : words.index(option) + 2]
    return shlex.join(word for word in words if not word.startswith(("--out=", "--data-dir=")))


def _scores(metrics: dict[str, Any]) -> dict[str, Any]:
    """The scores of validation and of all test splits, without what is long."""

    def short(values):
        kept = {key: value for key, value in values.items() if key not in NOT_KEPT}
        return {key: short(value) if isinstance(value, dict) else value for key, value in kept.items()}

    splits = metrics["splits"].items()
    return {split: short(scores) for split, scores in splits if not split.startswith("validation_")}


def _other(path: Path) -> dict[str, Any]:
    metrics = layout.read_metrics(path)
    return {"source": metrics["run"]["data"], "scores": _scores(metrics)}


def card(name: str) -> str:
    """The model card of an included model, from registry.json."""
    return _render("card.md", name=name, entry=weights.entry(name))


def page() -> str:
    """docs/models.md: all included models in one table, and their cards."""
    return _render(
        "page.md", entries=weights.registry(), cards={name: _body(card(name)) for name in weights.list_weights()}
    )


def _body(text: str) -> str:
    """A card without its metadata block, with its headings one level lower."""
    body = text.split("\n---\n", 1)[1].strip()
    return "\n".join(f"#{line}" if line.startswith("#") else line for line in body.splitlines())


def _render(template: str, **values: Any) -> str:
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"percent": percent, "number": number, "count": count}
    text = environment.get_template(template).render(training_data=training_data, **values)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def write() -> None:
    """Write the cards of all included models and docs/models.md."""
    for name in weights.list_weights():
        with files.replace(weights.card_path(name)) as temporary:
            temporary.write_text(card(name), encoding="utf-8")
    with files.replace(PAGE) as temporary:
        temporary.write_text(page(), encoding="utf-8")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", metavar="RUN", help="run folder")
    parser.add_argument("name", nargs="?", metavar="NAME", help="name of the included model")
    options = parser.parse_args()
    if options.run is not None:
        if options.name is None:
            parser.error("RUN needs a NAME")
        ship(options.run, options.name)
    write()


if __name__ == "__main__":
    main()
