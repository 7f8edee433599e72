"""Deep-Emotion on FER2013 by the published schedule, once for each reading of the paper.

    edram-fer prepare fer2013 --source SOURCE
    edram-fer train deep_emotion_published --set variant=paper    # the feature map is transformed
    edram-fer train deep_emotion_published --set variant=image    # the image is transformed

Source: Minaee, Abdolrashidi 2019 (arXiv 1902.01019), who report 70.02 %. From the paper: the layers, weights
initialised from N(0, .05), Adam at a constant .005 with weight decay, 500 epochs, the L2 penalty on the last two dense
layers, the official splits of FER2013, and no mention of gradient clipping. Both readings have the same layers and
47,657 parameters; only the input of the sampler differs. Not published and chosen here: the batch size, the sizes of
the weight decay and of the L2 penalty, the dropout of .5, the ReLU between the dense layers, the pools of the
localisation network, and the "small transformations". Every point: docs/fidelity.md.

Adam at .005 can collapse to the most frequent class, of which the log warns; with seed 0 both readings predict one
class for two epochs and then leave it. Measured scores: docs/measurements.md. `deep_emotion_fer2013` is our schedule,
`deep_emotion_release` that of the common public code.
"""

import dataclasses

from edram_fer.recipes.deep_emotion_fer2013 import RECIPE as FER2013

RECIPE = dataclasses.replace(
    FER2013,
    name="deep_emotion_published",
    options={
        "variant": "paper",
        "localisation": "narrow",
        "batch_norm": False,
        "initializer": "normal",
        "l2_penalty": 1e-4,
    },
    weight_decay=1e-4,
    clip_norm=0.0,
)
