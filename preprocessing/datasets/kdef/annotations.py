"""KDEF: images named `AF01ANS.JPG` = session (A, B), sex and number of the subject, emotion, angle of the camera.

They lie in a folder per subject and session (`AF01`), or all in one.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from edram_fer.errors import UserError
from edram_fer.preprocessing import counts, emotions, records, sources, splits
from edram_fer.preprocessing.records import Annotations

ANGLES = {"FL": "full left", "HL": "half left", "S": "straight", "HR": "half right", "FR": "full right"}
NAME = re.compile(rf"[AB]([FM]\d\d)([A-Z]{{2}})({'|'.join(ANGLES)})", re.IGNORECASE)
FOLDER = re.compile(r"[AB][FM]\d\d", re.IGNORECASE)
IMAGES, SUBJECTS = 4900, 70  # published: each subject with 7 emotions, from 5 angles, in 2 sessions


def find(source, angles: Sequence[str] = ("S",), folds: int = 10) -> Annotations:
    """KDEF in `source`: the folder of its subjects or of all its images, or one above it.

    Splits are "fold_0", "fold_1", ... with disjoint subjects; a subject is the same person in both sessions.

    Args:
        angles: those taken, of "FL", "HL", "S", "HR", "FR" (full left to full right); as one text "FL,S".
        folds: number of splits.
    """
    angles = tuple(angle.strip().upper() for angle in (angles.split(",") if isinstance(angles, str) else angles))
    if not angles or not set(angles) <= set(ANGLES):
        raise UserError(f"angles: expected some of {', '.join(ANGLES)}, got {angles!r}")
    place = sources.find(source, _forms, dataset="KDEF", expected="images named like AF01ANS.JPG")
    files, notes = sources.only_images(records.image_files(place.root))
    named = {path: match for path in files if (match := NAME.fullmatch(path.stem))}
    notes += (
        counts.beside("images of all angles", len(files), IMAGES),
        counts.beside("subjects", len({match[1].upper() for match in named.values()}), SUBJECTS),
    )
    others = [path for path, match in named.items() if match[3].upper() not in angles]
    if others:
        notes += (f"images of other angles than {', '.join(angles)}, left out: {len(others):,}",)
    read = functools.partial(_image, splits.folds((match[1].upper() for match in named.values()), folds))
    taken = sorted(set(files) - set(others))
    return Annotations(
        "KDEF",
        f"angles {', '.join(angles)}",
        place.root,
        (),
        emotions.SEVEN,
        functools.partial(sources.from_images, place.root, taken, read),
        detectors=sources.PHOTO_DETECTORS,
        notes=notes,
    )


def _forms(folder: Path) -> Iterator[sources.Place]:
    folders = [folder, *(below for below in sources.subfolders(folder) if FOLDER.fullmatch(below.name))]
    if any(NAME.fullmatch(path.stem) for below in folders for path in below.iterdir()):
        yield sources.Place("images", folder)


def _image(fold: dict[str, str], path: PurePosixPath) -> dict:
    match = NAME.fullmatch(path.stem)
    if not match:
        raise UserError("expected a name like AF01ANS.JPG")
    subject = match[1].upper()
    return {
        "id": path.stem.upper(),
        "split": fold[subject],
        "emotion": emotions.from_code("KDEF", match[2]),
        "subject": subject,
    }
