"""The models by name. All follow one contract: from {"image"} to {"emotion", "affect", "windows", "weights"}."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from edram_fer.errors import UserError
from edram_fer.models.baseline import CNN
from edram_fer.models.contract import FERModel, check_choice
from edram_fer.models.deep_emotion import DeepEmotion
from edram_fer.models.edram import EDRAM
from edram_fer.models.region_attention import RAN

__all__ = ["CNN", "EDRAM", "MODELS", "RAN", "DeepEmotion", "FERModel", "build", "list_models"]

# Recipes can name any class that is added here.
MODELS: dict[str, type[FERModel]] = {"edram": EDRAM, "cnn": CNN, "deep_emotion": DeepEmotion, "ran": RAN}


def list_models() -> list[str]:
    """The names that `build` takes.

    >>> list_models()
    ['edram', 'cnn', 'deep_emotion', 'ran']
    """
    return list(MODELS)


def build(
    name: str,
    *,
    image_size: tuple[int, int] = (100, 100),
    channels: int = 1,
    classes: int | None = None,
    emotions: Sequence[str] | None = None,
    preprocessing: Mapping[str, Any] | None = None,
    **options: Any,
) -> FERModel:
    """Build a model by name, with randomly initialised weights.

    Args:
        name: "edram" (glimpses), "deep_emotion" (one spatial transformer), "ran" (weighted crops), or "cnn" (the
            parameter-matched CNN baseline: EDRAM's CNN on the whole image).
        image_size: (height, width) in pixels.
        channels: 1 for grey, 3 for colour.
        classes: number of emotions K; None: one for each name in `emotions`, or 7.
        emotions: names of the K classes, in the order of the logits.
        preprocessing: how the training faces were cropped from photos, see `FERModel`.
        **options: the arguments of the model's class, e.g. glimpses=3; also `variant`, a set of options each of which
            can be set as well: of "edram" "ours", "ablavatski2017" or "forch2019" (`edram_fer.models.edram.variants`),
            of "ran" "ours" or "wang2020" (`edram_fer.models.region_attention.ran`); also `dtype`, a Keras policy such
            as "mixed_bfloat16" (coordinates, logits and affect stay float32).

    Returns:
        A built Keras model from images [B, H, W, C] (uint8 in 0 to 255 or floats in [0, 1], passed directly or as
        {"image": images}) to {"emotion": logits [B, T, K], "affect": [B, T, 2], "windows": [B, N, 2, 3], "weights":
        [B, N]}; T = 1 for models that are not recurrent. Without an affect head (`affect=False`) "affect" is -2,
        AffectNet's code for unknown. With crops="landmarks" RAN also takes {"landmarks": [B, 68, 2]}.

    Raises:
        UserError: an unknown name or option, or an option out of range.

    >>> import numpy as np
    >>> model = build("deep_emotion", image_size=(48, 48), emotions=["happy", "sad", "anger"])
    >>> outputs = model(np.zeros((2, 48, 48, 1), "uint8"))
    >>> outputs["emotion"].shape == (2, 1, 3), model.emotions
    (True, ('happy', 'sad', 'anger'))
    """
    check_choice("model", name, MODELS)
    known = [*MODELS[name].option_names(), "dtype"]
    for option in options:
        if option not in known:
            raise UserError(f"{name}: unknown option {option!r}; known are {', '.join(known)}")
    if MODELS[name].variants:
        variant = options.pop("variant", next(iter(MODELS[name].variants)))
        check_choice("variant", variant, MODELS[name].variants)
        options = {**MODELS[name].variants[variant], **options}
    if classes is None:
        classes = 7 if emotions is None else len(emotions)
    arguments = {"image_size": image_size, "channels": channels, "classes": classes, **options}
    arguments = keras.tree.map_structure(_plain, arguments)
    return MODELS[name](emotions=emotions, preprocessing=preprocessing, **arguments)


def _plain(value: Any) -> Any:
    """Convert NumPy numbers to Python numbers, as Keras' layers and .keras files require."""
    return value.item() if isinstance(value, np.generic) else value
