"""What an exported file says about its model, in its own metadata."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edram_fer.errors import UserError

FILE = "edram_fer.json"  # the description in the archive at the end of a .tflite file, and in a SavedModel's assets

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
            UserError: a text is missing or damaged. The message names the file `path`.
        """
        names = {field.name: field.type for field in dataclasses.fields(cls)}
        known = {name: text for name, text in texts.items() if name in names}
        try:
            return cls._from_values({n: t if names[n] is str else json.loads(t) for n, t in known.items()}, path)
        except json.JSONDecodeError as error:
            raise UserError(f"{path} is damaged: its metadata are not JSON: {error}") from error

    @classmethod
    def from_json(cls, text: bytes, path: Path) -> "Description":
        """The inverse of `to_json`; raises UserError as `from_texts` does."""
        try:
            return cls._from_values(json.loads(text), path)
        except ValueError as error:
            raise UserError(f"{path} is damaged: its {FILE} is not JSON: {error}") from error

    @classmethod
    def _from_values(cls, values: Mapping[str, Any], path: Path) -> "Description":
        names = [field.name for field in dataclasses.fields(cls)]
        if missing := [name for name in names if name not in values]:
            raise UserError(
                f"{path} was not exported by edram-fer: its metadata lack {', '.join(missing)}; {NEEDS_A_CARD}"
            )
        attributes: dict[str, Any] = {name: values[name] for name in names}
        emotions = attributes["emotions"]
        attributes["emotions"] = None if emotions is None else tuple(emotions)
        return cls(**attributes)
