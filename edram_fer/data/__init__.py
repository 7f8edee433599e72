"""Prepared data sets: `sources` opens them, `batches` feeds them to Keras; what is done to images on the way has a
file each."""

from edram_fer.data.sources import (
    arrays,
    class_counts,
    default_data_dir,
    describe,
    emotions,
    open_source,
    splits,
    write_arrays,
)

__all__ = [
    "arrays",
    "class_counts",
    "default_data_dir",
    "describe",
    "emotions",
    "open_source",
    "splits",
    "write_arrays",
]
