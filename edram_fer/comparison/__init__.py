"""Evaluated runs beside each other, on the same pictures.

`runs` reads and aligns them; `numbers` tells what they scored and `looks` where they looked, as tables whose rows are
dicts.
"""
