"""Drawn faces as a TFDS builder: `edram_fer.preprocessing.synthetic` draws them, README.md describes them."""

import dataclasses
import io
import re
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import tensorflow_datasets as tfds

from edram_fer.errors import UserError
from edram_fer.preprocessing import emotions, synthetic

# The start and the end of each split's numbers. The ranges are disjoint and do not depend on the size of a split.
STARTS = {"train": 0, "validation": 800_000, "test": 900_000}
_ENDS = {"train": 800_000, "validation": 900_000, "test": 1_000_000}


@dataclasses.dataclass
class DrawnFacesConfig(tfds.core.BuilderConfig):
    """The faces to draw.

    Attributes:
        name: by default a name that contains all other fields, so that different configurations never share a folder.
        size: side in pixels, 16 to 1024.
        colour: RGB instead of grey.
        classes: 7, or 8 with contempt.
        train, validation, test: numbers of images.
        seed: seed of all faces.

    Raises:
        UserError: a field is out of range.
    """

    name: str = ""
    size: int = 48
    colour: bool = False
    classes: int = 7
    train: int = 6000
    validation: int = 1000
    test: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        synthetic.scene(self.seed, 0, size=self.size)  # raises for a bad seed or size
        synthetic.emotion_at(self.seed, 0, self.classes)
        for split, start in STARTS.items():
            count, limit = getattr(self, split), _ENDS[split] - start
            if not isinstance(count, int) or not 0 <= count <= limit:
                raise UserError(f"{split}: expected a number of images from 0 to {limit}, got {count!r}")
        if not self.name:
            tone = "colour" if self.colour else "grey"
            self.name = f"{tone}{self.size}_{self.classes}_{self.train}_{self.validation}_{self.test}_{self.seed}"


def config_from_name(name: str) -> DrawnFacesConfig:
    """The configuration that a name describes.

    Args:
        name: "colour64", or with all numbers "colour64_8_6000_1000_1000_0" (size; classes; images of train, validation
            and test; seed).

    Raises:
        UserError: the name has another form, or a number is out of range.
    """
    match = re.fullmatch(r"(grey|colour)(\d{1,9})(?:_(\d{1,9})_(\d{1,9})_(\d{1,9})_(\d{1,9})_(\d{1,9}))?", name)
    if match is None:
        raise UserError(
            f"drawn_faces: expected a configuration such as grey48, colour64 or "
            f"colour64_8_6000_1000_1000_0 (size, classes, images of train, validation and test, seed), "
            f"got {name!r}"
        )
    tone, size, *numbers = match.groups()
    fields = ("classes", "train", "validation", "test", "seed")
    values = {} if None in numbers else dict(zip(fields, map(int, numbers), strict=True))
    return DrawnFacesConfig(name=name, size=int(size), colour=tone == "colour", **values)


class Builder(tfds.core.GeneratorBasedBuilder):
    """Drawn faces with the splits train, validation and test, in the order of their numbers.

    Features: `image` uint8 [size, size, 1 or 3]; `emotion` in the order of `emotions.EMOTIONS`; `affect` float32 [2];
    `intensity` float32; `id` text; `landmarks` float32 [68, 2] in pixels; `mask` uint8 [size, size, 1].
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    BUILDER_CONFIGS = [
        DrawnFacesConfig(name="grey48", size=48, description="48x48 grey, like FER2013."),
        DrawnFacesConfig(name="grey100", size=100, description="100x100 grey."),
        DrawnFacesConfig(name="colour100", size=100, colour=True, description="100x100 colour."),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        size, channels = config.size, 3 if config.colour else 1
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(size, size, channels), encoding_format="png"),
                    "emotion": tfds.features.ClassLabel(names=list(emotions.EMOTIONS[: config.classes])),
                    "affect": tfds.features.Tensor(shape=(2,), dtype=np.float32),
                    "intensity": np.float32,
                    "id": tfds.features.Text(),
                    "landmarks": tfds.features.Tensor(shape=(68, 2), dtype=np.float32),
                    "mask": tfds.features.Image(shape=(size, size, 1), encoding_format="png"),
                }
            ),
            supervised_keys=("image", "emotion"),
            disable_shuffling=True,  # the classes are mixed already, and the order is the same in every run
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        config = self.builder_config
        return {
            split: self._generate_examples(getattr(config, split), start)
            for split, start in STARTS.items()
            if getattr(config, split)
        }

    def _generate_examples(self, count: int, start: int) -> Iterator[tuple[Any, dict[str, Any]]]:
        """`count` faces from number `start`, as (number, example)."""
        config = self.builder_config
        for face in synthetic.generate(
            count, config.seed, start=start, classes=config.classes, size=config.size, colour=config.colour
        ):
            yield (
                face.index,
                {
                    "image": _png(face.image),
                    "emotion": face.emotion,
                    "affect": np.array([face.valence, face.arousal], np.float32),
                    "intensity": face.intensity,
                    "id": face.id,
                    "landmarks": face.landmarks,
                    "mask": _png(face.mask),
                },
            )


def _png(image: np.ndarray) -> io.BytesIO:
    """An image uint8 [H, W, 1 or 3 (RGB)] as a PNG file. It uses OpenCV, which does not start TensorFlow."""
    return io.BytesIO(cv2.imencode(".png", image[..., ::-1])[1].tobytes())
