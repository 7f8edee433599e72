"""Tables that eye trackers export: text with tabs, semicolons or commas, in any of the usual encodings."""

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from edram_fer.errors import MissingFileError, UserError
from edram_fer.gaze.events import CUT, REPEATED

_FIRST_ROWS = 100


class Export:
    """A table with a header.

    Args:
        path: the file; UTF-8, or UTF-16 with a byte order mark.

    Attributes:
        path: the file.
        header: names of the columns, as in the file.
        counts: after iterating: the rows that were skipped (`events.CUT`, `events.REPEATED`).

    Raises:
        MissingFileError: there is no such file.
        UserError: the file is empty, or not a text in one of these encodings.
    """

    def __init__(self, path: Path | str) -> None:
        self.path, self.counts = Path(path), Counter[str]()
        try:
            with open(self.path, "rb") as file:
                mark = file.read(2)
        except FileNotFoundError:
            raise MissingFileError(f"{path} is missing; expected an export of an eye tracker") from None
        self._encoding = "utf-16" if mark in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        first = next(iter(self._lines()), "")
        self._delimiter = max("\t;,", key=first.count)
        self.header = [name.strip() for name in next(self._parsed(), [])]
        if len(self.header) < 2:
            raise UserError(f"{path}: expected a table with a header, got {first[:80]!r}")

    def column(self, *names: str) -> int | None:
        """Position of the first of these columns that exists, or None.

        Args:
            names: letters and digits in lower case; spaces, brackets, points and underscores do not count, so that
                "fixationpointxmcspx" is the column "FixationPointX (MCSpx)".
        """
        positions = {key(name): position for position, name in reversed([*enumerate(self.header)])}
        return next((positions[name] for name in names if name in positions), None)

    def rows(self) -> Iterator[list[str]]:
        """The rows with as many values as the header, without repetitions of the row before.

        Raises:
            UserError: the text cannot be decoded, or no row has as many values as the header.
        """
        reader, previous, usable = self._parsed(), None, False
        next(reader)
        count = len(self.header)
        for row in reader:
            if len(row) == count + 1 and row[-1] == "":  # Tobii Studio ends each row with a tab
                row.pop()
            if len(row) != count:
                self.counts[CUT] += bool(row)
                if not usable and self.counts[CUT] == _FIRST_ROWS:
                    break
            elif row == previous:
                self.counts[REPEATED] += 1
            else:
                usable, previous = True, row
                yield row
        if not usable and self.counts[CUT]:
            raise UserError(
                f"{self.path}: none of the first {self.counts[CUT]} rows has as many values as the header, {count}; "
                "with commas between the values, numbers need decimal points: export with tabs or semicolons"
            )

    def _lines(self):
        """The lines of the file, without null characters, which `csv` refuses."""
        try:
            with open(self.path, encoding=self._encoding, newline="") as file:
                yield from (line.replace("\0", "") for line in file)
        except UnicodeError as error:
            raise UserError(f"{self.path}: expected text in UTF-8 or UTF-16: {error}") from error

    def _parsed(self):
        """The rows of the file, as `csv` reads them."""
        try:
            yield from csv.reader(self._lines(), delimiter=self._delimiter)
        except csv.Error as error:
            raise UserError(f"{self.path} is not readable as a table: {error}") from error


def key(name: str) -> str:
    """The letters and digits of a column's name in lower case.

    >>> key("Fixation point X [MCS px]")
    'fixationpointxmcspx'
    """
    return re.sub(r"[\W_]", "", name.lower())


def number(text: str) -> float:
    """A number with a decimal point or, as some languages write it, a decimal comma; nan if it is none.

    >>> number("12.5"), number("12,5"), number("")
    (12.5, 12.5, nan)
    """
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return float("nan")


def find(paths: Sequence[Path | str], patterns: Sequence[str]) -> list[Path]:
    """Files, and of folders the files that match one of the patterns, sorted by path.

    Raises:
        MissingFileError: a path does not exist.
        UserError: a folder contains no such file.
    """
    result = []
    for path in map(Path, paths):
        if not path.exists():
            raise MissingFileError(f"{path} is missing; expected an export of an eye tracker, or a folder of exports")
        files = sorted(set(itertools.chain.from_iterable(path.rglob(pattern) for pattern in patterns)))
        if path.is_dir() and not files:
            raise UserError(f"{path}: expected files {' or '.join(patterns)}, found none")
        result += files if path.is_dir() else [path]
    return result
