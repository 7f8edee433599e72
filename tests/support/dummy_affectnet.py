"""Dummy data of AffectNet in its three official layouts and with the automatic list.

Each function writes one layout and returns the ground truth. affectnet_files writes rows and files; here come images.
"""

from pathlib import Path

import numpy as np
from support.affectnet_files import CODES, HEADER, SOFT, content, line, write_json, write_lists, write_npy
from support.dummy_drawing import SIZE, Truth, draw_face, face, photo

from edram_fer.preprocessing.emotions import EIGHT

# Emotion of a usable row -> extension of the name, format of the file, left edge of the box.
_UNUSUAL = {"happy": (".JPG", "", 20), "sad": (".png", "", 20), "fear": (".jpg", ".png", 20), "anger": (".jpg", "", -9)}


def _text(points: np.ndarray) -> str:
    return ";".join(f"{value:.1f}" for value in np.asarray(points).ravel())


def _row(folder: Path, path: str, number: int, emotion: str, kind: str = "", left: int = 20, **fields) -> str:
    points = photo(folder / path, number, emotion, left=left, kind=kind)
    columns = {"box": f"{left},10,{SIZE},{SIZE}", "landmarks": _text(points), "code": str(CODES[emotion])}
    return line(path, **columns | fields)


def lists_of_2017(folder: Path) -> Truth:
    """Lists with all irregularities of the published ones: extensions, formats, boxes, codes, affect, a bad row."""
    images, training, validation, splits = folder / "Manually_Annotated_Images", [], [], {"train": {}, "test": {}}
    for number, emotion in enumerate(EIGHT):
        ending, kind, left = _UNUSUAL.get(emotion, (".jpg", "", 20))
        for split, rows in (("train", training), ("test", validation)):
            path = f"{number + 1}/{split}{number:08x}{ending}"
            affect = "-2,-2" if emotion == "surprise" else f"0.{number},-0.25"
            rows.append(_row(images, path, number + 10 * (split == "test"), emotion, kind, left, affect=affect))
            splits[split][path] = emotion
    unusable = [{"code": "8"}, {"code": "9"}, {"code": "10", "affect": "-2,-2"}, {"box": "20,10,-64,64"}]
    training += [
        _row(images, f"9/odd{index}.jpg", 20 + index, "happy", **fields) for index, fields in enumerate(unusable)
    ]
    training.insert(5, "9/malformed.jpg,1,2")
    write_lists(folder, training, validation)
    return Truth(splits, EIGHT, excluded=5)


def automatic_list_of_2017(folder: Path) -> Truth:
    """The list that was labelled by a network, with its images."""
    emotions = {f"3/{number:08x}.jpg": emotion for number, emotion in enumerate(("neutral", "happy", "anger"))}
    rows = [
        _row(folder / "Automatically_Annotated_Images", path, 30 + number, emotion)
        for number, (path, emotion) in enumerate(emotions.items())
    ]
    lists = folder / "Automatically_annotated_file_list"
    lists.mkdir(parents=True)
    (lists / "automatically_annotated.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    return Truth({"train": emotions}, EIGHT)


def npy_of_2021(folder: Path) -> Truth:
    """Crops with four npy files each, scalars as text or numbers; both splits have images with the same numbers."""
    splits = {"train": {}, "test": {}}
    for position, (split, name) in enumerate((("train", "train_set"), ("test", "val_set"))):
        for number, emotion in enumerate(EIGHT):
            code = str(CODES[emotion]) if number % 2 else np.int64(CODES[emotion])
            write_npy(folder / name, number, exp=code, val="-2" if number == 3 else "0.5")
            drawing = face(folder / name / "images" / f"{number}.jpg", number + 40 + 10 * position, emotion)
            np.save(folder / name / "annotations" / f"{number}_lnd.npy", drawing.landmarks.ravel().astype(np.float64))
            splits[split][f"{split}/{number}"] = emotion
    write_npy(folder / "train_set", 100, exp="8")
    face(folder / "train_set" / "images" / "100.jpg", 60, "neutral")
    return Truth(splits, EIGHT, excluded=1)


def json_of_2024(folder: Path) -> Truth:
    """Crops with a json file each, which contains a soft label."""
    root, splits = folder / "human_annotated", {"train": {}, "test": {}}
    for position, (split, name) in enumerate((("train", "train_set"), ("test", "validation_set"))):
        for number, emotion in enumerate(EIGHT):
            _json(root / name, number, emotion, number + 70 + 10 * position)
            splits[split][f"{split}/{number}"] = emotion
    _json(root / "train_set", 100, "neutral", 90, label=9)
    return Truth(splits, EIGHT, excluded=1)


def _json(folder: Path, number: int, emotion: str, person: int, label: int | None = None) -> None:
    code = CODES[emotion]
    soft = np.roll(sorted(SOFT, reverse=True), code).tolist()
    points = draw_face(person, emotion).landmarks.round(1).ravel().tolist()
    write_json(folder, number, content(code if label is None else label, soft, points))
    face(folder / "images" / f"{number}.jpg", person, emotion)  # replaces an empty file
