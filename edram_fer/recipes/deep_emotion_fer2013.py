"""Deep-Emotion on FER2013 as published, as far as the paper says how.

    edram-fer prepare fer2013 --source SOURCE
    python train.py deep_emotion_fer2013

Source: Minaee, Abdolrashidi 2019 (arXiv 1902.01019), who print 70.02 % for it. Theirs: the net, its weights drawn from
N(0, .05), Adam at a constant .005, 500 epochs and the l2_penalty on the last two dense layers. Not published and chosen
here: batch size, size of the l2_penalty, the dropout of .5, what the "small transformations" are. Left out: a weight decay
beside the l2_penalty, whose size is not published either. Their splits are random, 28,709 / about 3.5 k / 3,589; here the
best epoch is chosen on PublicTest, and the test split is PrivateTest.

The log warns where training falls into the most frequent class, which Adam at .005 can do; then
`--set learning_rate=0.001`. `--set transformer=false` is the same net without attention, `--set variant=image` what
most public code has. Ours is the recipe `deep_emotion_plus`. Scores that were measured stand in docs/results.md.
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
