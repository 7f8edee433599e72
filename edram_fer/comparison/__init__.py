"""Evaluated runs beside each other, on the same images.

`runs` reads and aligns them; `score_tables` tells what they scored, `attention_tables` where they looked, `agreement_tables` how alike, and
`saliency` which information they use, as tables whose rows are dicts; `study` puts all of it together for the page,
the figures and the CSV files. `crops` draws the crops of the same faces.
"""
