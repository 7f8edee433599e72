"""What is installed here and what is missing, after the metadata of packages alone: Keras needs not even start."""

import importlib.metadata
import platform
import re

from packaging.requirements import Requirement

PACKAGES = ("edram-fer", "keras", "tensorflow", "tensorflow-datasets", "jax", "numpy", "scikit-learn")


def versions():
    """{package: version or None where it is not installed}, Python among them."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def missing_extras():
    """{extra: names of its packages that are not installed or too old}, after the installed metadata of edram-fer.

    Without them (a checkout that was not installed) nothing is known of the extras: {}.
    """
    missing = {}
    try:
        requirements = importlib.metadata.requires("edram-fer") or []
    except importlib.metadata.PackageNotFoundError:
        return missing
    for text in requirements:
        requirement = Requirement(text)
        extras = re.findall(r"extra == ['\"]([\w-]+)['\"]", str(requirement.marker))
        for extra in extras:
            missing.setdefault(extra, [])
            if requirement.name != "edram-fer" and not _is_installed(requirement):
                missing[extra].append(requirement.name)
    return missing


def hint(module):
    """How to install a module that was not found, from the first extra that lacks it; "" where none does."""
    package = module.partition(".")[0].replace("_", "-")
    extra = next((extra for extra, missing in missing_extras().items() if package in missing), None)
    if extra is None:
        return ""
    other = "; or set KERAS_BACKEND=jax, the extra jax" if package == "tensorflow" else ""
    return f" (pip install 'edram-fer[{extra}]'{other})"


def _is_installed(requirement):
    try:
        return requirement.specifier.contains(importlib.metadata.version(requirement.name), prereleases=True)
    except importlib.metadata.PackageNotFoundError:
        return False
