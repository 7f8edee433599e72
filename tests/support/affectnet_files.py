"""AffectNet's annotations in its three official layouts; the images are empty files."""

import json
from pathlib import Path

import numpy as np

from edram_fer.preprocessing.datasets.affectnet import annotations

HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
CODES = {"neutral": 0, "happy": 1, "sad": 2, "surprise": 3, "fear": 4, "disgust": 5, "anger": 6, "contempt": 7}
POINTS = np.linspace(10, 200, 136).round(2)
SOFT = [0.1, 0.5, 0.05, 0.05, 0.1, 0.1, 0.05, 0.05]


def line(path="1/a.jpg", box="10,20,120,130", landmarks=None, code="1", affect="0.5,-0.25") -> str:
    landmarks = ";".join(map(str, POINTS)) if landmarks is None else landmarks
    return f"{path},{box},{landmarks},{code},{affect}"


def write_lists(
    root: Path,
    training=(),
    validation=None,
    *,
    header=True,
    lists="Manually_Annotated_file_lists",
    images="Manually_Annotated_Images",
) -> Path:
    """The layout of 2017; without `validation` only training.csv."""
    (root / lists).mkdir(parents=True, exist_ok=True)
    (root / images).mkdir(parents=True, exist_ok=True)
    for name, rows in (("training.csv", training), ("validation.csv", validation)):
        if rows is not None:
            text = "".join(f"{row}\n" for row in ([HEADER] if header else []) + list(rows))
            (root / lists / name).write_text(text)
    return root


def write_npy(folder: Path, number, *, exp="1", val="0.5", aro="-0.25", lnd=POINTS) -> None:
    """One image of the layout of 2021; a file is omitted if its value is None."""
    for name in ("images", "annotations"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "images" / f"{number}.jpg").write_bytes(b"")
    for kind, value in {"exp": exp, "val": val, "aro": aro, "lnd": lnd}.items():
        if value is not None:
            np.save(folder / "annotations" / f"{number}_{kind}.npy", value)


def write_json(folder: Path, name, content) -> None:
    for part in ("images", "annotations"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "images" / f"{name}.jpg").write_bytes(b"")
    (folder / "annotations" / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))


def content(label=1, soft=SOFT, landmarks=None, **others) -> dict:
    return {
        "human-label": label,
        "soft-label": soft,
        "subset": 0,
        "meta-data": {
            "valence": 0.5,
            "arousal": -0.25,
            "age": 30,
            "landmark-68": POINTS.tolist() if landmarks is None else landmarks,
            **others,
        },
    }


def rows(source, **options) -> list:
    return list(annotations.find(source, **options).records())
