"""Trained models that come with the package: `edram_fer.load(name)`.

    python -m benchmarks.ship_model RUN NAME

puts the model of a run among them. Their weights are kept in float16, half the size, which moves outputs by about a
thousandth. What each was trained on and what it scores stands in docs/results.md.
"""

import io
import zipfile
from pathlib import Path

import h5py
import numpy as np

from edram_fer import files
from edram_fer.errors import UserError

FOLDER = Path(__file__).parent
_HDF5 = "model.weights.h5"


def names():
    """The models that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.keras"))


def model_path(name):
    """The .keras file of one of `names()`."""
    return FOLDER / f"{name}.keras"


def halve(source, target):
    """Copy a .keras file with its weights in float16, without the optimizer's state. A value that float16 cannot hold
    raises ValueError.

    Keras casts what it reads to the dtype of each variable, so that the copy loads as the original does.
    """
    with files.replace(target) as temporary, zipfile.ZipFile(source) as old:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as new:
            for name in old.namelist():
                content = old.read(name)
                new.writestr(name, _halved(content) if name == _HDF5 else content)


def _halved(content):
    """An HDF5 file, as bytes, with its float32 arrays in float16 and without the group of the optimizer."""
    result = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as old, h5py.File(result, "w") as new:

        def copy(path, item):
            if path.partition("/")[0] == "optimizer":
                return
            if isinstance(item, h5py.Group):
                made = new.require_group(path)
            else:
                values = item[()]
                if values.dtype == np.float32:
                    with np.errstate(over="ignore"):  # told below
                        values = values.astype(np.float16)
                    if not np.isfinite(values).all():
                        raise UserError(f"{path}: float16 cannot hold its values, up to {np.abs(item[()]).max():.3g}")
                made = new.create_dataset(path, data=values)
            made.attrs.update(item.attrs)

        new.attrs.update(old.attrs)
        old.visititems(copy)
    return result.getvalue()
