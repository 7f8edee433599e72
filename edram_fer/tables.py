"""Tables whose rows are dicts, as CSV files."""

import csv

import numpy as np

from edram_fer import files


def write(rows, path):
    """Save rows (dicts) as CSV: a column for every key of any row; None, nan and what is lacking are empty cells."""
    names = dict.fromkeys(name for row in rows for name in row)
    with files.replace(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as target:
        writer = csv.DictWriter(target, list(names))
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)


def _cell(value):
    missing = value is None or isinstance(value, (float, np.floating)) and np.isnan(value)
    return "" if missing else value
