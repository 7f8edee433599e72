"""Our region attention network on FERPlus, eight classes: an IResNet-50 from scratch; for a GPU.

    edram-fer prepare ferplus/majority --source SOURCE
    edram-fer train ran_ferplus_iresnet50 --out RUN
    edram-fer evaluate RUN --split test --split test_occlusion --split test_pose30 --split test_pose45 --flip

The published attentions, crops and region-biased loss of `ran_ferplus`, and what small faces from scratch need: a
backbone with a stem of stride 1, regions sampled at 112 pixels, Nesterov momentum, warm-up and cosine, stronger decay,
label smoothing, mixup, random erasing, dropout, averaged weights. The attentions have sigmoids only, as in the paper
(`--set attention_norm=softmax` is the released code); margin and weight of the region-biased loss are `--set
margin=0.02` and `--set region_weight=0`.

`--set data=ferplus/probability --set labels=soft` trains on the votes instead of the majority; scores of the two
protocols are not comparable. `--set attention=mean` and `--set attention=self` show what each attention contributes.
`ran_ferplus_small` is for a CPU. Measured scores: docs/measurements.md.
"""

from edram_fer.data.augment import Augmentation
from edram_fer.recipes.recipe import Recipe

RECIPE = Recipe(
    name="ran_ferplus_iresnet50",
    data="ferplus/majority",
    emotions="eight",
    model="ran",
    options={
        "backbone": "iresnet50",
        "crops": "fixed5",
        "crop_size": 112,
        "attention_norm": "sigmoid",
        "margin": 0.1,
        "dropout": 0.2,
    },
    dtype="auto",
    epochs=100,
    batch_size=128,
    optimizer="sgd",
    learning_rate=0.1,
    schedule="cosine",
    warmup_epochs=5,
    min_learning_rate=1e-4,
    weight_decay=5e-4,
    monitor="val_emotion_accuracy",
    class_weights="none",
    label_smoothing=0.1,
    mixup=0.2,
    ema=0.999,
    region_weight=1.0,
    augmentation=Augmentation(rotation=10, shift=0.08, zoom=0.1, shear=0, flip=0.5, erase=0.5),
)
