"""AffectNet+ of 2024: a json file per image, with a soft label beside the human one.

The form is known from the data set's paper and from programs that read it. Keys are therefore found in any spelling
("human-label", "Human_Label"), on top or inside "meta-data"; values are checked.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions
from edram_fer.preprocessing.datasets.affectnet import values
from edram_fer.preprocessing.emotions import EIGHT
from edram_fer.preprocessing.records import UNKNOWN_AFFECT, FaceRecord, checked_affect

TOTALS = (1.0, 100.0)  # of a soft label: shares, or per cent
TOLERANCE = 0.05  # of the total: the numbers are rounded


def count(sets: Mapping[str, Path]) -> int:
    """How many rows the folders have."""
    return sum(len(values.index(folder, ".json")) for folder in sets.values())


def records(root: Path, sets: Mapping[str, Path]) -> Iterator[FaceRecord]:
    """All rows of the folders {split: train_set, ...}, one at a time, by the number of the image."""
    for split, folder in sets.items():
        place = folder.relative_to(root).as_posix()
        for name, ending in values.index(folder, ".json").items():
            image = f"{place}/images/{name}{ending}"
            yield _record(folder / "annotations" / f"{name}.json", f"{split}/{name}", split, image)


def _record(path: Path, row_id: str, split: str, image: str) -> FaceRecord:
    known = {"id": row_id, "row": image, "image": image, "split": split}
    try:
        content = _content(path)
        known["emotion"] = values.emotion(values.number("human-label", content.get("humanlabel")))
        known["soft_label"] = _soft_label(content.get("softlabel"))
        known["landmarks"] = values.landmarks(_flat(content.get("landmark68")))
        known["valence"], known["arousal"] = _affect(content)
    except ValueError as fault:
        known["status"] = str(fault)
    return FaceRecord(**known)


def _content(path: Path) -> dict:
    """What a file holds, with keys in lower case without signs, those of its meta-data beside the others."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise UserError("no json file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"json cannot be read: {str(error)[:60]}") from None
    if not isinstance(content, dict):
        raise UserError("json holds no table of keys")
    content = _plain(content)
    meta = content.get("metadata")
    return content | _plain(meta) if isinstance(meta, dict) else content


def _plain(content: dict) -> dict:
    return {"".join(letter for letter in key.casefold() if letter.isalnum()): value for key, value in content.items()}


def _flat(points) -> list:
    """Landmarks as a flat list or as pairs; none where they are missing."""
    if not isinstance(points, list | None):
        raise UserError(f"landmarks are {type(points).__name__}, not a list")
    flat = [value for point in points or () for value in (point if isinstance(point, list) else [point])]
    if bool in set(map(type, flat)):
        raise UserError("a landmark is true or false, not a number")
    return flat


def _affect(content: Mapping) -> tuple[float, float]:
    """Valence and arousal; unknown where the file has neither."""
    given = [content.get(name) for name in ("valence", "arousal")]
    if given == [None, None]:
        return UNKNOWN_AFFECT, UNKNOWN_AFFECT
    return checked_affect(*(values.number(name, value) for name, value in zip(("valence", "arousal"), given)))


def _soft_label(numbers) -> tuple[float, ...] | None:
    """Eight numbers in AffectNet's order as probabilities in the order of `EIGHT`; None without any and for zeros."""
    if numbers is None:
        return None
    if not isinstance(numbers, list) or len(numbers) != len(EIGHT):
        raise UserError(f"soft-label: expected {len(EIGHT)} numbers")
    found = [values.number("soft-label", value) for value in numbers]
    total = sum(found)
    if min(found) < 0:
        raise UserError("soft-label has a negative number")
    if total == 0:
        return None
    if not any(abs(total - expected) <= TOLERANCE * expected for expected in TOTALS):
        raise UserError(f"soft-label sums to {total:.2g} instead of 1 or 100")
    named = {emotions.from_code("AffectNet", code): value / total for code, value in enumerate(found)}
    return tuple(named[name] for name in EIGHT)
