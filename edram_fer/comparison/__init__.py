"""Evaluated runs beside each other, on the same pictures.

`runs` reads and aligns them; `numbers` tells what they scored, `looks` where they looked, `alike` how alike, and
`saliency` which information they use, as tables whose rows are dicts; `study` puts all of it together for the page,
the figures and the CSV files. `crops` draws the crops of the same faces.
"""
