"""AffectNet+ of 2024: one json file per image, with a soft label in addition to the human one.

The layout is known only from the data set's paper and from programs that read it. Keys are therefore accepted in any
spelling ("human-label", "Human_Label"), at the top level or in "meta-data", and values are checked.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edram_fer.errors import UserError, as_status
from edram_fer.preprocessing import emotions
from edram_fer.preprocessing.datasets.affectnet import values
from edram_fer.preprocessing.emotions import EIGHT
from edram_fer.preprocessing.records import UNKNOWN_AFFECT, FaceRecord, checked_affect
from edram_fer.preprocessing.values import parse_landmarks, parse_number

TOTALS = (1.0, 100.0)  # sum of a soft label: fractions or percentages
TOLERANCE = 0.05  # relative to the total, because the numbers are rounded


def count(sets: Mapping[str, Path]) -> int:
    """Number of rows of the folders {split: folder}."""
    return sum(len(values.index(folder, ".json")) for folder in sets.values())


def records(root: Path, sets: Mapping[str, Path]) -> Iterator[FaceRecord]:
    """All rows, lazily, in the order of the image numbers.

    Args:
        root: the folder that the paths of the rows are relative to.
        sets: split -> train_set, validation_set, ...
    """
    for split, folder in sets.items():
        subfolder = folder.relative_to(root).as_posix()
        for name, ending in values.index(folder, ".json").items():
            image = f"{subfolder}/images/{name}{ending}"
            yield _record(folder / "annotations" / f"{name}.json", f"{split}/{name}", split, image)


def _record(path: Path, row_id: str, split: str, image: str) -> FaceRecord:
    features: dict[str, Any] = {"id": row_id, "row": image, "image": image, "split": split}
    try:
        content = _read(path)
        features["emotion"] = values.emotion(parse_number("human-label", content.get("humanlabel")))
        features["soft_label"] = _soft_label(content.get("softlabel"))
        features["landmarks"] = parse_landmarks(_flatten(content.get("landmark68")))
        features["valence"], features["arousal"] = _affect(content)
    except Exception as error:  # one row must not stop all others
        features["status"] = as_status(error)
    return FaceRecord(**features)


def _read(path: Path) -> dict[str, Any]:
    """The content of a file with normalised keys; the keys in its meta-data are moved to the top level."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError("no json file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"json cannot be read: {str(error)[:60]}") from None
    if not isinstance(content, dict):
        raise UserError("json is not an object with keys")
    content = _normalise(content)
    meta = content.get("metadata")
    return content | _normalise(meta) if isinstance(meta, dict) else content


def _normalise(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content with keys reduced to letters and digits in lower case."""
    return {"".join(letter for letter in key.casefold() if letter.isalnum()): value for key, value in content.items()}


def _flatten(points: Any) -> list[Any]:
    """Landmarks, which may be a flat list or pairs, as a flat list; [] without any."""
    if not isinstance(points, list | None):
        raise UserError(f"landmarks are {type(points).__name__}, not a list")
    flat = [value for point in points or () for value in (point if isinstance(point, list) else [point])]
    if bool in set(map(type, flat)):
        raise UserError("a landmark is true or false, not a number")
    return flat


def _affect(content: Mapping[str, Any]) -> tuple[float, float]:
    """Valence and arousal; unknown if the file has neither."""
    valence, arousal = content.get("valence"), content.get("arousal")
    if valence is None and arousal is None:
        return UNKNOWN_AFFECT, UNKNOWN_AFFECT
    return checked_affect(parse_number("valence", valence), parse_number("arousal", arousal))


def _soft_label(numbers: Any) -> tuple[float, ...] | None:
    """Eight numbers in AffectNet's order as probabilities in the order of `EIGHT`; None without any or if all are 0."""
    if numbers is None:
        return None
    if not isinstance(numbers, list) or len(numbers) != len(EIGHT):
        raise UserError(f"soft-label: expected {len(EIGHT)} numbers")
    numbers = [parse_number("soft-label", value) for value in numbers]
    total = sum(numbers)
    if min(numbers) < 0:
        raise UserError("soft-label has a negative number")
    if total == 0:
        return None
    if not any(abs(total - expected) <= TOLERANCE * expected for expected in TOTALS):
        raise UserError(f"soft-label sums to {total:.2g} instead of 1 or 100")
    probabilities = {emotions.from_code("AffectNet", code): value / total for code, value in enumerate(numbers)}
    return tuple(probabilities[name] for name in EIGHT)
