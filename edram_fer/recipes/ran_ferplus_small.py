"""Our small region attention network on FERPlus, eight classes, for a CPU.

    edram-fer prepare ferplus/majority --source SOURCE
    edram-fer train ran_ferplus_small --set crops=face --out FACE
    edram-fer train ran_ferplus_small --set initial_weights=FACE --set epochs=8 --out RUN

`ran_ferplus_iresnet50` with an IResNet-18 that has a quarter of the filters, regions sampled at 48 pixels, fewer
epochs, a lower learning rate and float32 (`--set dtype=auto` is faster on processors with bfloat16 instructions).
`crops=face` is the published baseline, the whole face without attention, which takes a sixth of the time; its backbone
replaces the backbone that the paper pretrained on other faces. To train in one stage, omit `crops=face` in the first
command and skip the second. Measured scores: docs/measurements.md.
"""

import dataclasses

from edram_fer.recipes.ran_ferplus_iresnet50 import RECIPE as FULL

RECIPE = dataclasses.replace(
    FULL,
    name="ran_ferplus_small",
    options={**FULL.options, "backbone": "iresnet18", "backbone_filters": (16, 32, 64, 128), "crop_size": None},
    dtype="float32",
    epochs=30,
    learning_rate=0.05,
    warmup_epochs=2,
)
