"""The models by name; all share one contract, from {"image"} to {"emotion", "affect", "windows", "weights"}."""

import inspect

import keras
import numpy as np

from edram_fer.errors import UserError
from edram_fer.models.baseline import CNN
from edram_fer.models.contract import check_choice
from edram_fer.models.deep_emotion import DeepEmotion
from edram_fer.models.edram import EDRAM
from edram_fer.models.region_attention import RAN

# A class that is added here can be named in recipes.
MODELS = {"edram": EDRAM, "cnn": CNN, "deep_emotion": DeepEmotion, "ran": RAN}


def build(name, *, image_size=(100, 100), channels=1, classes=7, **options):
    """Make a model by name, its weights randomly initialised.

    Args:
        name: "edram" (glimpses), "deep_emotion" (one spatial transformer), "ran" (weighed crops), or "cnn" (EDRAM's
            CNN on the whole image, equal parameters: the baseline).
        image_size: (height, width) in pixels.
        channels: 1 for grey, 3 for colour.
        classes: number of emotions K.
        **options: the arguments of the model's class, e.g. glimpses=3; also `dtype`, a Keras policy such as
            "mixed_bfloat16" (coordinates, logits and affect stay float32).

    Returns:
        keras.Model, built, from {"image": [B, H, W, C] in [0, 1]} to {"emotion": logits [B, T, K], "affect": [B, T, 2],
        "windows": [B, N, 2, 3], "weights": [B, N]}; T = 1 where the model is not recurrent. Without a
        head for it (`affect=False`) "affect" is -2, AffectNet's mark for unknown. With
        crops="landmarks" RAN also takes {"landmarks": [B, 68, 2]}.

    Raises:
        ValueError: an unknown name or option, or one out of its range.
    """
    check_choice("model", name, MODELS)
    known = [*inspect.signature(MODELS[name]).parameters][:-1] + ["dtype"]
    for option in options:
        if option not in known:
            raise UserError(f"{name}: unknown option {option!r}; known are {', '.join(known)}")
    arguments = {"image_size": image_size, "channels": channels, "classes": classes, **options}
    return MODELS[name](**keras.tree.map_structure(_plain, arguments))


def _plain(value):
    """NumPy's numbers as Python's: Keras' layers and .keras files take no others."""
    return value.item() if isinstance(value, np.generic) else value
