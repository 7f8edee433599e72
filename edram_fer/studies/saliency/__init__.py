"""Information maps of a run by two methods, `occlusion` and `bubbles`.

`results` scores the maps and writes the JSON file, `drawing` draws the figures.
"""

from edram_fer.studies.saliency.bubbles import compute_bubbles_maps
from edram_fer.studies.saliency.occlusion import compute_occlusion_maps

METHODS = {"occlusion": compute_occlusion_maps, "bubbles": compute_bubbles_maps}

__all__ = ["METHODS", "compute_bubbles_maps", "compute_occlusion_maps"]
