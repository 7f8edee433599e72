"""Splits for data sets that were published without splits: by subject, by a digest of a name, or stratified by class.

`stratified` draws the splits that a data set lacks from its training faces (`face_table`).

Readers that can also split as published have an option `split`: "strict" keeps subjects or characters apart,
"published" follows the published work. Both are the same on every machine and do not depend on the order of the rows.
"""

import collections
import hashlib
from collections.abc import Iterable, Mapping

import numpy as np

from edram_fer.errors import UserError

STRICT, PUBLISHED = "strict", "published"


def variant(split: str) -> str:
    """The `Annotations.variant` for a reader's option `split`: "" for strict, otherwise its name.

    Raises:
        UserError: `split` is neither "strict" nor "published".
    """
    if split not in (STRICT, PUBLISHED):
        raise UserError(f"split: expected {STRICT} or {PUBLISHED}, got {split!r}")
    return "" if split == STRICT else split


def folds(subjects: Iterable[str], number: int) -> dict[str, str]:
    """Subject -> "fold_0", "fold_1", ...: subject i in the order of their names belongs to fold i mod `number`.

    Raises:
        UserError: `number` is not a whole number of at least 2.

    Example:
        >>> folds(["KM", "KA", "KL"], 2)
        {'KA': 'fold_0', 'KL': 'fold_1', 'KM': 'fold_0'}
    """
    if isinstance(number, bool) or not isinstance(number, int) or number < 2:
        raise UserError(f"folds: expected a whole number of at least 2, got {number!r}")
    return {subject: f"fold_{index % number}" for index, subject in enumerate(sorted(set(subjects)))}


def digest_split(name: str, shares: Mapping[str, float], seed: int) -> str:
    """The split of a name, chosen by a digest of (seed, name) so that each split gets about its share of all names.

    Args:
        name: name of an image or photo.
        shares: split -> share; the shares need not sum to 1.
        seed: selects one of many such partitions.

    Example:
        >>> digest_split("smile_0.jpg", {"train": 80, "validation": 10, "test": 10}, seed=0)
        'train'
    """
    remainder = _position(name, seed) * sum(shares.values())
    for split, share in shares.items():
        remainder -= share
        if remainder < 0:
            return split
    return list(shares)[-1]  # reached only through rounding


def class_splits(classes: Mapping[str, str], test: int, validation: int, seed: int) -> dict[str, str]:
    """Name -> split, chosen by digests of (seed, name).

    Args:
        classes: name -> class.
        test: number of names of each class in "test".
        validation: number of all remaining names in "validation"; the others are in "train".
        seed: selects one of many such partitions.
    """
    splits = dict.fromkeys(classes, "train")
    tested, validated = collections.Counter(), 0
    for name in sorted(classes, key=lambda name: _position(name, seed)):
        if tested[classes[name]] < test:
            tested[classes[name]] += 1
            splits[name] = "test"
        elif validated < validation:
            validated += 1
            splits[name] = "validation"
    return splits


def _position(name: str, seed: int) -> float:
    """A number in [0, 1) that depends only on name and seed."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def stratified(groups: np.ndarray, classes: np.ndarray, shares: Mapping[str, float], seed: int) -> dict[int, str]:
    """Draw splits from "train" so that each of them has about its share of every class and no group is divided.

    A class with at least three groups has, where its groups allow it, at least one image in every split. The groups are
    assigned one by one, the largest first and equal ones in a random order that depends only on the seed and their
    numbers; each goes to the split whose class counts it brings closest to their targets.

    Args:
        groups: int [n], the number of each image's group: images that must be in the same split.
        classes: int [n], the label of each image.
        shares: split -> share of all images, below 1 in total; the rest stays in "train".
        seed: selects one of many such partitions.

    Returns:
        Group -> split, for the groups outside "train"; {} if there are fewer groups than splits.

    Example:
        >>> stratified(np.arange(10), np.arange(10) % 2, {"test": 0.2}, seed=0)
        {0: 'test', 1: 'test'}
    """
    shares = {split: share for split, share in shares.items() if share > 0}
    numbers, index = np.unique(groups, return_inverse=True)
    pairs, counts = np.unique(np.stack([index, classes], axis=1), axis=0, return_counts=True)
    members: dict[int, dict[int, int]] = collections.defaultdict(dict)
    for (group, label), count in zip(pairs.tolist(), counts.tolist()):
        members[group][label] = count
    splits = {"train": 1 - sum(shares.values()), **shares}
    if not shares or len(members) < len(splits):
        return {}
    missing = _targets(classes, np.bincount(pairs[:, 1]), splits)
    sizes = dict(zip(*(values.tolist() for values in np.unique(classes, return_counts=True))))
    order = sorted(members, key=lambda group: (-sum(members[group].values()), _position(str(numbers[group]), seed)))
    chosen, empty = {}, list(splits)
    for position, group in enumerate(order):
        candidates = empty if len(order) - position <= len(empty) else list(splits)

        def cost(split: str, counts: Mapping[int, int] = members[group]) -> float:
            """By how much the group changes the squared distance of the split's counts from their targets."""
            return sum(
                count * (count - 2 * missing[split][label]) / sizes[label] ** 2 for label, count in counts.items()
            )

        split = min(candidates, key=cost)
        for label, count in members[group].items():
            missing[split][label] -= count
        empty = [name for name in empty if name != split]
        if split != "train":
            chosen[int(numbers[group])] = split
    return chosen


def _targets(classes: np.ndarray, group_counts: np.ndarray, shares: Mapping[str, float]) -> dict[str, dict[int, float]]:
    """Split -> {label: number of images it should get}, at least one where the class has three groups or more."""
    targets = {split: {} for split in shares}
    for label, count in zip(*(values.tolist() for values in np.unique(classes, return_counts=True))):
        for split, share in shares.items():
            enough = group_counts[label] >= len(shares) >= 2 and split != "train"
            targets[split][label] = max(share * count, 1.0) if enough else share * count
        targets["train"][label] = count - sum(targets[split][label] for split in shares if split != "train")
    return targets
