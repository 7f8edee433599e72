"""The published counts and splits of FER2013, and the comparison of a copy with them.

Counts: Goodfellow et al., "Challenges in Representation Learning", 2013, and the file itself. The data set has known
faults that an honest evaluation reports: the same image occurs in more than one split, or with two labels.
Does not need TensorFlow.
"""

import collections
import functools
import hashlib
from collections.abc import Mapping
from typing import Any

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
CONFLICTING = 57  # groups of equal images with different labels
BLANK = 12  # images with a single grey value
DUPLICATES = {"PublicTest": 280, "PrivateTest": 288, "Test": 568}  # rows with exactly the pixels of a Training row

NEAR = 0.95  # correlation over the pixels above which two images count as nearly the same
_CHUNK = 4096  # images whose correlations are computed at a time

AS_PUBLISHED = "as published"
_WITHOUT_USAGE = (layouts.KAGGLE_CSV, layouts.NUMBER_FOLDERS, layouts.OTHER_FOLDERS)


def digests(faces: table.Faces) -> list[bytes]:
    """A digest of each image; two digests are equal exactly if all 48 * 48 pixels are equal."""
    return [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in faces.pixels]


def duplicates(faces: table.Faces) -> np.ndarray:
    """bool [n]: whether the row is not a Training row, and a Training row has exactly its pixels."""
    image_digests = digests(faces)
    training = {digest for digest, usage in zip(image_digests, faces.usages) if usage == "Training"}
    pairs = zip(image_digests, faces.usages)
    return np.array([usage != "Training" and digest in training for digest, usage in pairs], bool)


@functools.lru_cache(maxsize=1)
def repeated(faces: table.Faces) -> np.ndarray:
    """bool [n]: whether the row is a test row whose image occurs elsewhere, exactly or nearly.

    That is, an image of another split, or an earlier one of the test rows, has exactly its pixels or a correlation with
    them above `NEAR`: the same photo cropped, compressed or lit a little differently.
    """
    is_test = _is_test(faces)
    tests, others = np.flatnonzero(is_test), np.flatnonzero(~is_test)
    image_digests = digests(faces)
    seen, found = {image_digests[row] for row in others.tolist()}, np.zeros(len(tests), bool)
    for number, row in enumerate(tests.tolist()):
        found[number] = image_digests[row] in seen
        seen.add(image_digests[row])
    images = _normalised(faces.pixels[tests])
    for start in range(0, len(others), _CHUNK):
        found |= (images @ _normalised(faces.pixels[others[start : start + _CHUNK]]).T > NEAR).any(axis=1)
    for start in range(0, len(tests), _CHUNK):
        columns = np.arange(start, min(start + _CHUNK, len(tests)))
        earlier = columns < np.arange(len(tests))[:, None]
        found |= ((images @ images[columns].T > NEAR) & earlier).any(axis=1)
    result = np.zeros(len(faces.ids), bool)
    result[tests] = found
    return result


def _normalised(images):
    """float32 [m, 48 * 48] with mean 0 and norm 1, so that products are correlations; 0 for an image of one grey."""
    flat = images.reshape(-1, table.SIZE * table.SIZE).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    return flat / np.where(norm > 0, norm, 1)


def _is_test(faces):
    return (faces.usages == "PrivateTest") | (faces.usages == "Test")


def splits(faces: table.Faces) -> dict[str, np.ndarray]:
    """Split -> row numbers int [m] in the order of the source; empty splits are omitted.

    train, validation and test are Training, PublicTest and PrivateTest; test_clean is test without `duplicates`, and
    test_distinct is test without the images that are `repeated`. If the
    layout has no validation split (Kaggle, folders train and test), an eighth of the Training images becomes one,
    chosen by a fixed digest of the pixels: the same on every machine and in any order, with equal images in the same
    split.
    """
    training = faces.usages == "Training"
    validation = faces.usages == "PublicTest"
    test = _is_test(faces)
    if _lacks_validation(faces):
        validation = training & np.array([digest[0] % 8 == 0 for digest in digests(faces)], bool)
        training = training & ~validation
    masks = {
        "train": training,
        "validation": validation,
        "test": test,
        "test_clean": test & ~duplicates(faces),
        "test_distinct": test & ~repeated(faces),
    }
    return {name: np.flatnonzero(mask) for name, mask in masks.items() if mask.any()}


def _lacks_validation(faces: table.Faces) -> bool:
    return faces.location.layout in _WITHOUT_USAGE and "PublicTest" not in faces.usages


