"""The files that the stages start from: drawn faces as NPZ file, photos, tables and CSV file, and a trained run."""

import csv
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from edram_fer import files
from edram_fer.preprocessing import synthetic
from edram_fer.preprocessing.emotions import EMOTIONS, SEVEN

COUNTS = {"train": 70, "validation": 28, "test": 28}
PHOTOS, ROWS = 1100, 1100  # three chunk files of faces
PIXEL_ROWS = 700
LARGE_PHOTOS = 24  # to predict

# What both models share. Starting takes longer than their few steps, so that kills fall everywhere.
_SETTINGS = (
    *("batch_size=14", "checkpoint_steps=2", "seed=2", "dropout=0.4", "label_smoothing=0.1", "mixup=0.3", "ema=0.5"),
    *("augmentation.erase=0.5", "glimpse_size=14", "glimpse_filters=(2, 2, 4, 4, 4, 4)", "glimpse_units=8"),
    *("head_units=8", "classification_units=8", "data=../inputs/faces.npz"),
)
EDRAM = (
    *(*_SETTINGS, "variant=ours", "loss_form=ours", "epochs=2", "glimpses=2", "location_units=8"),
    "context_filters=(4, 4, 8)",
)
CNN = (*_SETTINGS, "model=cnn", "hidden_units=16", "epochs=5")  # its graph is traced in two seconds


def make(folder: Path, command: list[str], environment: Mapping[str, str]) -> None:
    """Write all inputs into `folder`, unless they are there.

    Args:
        folder: the folder `inputs` beside the folders of the cases.
        command: words that run edram-fer, which trains the run.
        environment: of that process.
    """
    if folder.exists():
        return
    with files.replace_folder(folder) as temporary:
        temporary.mkdir()
        _faces(temporary / "faces.npz")
        for emotion in SEVEN:
            (temporary / "photos" / emotion).mkdir(parents=True)
        rows = []
        for number, face in enumerate(synthetic.generate(PHOTOS, seed=5, size=32, colour=True)):
            name = f"{face.emotion}/{number:04d}.png"
            cv2.imwrite(str(temporary / "photos" / name), face.image)
            rows.append({"image": name, "emotion": face.emotion, "left": 2, "top": 3, "width": 28, "height": 28})
        files.write_csv(temporary / "photos" / "labels.csv", rows)
        (temporary / "large").mkdir()
        for number, face in enumerate(synthetic.generate(LARGE_PHOTOS, seed=6, size=200, colour=True)):
            cv2.imwrite(str(temporary / "large" / f"{number:02d}.jpg"), face.image)
        _film(temporary / "large" / "film.avi")
        _fer2013(temporary / "fer2013.csv")
        subprocess.run(
            [*command, *train_words("run", EDRAM), "--set", f"data={temporary.name}/faces.npz"],
            cwd=temporary.parent,
            env=environment,
            check=True,
        )
        (temporary.parent / "run").rename(temporary / "run")
        recipe = files.read_json(temporary / "run" / "recipe.json")
        files.write_json(temporary / "run" / "recipe.json", {**recipe, "data": "../inputs/faces.npz"})


def train_words(run: str, settings: Sequence[str] = CNN) -> list[str]:
    """The words of the command that trains a small model."""
    return ["train", "forch2019", *set_words(settings), "--quiet", "--out", run]


def set_words(settings: Sequence[str]) -> list[str]:
    """The words that change settings of a recipe."""
    return [word for setting in settings for word in ("--set", setting)]


def _faces(path: Path) -> None:
    content = {"source": "drawn", "version": "1.0.0", "fingerprint": "abc", "emotions": np.array(SEVEN)}
    for seed, (split, count) in enumerate(COUNTS.items()):
        arrays = synthetic.generate_arrays(count, seed, size=28)
        labels = [SEVEN.index(EMOTIONS[label]) for label in arrays["emotion"]]
        content |= {f"{split}/image": arrays["image"], f"{split}/emotion": np.array(labels)}
        content |= {f"{split}/affect": arrays["affect"], f"{split}/landmarks": arrays["landmarks"]}
        content[f"{split}/id"] = np.array([f"{split}-{number}" for number in range(count)])
    np.savez_compressed(path, **content)


def _film(path: Path) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (96, 96))
    for face in synthetic.generate(12, seed=7, size=96, colour=True):
        writer.write(face.image)
    writer.release()


def _fer2013(path: Path) -> None:
    codes = {"anger": 0, "disgust": 1, "fear": 2, "happy": 3, "sad": 4, "surprise": 5, "neutral": 6}
    usages = ("Training", "Training", "Training", "PublicTest", "PrivateTest")
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["emotion", "pixels", "Usage"])
        for number, face in enumerate(synthetic.generate(PIXEL_ROWS, seed=8, size=48)):
            pixels = " ".join(map(str, face.image.ravel()))
            table.writerow([codes[face.emotion], pixels, usages[number // 7 % len(usages)]])
