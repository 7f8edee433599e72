"""Read a table from a CSV, TSV, Parquet or Excel file, whose kind is recognised by its content."""

import contextlib
import importlib
import math
import zipfile
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from edram_fer.errors import UserError, reason
from edram_fer.preprocessing.readers import csv_cells

SUFFIXES = {".csv", ".tsv", ".tab", ".txt", ".parquet", ".pq", ".xlsx", ".xlsm"}
SEPARATORS = (",", ";", "\t", "|")
LARGEST_EXCEL = 100_000_000  # bytes that an Excel file may unpack to
MOST_ROWS, MOST_COLUMNS = 1_048_576, 1000  # of a sheet: as many rows as Excel holds
_QUOTED_LINES = 5  # largest number of lines that a quoted cell may cover


class Table(NamedTuple):
    """A table.

    Attributes:
        columns: their names as in the file.
        rows: cells in the order of the columns, text or what Parquet and Excel hold; a row that cannot be divided into
            cells is the text that says why.
        notes: remarks on how the file was read.
    """

    columns: list[str]
    rows: Sequence[list[Any] | str]
    notes: tuple[str, ...] = ()


def read(path: Path, sheet: str | int | None = None) -> Table:
    """Read a table.

    Args:
        path: the file. Text may be UTF-8, UTF-16 or Windows-1252, with commas, semicolons, tabs or bars.
        sheet: name or number (from 0) of the sheet of an Excel file; None: the first.

    Raises:
        UserError: the file is empty, damaged, too large or of another kind, or there is no such sheet.
        ModuleNotFoundError: openpyxl, which reads Excel files, is not installed.
    """
    data = path.read_bytes()
    if data[:4] == b"PAR1":
        return _read_parquet(path)
    if data[:4] == b"PK\x03\x04":
        return _read_excel(path, sheet)
    if data[:4] == b"\xd0\xcf\x11\xe0":
        raise UserError(f"{path} is an Excel file of before 2007; save it as .xlsx or .csv")
    return _read_text(path, data)


def text(cell: Any) -> str:
    """The text of a cell, "" if it is empty.

    Example:
        >>> text(3.0), text(float("nan")), text("  happy ")
        ('3', '', 'happy')
    """
    if cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer():  # a column of numbers with an empty cell
        return str(int(cell))
    return str(cell).strip()


def _read_parquet(path: Path) -> Table:
    with _damage(path, "a complete Parquet file"):
        frame = pd.read_parquet(path)
        return _from_frame(frame.reset_index() if any(frame.index.names) else frame)


def _read_excel(path: Path, sheet: str | int | None) -> Table:
    importlib.import_module("openpyxl")  # pandas reports a missing package without its name
    with _damage(path, "a complete Excel file (.xlsx)"):
        _check_unpacked_size(path)
        with pd.ExcelFile(path, engine="openpyxl") as book:
            names = [str(name) for name in book.sheet_names]
            chosen = names[sheet] if isinstance(sheet, int) and 0 <= sheet < len(names) else sheet or names[0]
            if chosen not in names:
                raise UserError(f"{path}: sheet: expected one of {', '.join(names)}, got {sheet!r}")
            _check_cells(path, book.book[chosen])
            frame = pd.read_excel(book, sheet_name=chosen, dtype=object).dropna(how="all")
        others = [name for name in names if name != chosen]
        notes = (f"sheets that are not read: {', '.join(others)}",) if others else ()
        return _from_frame(frame)._replace(notes=notes)


def _check_unpacked_size(path: Path) -> None:
    """Check the sizes that the archive declares; no more than these are unpacked of each file in it."""
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > LARGEST_EXCEL:
        raise UserError(
            f"{path}: expected an Excel file that unpacks to at most {LARGEST_EXCEL / 1e6:,.0f} MB, got "
            f"{size / 1e6:,.0f}; save the table as CSV or Parquet"
        )


def _check_cells(path: Path, sheet: Any) -> None:
    """Check the size of a sheet row by row: a single cell in a far row or column would be filled up with empty ones."""
    sheet.reset_dimensions()  # what the sheet declares may be wrong
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        if number > MOST_ROWS or len(row) > MOST_COLUMNS:
            raise UserError(
                f"{path}: expected a sheet of at most {MOST_ROWS:,} rows and {MOST_COLUMNS:,} columns, got "
                + (f"a row of {len(row):,} cells" if len(row) > MOST_COLUMNS else f"{number:,} rows")
            )


@contextlib.contextmanager
def _damage(path: Path, kind: str) -> Generator[None, None, None]:
    """Whatever pyarrow, openpyxl and pandas raise for a damaged file, of which they document little, as a UserError."""
    try:
        yield
    except (UserError, ImportError):
        raise
    except Exception as error:
        raise UserError(f"{path} is not {kind}: {reason(error)}") from error


def _from_frame(frame: pd.DataFrame) -> Table:
    return Table([str(name) for name in frame.columns], frame.to_numpy(object).tolist())


def _read_text(path: Path, data: bytes) -> Table:
    content, encoding = _decode(data)
    lines = content.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    separator = ""
    if lines[0].casefold().startswith("sep=") and len(lines[0].strip()) == 5:  # Excel's own mark
        separator = lines.pop(0).strip()[-1]
    while lines and not lines[0].strip():
        lines.pop(0)
    if not lines or "\0" in lines[0]:
        kind = "is empty" if not lines else "is neither text nor Parquet nor Excel"
        raise UserError(f"{path} {kind}; expected a header and a row for each image")
    separator = separator or max(SEPARATORS, key=lines[0].count)
    columns = [name.strip() for name in csv_cells(lines[0], separator)]
    rows = list(_split_rows(lines[1:], separator, len(columns)))
    names = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas"}
    usual = encoding == "UTF-8" and separator == ("\t" if path.suffix.casefold() in (".tsv", ".tab") else ",")
    notes = () if usual else (f"read as {encoding} with {names.get(separator, repr(separator))} between the columns",)
    return Table(columns, rows, notes)


def _decode(data: bytes) -> tuple[str, str]:
    """The text of a file and the name of its encoding."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace"), "UTF-16"
    if data[1:1000:2].count(0) > 200 or (len(data) < 1000 and data[1::2].count(0) > len(data) / 4):
        return data.decode("utf-16-le", errors="replace"), "UTF-16"
    try:
        return data.decode("utf-8-sig"), "UTF-8"
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace"), "Windows-1252"


def _split_rows(lines: list[str], separator: str, width: int) -> Iterator[list[Any] | str]:
    """The cells of each row, or why a row cannot be divided.

    A quoted cell may contain line breaks. A quotation mark without its pair affects only its own line.
    """
    position = 0
    while position < len(lines):
        line, height = lines[position], 1
        if not line.strip():
            position += 1
            continue
        if line.count('"') % 2:
            for more in range(2, _QUOTED_LINES + 1):
                joined = "\n".join(lines[position : position + more])
                if joined.count('"') % 2 == 0 and len(csv_cells(joined, separator)) == width:
                    line, height = joined, more
                    break
        cells = csv_cells(line, separator)
        if line.count('"') % 2:
            yield "a quotation mark without its pair"
        else:
            yield cells if len(cells) == width else f"{len(cells)} columns instead of {width}"
        position += height
