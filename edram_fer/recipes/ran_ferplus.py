"""Region attention network as its code trains it on FERPlus, eight classes: ResNet-18, SGD 0.1, 60 epochs; for a GPU.

    edram-fer prepare ferplus/majority --source SOURCE
    edram-fer train ran_ferplus --set initial_weights=faces.keras --out RUN
    edram-fer evaluate RUN --split test --split test_occlusion --split test_pose30 --split test_pose45

Source: Wang et al. 2020 (arXiv 1905.04075) and their code; docs/fidelity.md has every point. They report 88.55 % with a
ResNet-18 and 83.63, 82.23 and 80.40 % on the three subsets.

As in the code: regions of 224x224 points, five crops and the face, one call of the backbone per region, a softmax over
the regions after each sigmoid, region-biased loss with margin 0.1 and weight 1; SGD with momentum 0.9, no Nesterov
momentum, decay 1e-4 of all weights, no clipping, no dropout; batch size 128, the rate divided by 10 after epochs 18, 30
and 48. Its loader computes a random crop but resizes the whole image, so nothing is augmented. Its AffectNet code has
the margins 0.02 (balanced sampling, folder unbalanced_sample_train) and 0.03 (simple_sample) and `crops=fixed7`; a
public re-implementation with an IResNet-50 has 0.1. The paper has no softmax: `--set attention_norm=sigmoid`.

Where this recipe differs: the code starts from a ResNet-18 trained on MS-Celeb-1M, of which `edram-fer backbone` makes
faces.keras (docs/howto/pytorch.md); without `initial_weights` all weights are random here. The code trains on Training
and PublicTest and keeps the epoch that is best on the test list; here the epoch is chosen on PublicTest. Faces are
those of FER2013 with 48 pixels, and `majority` has 3,153 test images instead of 3,137.

`ran_ferplus_iresnet50` and, for a CPU, `ran_ferplus_small` are ours.
"""

from edram_fer.data.augment import NONE
from edram_fer.recipes.recipe import Recipe

RECIPE = Recipe(
    name="ran_ferplus",
    data="ferplus/majority",
    emotions="eight",
    model="ran",
    options={
        "variant": "wang2020",
        "backbone": "resnet18",
        "crops": "fixed5",
        "crop_size": 224,
        "margin": 0.1,
    },
    epochs=60,
    batch_size=128,
    optimizer="sgd",
    nesterov=False,
    learning_rate=0.1,
    schedule="steps",
    step_epochs=(18, 30, 48),
    weight_decay=1e-4,
    decayed="all",
    clip_norm=0.0,
    monitor="val_emotion_accuracy",
    class_weights="none",
    region_weight=1.0,
    augmentation=NONE,
)
