"""Models small enough for a test, images for them, and random weights that let every part show."""

import numpy as np

TINY = {
    "image_size": (32, 33),
    "classes": 4,
    "glimpses": 2,
    "glimpse_size": 14,
    "glimpse_units": 6,
    "head_units": 5,
    "classification_units": 8,
    "location_units": 7,
    "glimpse_filters": (2, 3, 4, 3, 4, 5),
    "context_filters": (2, 3, 4),
}
TINY_RAN = {"backbone": "iresnet18", "backbone_filters": (2, 3, 4, 5), "crop_size": 16}
# Options of models.build by model.
TINIES = {
    "edram": TINY,
    "cnn": {name: value for name, value in TINY.items() if name not in ("glimpses", "context_filters")},
    "deep_emotion": {"image_size": TINY["image_size"], "classes": TINY["classes"], "trunk_filters": (3, 4, 5)},
    "ran": {"image_size": TINY["image_size"], "classes": TINY["classes"], **TINY_RAN},
}


def inputs(model, count, seed=0):
    """What a model is called with: images and, where it wants them, landmarks, those of the first face unknown."""
    rng, features = np.random.default_rng(seed), {}
    shapes = model.input_shapes()
    features["image"] = make_images(count, *shapes["image"][1:], seed=seed)
    if "landmarks" in shapes:
        height, width = shapes["image"][1:3]
        features["landmarks"] = rng.uniform(0, (width - 1, height - 1), (count, 68, 2)).astype("float32")
        features["landmarks"][0] = np.nan
    return features


def make_images(count, *shape, seed=0):
    """Noise in [0, 1], images of different brightness."""
    rng = np.random.default_rng(seed)
    return (rng.random((count, *shape)) * rng.random((count, 1, 1, 1))).astype("float32")


def draw_weights(layer, seed=0):
    """Set all weights at random, so that no zero hides a part of the model; the activations keep their size."""
    rng = np.random.default_rng(seed)
    for weight in layer.weights:
        if weight.path.endswith("kernel"):
            gain = 0.75 if "res_net" in weight.path else 3.0  # the sums of residual blocks grow
            weight.assign(rng.normal(0, np.sqrt(gain / np.prod(weight.shape[:-1])), weight.shape))
        elif weight.path.endswith(("gamma", "variance")):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif "seed" not in weight.path:
            weight.assign(rng.normal(0, 0.3, weight.shape))
    return layer
