"""Deep-Emotion on FER2013: our reading of the paper, with gradient clipping.

    edram-fer prepare fer2013 --source SOURCE
    python train.py deep_emotion_fer2013

Source: Minaee, Abdolrashidi 2019 (arXiv 1902.01019), who report 70.02 %. From the paper: the layers, weights
initialised from N(0, .05), Adam at a constant .005, 500 epochs, the L2 penalty on the last two dense layers, and the
official splits of FER2013: 28,709 training images, the best epoch chosen on PublicTest, tested on PrivateTest. Not
published and chosen here: batch size, size of the L2 penalty, the dropout of .5, the ReLU between the dense layers, the
pools of the localisation network and the "small transformations". Ours: gradients are clipped at a norm of 10, and
there is no weight decay in addition to the penalty. The recipe `deep_emotion_published` does not clip, and decays.

The paper can be read in two ways. `--set variant=paper` (default) transforms the feature map, as a figure suggests;
`--set variant=image` transforms the image, as the text says, with the layer sizes of public code. `--set
transformer=false` is the same network without attention. Every point: docs/fidelity.md.

The log warns if the model collapses to the most frequent class, which can happen with Adam at .005; then `--set
learning_rate=0.001`. A wider network is the recipe `deep_emotion_plus`. Measured scores: docs/measurements.md.
"""

from edram_fer.data.augment import Augmentation
from edram_fer.recipes.recipe import Recipe

RECIPE = Recipe(
    name="deep_emotion_fer2013",
    data="fer2013",
    model="deep_emotion",
    options={"variant": "paper", "l2_penalty": 1e-4},
    epochs=500,
    batch_size=128,
    learning_rate=5e-3,
    schedule="constant",
    monitor="val_emotion_accuracy",
    class_weights="none",
    augmentation=Augmentation(rotation=10, shift=0.06, zoom=0.1, shear=0, flip=0.5),
)
