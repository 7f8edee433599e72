"""Deep-Emotion on FER2013 as published, as far as the paper describes it.

    edram-fer prepare fer2013 --source SOURCE
    python train.py deep_emotion_fer2013

Source: Minaee, Abdolrashidi 2019 (arXiv 1902.01019), who report 70.02 %. From the paper: the network, weights
initialised from N(0, .05), Adam at a constant .005, 500 epochs and the L2 penalty on the last two dense layers. Not
published and chosen here: batch size, size of the L2 penalty, the dropout of .5 and the "small transformations".
Omitted: a weight decay in addition to the L2 penalty, whose size is not published either. The paper's splits are
random, 28,709 / about 3.5 k / 3,589; here the best epoch is chosen on PublicTest, and the test split is PrivateTest.

The log warns if the model collapses to the most frequent class, which can happen with Adam at .005; in that case, use
`--set learning_rate=0.001`. `--set transformer=false` trains the same network without attention, `--set variant=image`
the variant of most public implementations. Our variant is the recipe `deep_emotion_plus`. Measured scores:
docs/results.md.
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
