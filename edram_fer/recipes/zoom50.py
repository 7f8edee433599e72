"""`zoom_free` with glimpses that extend over at most .50 of the image's side."""

import dataclasses

from edram_fer.recipes.zoom_free import RECIPE as FREE

RECIPE = dataclasses.replace(FREE, name="zoom50", options={**FREE.options, "zoom_limit": 0.50})
