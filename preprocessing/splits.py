"""Splits for data sets that were published without: by subject, or by a digest of a name.

Both are the same on every machine, whatever the order of the rows.
"""
import hashlib
from collections.abc import Iterable, Mapping


def folds(subjects: Iterable[str], number: int) -> dict[str, str]:
    """Subject -> "fold_0", "fold_1", ...: in the order of their names, subject i belongs to fold i mod `number`."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 2:
        raise ValueError(f"folds: expected a whole number from 2, got {number!r}")
    return {subject: f"fold_{place % number}" for place, subject in enumerate(sorted(set(subjects)))}


def by_digest(name: str, shares: Mapping[str, float], seed: int) -> str:
    """The split of a name, chosen by a digest of (seed, name) so that each split gets about its share of all names."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64 * sum(shares.values())
    for split, share in shares.items():
        place -= share
        if place < 0:
            return split
    return split    # rounding alone leads here
