"""Each benchmark imports and prints its help; the documentation names only benchmarks that exist."""

import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = {  # command: its module
    **{path.stem: path.stem for path in (ROOT / "benchmarks").glob("*.py") if "def main()" in path.read_text("utf-8")},
    **{path.parent.name: f"{path.parent.name}.__main__" for path in (ROOT / "benchmarks").glob("*/__main__.py")},
}
COMMANDS = sorted(MODULES)
REQUIRED = {
    "affectnet_photos": "psutil",
    "fuzz": "psutil",
    "gpu": "jax",
    "hog_svm": "skimage",
    "model_cost": "tensorflow",
    "soak_web": "psutil",
    "steady_memory": "psutil",
    "scikit_image": "skimage",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_prints_its_help(name, monkeypatch, capsys):
    if package := REQUIRED.get(name):
        pytest.importorskip(package)
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as end:
        importlib.import_module(f"benchmarks.{MODULES[name]}").main()
    assert end.value.code == 0
    assert f"python -m benchmarks.{name}" in capsys.readouterr().out


def test_documentation_names_existing_benchmarks():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    named = {name for page in pages for name in re.findall(r"\bbenchmarks\.(\w+)", page.read_text("utf-8"))}
    named -= {"md", "json"}  # docs/benchmarks.md and docs/benchmarks.json
    assert named and named <= set(COMMANDS)
