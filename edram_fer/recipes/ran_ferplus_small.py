"""A small region attention network on FERPlus, eight classes, for a CPU.

    edram-fer prepare ferplus/majority --source SOURCE
    python train.py ran_ferplus_small --set crops=face --out FACE
    python train.py ran_ferplus_small --set initial_weights=FACE --set epochs=8 --out RUN

`ran_ferplus` with an IResNet-18 of a quarter of the filters at the 48 pixels that the faces have, fewer epochs at a
smaller rate and float32; on a processor with avx512_bf16 `--set dtype=mixed_bfloat16` is faster. `crops=face` is the
published baseline, the whole face without attention, at a sixth of the time; its backbone then takes the place of the
one that the paper trained on other faces before. In one go it is the first command without `crops=face`. Scores that
were measured stand in docs/results.md.
"""

import dataclasses

from edram_fer.recipes.ran_ferplus import RECIPE as FULL

RECIPE = dataclasses.replace(
    FULL,
    name="ran_ferplus_small",
    options={**FULL.options, "backbone": "iresnet18", "backbone_filters": (16, 32, 64, 128), "crop_size": None},
    dtype="float32",
    epochs=30,
    learning_rate=0.05,
    warmup_epochs=2,
)
