"""The import rules of ARCHITECTURE.md, read from the source: who may import whom, no circles, one top-level name."""

import ast
import shutil
import subprocess
import sys
import zipfile

import pytest
from support.paths import FOLDERS, ROOT, modules

FORBIDDEN = {
    "preprocessing": {"edram_fer.models", "keras", "jax"},
    "models": {"edram_fer.preprocessing", "tensorflow", "tensorflow_datasets", "jax", "torch"},
    "edram_fer": set(),
}
OF_BACKENDS = {f"edram_fer.models.{name}" for name in ("tensorflow_kernels", "compiled_call", "gradients")}


def top_folder(name):
    second = name.split(".")[1] if "." in name else ""
    return second if second in FOLDERS else "edram_fer"


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


def graph(*, lazy):
    """{module: modules of the package that it imports}."""
    paths, edges = modules(), {}
    for name, path in paths.items():
        imported_modules = {
            imported for imported in imports(path, package_of(name, path), lazy=lazy) if imported in paths
        }
        parents = {imported.rpartition(".")[0] for imported in imported_modules} & set(
            paths
        )  # importing a.b runs a first
        above = {name[:i] for i, letter in enumerate(name) if letter == "."}
        edges[name] = (imported_modules | parents) - above - {name}
    return edges


def circle(edges):
    """The names of a circle in {name: names}, or None."""
    finished, path = set(), []

    def visit(name):
        if name in path:
            return [*path[path.index(name) :], name]
        if name not in finished:
            path.append(name)
            for other in sorted(edges[name]):
                if names := visit(other):
                    return names
            finished.add(path.pop())
        return None

    return next((names for name in sorted(edges) if (names := visit(name))), None)


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_import_only_what_they_may(folder):
    paths = {name: path for name, path in modules().items() if top_folder(name) == folder}
    assert paths
    for name, path in paths.items():
        lazy = name not in OF_BACKENDS  # they may, inside functions
        for imported in imports(path, package_of(name, path), lazy=lazy):
            names = {imported.split(".")[0], ".".join(imported.split(".")[:2])}
            assert not names & FORBIDDEN[folder], f"{path.relative_to(ROOT)} imports {imported}"
            assert imported.split(".")[0] not in {"train", "evaluate", "tests", "benchmarks"}, path
            shared = imported.startswith("edram_fer.errors")
            if folder != "edram_fer" and imported.startswith("edram_fer.") and not shared:
                assert top_folder(imported) == folder, f"{path.relative_to(ROOT)} imports {imported}"


@pytest.mark.parametrize("script", ["train.py", "evaluate.py"])
def test_the_scripts_import_only_the_package(script):
    path = ROOT / script
    assert {name.split(".")[0] for name in imports(path, "")} == {"sys", "edram_fer"}
    assert len(path.read_text().splitlines()) <= 12


def test_models_and_preprocessing_are_imported_through_the_package():
    """Imported under two names, every class would exist twice."""
    for folder in (*FOLDERS, "tests", "benchmarks", "docs"):
        for path in (ROOT / folder).rglob("*.py"):
            tops = {name.split(".")[0] for name in imports(path, "")}
            assert not tops & {"models", "preprocessing"}, path.relative_to(ROOT)


def test_no_module_needs_what_only_posix_has():
    only_posix = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
    for name, path in modules().items():
        assert not only_posix & set(imports(path, package_of(name, path))), f"{path.relative_to(ROOT)}"


@pytest.mark.parametrize("lazy", [False, True], ids=["at import time", "inside functions, too"])
def test_no_module_imports_itself_through_others(lazy):
    names = circle(graph(lazy=lazy))
    assert names is None, " -> ".join(names)


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


def test_the_folders_of_the_package_form_no_circle():
    """Data flow one way: a folder imports only from those before it."""
    folders = {}
    for name, others in graph(lazy=True).items():
        folder = ".".join(name.split(".")[:2])
        folders.setdefault(folder, set()).update(".".join(other.split(".")[:2]) for other in others)
    edges = {
        name: {other for other in others if other != name and other != "edram_fer"} for name, others in folders.items()
    }
    edges.pop("edram_fer")  # its functions import what they offer when they are called
    names = circle(edges)
    assert names is None, " -> ".join(names)


def test_the_command_line_starts_without_keras():
    heavy = {"keras", "tensorflow", "jax", "cv2", "matplotlib"}
    code = f"import sys, edram_fer.cli; sys.exit(' '.join({heavy} & set(sys.modules)) or 0)"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


def test_a_wheel_holds_one_top_level_name(tmp_path):
    copy = tmp_path / "copy"  # setuptools would leave a build/ in the checkout, and take from it what was deleted since
    sources = (
        "edram_fer",
        "models",
        "preprocessing",
        "setup.cfg",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "MANIFEST.in",
    )
    for name in sources:
        copy_of = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy.mkdir(exist_ok=True)
        copy_of(ROOT / name, copy / name, **({"symlinks": True} if (ROOT / name).is_dir() else {}))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    subprocess.run([*command, tmp_path, copy], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"edram_fer"}
    assert len([name for name in names if name.endswith(".py")]) == len(modules())
    sources = ("models/edram/edram.py", "preprocessing/datasets/fer2013/README.md")
    included = (f"weights/{name}" for name in ("registry.json", "fer2013-edram.keras", "fer2013-edram.md"))
    assert {f"edram_fer/{name}" for name in (*sources, *included)} <= set(names)
    assert not [name for name in names if "dummy_data" in name]
