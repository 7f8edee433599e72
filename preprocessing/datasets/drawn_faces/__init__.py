"""Drawn faces: any number, of any size, with known expression, affect, landmarks and mask, as a TFDS data set."""
