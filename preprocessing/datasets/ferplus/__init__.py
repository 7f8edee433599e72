"""FERPlus: ten votes for each image of FER2013, eight expressions, as a TFDS data set joined by row number."""
