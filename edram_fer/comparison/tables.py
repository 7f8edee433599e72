"""Tables whose rows are dicts, as CSV files."""

import csv

import numpy as np

from edram_fer import files


def write(rows, path):
    """Save rows (dicts of the same keys, or some of those of the first) as CSV; None and nan are empty cells."""
    with files.replace(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as target:
        writer = csv.DictWriter(target, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)


def _cell(value):
    missing = value is None or isinstance(value, (float, np.floating)) and np.isnan(value)
    return "" if missing else value
