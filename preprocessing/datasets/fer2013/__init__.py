"""FER2013: 35,887 grey faces of 48x48 pixels with seven expressions, as a TFDS data set."""
