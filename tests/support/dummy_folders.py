"""Dummy data of RAF-DB, CK+, JAFFE, FERG, KDEF, SFEW, ExpW, folders of emotions and tables.

Each function writes one layout and returns the ground truth.
"""

from collections.abc import Iterable
from pathlib import Path

import cv2
from support.dummy_drawing import PAGE, SIZE, Truth, draw_face, face, photo, write

from edram_fer.preprocessing import emotions
from edram_fer.preprocessing.emotions import EIGHT, SEVEN


def _codes(dataset: str) -> dict[str, object]:
    """Emotion -> code of the data set."""
    return {name: code for code, name in emotions.codes(dataset).items()}


def _raf_rows() -> Iterable[tuple[str, int, str, str]]:
    """Name, number of the drawing, split and emotion of each image: two training images and one test image a class."""
    for number, emotion in enumerate(SEVEN):
        yield f"train_{number + 1:05d}", number + 100, "train", emotion
        yield f"train_{number + 8:05d}", number + 110, "train", emotion
        yield f"test_{number + 1:04d}", number + 120, "test", emotion


def _raf_truth() -> Truth:
    rows = list(_raf_rows())
    return Truth(
        {
            split: {name: emotion for name, _, row_split, emotion in rows if row_split == split}
            for split in ("train", "test")
        },
        SEVEN,
    )


def raf_db_list(folder: Path) -> Truth:
    code = _codes("RAF-DB")
    for name, number, _, emotion in _raf_rows():
        face(folder / f"basic/Image/aligned/{name}_aligned.jpg", number, emotion)
        photo(folder / f"basic/Image/original/{name}.jpg", number, emotion)
    (folder / "basic/EmoLabel").mkdir()
    lines = (f"{name}.jpg {code[emotion]}\n" for name, _, _, emotion in _raf_rows())
    (folder / "basic/EmoLabel/list_patition_label.txt").write_text("".join(lines))
    return _raf_truth()


def raf_db_folders(folder: Path) -> Truth:
    code, lines = _codes("RAF-DB"), {"train": ["image,label"], "test": ["image,label"]}
    for name, number, split, emotion in _raf_rows():
        face(folder / f"DATASET/{split}/{code[emotion]}/{name}_aligned.jpg", number, emotion)
        lines[split].append(f"{name}_aligned.jpg,{code[emotion]}")
    for split, rows in lines.items():
        (folder / f"{split}_labels.csv").write_text("\n".join(rows) + "\n")
    return _raf_truth()


# Subject -> the emotions of its labelled sequences in CK+.
_CK = {"S005": ("anger", "contempt", "disgust"), "S010": ("fear", "happy"), "S011": ("sad", "surprise")}


def _ck_sequences() -> Iterable[tuple[int, str, str, str]]:
    """(number, subject, sequence, emotion) of each labelled sequence."""
    pairs = [
        (subject, f"{position:03d}", emotion)
        for subject, emotions in _CK.items()
        for position, emotion in enumerate(emotions, 1)
    ]
    return ((number, *pair) for number, pair in enumerate(pairs))


def ck_plus_sequences(folder: Path) -> Truth:
    """Sequences of five frames from a neutral face to an emotion, one without a label."""
    code, splits = _codes("CK+"), {f"fold_{fold_number}": {} for fold_number in range(len(_CK))}
    for number, subject, sequence, emotion in (*_ck_sequences(), (9, "S012", "001", None)):
        names = [f"{subject}_{sequence}_{frame:08d}" for frame in range(1, 6)]
        for frame, name in enumerate(names):
            shown = draw_face(140 + number, emotion or "happy", frame / 4).image
            write(
                folder / f"cohn-kanade-images/{subject}/{sequence}/{name}.png",
                cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY)[..., None],
            )
        if emotion:
            labels = folder / "Emotion" / subject / sequence
            labels.mkdir(parents=True)
            (labels / f"{names[-1]}_emotion.txt").write_text(f"   {code[emotion]}.0000000e+00\n")
            fold = splits[f"fold_{list(_CK).index(subject)}"]
            fold |= {names[0]: "neutral"} | dict.fromkeys(names[2:], emotion)
    return Truth(splits, EIGHT)


def ck_plus_folders(folder: Path) -> Truth:
    """CK+48: the last three frames of the same sequences."""
    folder_names, splits = {"sad": "sadness"}, {f"fold_{fold_number}": {} for fold_number in range(len(_CK))}
    for number, subject, sequence, emotion in _ck_sequences():
        for frame in (3, 4, 5):
            name = f"{subject}_{sequence}_{frame:08d}"
            face(folder / f"CK+48/{folder_names.get(emotion, emotion)}/{name}.png", 140 + number, emotion, grey=True)
            splits[f"fold_{list(_CK).index(subject)}"][name] = emotion
    return Truth(splits, EIGHT)


def ck_plus_csv(folder: Path) -> Truth:
    """ckextended.csv, whose codes are FER2013's with 7 for contempt."""
    code = _codes("FER2013") | {"contempt": 7}
    splits, lines = {"train": {}, "validation": {}, "test": {}}, ["emotion,pixels,Usage"]
    usages = ["Training"] * 4 + ["PublicTest"] * 2 + ["PrivateTest"] * 2
    for number, (emotion, usage, split) in enumerate(
        zip(EIGHT, usages, ["train"] * 4 + ["validation"] * 2 + ["test"] * 2), 1
    ):
        grey = cv2.resize(cv2.cvtColor(draw_face(150 + number, emotion).image, cv2.COLOR_RGB2GRAY), (48, 48))
        lines.append(f"{code[emotion]},{' '.join(map(str, grey.ravel()))},{usage}")
        splits[split][str(number)] = emotion
    folder.mkdir(parents=True)
    (folder / "ckextended.csv").write_text("\n".join(lines) + "\n")
    return Truth(splits, EIGHT)


