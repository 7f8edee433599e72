"""The zoom experiment of Forch et al. 2019 on FER2013 without a limit; `zoom50` and `zoom30` differ in the limit alone.

    edram-fer sweep zoom_free --zoom-limit none,.5,.3 --seeds 3
    edram-fer sweep zoom_free --vary zoom_mode=clip --zoom-limit .5,.3

Four glimpses of 18x18 points, the first chosen from the context vector, so that the limit applies to all of them. It
limits the extents, which a rotation cannot evade; the published measure is `--set zoom_measure=entries`, and a third
option is `--set rotation=false`. About a minute per epoch on two cores. The low learning rate of the emission network
keeps Adam from driving the first windows into a corner (see `edram_fer.models.edram.emission`).
"""

import dataclasses

from edram_fer.recipes.fer2013 import RECIPE as FER2013

RECIPE = dataclasses.replace(
    FER2013,
    name="zoom_free",
    options={
        "glimpses": 4,
        "glimpse_size": 18,
        "first_glimpse": "context",
        "zoom_limit": None,
        "zoom_measure": "extent",
        "emission_rate": 0.05,
        "context_activation": "tanh",
        "affect": False,
        "glimpse_filters": (24, 48, 96, 96, 128, 192),
        "glimpse_units": 512,
        "classification_units": 256,
        "location_units": 256,
        "head_units": 512,
        "dropout": 0.2,
    },
    epochs=16,
    zoom_target=0.35,
)
