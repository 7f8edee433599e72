"""Prepared data sets: `sources` opens them, `batches` feeds them to Keras; each transformation of images has its own
file."""

from edram_fer.data.sources import (
    class_counts,
    default_data_dir,
    describe,
    emotions,
    load_split,
    open_source,
    splits,
    write_arrays,
)

__all__ = [
    "load_split",
    "class_counts",
    "default_data_dir",
    "describe",
    "emotions",
    "open_source",
    "splits",
    "write_arrays",
]
