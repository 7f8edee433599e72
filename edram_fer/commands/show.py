"""Commands that describe data sets, runs and the installation."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from edram_fer import startup
from edram_fer.commands.options import DataDir
from edram_fer.run import layout


def inspect(
    source: Annotated[
        str, typer.Argument(help="A prepared data set, an .npz archive, a run folder, or a folder of original files.")
    ],
    data_dir: DataDir = None,
    faulty: Annotated[
        bool, typer.Option("--faulty", help="Name every row of original files that cannot be used.")
    ] = False,
    classes: Annotated[
        str | None, typer.Option(help="Classes of a folder or table of your own: bored,engaged,confused.")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Folder that the image paths of a table are relative to.")] = None,
    column: Annotated[
        list[str] | None, typer.Option(metavar="ROLE=NAME", help="Column of a table, see prepare; may be repeated.")
    ] = None,
) -> None:
    """Describe a data set or a run. A name means the prepared data set; a folder of the same name is ./NAME."""
    is_data_set = _is_data_set_name(source)
    if is_data_set and Path(source).exists():
        typer.echo(f"{source} means the prepared data set; for the folder of that name write ./{source}", err=True)
    is_run = not is_data_set and (Path(source) / layout.RECIPE).exists()
    if not (is_data_set or is_run) and Path(source).suffix != ".npz" and (Path(source).exists() or "/" in source):
        from edram_fer.preprocessing import emotions
        from edram_fer.preprocessing.datasets import inspection

        options = {"classes": classes and emotions.parse_classes(classes), "root": root, "column": column}
        options = {name: value for name, value in options.items() if value}
        for line in inspection.inspect(source, all_faulty=faulty, **options):
            typer.echo(line)
        return
    startup.load_keras_alone()
    from rich.console import Console
    from rich.pretty import pprint

    from edram_fer import data
    from edram_fer.run import checkpoints, environment

    console = Console()
    if is_run:
        pprint(checkpoints.read_recipe(source).to_json(), console=console, expand_all=True)
        pprint(environment.read(source), console=console, expand_all=True)
        return
    described = data.describe(source, data_dir=data_dir)
    pprint(described, console=console, expand_all=True)
    for split in described["splits"]:
        counts = data.class_counts(source, split, data_dir=data_dir)
        typer.echo(f"{split}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))


def _is_data_set_name(source: str) -> bool:
    """Whether a text is a name such as "fer2013" or "drawn_faces/grey48", regardless of the current folder."""
    from edram_fer.preprocessing import datasets

    name, *config = source.split("/")
    return name in datasets.NAMES and len(config) <= 1 and config != [""]


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")] = False,
) -> None:
    """Show versions, backend, devices, missing extras and problems; exit with status 1 if there is a problem."""
    from edram_fer import installation

    versions, backend = installation.versions(), _backend()
    extras, problems = installation.missing_extras(), installation.problems()
    if as_json:
        listed = [problem._asdict() for problem in problems]
        typer.echo(json.dumps({"versions": versions, **backend, "missing": extras, "problems": listed}, indent=2))
    else:
        rows = {name: version or "not installed" for name, version in versions.items()}
        rows |= {name: ", ".join(value) if isinstance(value, list) else value for name, value in backend.items()}
        for extra, missing in extras.items():
            hint = f"missing {', '.join(missing)}: pip install 'edram-fer[{extra}]'" if missing else "complete"
            rows[f"extra {extra}"] = hint
        for name, value in rows.items():
            typer.echo(f"{name:24}{value}")
        for problem in problems:
            typer.echo(f"problem: {problem.text}. Cure: {problem.cure}")
    if problems:
        raise typer.Exit(1)


def _backend() -> dict[str, Any]:
    """{"backend", and the fields of `environment.machine`}; if it cannot be imported, the reason."""
    try:
        startup.load_keras_alone()
        from edram_fer.run import environment
    except ImportError as error:
        return {"backend": f"not there: {error}"}
    return {"backend": environment.versions()["backend"], **environment.machine()}
