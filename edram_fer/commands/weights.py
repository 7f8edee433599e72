"""The command that describes and verifies the included models."""

from typing import Annotated

import typer

from edram_fer.errors import UserError

ACTIONS = ("list", "card", "path", "verify")


def weights(
    action: Annotated[
        str,
        typer.Argument(
            help="list: a table of all models; card: the model card; path: where the file is; verify: compare the file "
            "with its SHA-256."
        ),
    ] = "list",
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Names of included models [default: all].")
    ] = None,
) -> None:
    """List, describe, locate or verify the trained models that are included in the package."""
    from edram_fer import weights as included

    if action not in ACTIONS:
        raise typer.BadParameter(f"expected one of {', '.join(ACTIONS)}, got {action!r}", param_hint="ACTION")
    chosen = names or included.list_weights()
    entries = {name: included.entry(name) for name in chosen}  # raises for an unknown name before anything is printed
    if action == "list":
        _print_table(entries)
    elif action == "verify":
        _verify(entries)
    for name in chosen:
        if action == "card":
            typer.echo(included.card_path(name).read_text(encoding="utf-8"))
        elif action == "path":
            typer.echo(included.model_path(name))


def _verify(entries):
    from edram_fer import weights as included

    errors = []
    for name, entry in entries.items():
        try:
            typer.echo(f"{name}: {included.verify(name)} has SHA-256 {entry['sha256']}, as included")
        except UserError as error:
            errors.append(str(error))
    if errors:
        raise UserError("; ".join(errors))


def _print_table(entries):
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Column, Table

    titles = ("model", "data", "test accuracy", "ECE", "MB")
    name = Column("name", no_wrap=True, min_width=max(map(len, entries)))  # to be copied, so never cut
    table = Table(name, *titles, box=SIMPLE_HEAD, pad_edge=False)
    for name, entry in entries.items():
        test = entry["scores"]["test"]
        low, high = test["intervals"]["accuracy"]
        accuracy = f"{test['accuracy']:.1%} ({100 * low:.1f} to {100 * high:.1f})"
        size = f"{entry['bytes'] / 1e6:.1f}"
        table.add_row(name, entry["model"], entry["data"]["source"], accuracy, f"{test['ece']:.1%}", size)
    Console().print(table)
    typer.echo("A prediction is a guess about an expression, not about a feeling: edram-fer weights card NAME")
