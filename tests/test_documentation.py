"""The documentation names commands, options, recipes, settings and files that exist."""

import re
import shlex

import cv2
import numpy as np
import pytest
import typer
from support.paths import ROOT

from edram_fer.cli import app
from edram_fer.preprocessing import synthetic
from edram_fer.recipes import recipe as recipes

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md")),
    *(path for path in sorted((ROOT / "docs").rglob("*.md")) if not {"_build", "_generated"} & set(path.parts)),
]
COMMANDS = typer.main.get_command(app).commands
_START = r"(?:\w+=\S+ )?(?:edram-fer(?=\s)|python (?:train|evaluate)\.py|python -m benchmarks\.)"
_RELATIVE_LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)#]+)(?:#[^)]*)?\)")


def shown_commands(text):
    """The command lines in code blocks and in code within a sentence; `launch ... -- train ...` counts as two."""
    joined = re.sub(r"\\\n\s*", "", text)
    blocks = re.findall(rf"^\s*!?({_START}.*)$", joined, flags=re.MULTILINE)
    inline = re.findall(rf"(?<!`)`({_START}[^`]*)`", joined)
    commands = [*blocks, *(" ".join(command.split()) for command in inline)]
    return [part for command in commands for part in command.replace(" -- ", "\nedram-fer ").split("\n")]


def parse_command(command):
    """(name of the command of edram-fer, or of a benchmark; its arguments)."""
    words = [word for word in shlex.split(command, comments=True) if word not in ("|", ";")]
    while "=" in words[0]:  # an environment variable
        words.pop(0)
    if words[0] == "edram-fer":
        return words[1], words[2:]
    return (words[2], words[3:]) if words[1] == "-m" else (words[1].removesuffix(".py"), words[2:])


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_exist(page):
    for command in shown_commands(page.read_text(encoding="utf-8")):
        name, arguments = parse_command(command)
        if name.startswith("benchmarks."):
            module = ROOT / name.replace(".", "/")
            assert module.with_suffix(".py").exists() or (module / "__main__.py").exists(), command
        elif name.isupper() or name == "--version":
            continue  # edram-fer COMMAND --help
        else:
            assert name in COMMANDS, command
            known_flags = {
                flag for parameter in COMMANDS[name].params for flag in (*parameter.opts, *parameter.secondary_opts)
            }
            flags = {word.partition("=")[0] for word in arguments if word.startswith("--")} - {"--help"}
            assert flags <= known_flags, f"{command}: {flags - known_flags}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_recipes_and_settings_exist(page):
    for command in shown_commands(page.read_text(encoding="utf-8")):
        name, arguments = parse_command(command)
        if name not in ("train", "sweep") or not arguments or arguments[0].startswith("-"):
            continue
        pairs = zip(arguments, arguments[1:])
        settings = [value for flag, value in pairs if flag == "--set"]
        recipe = recipes.override(recipes.get(arguments[0]), settings)
        for flag, value in zip(arguments, arguments[1:]):
            if flag == "--vary":
                key, _, values = value.partition("=")
                for option in values.split(","):
                    recipes.override(recipe, [f"{key}={option}"])


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_linked_files_exist(page):
    for target in _RELATIVE_LINK.findall(page.read_text(encoding="utf-8")):
        if "_generated" not in target:
            assert (page.parent / target).exists(), target


def test_what_does_not_exist_is_noticed():
    text = "Run `edram-fer\nlook RUN`:\n\n    edram-fer train demo --sett a=1 \\\n        --out x  # comment\n"
    assert [parse_command(command) for command in shown_commands(text)] == [
        ("train", ["demo", "--sett", "a=1", "--out", "x"]),
        ("look", ["RUN"]),
    ]


@pytest.mark.parametrize("name", ["README.md", "docs/getting-started.md", "docs/howto/predict.md"])
def test_python_examples_run(name, tmp_path, monkeypatch):
    """With four faces as `faces`, and a photo and a folder of photos in the current folder."""
    faces = np.stack([synthetic.draw(0, number, size=48).image for number in range(4)])
    for path in ("photo.jpg", "folder/a.jpg", "folder/of/photos/b.jpg"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / path), synthetic.draw(0, 0, size=120, colour=True).image)
    monkeypatch.chdir(tmp_path)
    names = {"faces": faces}
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, name, "exec"), names)
    assert len(names["table"]) >= 1
