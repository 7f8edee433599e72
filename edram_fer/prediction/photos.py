"""A trained model on new photos: the faces in them, what it says of each, and where in it the model looked."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
from tqdm.auto import tqdm

from edram_fer import attention, files
from edram_fer.errors import MissingFileError, UserError
from edram_fer.evaluation import inference
from edram_fer.preprocessing import faces, photos, readers
from edram_fer.preprocessing.records import OK, FaceRecord
from edram_fer.run import checkpoints, environment, layout

TABLE, IMAGES = "predictions.csv", "images"
DEFAULT_DETECTORS = ("yunet", "dlib")


def predict(source, paths, out, *, detectors=DEFAULT_DETECTORS, which="all", clahe=None, draw=True, batch_size=64):
    """Find the faces in photos and let a model name their emotions.

    The faces are made as those that the model was trained on: of its size and colours, with the margin and the
    contrast equalisation that its run noted; the data sets of ready-made crops (FER2013) have neither.

    Args:
        source: a trained model, as `edram_fer.load` takes it.
        paths: photos, and folders of photos at any depth.
        out: folder to write into: predictions.csv, and images/ with the photos' faces and windows drawn in.
        detectors: asked in turn, see `edram_fer.preprocessing.faces.Settings`; ("none",): the photos are faces already.
        which: of several faces "all", from left to right, the "largest", or the one nearest to the "centre".
        clahe: clip limit of the contrast equalisation, 0 for none; None: as in training.
        draw: also draw the photos.
        batch_size: faces at a time.

    Returns: rows (dicts), as in predictions.csv, one for each face, or for a photo that gives none: "photo" (path),
    "face" (number from 1), "status" ("ok", "no_face", or why the photo or face cannot be used), "detector", "score",
    "left", "top", "side" of the face's square in pixels of the photo, "image" (file in images/, where drawn),
    "emotion" and its "probability", the probability of each emotion by its name, and of a model with that head
    "valence" and "arousal".

    Raises:
        FileNotFoundError: a path does not exist, a folder holds no images, or the model or a detector's file is
            missing.
        ValueError: for settings that cannot be, and a model whose images are not square or whose output is not
            finite.
    """
    out, photos_found = Path(out), _photos(paths)
    model = checkpoints.load(source)
    settings = _settings(source, model, detectors, which, clahe)
    faces.check_detectors(settings)
    rows, made = [], []
    for path in tqdm(photos_found, desc="faces", disable=None):
        for number, found in enumerate(_found(path, settings), 1):
            row = {"photo": str(path), "face": number if found["status"] == OK else None, "status": found["status"]}
            if found["status"] == OK:
                place = dict(zip(("left", "top", "side"), found["square"], strict=True))
                row |= {"detector": found["detector"], "score": found["score"], **place}
                made.append((row, found))
            rows.append(row)
    said = _said(model, made, batch_size) if made else None
    names = _names([row["photo"] for row, _ in made]) if draw else {}
    for number, (row, _) in enumerate(made):
        row |= {"image": names.get(row["photo"])} | _answer(model, said, number)
    files.write_csv(out / TABLE, rows)
    if names:
        _draw(made, said, names, out / IMAGES)
    return rows


def _names(paths):
    """{photo: file that it is drawn into}: numbered, since photos of several folders may be called alike."""
    different = list(dict.fromkeys(paths))
    digits = len(str(len(different)))
    return {path: f"{number:0{digits}d}_{Path(path).stem}.png" for number, path in enumerate(different, 1)}


def _photos(paths):
    """The files, those of folders in the order of their names; each once."""
    found = []
    for path in map(Path, paths):
        if not path.exists():
            raise MissingFileError(f"{path} is missing; expected a photo or a folder of photos")
        inside = sorted(path.rglob("*.*")) if path.is_dir() else []
        inside = [each for each in readers.only_images(inside)[0] if each.is_file() and not each.name.startswith(".")]
        if path.is_dir() and not inside:
            raise MissingFileError(f"{path} holds no image ({', '.join(sorted(readers.EXTENSIONS))})")
        found += inside or [path]
    return list(dict.fromkeys(found))


def _settings(source, model, detectors, which, clahe):
    height, width, channels = model.input_shapes()["image"][1:]
    if height != width:
        raise UserError(f"{source} takes images of {width}x{height} pixels; faces are cut as squares")
    known = [field.name for field in dataclasses.fields(faces.Settings)]
    run = Path(source) / layout.ENVIRONMENT
    before = (environment.read(source)["data"].get("faces") if run.exists() else None) or {"clahe": 0, "chin": False}
    before = {name: value for name, value in before.items() if name in known}
    changed = {"size": height, "colour": channels == 3, "detectors": tuple(detectors), "faces": which, "check": None}
    changed["landmarks"] = "landmarks" in model.input_shapes() or before.get("landmarks", False)
    if clahe is not None:
        changed["clahe"] = clahe
    return faces.Settings(**{**before, **changed})


def _found(path, settings):
    """Rows of `edram_fer.preprocessing.faces.SCHEMA`; a link to a photo is followed: it was named, not found in a data set."""
    path = path.resolve()
    record = FaceRecord(path.name, str(path), path.name, split="", status="no label is asked for")
    return faces.photo_rows(record, path.parent, settings)


def _said(model, made, batch_size):
    """What `inference.predict` says of the faces."""
    channels = model.input_shapes()["image"][-1]
    flag = cv2.IMREAD_COLOR_RGB if channels == 3 else cv2.IMREAD_GRAYSCALE
    images = [cv2.imdecode(np.frombuffer(found["face"], np.uint8), flag) for _, found in made]
    features = {"image": np.stack(images).reshape(len(made), *model.input_shapes()["image"][1:])}
    if "landmarks" in model.input_shapes():
        features["landmarks"] = np.array([found["landmarks"] for _, found in made], np.float32).reshape(-1, 68, 2)
    try:
        return inference.predict(model, features.pop("image"), batch_size, **features)
    except inference.NonFiniteOutput as error:
        raise UserError(error.message_for(np.array([row["photo"] for row, _ in made]), "the photos")) from error


def _answer(model, said, number):
    """The columns of the answer for a face: after the last step, where there are several."""
    shares = said["probabilities"][number, -1]
    best = int(shares.argmax())
    told = {"emotion": model.emotions[best], "probability": float(shares[best])}
    told |= dict(zip(model.emotions, map(float, shares), strict=True))
    if "affect" in said:
        told |= dict(zip(("valence", "arousal"), map(float, said["affect"][number, -1]), strict=True))
    return told


def _draw(made, said, names, folder):
    from edram_fer.figures.photo import annotated  # Matplotlib only where something is drawn
    from edram_fer.figures.style import save

    looks, own = attention.has_windows(said["windows"]), {}
    for (row, _), windows in zip(made, said["windows"], strict=True):
        own.setdefault(row["photo"], []).append({**row, "windows": windows if looks else ()})
    for path, found in tqdm(own.items(), desc="images", disable=None):
        save(annotated(photos.read(Path(path)), found), folder / names[path])
