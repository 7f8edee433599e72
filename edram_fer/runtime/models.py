"""Exported models in ONNX Runtime and LiteRT, with what `edram_fer.evaluation.inference.predict` needs of a model."""

import abc
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edram_fer import archives, keras_file
from edram_fer.errors import MissingFileError, UserError
from edram_fer.runtime import sessions
from edram_fer.runtime.description import FILE, NEEDS_A_CARD, WINDOWS_INPUT, Description, check_size

TOLERANCE = 1e-3  # as `edram_fer.models.images.TOLERANCE`: resampling may exceed [0, 1] by this much


class ExportedModel(abc.ABC):
    """A model that `edram_fer.export` wrote. Call it like the model that was exported; it returns NumPy arrays.

    Attributes:
        path: the file.
        description: its metadata.
        emotions: class names in the order of the logits, or None.
        preprocessing: how to crop its faces from photos, or None.
        calibration: how its probabilities are calibrated, or None.
        predicts_affect: whether it predicts valence and arousal.
    """

    def __init__(self, path: Path, description: Description) -> None:
        self.path, self.description = path, description
        self.emotions = description.emotions
        self.preprocessing = description.preprocessing
        self.calibration = description.calibration
        self.predicts_affect = description.predicts_affect

    @property
    def temperature(self) -> tuple[float, ...]:
        """The numbers by which the logits are divided before the softmax: one for all steps, or one for each."""
        value = 1.0 if self.calibration is None else self.calibration["temperature"]
        return tuple(map(float, value)) if isinstance(value, list) else (float(value),)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of its images."""
        height, width, channels = self.input_shapes()["image"][1:]
        return height, width, channels

    def input_shapes(self) -> dict[str, tuple[Any, ...]]:
        """{name: shape} of its inputs, with None for the batch size."""
        return {name: tuple(described["shape"]) for name, described in self.description.inputs.items()}

    def __call__(self, inputs: Any, training: bool = False) -> dict[str, np.ndarray]:
        """The outputs for a batch.

        Args:
            inputs: images [B, H, W, C] (uint8 in 0 to 255 or floats in [0, 1]; with one channel also [B, H, W]), or a
                dict of "image" and the other inputs of the file, such as "windows" of one exported with windows_input.
            training: an exported model cannot be trained; only False is accepted.

        Returns:
            The outputs of the exported model, float32, such as "emotion" [B, T, K].

        Raises:
            UserError: an input is missing, unknown, or of another shape, dtype or range; or the file is damaged.
        """
        if training:
            raise UserError(f"training: {self.path} can only be evaluated")
        return self.predict_on_batch(inputs)

    def predict_on_batch(self, inputs: Any) -> dict[str, np.ndarray]:
        """See `__call__`."""
        arrays = dict(inputs) if isinstance(inputs, Mapping) else {"image": inputs}
        if "windows" in arrays:
            arrays[WINDOWS_INPUT] = arrays.pop("windows")
        shapes = self.input_shapes()
        if set(arrays) != set(shapes):
            raise UserError(f"inputs: {self.path} takes {', '.join(shapes)}, got {', '.join(map(str, arrays))}")
        batch = {"image": self._image(np.asarray(arrays["image"]))}
        batch |= {name: np.asarray(arrays[name], np.float32) for name in shapes if name != "image"}
        for name, array in batch.items():
            if array.shape[1:] != shapes[name][1:] or len(array) != len(batch["image"]):
                expected = [len(batch["image"]), *shapes[name][1:]]
                raise UserError(f"{name}: expected the shape {expected}, got {list(array.shape)}")
        return self._run(batch)

    def _image(self, image: np.ndarray) -> np.ndarray:
        """Images as the file takes them: [B, H, W, C], uint8 or float32."""
        shape = self.image_shape
        if image.ndim == 3 and shape[-1] == 1:
            image = image[..., None]
        if image.shape[1:] != shape or not len(image):
            expected = ", ".join(map(str, shape))
            raise UserError(f"images: expected [B > 0, {expected}], got [{', '.join(map(str, image.shape))}]")
        is_float = np.issubdtype(image.dtype, np.floating)
        if image.dtype != np.uint8 and not is_float:
            raise UserError(f"images: expected uint8 in 0 to 255 or floats in [0, 1], got {image.dtype}")
        if is_float and not (image.min() >= -TOLERANCE and image.max() <= 1 + TOLERANCE):
            raise UserError(
                f"images: expected floats in [0, 1], or uint8 in 0 to 255; got {image.dtype} with values from "
                f"{image.min():.4g} to {image.max():.4g}"
            )
        if self.description.inputs["image"]["dtype"] == "uint8":
            return (image.clip(0, 1) * 255).round().astype(np.uint8) if is_float else image
        return image.astype(np.float32) if is_float else image.astype(np.float32) / np.float32(255)

    @abc.abstractmethod
    def _run(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The outputs for inputs of the right shapes and dtypes."""


