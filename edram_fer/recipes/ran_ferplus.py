"""A small region attention network on FERPlus, eight classes, for a CPU.

    edram-fer prepare ferplus/majority --source SOURCE
    python train.py ran_ferplus

Source: Wang et al. 2020 (arXiv 1905.04075), who print 88.55 % with a ResNet-18. Theirs: faces of 224 pixels, a backbone
trained on millions of faces before, SGD at .1 for 60 epochs, Training and PublicTest together, the epoch chosen on the
test list. Here: the 48 pixels that FER2013 has, an IResNet-18 of half the filters from scratch, AdamW with warm-up and
cosine, trained on Training alone and chosen on PublicTest; 3,153 test pictures (`majority`) where theirs are 3,137.
As published: five crops beside the face, both attentions with sigmoids, the region-biased loss with margin .1 and
weight 1 (`--set margin=0.02`, `--set region_weight=0`).

`--set attention=mean` and `--set attention=self` show what each attention brings; `--set attention_norm=softmax` is the
released code. On a processor with avx512_bf16 `--set dtype=mixed_bfloat16` is faster. Scores that were measured stand
in docs/results.md.
"""

from edram_fer.augment import Augmentation
from edram_fer.recipe import Recipe

RECIPE = Recipe(
    name="ran_ferplus",
    data="ferplus/majority",
    emotions="eight",
    model="ran",
    options={
        "backbone": "iresnet18",
        "backbone_filters": (32, 64, 128, 256),
        "crops": "fixed5",
        "attention_norm": "sigmoid",
        "margin": 0.1,
        "dropout": 0.2,
    },
    epochs=30,
    batch_size=64,
    optimizer="adamw",
    learning_rate=1e-3,
    schedule="cosine",
    min_learning_rate=1e-5,
    weight_decay=3e-2,
    monitor="val_emotion_accuracy",
    class_weights="none",
    region_weight=1.0,
    augmentation=Augmentation(rotation=10, shift=0.06, zoom=0.1, shear=0, flip=0.5),
)
