"""What is published about FER2013, its splits, and a prepared copy compared with both.

Counts: Goodfellow et al., "Challenges in Representation Learning", 2013, and the file itself. The set has known
faults that an honest evaluation reports: the same image occurs in more than one split, or under two labels.
Needs no TensorFlow.
"""

import collections
import hashlib

import numpy as np

from edram_fer.preprocessing.datasets.fer2013 import layouts, table
from edram_fer.preprocessing.emotions import SEVEN

_ORDER = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
CLASSES = {
    "Training": dict(zip(_ORDER, (3995, 436, 4097, 7215, 4830, 3171, 4965))),
    "PublicTest": dict(zip(_ORDER, (467, 56, 496, 895, 653, 415, 607))),
    "PrivateTest": dict(zip(_ORDER, (491, 55, 528, 879, 594, 416, 626))),
}
CLASSES["Test"] = {name: CLASSES["PublicTest"][name] + CLASSES["PrivateTest"][name] for name in _ORDER}
UNLABELLED = 7178  # rows of Kaggle's test.csv
DISTINCT = 34034  # different images among all 35,887
CONFLICTING = 57  # groups of equal images that bear different labels
BLANK = 12  # images of one grey value
DUPLICATES = {"PublicTest": 280, "PrivateTest": 288, "Test": 568}  # rows with exactly the pixels of a Training row

AS_PUBLISHED = "as published"
_DERIVED = (layouts.KAGGLE_CSV, layouts.NUMBER_FOLDERS)


def digests(faces: table.Faces) -> list[bytes]:
    """One digest per image; equal exactly where all 48 * 48 pixels are."""
    return [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in faces.pixels]


def duplicates(faces: table.Faces) -> np.ndarray:
    """bool [n]: the row is not a Training row, and a Training row has exactly its pixels."""
    keys = digests(faces)
    training = {key for key, usage in zip(keys, faces.usages) if usage == "Training"}
    return np.array([usage != "Training" and key in training for key, usage in zip(keys, faces.usages)], bool)


def splits(faces: table.Faces) -> dict[str, np.ndarray]:
    """Split name -> row numbers int [m] in source order; empty splits are left out.

    train, validation, test are Training, PublicTest, PrivateTest; test_clean is test without `duplicates`. Where the
    layout has no validation of its own (Kaggle, im<k>.png), an eighth of the Training images is, chosen by a fixed
    digest of the pixels: the same on every machine and in any order, and equal images stay on one side.
    """
    training = faces.usages == "Training"
    validation = faces.usages == "PublicTest"
    test = (faces.usages == "PrivateTest") | (faces.usages == "Test")
    if faces.source.layout in _DERIVED:
        validation = training & np.array([key[0] % 8 == 0 for key in digests(faces)], bool)
        training = training & ~validation
    parts = {"train": training, "validation": validation, "test": test, "test_clean": test & ~duplicates(faces)}
    return {name: np.flatnonzero(chosen) for name, chosen in parts.items() if chosen.any()}


def summary(faces: table.Faces) -> dict:
    """Everything known about a copy, ready for JSON: counts, notes on its splits, differences from the published."""
    usages = list(dict.fromkeys(faces.usages.tolist()))
    duplicate = duplicates(faces)
    found = {
        "layout": faces.source.layout,
        "rows": len(faces.ids),
        "unlabelled": faces.unlabelled,
        "faults": len(faces.faults),
        "reasons": collections.Counter(row.status for row in faces.faults).most_common(5),
        "usages": {usage: _classes(faces.emotions[faces.usages == usage]) for usage in usages},
        "splits": {
            name: {"rows": len(rows), "classes": _classes(faces.emotions[rows])} for name, rows in splits(faces).items()
        },
        "duplicates": {usage: int(duplicate[faces.usages == usage].sum()) for usage in usages if usage != "Training"},
        **_sameness(faces),
    }
    found["notes"] = _notes(faces)
    found["differences"] = _differences(found)
    found["status"] = AS_PUBLISHED if not found["differences"] else "differs from what is published"
    return found


