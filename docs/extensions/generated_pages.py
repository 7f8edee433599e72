"""Generate pages and notebooks from the package and the tutorials at the start of a build, in docs/_generated."""

import dataclasses
import importlib
import inspect
from pathlib import Path

import jupytext
import typer
from sphinx.util.display import status_iterator

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
GENERATED = DOCS / "_generated"
DATASETS = ROOT / "preprocessing" / "datasets"
TITLES = {
    "affectnet": "AffectNet",
    "ck_plus": "CK+",
    "drawn_faces": "Drawn faces",
    "expw": "ExpW",
    "fer2013": "FER2013",
    "ferg": "FERG",
    "ferplus": "FERPlus",
    "folder": "Folders of images",
    "jaffe": "JAFFE",
    "kdef": "KDEF",
    "raf_db": "RAF-DB",
    "sfew": "SFEW",
    "table": "Tables of images",
}


def setup(app):
    app.connect("builder-inited", _generate)
    return {"parallel_read_safe": True}


def _generate(app):
    pages = {"commands.md": commands, "recipes.md": recipes, **{f"datasets/{name}.md": name for name in TITLES}}
    for name in status_iterator(pages, "writing pages... ", length=len(pages)):
        make = pages[name]
        _write(GENERATED / name, dataset(make) if isinstance(make, str) else make())
    for tutorial in sorted((DOCS / "tutorials").glob("*.md")):
        if tutorial.stem != "index":
            _write(GENERATED / "notebooks" / f"{tutorial.stem}.ipynb", notebook(tutorial))


def _write(path: Path, text: str) -> None:
    """Write a page only if its text has changed, so that an unchanged page is not read again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def commands() -> str:
    """Every command with its arguments and options, as shown by `--help`."""
    from edram_fer.cli import app

    group = typer.main.get_command(app)
    context = group.make_context("edram-fer", [], resilient_parsing=True)
    lines = ["# Commands", "", f"`edram-fer COMMAND --help` shows the same. {group.help}", ""]
    for name, command in group.commands.items():
        inner = command.make_context(name, [], parent=context, resilient_parsing=True)
        usage = " ".join([f"edram-fer {name}", *command.collect_usage_pieces(inner)])
        lines += [f"## {name}", "", inspect.cleandoc(command.help), "", "```text", usage, "```", ""]
        records = [parameter.get_help_record(inner) for parameter in command.params]
        for flags, meaning in (record for record in records if record and not record[0].startswith("--help")):
            lines += [f"`{flags.strip('* ')}`", f": {_plain(meaning)}", ""]
    return "\n".join(lines)


def recipes() -> str:
    """Every recipe with its description and the settings that differ from the defaults."""
    import edram_fer
    from edram_fer.recipes import recipe

    lines = [
        "# Recipes",
        "",
        "A recipe is a short file in `edram_fer/recipes/`. This page lists the settings of each recipe that differ",
        "from the defaults; {py:class}`edram_fer.recipes.recipe.Recipe` describes all settings. `--set KEY=VALUE`",
        "changes any of them.",
        "",
    ]
    defaults = _settings(recipe.Recipe())
    for name in edram_fer.list_recipes():
        text = importlib.import_module(f"edram_fer.recipes.{name}").__doc__
        lines += [f"## {name}", "", inspect.cleandoc(text), ""]
        changed = {key: value for key, value in _settings(recipe.get(name)).items() if value != defaults.get(key)}
        lines += [*(f"- `{key}={value}`" for key, value in changed.items() if key != "name"), ""]
    return "\n".join(lines)


def _settings(resolved) -> dict[str, str]:
    """{key: value} of a recipe, in the form that `--set` accepts."""
    fields = dataclasses.asdict(resolved)
    options, augmentation = fields.pop("options"), fields.pop("augmentation")
    nested = {f"augmentation.{key}": value for key, value in augmentation.items()}
    texts = {True: "true", False: "false", None: "none"}
    return {
        key: texts[value] if isinstance(value, bool | None) else str(value)
        for key, value in {**fields, **options, **nested}.items()
    }


def dataset(name: str) -> str:
    """The README of a data set under a title, with its references."""
    text = (DATASETS / name / "README.md").read_text(encoding="utf-8")
    references = (DATASETS / name / "CITATIONS.bib").read_text(encoding="utf-8").strip()
    return f"# {TITLES[name]}\n\n`edram-fer prepare {name}`\n\n{text}\n## Citation\n\n```bibtex\n{references}\n```\n"


def notebook(tutorial: Path) -> str:
    """A tutorial as a Jupyter notebook, without the cells that only the site needs."""
    content = jupytext.read(tutorial)
    content.cells = [cell for cell in content.cells if "remove-cell" not in cell.metadata.get("tags", [])]
    for cell in content.cells:
        cell.source = "\n".join(line for line in cell.source.splitlines() if "{download}" not in line).strip()
    return jupytext.writes(content, fmt="ipynb")


def _plain(text: str) -> str:
    return " ".join(text.replace("*", r"\*").replace("[required]", "Required.").split())
