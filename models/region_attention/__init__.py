"""Region attention network: crops, backbones and attention, one file each; `ran.py` connects them."""

from edram_fer.models.region_attention.backbone import Backbone, take_over
from edram_fer.models.region_attention.pytorch_weights import load_pytorch_weights
from edram_fer.models.region_attention.ran import RAN

__all__ = ["RAN", "Backbone", "load_pytorch_weights", "take_over"]
