"""Region attention network with an IResNet-50 on FERPlus, eight classes, from scratch; for a GPU.

    edram-fer prepare ferplus/majority --source SOURCE
    python train.py ran_ferplus --out RUN
    python evaluate.py RUN --split test --split test_occlusion --split test_pose30 --split test_pose45 --flip

Source: Wang et al. 2020 (arXiv 1905.04075), who report 88.55 % with a ResNet-18 and 83.63, 82.23 and 80.40 % on the
three subsets. The paper: faces of 224 pixels, a backbone pretrained on millions of faces, training on Training and
PublicTest together, the epoch chosen on the test list. Here: FER2013's faces of 48 pixels, regions sampled at 112
pixels, no pretraining, training on Training, the epoch chosen on PublicTest, and 3,153 test images (`majority`) instead
of 3,137. As published: five crops in addition to the face, both attentions with sigmoids, the region-biased loss with
margin .1 and weight 1 (`--set margin=0.02`, `--set region_weight=0`), SGD at .1 with momentum .9 and decay. Added for
training from scratch on small faces: warm-up and cosine, label smoothing, mixup, random erasing, averaged weights. The
published schedule: `--set schedule=steps --set "step_epochs=(18,30,48)" --set epochs=60`.

`--set data=ferplus/probability --set labels=soft` trains on the votes instead of the majority; scores of the two
protocols are not comparable. `--set attention=mean` and `--set attention=self` show what each attention contributes;
`--set attention_norm=softmax` follows the released code. `ran_ferplus_small` is for a CPU. Measured scores:
docs/results.md.
"""

from edram_fer.data.augment import Augmentation
from edram_fer.recipes.recipe import Recipe

RECIPE = Recipe(
    name="ran_ferplus",
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
    dtype="mixed_bfloat16",
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
