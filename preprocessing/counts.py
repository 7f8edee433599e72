"""What a data set's annotations hold, beside what is published about it."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from edram_fer.preprocessing.records import OK, Annotations

_PARTICULAR = re.compile(r"'[^']*'|[-+]?\d+(\.\d+)?(e[-+]?\d+)?")  # what a status says of its own row


def beside(what: str, found: int, published: int) -> str:
    """A line for people with a number and the published one, a warning where they differ."""
    return (
        f"{what}: {found:,}, as published"
        if found == published
        else f"WARNING: {what}: {found:,}, published {published:,}"
    )


def kinds(statuses: Counter) -> dict[str, Counter]:
    """The statuses of unusable rows, those together that differ in numbers and quoted texts only, as boxes without area
    do; the most frequent kind first, each by its most frequent status. `statuses`: {status of a row: rows}.
    """
    alike = defaultdict(Counter)
    for status, rows in statuses.most_common():
        if status != OK:
            alike[_PARTICULAR.sub("", status)][status] = rows
    ordered = sorted(alike.values(), key=lambda kind: -kind.total())
    return {next(iter(kind)): kind for kind in ordered}


def reasons(statuses: Counter, most: int = 20) -> list[tuple[str, int]]:
    """Why rows cannot be used, a line for each of `kinds` with its number of rows; those beyond `most` come as one."""
    found = [
        (status if len(kind) == 1 else f"{status} and the like", kind.total())
        for status, kind in kinds(statuses).items()
    ]
    rest = found[most:]
    return found[:most] + ([(f"{len(rest)} other reasons", sum(rows for _, rows in rest))] if rest else [])


def compared(found: Annotations, counts: Mapping[str, Mapping[str | None, int]]) -> Iterator[str]:
    """Lines with all published numbers of a data set.

    Args:
        found: the data set.
        counts: split of the records -> {emotion, or None where the row tells none: rows}, usable or not.
    """
    whole = sum((Counter(classes) for classes in counts.values()), Counter())
    for split, rows in found.published_rows.items():
        yield beside(f"{split or 'all'} rows", sum(counts.get(split, {}).values()) if split else whole.total(), rows)
    for split, classes in found.published.items():
        yield _classes(split or "all", counts.get(split, {}) if split else whole, classes)


def _classes(split: str, counts: Mapping[str | None, int], published: Mapping[str, int]) -> str:
    pairs = [(name, counts.get(name, 0), number) for name, number in published.items()]
    if all(count == number for _, count, number in pairs):
        return f"labels of {split}, as published: " + ", ".join(f"{name} {count:,}" for name, count, _ in pairs)
    return f"WARNING: labels of {split}, the published number in brackets: " + ", ".join(
        f"{name} {count:,} ({number:,})" for name, count, number in pairs
    )
