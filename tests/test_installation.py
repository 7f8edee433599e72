"""What doctor says of an installation, on folders of packages made for the test; Matplotlib's backend."""

import importlib
import json
import os
import subprocess
import sys

import pytest
from support.paths import ROOT

import edram_fer
from edram_fer import cli, installation

METADATA = """Metadata-Version: 2.4
Name: edram-fer
Version: 0.3.1
Requires-Dist: opencv-python-headless<5,>=4.13
Requires-Dist: tqdm>=4.66
Requires-Dist: winonly; sys_platform == "win32"
Requires-Dist: tensorflow>=2.21; extra == "tensorflow"
Requires-Dist: jax>=0.4.38; extra == "jax"
Provides-Extra: tensorflow
Provides-Extra: jax
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """install(package, version, {file: content}) into an empty folder of packages, the only one that is looked in."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    def install(package, version, files=(), metadata=None):
        folder = tmp_path / f"{package.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(metadata or f"Metadata-Version: 2.4\nName: {package}\nVersion: {version}\n")
        rows = []
        for name, content in dict(files).items():
            (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
            (tmp_path / name).write_text(content)
            rows.append(f"{name},,{len(content)}")
        (folder / "RECORD").write_text("\n".join([*rows, "cv2/__pycache__/x.pyc,,", ""]))
        importlib.invalidate_caches()
        return tmp_path

    install("edram-fer", "0.3.1", metadata=METADATA)
    install("tqdm", "4.67")
    return install


def test_versions_missing_extras_and_hints(site):
    site("opencv-python-headless", "4.13.0.92", {"cv2/cv2.so": "library"})
    site("jax", "0.4.30")
    versions = installation.versions()
    assert versions["edram-fer"] == "0.3.1" and versions["opencv-python-headless"] == "4.13.0.92"
    assert versions["jax"] == "0.4.30" and versions["tensorflow"] is None and versions["python"].startswith("3.")
    assert installation.missing_extras() == {"tensorflow": ["tensorflow"], "jax": ["jax"]}  # this jax is too old
    assert installation.hint("tensorflow.keras").startswith(" (pip install 'edram-fer[tensorflow]'; or set")
    assert installation.hint("tqdm") == "" and installation.problems() == []


@pytest.mark.parametrize("package", installation.OPENCV)
def test_any_package_of_opencv_will_do(site, package):
    site(package, "4.13.0.92", {"cv2/cv2.so": "library"})
    assert installation.problems() == [] and installation.versions()[package] == "4.13.0.92"


def test_packages_that_are_missing_or_too_new(site):
    assert installation.problems() == [
        ("opencv-python-headless is not installed", "pip install 'opencv-python-headless<5,>=4.13'")
    ]
    site("opencv-python-headless", "5.0.0.1", {"cv2/cv2.so": "library"})
    (problem,) = installation.problems()
    assert problem.text == "opencv-python-headless is 5.0.0.1; expected <5,>=4.13"


def test_two_packages_of_opencv_and_what_is_left_of_them(site):
    reinstall = "pip install --force-reinstall --no-deps 'opencv-python-headless<5,>=4.13'"
    site("opencv-python-headless", "4.13.0.92", {"cv2/cv2.so": "headless", "cv2/version.py": "4.13"})
    folder = site("opencv-python", "4.12.0.88", {"cv2/cv2.so": "with windows", "cv2/qt/plugin.so": "window"})
    (problem,) = installation.problems()
    assert problem.text.startswith("opencv-python-headless and opencv-python are both installed")
    assert problem.cure == f"pip uninstall --yes opencv-python-headless opencv-python && {reinstall}"

    for file in (folder / "opencv_python-4.12.0.88.dist-info").iterdir():  # pip takes the record and the files
        file.unlink()
    (folder / "opencv_python-4.12.0.88.dist-info").rmdir()
    importlib.invalidate_caches()
    (problem,) = installation.problems()  # overwritten
    assert problem.text.startswith("1 files of opencv-python-headless are missing or were overwritten, among them cv2")
    assert problem.cure == reinstall
    (folder / "cv2/cv2.so").unlink()
    (problem,) = installation.problems()  # gone
    assert problem.cure == reinstall
    (folder / "cv2/cv2.so").write_text("headless")
    assert installation.problems() == []


def test_the_version_of_a_checkout(site, tmp_path, monkeypatch):
    for file in (tmp_path / "edram_fer-0.3.1.dist-info").iterdir():
        file.unlink()
    (tmp_path / "edram_fer-0.3.1.dist-info").rmdir()
    importlib.invalidate_caches()
    text = (ROOT / "setup.cfg").read_text()
    assert f"\nversion = {installation.version()}\n" in text
    monkeypatch.setattr(installation, "__file__", str(tmp_path / "edram_fer" / "installation.py"))
    assert installation.version() == "0+unknown"
    assert edram_fer.__version__[0].isdigit()


def test_doctor_for_programs(capsys, monkeypatch):
    """`doctor --json` says the same as `doctor`; a problem ends in status 1 and its cure."""
    cure = installation.Problem("the sky is falling", "hold it")
    for problems, code in (([], 0), ([cure], 1)):
        monkeypatch.setattr(installation, "problems", lambda problems=problems: problems)
        with pytest.raises(SystemExit) as end:
            cli.main(["doctor", "--json"])
        content = json.loads(capsys.readouterr().out)
        assert (end.value.code or 0) == code and content["versions"]["edram-fer"] == edram_fer.__version__
        assert content["problems"] == [problem._asdict() for problem in problems]
        assert content["backend"] in ("tensorflow", "jax") and content["cores"] > 0
        assert content["missing"].keys() == installation.missing_extras().keys()
    with pytest.raises(SystemExit) as end:
        cli.main(["doctor"])
    assert end.value.code == 1 and "problem: the sky is falling. Cure: hold it" in capsys.readouterr().out


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "no_such_backend"])
def test_the_command_line_draws_without_the_backend_of_a_notebook(backend):
    code = (
        "from edram_fer import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "import matplotlib.pyplot as plt; print(plt.get_backend())"
    )
    settings = os.environ | {"MPLBACKEND": backend, "PYTHONPATH": str(ROOT)}
    process = subprocess.run([sys.executable, "-c", code], env=settings, capture_output=True, text=True)
    assert process.stdout.endswith("\nagg\n"), process.stderr


def test_the_package_leaves_the_backend_alone(tmp_path):
    code = (
        "import sys, matplotlib\n"
        "from edram_fer.figures import confusion, style\n"
        "style.save(confusion.confusion([[3, 1], [0, 2]], ['sad', 'happy']), sys.argv[1])\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "print(matplotlib.get_backend())"
    )
    settings = os.environ | {"MPLBACKEND": "svg", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, str(tmp_path / "figure.png")]
    process = subprocess.run(command, env=settings, capture_output=True, text=True)
    assert process.stdout == "svg\n" and (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG"), process.stderr
