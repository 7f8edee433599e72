"""Installed, missing and broken packages, from package metadata alone, without importing Keras."""

import configparser
import csv
import importlib.metadata
import platform
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement

PACKAGES = ("keras", "tensorflow", "tensorflow-datasets", "jax", "numpy", "scikit-learn")
# OpenCV's packages all install the folder cv2: any one of them is enough, two overwrite each other.
OPENCV = ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python")


class Problem(NamedTuple):
    """A problem with the installation, and the shell command that repairs it."""

    text: str
    cure: str


def version() -> str:
    """The version of the installed package, or the version in setup.cfg for a checkout that is not installed."""
    installed = _version("edram-fer")
    if installed is not None:
        return installed
    settings = configparser.ConfigParser()
    settings.read(Path(__file__).parents[1] / "setup.cfg", encoding="utf-8")
    return settings.get("metadata", "version", fallback="0+unknown")


def versions() -> dict[str, str | None]:
    """{package: version, or None if it is not installed}, including Python and, after its package, OpenCV itself."""
    python = {"python": platform.python_version(), "edram-fer": version()}
    opencv = [name for name in OPENCV if _version(name)] or OPENCV[:1]
    return python | {package: _version(package) for package in (*PACKAGES, *opencv)}


def missing_extras() -> dict[str, list[str]]:
    """{extra: names of its packages that are not installed or too old}, from the metadata of edram-fer.

    A checkout that is not installed has no metadata: {}.
    """
    missing: dict[str, list[str]] = {}
    for requirement, extras in _requirements():
        for extra in extras:
            missing.setdefault(extra, [])
            if requirement.name != "edram-fer" and not _is_satisfied(requirement):
                missing[extra].append(requirement.name)
    return missing


def hint(module: str) -> str:
    """How to install a missing module: the first extra that lacks it; "" if no extra does."""
    package = module.partition(".")[0].replace("_", "-")
    extra = next((extra for extra, missing in missing_extras().items() if package in missing), None)
    if extra is None:
        return ""
    other = "; or set KERAS_BACKEND=jax, the extra jax" if package == "tensorflow" else ""
    return f" (pip install 'edram-fer[{extra}]'{other})"


def problems() -> list[Problem]:
    """Core packages that are missing or have an unsupported version, and a damaged OpenCV."""
    core = [requirement for requirement, extras in _requirements() if not extras]
    unsatisfied = [_unsatisfied(requirement) for requirement in core if not _is_satisfied(requirement)]
    opencv = [requirement for requirement in core if requirement.name == OPENCV[0]] or [Requirement(OPENCV[0])]
    return [*unsatisfied, *_opencv_problems(opencv[0])]


def _opencv_problems(requirement: Requirement) -> Iterator[Problem]:
    """At most one problem: two packages share the folder cv2, or files of the only package are missing or replaced.

    pip lets a second package overwrite the files of the first, and removes them when it uninstalls either package.
    """
    installed = [name for name in OPENCV if _version(name)]
    reinstall = f"pip install --force-reinstall --no-deps '{OPENCV[0]}{requirement.specifier}'"
    if len(installed) > 1:
        text = f"{' and '.join(installed)} are both installed and overwrite each other's files"
        yield Problem(text, f"pip uninstall --yes {' '.join(installed)} && {reinstall}")
        return
    damaged = [file for package in installed for file in _damaged_files(package)]
    if damaged:
        text = f"{len(damaged)} files of {installed[0]} are missing or were overwritten, among them {damaged[0]}"
        yield Problem(text, reinstall.replace(OPENCV[0], installed[0]))


def _damaged_files(package: str) -> list[str]:
    """The files of a package that are missing or differ in size from its metadata."""
    # Not `importlib.metadata.files`, which since Python 3.12 leaves out the missing ones.
    distribution = importlib.metadata.distribution(package)
    rows = csv.reader((distribution.read_text("RECORD") or "").splitlines())
    return [path for path, _, size in rows if size and _size(Path(str(distribution.locate_file(path)))) != int(size)]


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _unsatisfied(requirement: Requirement) -> Problem:
    installed = _version(requirement.name)
    state = "not installed" if installed is None else f"{installed}; expected {requirement.specifier}"
    return Problem(f"{requirement.name} is {state}", f"pip install '{requirement.name}{requirement.specifier}'")


def _requirements() -> Iterator[tuple[Requirement, list[str]]]:
    """Each requirement of edram-fer that applies to this Python and system, and the extras that it belongs to."""
    try:
        requirements = importlib.metadata.requires("edram-fer") or []
    except importlib.metadata.PackageNotFoundError:
        return
    for text in requirements:
        requirement = Requirement(text)
        extras = re.findall(r"extra == ['\"]([\w-]+)['\"]", str(requirement.marker))
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            yield requirement, extras


def _is_satisfied(requirement: Requirement) -> bool:
    names = OPENCV if requirement.name in OPENCV else (requirement.name,)
    versions = filter(None, map(_version, names))
    return any(requirement.specifier.contains(version, prereleases=True) for version in versions)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
