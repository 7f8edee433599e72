"""The card of a model from elsewhere: a short YAML file that says what its input and its output mean.

    model: emotion_model.hdf5      # beside the card; .keras, .h5, .hdf5, .onnx or .tflite
    classes: [angry, disgust, fear, happy, sad, surprise, neutral]      # in the order of its output
    image_size: [64, 64]           # height and width in pixels
    colour: grey                   # grey, rgb or bgr
    scaling: [-1, 1]               # the values of black and white
    output: probabilities          # probabilities or logits

Optional: `mean` and `std`, subtracted and divided by after the scaling, a number or one for each channel; `layout`,
NHWC or NCHW; `output_name`, which of several outputs; `ignored_classes`, which are left out of the answer; `sha256` of
the model file; `calibration`, which `edram-fer calibrate` writes; and, for people, `name`, `citation`, `licence`,
`source` and `training_data`.
"""

import dataclasses
import difflib
import glob
import reprlib
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from edram_fer import files
from edram_fer.errors import MissingFileError, UserError
from edram_fer.preprocessing import emotions

LARGEST = 20_000  # bytes
LARGEST_SIDE = 4096
LONGEST_PATH, LONGEST_NAME = 2000, 255  # bytes of a path and of a name in it, as file systems allow
LARGEST_NUMBER = 1e6  # of scaling, mean and std


@dataclasses.dataclass(frozen=True)
class Card:
    """What the card of a model says.

    Attributes:
        path: the card.
        model: path of the model file.
        classes: K class names in the order of the output, in the vocabulary of `preprocessing.emotions` where it has
            them.
        image_size: (height, width) in pixels.
        colour: "grey", "rgb" or "bgr".
        scaling: the values of black and white.
        output: "probabilities" or "logits".
        mean, std: of each channel, subtracted and divided by after the scaling.
        layout: "NHWC" or "NCHW".
        output_name: name of the output; None: the only one.
        ignored_classes: names of classes that get the probability 0.
        calibration: see `FERModel`, or None.
        sha256: digest of the model file in hexadecimal digits, or None.
        name: of the model.
        citation, licence, source, training_data: text, or None.
    """

    path: Path
    model: Path
    classes: tuple[str, ...]
    image_size: tuple[int, int]
    colour: str
    scaling: tuple[float, float]
    output: str
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: str = "NHWC"
    output_name: str | None = None
    ignored_classes: tuple[str, ...] = ()
    calibration: dict[str, Any] | None = None
    sha256: str | None = None
    name: str = ""
    citation: str | None = None
    licence: str | None = None
    source: str | None = None
    training_data: str | None = None

    @property
    def channels(self) -> int:
        """Number of channels, 1 or 3."""
        return 1 if self.colour == "grey" else 3

    @property
    def kept(self) -> list[int]:
        """Positions in the output of the classes that are not ignored."""
        return [position for position, name in enumerate(self.classes) if name not in self.ignored_classes]

    def files(self) -> list[Path]:
        """The model file and those whose names begin like it, such as `model.onnx.data`, the weights of model.onnx."""
        return sorted(path for path in self.model.parent.glob(f"{glob.escape(self.model.name)}*") if path.is_file())

    def to_json(self) -> dict[str, Any]:
        """The keys and values of the card as JSON values, without paths and without what is absent."""
        fields = dataclasses.asdict(self)
        del fields["path"]
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()}
        return {key: value for key, value in values.items() if value not in (None, [])} | {"model": self.model.name}


def is_card(path: Path | str) -> bool:
    """Whether a path has the suffix of a card, .yaml or .yml."""
    return Path(path).suffix.lower() in (".yaml", ".yml")


