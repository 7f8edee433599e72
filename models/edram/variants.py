"""What the released implementations of EDRAM do differently, as options of `EDRAM`; docs/fidelity.md tells every point.

Sources: the code of Ablavatski, Lu, Cai 2017 (github.com/2ez4wp/EDRAM, Theano); the Keras code of Forch, Vitay, Hamker
2019. What the variants differ in beyond the model is in `edram_fer.training.losses.FORMS` and in the recipes.
"""

from typing import Any

VARIANTS: dict[str, dict[str, Any]] = {
    "ours": {},
    "ablavatski2017": {
        "affect": False,
        "batch_norm": "shared_affine",
        "batch_norm_momentum": 0.95,
        "batch_norm_epsilon": 1e-4,
        "biases": True,
        "initialisation": "ablavatski2017",
        "peepholes": True,
        "context_input": "bilinear",
    },
    "forch2019": {
        "batch_norm_momentum": 0.99,
        "batch_norm_position": "after_relu",
        "biases": True,
        "initialisation": "glorot_uniform",
        "emitted_zoom": "raw",
        "zoom_mode": "clip",
        "sensor": "forch2019",
        "context_input": "points",
    },
}
