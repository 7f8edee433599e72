"""EDRAM: context, glimpse, emission, cell and heads, one file each; `edram.py` connects them."""

from edram_fer.models.edram.edram import EDRAM

__all__ = ["EDRAM"]