def read_card(path: Path | str) -> Card:
    """Read and check a card, and check that its model file is the one it was written for.

    Raises:
        MissingFileError: the card or the model file is missing.
        UserError: the card is not YAML, a key is unknown or missing, a value is not as expected, or the model file has
            another digest; the message names the card, the key, the expected and the actual value.
    """
    path = Path(path)
    content = _read_yaml(path)
    known = [field.name for field in dataclasses.fields(Card) if field.name != "path"]
    for key in content:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
            raise UserError(f"{path}: unknown key {reprlib.repr(key)}{hint}")
    required = [field.name for field in dataclasses.fields(Card) if field.default is dataclasses.MISSING]
    if missing := [key for key in required if key != "path" and content.get(key) is None]:
        raise UserError(f"{path}: {', '.join(missing)} missing; a card has at least {', '.join(required[1:])}")
    values = {key: _CHECKS[key](f"{path}: {key}", value) for key, value in content.items() if value is not None}
    card = Card(path, **values | {"model": path.parent / values["model"], "name": values.get("name", path.stem)})
    _check_together(card)
    if not card.model.is_file():
        problem = "is a folder" if card.model.is_dir() else "is missing"
        raise MissingFileError(f"{path}: model: expected a file, {card.model} {problem}")
    if card.sha256 not in (None, files.digest(card.model)):
        raise UserError(
            f"{path}: sha256: expected the digest of {card.model}, which is {files.digest(card.model)}, "
            f"got {card.sha256}; the file has changed, or the card belongs to another"
        )
    return card


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which raises an error where a key occurs twice instead of using the last one."""


def _unique_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    keys = [key.value for key, _ in node.value]
    for key, _ in reversed(node.value):
        if keys.count(key.value) > 1:
            raise yaml.MarkedYAMLError(problem=f"{reprlib.repr(key.value)} occurs twice", problem_mark=key.start_mark)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def _read_yaml(path: Path) -> dict[Any, Any]:
    if not path.is_file():
        raise MissingFileError(f"{path} is missing; expected the card of a model, a YAML file")
    if path.stat().st_size > LARGEST:
        raise UserError(f"{path}: expected the card of a model, at most {LARGEST} bytes, got {path.stat().st_size}")
    try:
        content = yaml.load(path.read_text(encoding="utf-8-sig"), _Loader)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: expected a card in UTF-8, got {error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or error
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(
            f"{path}{line}: expected YAML, `key: value` on each line: {' '.join(str(problem).split())}"
        ) from error
    except ValueError as error:  # raised for a date or number that YAML recognises but Python cannot hold
        raise UserError(f"{path}: expected YAML with text, numbers and lists: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a card with keys such as `model` and `classes`, got {reprlib.repr(content)}")
    return content


def _check_together(card: Card) -> None:
    """Raise UserError where two keys do not fit together."""
    for key in ("mean", "std"):
        if len(getattr(card, key)) not in (1, card.channels):
            raise UserError(
                f"{card.path}: {key}: expected one number or {card.channels}, one for each channel of "
                f"{card.colour}, got {len(getattr(card, key))}"
            )
    for name in card.ignored_classes:
        if name not in card.classes:
            raise UserError(f"{card.path}: ignored_classes: expected some of {', '.join(card.classes)}, got {name!r}")
    if len(card.kept) < 2:
        raise UserError(f"{card.path}: ignored_classes: expected at least 2 classes to remain, got {len(card.kept)}")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{name}: expected text, got {reprlib.repr(value)}")
    return value.strip()


def _model(name: str, value: Any) -> str:
    text = _text(name, value)
    lengths = [len(part.encode("utf-8", "surrogatepass")) for part in (*Path(text).parts, text)]
    if lengths[-1] > LONGEST_PATH or max(lengths[:-1], default=0) > LONGEST_NAME:
        raise UserError(
            f"{name}: expected a path of at most {LONGEST_PATH} bytes, its names of at most {LONGEST_NAME}, got "
            f"{reprlib.repr(text)}"
        )
    if "://" in text:
        raise UserError(f"{name}: expected a file beside the card, got the address {text}; nothing is downloaded")
    return text


def _digest(name: str, value: Any) -> str:
    text = _text(name, value).lower()
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise UserError(f"{name}: expected 64 hexadecimal digits, got {reprlib.repr(value)}")
    return text


def _calibration(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not {"temperature", "images", "split"} <= set(value):
        raise UserError(f"{name}: expected what `edram-fer calibrate` writes, got {reprlib.repr(value)}")
    return value


def _choice(*choices: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        known = {choice.casefold(): choice for choice in choices}
        if not isinstance(value, str) or value.casefold() not in known:
            raise UserError(f"{name}: expected {' or '.join(choices)}, got {reprlib.repr(value)}")
        return known[value.casefold()]

    return check


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST_NUMBER


def _classes(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise UserError(f"{name}: expected a list of class names, got {reprlib.repr(value)}")
    names = [_class_name(name, entry) for entry in value]
    if repeated := [entry for entry in names if names.count(entry) > 1]:
        same = ", ".join(str(entry) for entry, known in zip(value, names, strict=True) if known == repeated[0])
        raise UserError(f"{name}: expected different emotions, got {same}, which are all {repeated[0]}")
    return tuple(names)


def _class_name(name: str, value: Any) -> str:
    """The name in the vocabulary; a name of another class as it is, unless it looks like a misspelt emotion."""
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{name}: expected class names, got {reprlib.repr(value)} among them")
    text = " ".join(value.split())
    try:
        return emotions.canonical(text)
    except UserError:
        near = difflib.get_close_matches(text.casefold(), (*emotions.EMOTIONS, "angry"), 1, cutoff=0.8)
        if near:
            raise UserError(f"{name}: expected an emotion, got {text!r}; did you mean {near[0]}?") from None
        return text


def _image_size(name: str, value: Any) -> tuple[int, int]:
    sides = [value, value] if isinstance(value, int) else value
    if (
        not isinstance(sides, list)
        or len(sides) != 2
        or not all(isinstance(side, int) and not isinstance(side, bool) and 1 <= side <= LARGEST_SIDE for side in sides)
    ):
        raise UserError(f"{name}: expected [height, width] in pixels, 1 to {LARGEST_SIDE}, got {reprlib.repr(value)}")
    return sides[0], sides[1]


def _scaling(name: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2 or not all(map(_is_number, value)) or value[0] == value[1]:
        raise UserError(
            f"{name}: expected the values of black and white, such as [0, 1], [-1, 1] or [0, 255], "
            f"got {reprlib.repr(value)}"
        )
    return float(value[0]), float(value[1])


def _numbers(name: str, value: Any) -> tuple[float, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(map(_is_number, values)):
        raise UserError(f"{name}: expected a number, or one for each channel, got {reprlib.repr(value)}")
    return tuple(map(float, values))


def _std(name: str, value: Any) -> tuple[float, ...]:
    values = _numbers(name, value)
    if min(values) <= 0:
        raise UserError(f"{name}: expected numbers above 0, got {reprlib.repr(value)}")
    return values


_CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    "model": _model,
    "classes": _classes,
    "image_size": _image_size,
    "colour": _choice("grey", "rgb", "bgr"),
    "scaling": _scaling,
    "output": _choice("probabilities", "logits"),
    "mean": _numbers,
    "std": _std,
    "layout": _choice("NHWC", "NCHW"),
    "output_name": _text,
    "ignored_classes": _classes,
    "calibration": _calibration,
    "sha256": _digest,
    **dict.fromkeys(("name", "citation", "licence", "source", "training_data"), _text),
}


def copy_model(path: Path | str, target: Path | str) -> None:
    """Copy a model and its card, with the digest of the model file in the new card. A card onto itself stays.

    Args:
        path: the card.
        target: the new card; the model files go beside it.

    Raises:
        MissingFileError, UserError: see `read_card`.
    """
    card, target = read_card(path), Path(target)
    if target.exists() and target.samefile(path):
        return
    for file in card.files():
        files.copy(file, target.parent / file.name)
    _write(card, target, card.model.name)


def set_calibration(path: Path | str, calibration: dict[str, Any]) -> None:
    """Write the calibration of a model into its card."""
    card = dataclasses.replace(read_card(path), calibration=calibration)
    _write(card, Path(path), _read_yaml(Path(path))["model"].strip())


def _write(card: Card, path: Path, model: str) -> None:
    """Write a card; `model` is the path of the model file from the folder of the card."""
    content = card.to_json() | {"model": model, "sha256": files.digest(card.model)}
    with files.replace(path) as temporary:
        temporary.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
