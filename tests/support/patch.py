"""A run whose model reads the emotion from one patch of the image, and images with this patch."""

import numpy as np

from edram_fer import data, files
from edram_fer.run import checkpoints

EMOTIONS = ("happy", "neutral", "sad")  # of the model; the patch is white, grey or black
NAMES = ("neutral", "happy", "sad", "contempt")  # of the data set, in an order of its own
SHAPE = (24, 20)
PATCH = (slice(13, 19), slice(4, 10))


class Patch:
    """Predicts by the mean grey level of the patch, with windows around the patch or without."""

    emotions = EMOTIONS

    def __init__(self, windows=True):
        self.windows, self.images_seen, self.broken = windows, 0, None

    def input_shapes(self):
        return {"image": (None, *SHAPE, 1)}

    def predict_on_batch(self, inputs):
        images = inputs["image"]
        self.images_seen += len(images)
        level = images[:, *PATCH].mean(axis=(1, 2))
        logits = np.repeat(-12 * np.abs(level - np.array([1, 0.5, 0]))[:, None], 2, axis=1)
        logits[:, 0] = 0  # undecided after the first step
        if self.broken is not None:
            logits[self.broken(images)] = np.nan
        window = np.eye(2, 3)
        if self.windows:  # the patch in [-1, 1], align corners, half a pixel wider on each side
            last = np.array(SHAPE[::-1]) - 1
            low, high = (np.array([getattr(part, end) for part in PATCH[::-1]]) for end in ("start", "stop"))
            window = np.column_stack([np.diag((high - low) / last), (low + high - 1) / last - 1])
        count = len(images)
        windows = np.tile(window, (count, 2, 1, 1))
        return {"emotion": logits, "windows": windows, "weights": np.full((count, 2), 0.5)}


def make_images(count, seed=0, masks=True):
    """Noise with a patch whose grey level is the emotion; the last two images are of contempt."""
    rng = np.random.default_rng(seed)
    emotion = np.append(np.arange(count - 2) % 3, [3, 3])
    images = rng.integers(0, 256, (count, *SHAPE, 1), dtype=np.uint8)
    images[:, *PATCH] = np.array([128, 255, 0, 255], np.uint8)[emotion][:, None, None, None]
    mask = np.zeros_like(images)
    mask[emotion != 0, *PATCH] = 1  # a neutral face has no expression
    features = {"image": images, "emotion": emotion, "id": np.array([f"p{i}" for i in range(count)], object)}
    return {**features, "mask": mask} if masks else features


def make_run(folder, monkeypatch, content, model=None):
    """Make a run folder whose model and data set are in memory; returns the model."""
    model = model or Patch()
    folder.mkdir(exist_ok=True)
    files.write_json(folder / "recipe.json", {"name": "made_up", "data": "patches"})
    (folder / "model.keras").write_bytes(b"a model")
    monkeypatch.setattr(checkpoints, "load", lambda run: model)
    monkeypatch.setattr(data, "load_split", lambda source, split, data_dir=None: content)
    monkeypatch.setattr(data, "emotions", lambda source, data_dir=None: NAMES)
    return model
