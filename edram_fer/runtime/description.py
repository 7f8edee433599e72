"""What an exported file says about its model, in its own metadata."""

import dataclasses
import json
import reprlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edram_fer import files
from edram_fer.errors import UserError, reason
from edram_fer.preprocessing.emotions import checked_classes

FILE = "edram_fer.json"  # the description in the archive at the end of a .tflite file, and in a SavedModel's assets

LARGEST = 1_000_000  # bytes; a description has a few thousand
NEEDS_A_CARD = "the model of somebody else needs a card, see docs/howto/foreign-models.md"
WINDOWS_INPUT = "windows_input"  # the model's input "windows": in ONNX no input can have the name of an output


@dataclasses.dataclass(frozen=True)
class Description:
    """A model that was exported.

    Attributes:
        model: name of its class.
        emotions: class names in the order of the logits; None: unknown.
        preprocessing, calibration: see `edram_fer.models.FERModel`; the logits are not divided by the temperature.
        predicts_affect: False: "affect" is -2, unknown, everywhere.
        inputs, outputs: {name: {"shape": [None, ...], "dtype": ..., "meaning": ...}}; None is the batch size.
        weights: "float32" or "int8".
        edram_fer_version: version of the package that exported the model.
    """

    model: str
    emotions: tuple[str, ...] | None
    preprocessing: dict[str, Any] | None
    calibration: dict[str, Any] | None
    predicts_affect: bool
    inputs: dict[str, dict[str, Any]]
    outputs: dict[str, dict[str, Any]]
    weights: str
    edram_fer_version: str

    def to_texts(self) -> dict[str, str]:
        """{name of an attribute: its value}, as JSON except for the texts among them."""
        values = dataclasses.asdict(self)
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}

    def to_json(self) -> str:
        """All attributes as one JSON object."""
        return json.dumps(dataclasses.asdict(self), indent=1)

    @classmethod
    def from_texts(cls, texts: Mapping[str, str], path: Path) -> "Description":
        """The inverse of `to_texts`; further texts are ignored.

        Raises:
            UserError: a text is missing, damaged or too long. The message names the file `path`.
        """
        names = {field.name: field.type for field in dataclasses.fields(cls)}
        check_size(path, sum(len(texts[name]) for name in names if name in texts))
        known = {name: text for name, text in texts.items() if name in names}
        try:
            values = {name: text if names[name] is str else files.parse_json(text) for name, text in known.items()}
        except files.NOT_JSON as error:
            raise UserError(f"{path} is damaged: its metadata are not JSON: {reason(error)}") from error
        return cls._from_values(values, path)

    @classmethod
    def from_json(cls, text: bytes, path: Path) -> "Description":
        """The inverse of `to_json`; raises UserError as `from_texts` does."""
        try:
            values = files.parse_json(text)
        except files.NOT_JSON as error:
            raise UserError(f"{path} is damaged: its {FILE} is not JSON: {reason(error)}") from error
        return cls._from_values(values, path)

    @classmethod
    def _from_values(cls, values: Any, path: Path) -> "Description":
        if not isinstance(values, dict):
            raise UserError(f"{path} is damaged: expected an object as its description, got {reprlib.repr(values)}")
        names = [field.name for field in dataclasses.fields(cls)]
        if missing := [name for name in names if name not in values]:
            raise UserError(
                f"{path} was not exported by edram-fer: its metadata lack {', '.join(missing)}; {NEEDS_A_CARD}"
            )
        attributes: dict[str, Any] = {name: values[name] for name in names}
        for name, value in attributes.items():
            if name != "emotions" and not _CHECKS[name](value):
                raise UserError(f"{path} is damaged: its metadata hold {reprlib.repr(value)} as {name}")
        emotions = attributes["emotions"]
        attributes["emotions"] = None if emotions is None else checked_classes(emotions, f"{path}: emotions")
        return cls(**attributes)


def check_size(path: Path, size: int) -> None:
    """Raise a UserError unless a description of `size` bytes is one, before it is read."""
    if size > LARGEST:
        raise UserError(f"{path}: expected a description of at most {LARGEST:,} bytes, got {size:,}")


def _is_object(value: Any) -> bool:
    return value is None or isinstance(value, dict)


def _is_calibration(value: Any) -> bool:
    """Whether a value is None or holds a temperature, or one for each step."""
    if not isinstance(value, dict):
        return value is None
    temperature = value.get("temperature")
    numbers: list[Any] = temperature if isinstance(temperature, list) else [temperature]
    return bool(numbers) and all(type(number) in (int, float) and 0 < number < float("inf") for number in numbers)


def _are_tensors(value: Any) -> bool:
    """Whether a value describes inputs or outputs by the shape and the dtype of each."""
    return isinstance(value, dict) and all(
        isinstance(tensor, dict)
        and isinstance(tensor.get("dtype"), str)
        and isinstance(tensor.get("shape"), list)
        and all(side is None or type(side) is int for side in tensor["shape"])
        for tensor in value.values()
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("model", "weights", "edram_fer_version"), _is_text),
    "preprocessing": _is_object,
    "calibration": _is_calibration,
    "predicts_affect": lambda value: isinstance(value, bool),
    "inputs": lambda value: _are_tensors(value) and len(value.get("image", {}).get("shape", ())) == 4,
    "outputs": _are_tensors,
}
