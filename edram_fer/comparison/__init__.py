"""Several evaluated runs compared on the same images.

`runs` reads and aligns them. `score_tables`, `attention_tables`, `agreement_tables` and `saliency` compute the tables:
scores, where the runs looked, how similar their attention is, and which information they use. `study` combines
everything for the page, the figures and the CSV files. `crops` draws the crops of the same faces.
"""
