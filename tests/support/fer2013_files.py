"""Dummy data in every layout of FER2013."""

from pathlib import Path

import cv2
import numpy as np

from edram_fer.preprocessing import emotions
from edram_fer.preprocessing.datasets.fer2013 import layouts

CODES = {"anger": 0, "disgust": 1, "fear": 2, "happy": 3, "sad": 4, "surprise": 5, "neutral": 6}

FOLDERS = {"anger": "angry", "surprise": "surprise"}  # the layout with Training_<n>.jpg

LONG_FOLDERS = {"anger": "angry", "disgust": "disgusted", "fear": "fearful", "surprise": "surprised"}


def draw_face(number: int) -> np.ndarray:
    """A simple face, uint8 [48, 48]; a different one for every number below 100."""
    face = np.full((48, 48), 9, np.uint8)
    cv2.ellipse(face, (24, 25), (16, 20), 0, 0, 360, 60, -1)
    cv2.circle(face, (17, 20), 2, 5, -1)
    cv2.circle(face, (31, 20), 2, 5, -1)
    cv2.ellipse(face, (24, 30 + number % 7), (8, 1 + number % 5), 0, 0, 180, 99, 1)
    face[47, :2] = number % 10, number // 10
    return face


# (usage, emotion, number of the drawn face): row 9 repeats row 1 under another name, row 10 repeats row 6.
ROWS = [("Training", name, number) for number, name in enumerate(emotions.SEVEN)] + [
    ("PublicTest", "happy", 7),
    ("PublicTest", "anger", 8),
    ("PrivateTest", "sad", 1),
    ("PublicTest", "anger", 6),
    ("PrivateTest", "fear", 11),
    ("PrivateTest", "disgust", 12),
]


def pixels(number: int) -> str:
    return " ".join(map(str, draw_face(number).ravel()))


def write_csv(path: Path, rows=ROWS, *, edit=lambda lines: lines) -> Path:
    lines = ["emotion,pixels,Usage"] + [f"{CODES[name]},{pixels(number)},{usage}" for usage, name, number in rows]
    path.write_text("\n".join(edit(lines)) + "\n")
    return path


def write_icml(path: Path) -> Path:
    lines = ["emotion, Usage, pixels"] + [f"{CODES[name]},{usage},{pixels(number)}" for usage, name, number in ROWS]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_kaggle(folder: Path) -> Path:
    train = [f'"{CODES[name]}","{pixels(number)}"' for usage, name, number in ROWS if usage == "Training"]
    test = [f'"{pixels(number)}"' for usage, _, number in ROWS if usage != "Training"]
    (folder / "train.csv").write_bytes("\r\n".join(['"emotion","pixels"', *train, ""]).encode())
    (folder / "test.csv").write_bytes("\r\n".join(['"pixels"', *test, ""]).encode())
    return folder


def write_images(root: Path, *, numbered: bool) -> Path:
    """Folders with im<k>.png, or with <Usage>_<n> as PNG data under a .jpg name, so that pixels can be compared."""
    names = LONG_FOLDERS if numbered else FOLDERS
    for row, (usage, name, number) in enumerate(ROWS):
        folder = root / ("train" if usage == "Training" else "test") / names.get(name, name)
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / (f"im{row}.png" if numbered else f"{usage}_{row}.jpg")
        target.write_bytes(cv2.imencode(".png", draw_face(number))[1].tobytes())
    return root


LAYOUTS = {
    layouts.FER2013_CSV: lambda folder: write_csv(folder / "fer2013.csv"),
    layouts.ICML_CSV: lambda folder: write_icml(folder / "icml_face_data.csv"),
    layouts.KAGGLE_CSV: write_kaggle,
    layouts.USAGE_FOLDERS: lambda folder: write_images(folder, numbered=False),
    layouts.NUMBER_FOLDERS: lambda folder: write_images(folder, numbered=True),
}