def summary(faces: table.Faces) -> dict[str, Any]:
    """All counts of a copy, ready for JSON, with notes on its splits and differences from the published counts."""
    usages = list(dict.fromkeys(faces.usages.tolist()))
    duplicate = duplicates(faces)
    counts = {
        "layout": faces.location.layout,
        "rows": len(faces.ids),
        "unlabelled": faces.unlabelled,
        "faults": len(faces.faults),
        "reasons": collections.Counter(row.status for row in faces.faults).most_common(5),
        "usages": {usage: _count_classes(faces.emotions[faces.usages == usage]) for usage in usages},
        "splits": {
            name: {"rows": len(rows), "classes": _count_classes(faces.emotions[rows])}
            for name, rows in splits(faces).items()
        },
        "duplicates": {usage: int(duplicate[faces.usages == usage].sum()) for usage in usages if usage != "Training"},
        **_count_equal_images(faces),
    }
    differences = _differences(counts)
    status = "differs from what is published" if differences else AS_PUBLISHED
    return {**counts, "notes": _notes(faces), "differences": differences, "status": status}


def _count_classes(names: np.ndarray) -> dict[str, int]:
    counts = collections.Counter(names.tolist())
    return {name: counts[name] for name in SEVEN}


def _count_equal_images(faces: table.Faces) -> dict[str, int]:
    labels = collections.defaultdict(set)
    for digest, name in zip(digests(faces), faces.emotions.tolist()):
        labels[digest].add(name)
    flat = faces.pixels.reshape(len(faces.pixels), -1)
    return {
        "distinct": len(labels),
        "conflicting": sum(len(names) > 1 for names in labels.values()),
        "blank": int((flat.min(axis=1) == flat.max(axis=1)).sum()),
    }


def _notes(faces: table.Faces) -> list[str]:
    notes = []
    if _lacks_validation(faces):
        notes.append(
            "this layout has no validation split: an eighth of its training images was set aside as one, "
            "chosen by a fixed digest of the pixels"
        )
    if "Test" in faces.usages:
        notes.append(
            "this layout mixes PublicTest and PrivateTest: its test split contains both, so scores are not "
            "comparable with those published for PrivateTest"
        )
    elif "PrivateTest" not in faces.usages:
        notes.append("there are no labelled test images, and therefore no test split")
    if faces.location.layout in (layouts.USAGE_FOLDERS, layouts.OTHER_FOLDERS):
        notes.append("JPEG is lossy: pixels, and what counts as a duplicate, can differ from the csv file")
    return notes


def _differences(counts: Mapping[str, Any]) -> list[str]:
    """Deviations from the published counts, each as "subject: count, published ..."; empty if all agree."""
    triples = []
    kaggle = counts["layout"] == layouts.KAGGLE_CSV
    if "Test" in counts["usages"]:
        expected_usages = ("Training", "Test")
    elif kaggle and set(counts["usages"]) == {"Training"}:
        expected_usages = ("Training",)
    else:
        expected_usages = table.USAGES
    for usage in expected_usages:
        classes = counts["usages"].get(usage, dict.fromkeys(SEVEN, 0))
        triples += [(f"{usage} {name}", classes[name], CLASSES[usage][name]) for name in SEVEN]
        if usage != "Training":
            triples.append((f"{usage} duplicates of Training", counts["duplicates"].get(usage, 0), DUPLICATES[usage]))
    if kaggle and counts["unlabelled"]:  # train.csv may come without test.csv
        triples.append(("rows without a label", counts["unlabelled"], UNLABELLED))
    else:
        triples += [
            ("distinct images", counts["distinct"], DISTINCT),
            ("blank images", counts["blank"], BLANK),
            ("groups with conflicting labels", counts["conflicting"], CONFLICTING),
        ]
    return [
        f"{subject}: {count:,}, published {published_count:,}"
        for subject, count, published_count in triples
        if count != published_count
    ]


def report(counts: Mapping[str, Any]) -> list[str]:
    """The `summary` in a few lines of text."""
    rows = ", ".join(f"{name} {split['rows']:,}" for name, split in counts["splits"].items())
    lines = [f"FER2013 from {counts['layout']}: {rows}"]
    for name, split in counts["splits"].items():
        lines.append(f"{name}: " + ", ".join(f"{emotion} {count:,}" for emotion, count in split["classes"].items()))
    lines.append(
        f"{counts['distinct']:,} distinct images, {counts['conflicting']} groups with conflicting labels, "
        f"{counts['blank']} blank; duplicates of Training: "
        + (", ".join(f"{usage} {count}" for usage, count in counts["duplicates"].items()) or "none to find")
    )
    if counts["unlabelled"]:
        lines.append(f"{counts['unlabelled']:,} rows without a label are left out")
    if counts["faults"]:
        lines.append(
            f"WARNING: {counts['faults']:,} FAULTY ROWS are left out: "
            + ", ".join(f"{reason}, {count:,}" for reason, count in counts["reasons"])
        )
    lines += [f"note: {note}" for note in counts["notes"]]
    differences = counts["differences"]
    if differences:
        listing = "; ".join(differences[:5]) + ("; ..." if len(differences) > 5 else "")
        lines.append(f"WARNING: {len(differences)} counts differ from the published ones: {listing}")
    else:
        lines.append("all counts as published")
    return lines