def _classes(names: np.ndarray) -> dict[str, int]:
    counts = collections.Counter(names.tolist())
    return {name: counts[name] for name in SEVEN}


def _sameness(faces: table.Faces) -> dict[str, int]:
    labels = collections.defaultdict(set)
    for key, name in zip(digests(faces), faces.emotions.tolist()):
        labels[key].add(name)
    flat = faces.pixels.reshape(len(faces.pixels), -1)
    return {
        "distinct": len(labels),
        "conflicting": sum(len(names) > 1 for names in labels.values()),
        "blank": int((flat.min(axis=1) == flat.max(axis=1)).sum()),
    }


def _notes(faces: table.Faces) -> list[str]:
    notes = []
    if faces.source.layout in _DERIVED:
        notes.append(
            "this layout has no validation split: an eighth of its training images was set aside as one, "
            "chosen by a fixed digest of the pixels"
        )
    if "Test" in faces.usages:
        notes.append(
            "this layout mixes PublicTest and PrivateTest: its test split holds both, so that scores are not "
            "comparable with published ones on PrivateTest"
        )
    elif "PrivateTest" not in faces.usages:
        notes.append("no labelled test images here: there is no test split")
    if faces.source.layout == layouts.USAGE_FOLDERS:
        notes.append("JPEG is lossy: pixels, and what counts as a duplicate, can differ from the csv")
    return notes


def _differences(found: dict) -> list[str]:
    """What deviates from the published counts, each as "place: found, published ...". Empty where all agree."""
    pairs = []
    mixed = "Test" in found["usages"]
    kaggle = found["layout"] == layouts.KAGGLE_CSV
    for usage in ("Training",) if kaggle else ("Training", "Test") if mixed else table.USAGES:
        classes = found["usages"].get(usage, dict.fromkeys(SEVEN, 0))
        pairs += [(f"{usage} {name}", classes[name], CLASSES[usage][name]) for name in SEVEN]
        if usage != "Training":
            pairs.append((f"{usage} duplicates of Training", found["duplicates"].get(usage, 0), DUPLICATES[usage]))
    if kaggle and found["unlabelled"]:  # train.csv may come alone
        pairs.append(("rows without a label", found["unlabelled"], UNLABELLED))
    else:
        pairs += [
            ("distinct images", found["distinct"], DISTINCT),
            ("blank images", found["blank"], BLANK),
            ("groups with conflicting labels", found["conflicting"], CONFLICTING),
        ]
    return [f"{place}: {count:,}, published {known:,}" for place, count, known in pairs if count != known]


def report(found: dict) -> list[str]:
    """The `summary` in a few lines for people."""
    parts = ", ".join(f"{name} {part['rows']:,}" for name, part in found["splits"].items())
    lines = [
        f"FER2013 from {found['layout']}: {parts}",
        *(
            f"{name}: " + ", ".join(f"{emotion} {count:,}" for emotion, count in part["classes"].items())
            for name, part in found["splits"].items()
        ),
        f"{found['distinct']:,} distinct images, {found['conflicting']} groups with conflicting labels, "
        f"{found['blank']} blank; duplicates of Training: "
        + (", ".join(f"{usage} {count}" for usage, count in found["duplicates"].items()) or "none to find"),
    ]
    if found["unlabelled"]:
        lines.append(f"{found['unlabelled']:,} rows without a label are left out")
    if found["faults"]:
        lines.append(
            f"WARNING: {found['faults']:,} FAULTY ROWS are left out: "
            + ", ".join(f"{reason}, {count:,}" for reason, count in found["reasons"])
        )
    lines += [f"note: {note}" for note in found["notes"]]
    few = "; ".join(found["differences"][:5]) + ("; ..." if len(found["differences"]) > 5 else "")
    lines.append(
        "all counts as published"
        if not few
        else f"WARNING: {len(found['differences'])} counts differ from the published ones: {few}"
    )
    return lines
