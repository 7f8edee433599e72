"""Information maps of a run by several methods: `occlusion`, `bubbles`, and those of `attribution`.

`results` scores the maps and writes the JSON file, `drawing` draws the figures.
"""

import functools

from edram_fer.run import layout
from edram_fer.studies.saliency.attribution import compute_attribution_maps
from edram_fer.studies.saliency.bubbles import compute_bubbles_maps
from edram_fer.studies.saliency.occlusion import compute_occlusion_maps

METHODS = {
    "occlusion": compute_occlusion_maps,
    "bubbles": compute_bubbles_maps,
    **{method: functools.partial(compute_attribution_maps, method=method) for method in layout.ATTRIBUTIONS},
}

__all__ = ["METHODS", "compute_attribution_maps", "compute_bubbles_maps", "compute_occlusion_maps"]
