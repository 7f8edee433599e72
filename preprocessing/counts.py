"""What a data set's annotations hold, beside what is published about it."""
from collections import Counter
from collections.abc import Iterator, Mapping

from preprocessing.records import OK, Annotations


def beside(what: str, found: int, published: int) -> str:
    """A line for people with a number and the published one, a warning where they differ."""
    return (f"{what}: {found:,}, as published" if found == published else
            f"WARNING: {what}: {found:,}, published {published:,}")


def reasons(statuses: Counter, most: int = 20) -> list[tuple[str, int]]:
    """Why rows cannot be used, with their numbers, the most frequent first; reasons beyond `most` come as one.

    `statuses`: {status of a row: rows}, the usable ones among them.
    """
    found = [(status, rows) for status, rows in statuses.most_common() if status != OK]
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
        f"{name} {count:,} ({number:,})" for name, count, number in pairs)
