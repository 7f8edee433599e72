"""Splits for data sets that were published without: by subject, or by a digest of a name.

A reader with a choice takes `split`: "strict", with people or characters apart, or "published", as in the work that it
is to be compared with.

Both are the same on every machine, whatever the order of the rows.
"""

import collections
import hashlib
from collections.abc import Iterable, Mapping

from edram_fer.errors import UserError

STRICT, PUBLISHED = "strict", "published"


def variant(split: str) -> str:
    """`Annotations.variant` of a reader's option: "" for strict. ValueError for another than the two."""
    if split not in (STRICT, PUBLISHED):
        raise UserError(f"split: expected {STRICT} or {PUBLISHED}, got {split!r}")
    return "" if split == STRICT else split


def folds(subjects: Iterable[str], number: int) -> dict[str, str]:
    """Subject -> "fold_0", "fold_1", ...: in the order of their names, subject i belongs to fold i mod `number`."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 2:
        raise UserError(f"folds: expected a whole number from 2, got {number!r}")
    return {subject: f"fold_{place % number}" for place, subject in enumerate(sorted(set(subjects)))}


def by_digest(name: str, shares: Mapping[str, float], seed: int) -> str:
    """The split of a name, chosen by a digest of (seed, name) so that each split gets about its share of all names."""
    place = _place(name, seed) * sum(shares.values())
    for split, share in shares.items():
        place -= share
        if place < 0:
            return split
    return split  # rounding alone leads here


def by_class(classes: Mapping[str, str], test: int, validation: int, seed: int) -> dict[str, str]:
    """Name -> split: of each class `test` names, of all others `validation`, the rest is "train", by their digests.

    Args:
        classes: name -> class.
    """
    taken, found = collections.Counter(), dict.fromkeys(classes, "train")
    for name in sorted(classes, key=lambda name: _place(name, seed)):
        if taken[classes[name]] < test:
            taken[classes[name]] += 1
            found[name] = "test"
        elif taken[None] < validation:
            taken[None] += 1
            found[name] = "validation"
    return found


def _place(name: str, seed: int) -> float:
    """A number in [0, 1) that a name has for good."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