class OnnxModel(ExportedModel):
    """An exported .onnx file in ONNX Runtime on the CPU.

    Args:
        path: the file.
        threads: threads of an operation; None: as many as cores.
        model_file: of a file that holds the graph alone (`exporting.writers.onnx_graph`): the .keras file with the
            weights, the class names, the preprocessing and the calibration.
        weight_names: the weights that the graph takes, see `keras_file.read_weights`.

    Raises:
        MissingFileError: there is no such file.
        MissingPackageError: ONNX Runtime is not installed.
        UserError: the file is damaged, or edram-fer did not export it.
    """

    def __init__(
        self,
        path: str | Path,
        threads: int | None = None,
        model_file: Path | None = None,
        weight_names: Sequence[str] = (),
    ) -> None:
        path = _existing(path)
        weights = None if model_file is None else keras_file.read_weights(model_file, weight_names)
        self.session = sessions.open_onnx(path, threads, weights)
        self.names = [output.name for output in self.session.get_outputs()]
        texts = dict(self.session.get_modelmeta().custom_metadata_map)
        if model_file is not None:
            config = keras_file.read_config(model_file)["config"]
            texts |= {name: json.dumps(config.get(name)) for name in ("emotions", "preprocessing", "calibration")}
        super().__init__(path, Description.from_texts(texts, model_file or path))

    def _run(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            return dict(zip(self.names, self.session.run(self.names, batch), strict=True))
        except sessions.onnx_errors() as error:
            raise UserError(f"{self.path}: ONNX Runtime cannot run it: {sessions.first_line(error)}") from error


class LiteRTModel(ExportedModel):
    """An exported .tflite file in LiteRT on the CPU. Not for several threads at once.

    Args:
        path: the file.
        threads: threads of an operation; None: LiteRT's default.

    Raises:
        MissingFileError: there is no such file.
        MissingPackageError: LiteRT is not installed.
        UserError: the file is damaged, or edram-fer did not export it.
    """

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        path = _existing(path)
        super().__init__(path, Description.from_json(_description(path), path))
        self.interpreter = sessions.open_litert(path, threads)
        self.runner = self.interpreter.get_signature_runner()

    def _run(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            return self.runner(**batch)
        except (ValueError, RuntimeError) as error:
            raise UserError(f"{self.path}: LiteRT cannot run it: {sessions.first_line(error)}") from error


def _description(path: Path) -> bytes:
    """The description in the archive at the end of a .tflite file."""
    kind = "a .tflite file that edram-fer exported"
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} was not exported by edram-fer, or is damaged: it holds no {FILE}; {NEEDS_A_CARD}")
    with archives.open_archive(path, kind) as archive, archives.damage(path, kind):
        sizes = {member.filename: member.file_size for member in archive.infolist()}
        if FILE not in sizes:
            raise UserError(f"{path} was not exported by edram-fer: it holds no {FILE}; {NEEDS_A_CARD}")
        check_size(path, sizes[FILE])
        return archives.read_member(archive, FILE)


RUNTIMES: dict[str, type[OnnxModel] | type[LiteRTModel]] = {".onnx": OnnxModel, ".tflite": LiteRTModel}


def load_exported(path: str | Path, threads: int | None = None) -> ExportedModel:
    """Load a model that `edram_fer.export` wrote, without Keras and TensorFlow.

    Args:
        path: a .onnx or .tflite file.
        threads: threads of an operation; None: the runtime's default.

    Returns:
        A model that takes images as the original does and returns NumPy arrays; `edram_fer.predict` takes it as well.

    Raises:
        MissingFileError: there is no such file.
        MissingPackageError: its runtime is not installed.
        UserError: another ending, a damaged file, or one that edram-fer did not export.

    >>> import edram_fer
    >>> model = edram_fer.build("deep_emotion", image_size=(48, 48), emotions=["happy", "sad", "anger"])
    >>> path = edram_fer.export(model, "model.tflite").path
    >>> exported = load_exported(path)
    >>> exported.emotions, exported(np.zeros((2, 48, 48, 1), "uint8"))["windows"].shape
    (('happy', 'sad', 'anger'), (2, 1, 2, 3))
    """
    suffix = Path(path).suffix.lower()
    if suffix not in RUNTIMES:
        raise UserError(f"{path}: expected a file that ends in {' or '.join(RUNTIMES)}")
    return RUNTIMES[suffix](path, threads)


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path} is missing")
    return path