def jaffe(folder: Path) -> Truth:
    code, splits = _codes("JAFFE"), {}
    for position, subject in enumerate(("KA", "KL", "KM")):
        for number, emotion in enumerate(SEVEN):
            name = f"{subject}.{code[emotion]}1.{20 * position + number + 1}"
            face(folder / f"jaffe/{name}.tiff", 160 + position, emotion, grey=True)
            splits.setdefault(subject, {})[name] = emotion
    return Truth(splits, SEVEN)


def ferg(folder: Path) -> Truth:
    code, splits = _codes("FERG"), {}
    for position, character in enumerate(("aia", "bonnie", "jules", "malcolm", "mery", "ray")):
        for emotion in SEVEN[position % 3 :: 3]:
            name = f"{character}_{code[emotion]}_{position + 1}"
            face(folder / f"FERG_DB_256/{character}/{character}_{code[emotion]}/{name}.png", 170 + position, emotion)
            splits.setdefault(character, {})[name] = emotion
    return Truth(splits, SEVEN)


def kdef(folder: Path) -> Truth:
    """Three subjects, one of them in both sessions, straight; another angle, and a misnamed file."""
    code, splits = _codes("KDEF"), {f"fold_{position}": {} for position in range(3)}
    for position, (subject, sessions) in enumerate({"F01": "AB", "F02": "A", "M01": "A"}.items()):
        for emotion in SEVEN:
            for session in sessions:
                name = f"{session}{subject}{code[emotion]}S"
                face(folder / f"KDEF/{session}{subject}/{name}.JPG", 180 + position, emotion)
                splits[f"fold_{position}"][name] = emotion
    face(folder / "KDEF/AF01/AF01HAHL.JPG", 180, "happy")
    face(folder / "KDEF/AF02/AF02V.JPG", 181, "happy")
    return Truth(splits, SEVEN, excluded=1)


def sfew(folder: Path) -> Truth:
    code, splits = _codes("SFEW"), {"train": {}, "validation": {}}
    for position, (folder_name, split) in enumerate((("Train", "train"), ("Val", "validation"))):
        for number, emotion in enumerate(SEVEN):
            name = f"{folder_name}/{code[emotion]}/Film_{position:04d}{number:05d}_000000{number:02d}.png"
            photo(folder / name, 190 + 10 * position + number, emotion)
            splits[split][name] = emotion
    photo(folder / "Test/Film_000200001_00000001.png", 210, "happy")
    return Truth(splits, SEVEN)


# Photo -> its split by the digest of its name with seed 0, and the emotions of its faces.
EXPW = {
    "smile_0.jpg": ("train", ("happy",)),
    "smile_2.jpg": ("train", ("anger", "sad")),
    "smile_1.jpg": ("validation", ("fear",)),
    "smile_8.jpg": ("validation", ("neutral",)),
    "smile_18.jpg": ("test", ("surprise", "disgust")),
}


def expw(folder: Path) -> Truth:
    """label.lst with the order top, left, right, bottom; a photo can have two rows."""
    code, splits, lines = _codes("ExpW"), {}, []
    for number, (name, (split, shown_emotions)) in enumerate(EXPW.items()):
        for position, emotion in enumerate(shown_emotions):
            photo(folder / "image/origin" / name, 220 + number, emotion)
            left = 20 - 4 * position
            lines.append(f"{name} {position} 10 {left} {left + SIZE} {min(10 + SIZE, PAGE[0])} 22.9857 {code[emotion]}")
            splits.setdefault(split, {})[f"{name}#{position}"] = emotion
    (folder / "label").mkdir()
    (folder / "label/label.lst").write_text("\n".join([*lines, "smile_1.jpg 9 30 30 10 10 5.0 3"]) + "\n")
    return Truth(splits, SEVEN, excluded=1)


def folder_of_emotions(folder: Path) -> Truth:
    names = {"happy": "Happiness", "sad": "sad", "anger": "angry"}
    emotions = {f"{names[emotion]}/{number}.png": emotion for emotion in names for number in range(2)}
    for number, (name, emotion) in enumerate(emotions.items()):
        face(folder / name, 230 + number, emotion)
    face(folder / "uncertain/0.png", 239, "neutral")
    return Truth({"train": emotions}, ("happy", "sad", "anger"), excluded=1)


def table_of_images(folder: Path) -> Truth:
    rows, splits = ["file;label;subject;valence;arousal;split"], {}
    for position, split in enumerate(("train", "validation", "test")):
        for number, emotion in enumerate(("neutral", "happy")):
            name = f"{10 * position + number}.png"
            face(folder / "images" / name, 260 + 10 * position + number, emotion)
            rows.append(f"images\\{name};{emotion};P{position};0,5;-0,25;{split}")
            splits.setdefault(split, {})[f"images/{name}"] = emotion
    rows.append("images\\gone.png;happy;P9;0;0;train")
    (folder / "faces.csv").write_text("\n".join(rows) + "\n")
    return Truth(splits, ("neutral", "happy"), excluded=1)


def folder_of_splits(folder: Path) -> Truth:
    splits = {}
    for position, (folder_name, split) in enumerate({"train": "train", "val": "validation", "test": "test"}.items()):
        for number, emotion in enumerate(("neutral", "happy")):
            face(folder / f"{folder_name}/{emotion}/a.jpg", 240 + 10 * position + number, emotion)
            splits.setdefault(split, {})[f"{folder_name}/{emotion}/a.jpg"] = emotion
    return Truth(splits, ("neutral", "happy"))
