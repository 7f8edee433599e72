"""CSV files that people open in a spreadsheet, which executes cells that begin like a formula."""

import csv
import io
from collections.abc import Iterable

import numpy as np

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # a spreadsheet may execute a text that starts like this


def csv_text(rows: Iterable[Iterable[object]]) -> bytes:
    r"""Rows of cells as lines of a CSV file in UTF-8; None and nan are empty cells.

    A text that a spreadsheet would execute begins with an apostrophe instead (`read_cell` removes it), and bytes of
    file names that are not UTF-8 become escapes such as \udce4.

    >>> csv_text([["=1+1", -1, None, "-1"]])
    b"'=1+1,-1,,'-1\r\n"
    """
    text = io.StringIO(newline="")
    csv.writer(text).writerows(map(_cell, row) for row in rows)  # "\r\n" between lines: both are quoted in names
    return text.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: object) -> object:
    if value is None or isinstance(value, (float, np.floating)) and np.isnan(value):
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def read_cell(text: str) -> str:
    """A text as it was before `csv_text` wrote it.

    >>> read_cell("'=1+1"), read_cell("'tis")
    ('=1+1', "'tis")
    """
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text
