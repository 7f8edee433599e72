"""Files with random images, and their records."""

import cv2
import numpy as np

from edram_fer.preprocessing.records import Annotations, FaceRecord

EMOTIONS = ("neutral", "happy")


def record(name="a.png", **fields):
    """A record of the image `name`; `fields` replace or add to its fields."""
    defaults = {"id": name, "row": "list.csv:1", "image": name, "split": "train", "emotion": "happy"}
    return FaceRecord(**defaults | fields)


def make_image(path, seed=0, shape=(60, 80, 3)):
    """Write and return random pixels, uint8 [H, W, 3] RGB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(seed).integers(0, 255, shape, np.uint8)
    cv2.imwrite(str(path), image[:, :, ::-1])
    return image


def make_annotations(root, count=1600):
    """Annotations whose rows share ten images; the image of every 100th row is missing."""
    records = (record(f"{i % 10}.png" if i % 100 else "gone.png", id=str(i)) for i in range(count))
    return Annotations(name="data", layout="table", root=root, classes=EMOTIONS, records=lambda: records)
