"""Splits for data sets that were published without splits: by subject, or by a digest of a name.

Readers that support both have an option `split`: "strict" keeps subjects or characters apart, "published" follows the
published work. Both are the same on every machine and do not depend on the order of the rows.
"""

import collections
import hashlib
from collections.abc import Iterable, Mapping

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
