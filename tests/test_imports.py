"""The import rule of ARCHITECTURE.md, read from the source: who may import whom, and no circles."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("preprocessing", "models", "edram_fer")
FORBIDDEN = {
    "preprocessing": {"models", "edram_fer", "keras", "jax"},
    "models": {"preprocessing", "edram_fer", "tensorflow", "tensorflow_datasets", "jax", "torch"},
    "edram_fer": set(),
}
KERNELS = "models.tensorflow_kernels"


def modules():
    """{dotted name: path} of every module in the three rooms."""
    paths = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imports(path, package, *, lazy=True):
    """Dotted names that a file imports; with `lazy` also inside functions."""
    nodes = [ast.parse(path.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            name = ".".join(part for part in (base, node.module) if part)
            yield name
            yield from (f"{name}.{alias.name}" for alias in node.names)
        elif lazy or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            nodes.extend(ast.iter_child_nodes(node))


def package_of(name, path):
    return name if path.name == "__init__.py" else name.rpartition(".")[0]


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_what_they_may(room):
    found = {name: path for name, path in modules().items() if name.split(".")[0] == room}
    assert found
    for name, path in found.items():
        lazy = name != KERNELS  # it may, inside functions
        tops = {imported.split(".")[0] for imported in imports(path, package_of(name, path), lazy=lazy)}
        assert not tops & FORBIDDEN[room], f"{path.relative_to(ROOT)} imports {sorted(tops & FORBIDDEN[room])}"
        assert not tops & {"train", "evaluate", "tests", "benchmarks"}, path


@pytest.mark.parametrize("script", ["train.py", "evaluate.py"])
def test_the_scripts_import_only_the_package(script):
    path = ROOT / script
    assert {name.split(".")[0] for name in imports(path, "")} == {"sys", "edram_fer"}
    assert len(path.read_text().splitlines()) <= 12


def test_no_circles_at_import_time():
    known = modules()
    graph = {}
    for name, path in known.items():
        named = {imported for imported in imports(path, package_of(name, path), lazy=False) if imported in known}
        parents = {imported.rpartition(".")[0] for imported in named} & set(known)  # importing a.b runs a first
        above = {name[: i] for i, letter in enumerate(name) if letter == "."}
        graph[name] = (named | parents) - above - {name}
    done, path = set(), []

    def visit(name):
        assert name not in path, "circle: " + " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            path.append(name)
            for other in sorted(graph[name]):
                visit(other)
            done.add(path.pop())

    for name in sorted(graph):
        visit(name)


def test_the_command_line_starts_without_keras():
    rooms = [ROOT / "edram_fer" / f"{name}.py" for name in ("cli", "startup", "installation", "settings")]
    for file in [*rooms, *(ROOT / "edram_fer" / "commands").glob("*.py")]:
        light = {"edram_fer", "edram_fer.startup", "edram_fer.installation", "edram_fer.settings"}
        names = {name for name in imports(file, "edram_fer", lazy=False) if ".commands" not in name} - light
        heavy = {"keras", "tensorflow", "models", "preprocessing", "edram_fer"}
        assert not {name.split(".")[0] for name in names} & heavy, file
