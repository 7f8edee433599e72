"""Compare the counts of a data set with the published ones, and summarise why rows cannot be used."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from edram_fer.preprocessing.records import OK, Annotations

_DETAILS = re.compile(r"'[^']*'|[-+]?\d+(\.\d+)?(e[-+]?\d+)?")  # quoted texts and numbers in a status

AND_THE_LIKE = " and the like"


def published_line(subject: str, count: int, published: int) -> str:
    """A line with a count and the published count; a warning if they differ.

    Example:
        >>> published_line("subjects", 10, 10)
        'subjects: 10, as published'
        >>> published_line("subjects", 9, 10)
        'WARNING: subjects: 9, published 10'
    """
    if count == published:
        return f"{subject}: {count:,}, as published"
    return f"WARNING: {subject}: {count:,}, published {published:,}"


def status_groups(statuses: Counter[str]) -> dict[str, Counter[str]]:
    """Group the statuses of unusable rows that differ only in numbers and quoted texts, such as boxes without area.

    Args:
        statuses: status -> number of rows.

    Returns:
        The most frequent status of each group -> {status: rows}, the largest group first.
    """
    groups = defaultdict(Counter)
    for status, rows in statuses.most_common():
        if status != OK:
            groups[_DETAILS.sub("", status)][status] = rows
    ordered = sorted(groups.values(), key=lambda group: -group.total())
    return {next(iter(group)): group for group in ordered}


def reasons(statuses: Counter[str], most: int = 20) -> list[tuple[str, int]]:
    """Why rows cannot be used: (reason, rows) for each of `status_groups`; the rest beyond `most` is combined in one.

    Args:
        statuses: status -> number of rows.
        most: number of reasons before the rest is combined.
    """
    pairs = [
        (status if len(group) == 1 else f"{status}{AND_THE_LIKE}", group.total())
        for status, group in status_groups(statuses).items()
    ]
    others = pairs[most:]
    return pairs[:most] + ([(f"{len(others)} other reasons", sum(rows for _, rows in others))] if others else [])


def compare_with_published(annotations: Annotations, counts: Mapping[str, Mapping[str | None, int]]) -> Iterator[str]:
    """Lines that compare a data set with all published counts.

    Args:
        annotations: the data set.
        counts: split of the records -> {emotion, or None without one: rows}, usable or not.
    """
    total = sum((Counter(classes) for classes in counts.values()), Counter())
    for split, published in annotations.published_rows.items():
        rows = sum(counts.get(split, {}).values()) if split else total.total()
        yield published_line(f"{split or 'all'} rows", rows, published)
    for split, published in annotations.published.items():
        yield _class_line(split or "all", counts.get(split, {}) if split else total, published)


def _class_line(split: str, counts: Mapping[str | None, int], published: Mapping[str, int]) -> str:
    triples = [(name, counts.get(name, 0), number) for name, number in published.items()]
    if all(count == number for _, count, number in triples):
        return f"labels of {split}, as published: " + ", ".join(f"{name} {count:,}" for name, count, _ in triples)
    return f"WARNING: labels of {split}, the published number in brackets: " + ", ".join(
        f"{name} {count:,} ({number:,})" for name, count, number in triples
    )
