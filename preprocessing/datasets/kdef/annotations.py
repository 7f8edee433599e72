"""KDEF: images named `AF01ANS.JPG` = session (A, B), sex and number of the subject, emotion, angle of the camera.

They are in one folder per subject and session (`AF01`), or all in one folder.
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from edram_fer.errors import UserError
from edram_fer.preprocessing import counts, emotions, readers, records, splits
from edram_fer.preprocessing.records import Annotations

ANGLES = {"FL": "full left", "HL": "half left", "S": "straight", "HR": "half right", "FR": "full right"}
NAME = re.compile(rf"[AB]([FM]\d\d)([A-Z]{{2}})({'|'.join(ANGLES)})", re.IGNORECASE)
FOLDER = re.compile(r"[AB][FM]\d\d", re.IGNORECASE)
IMAGES, SUBJECTS = 4900, 70  # published: each subject with 7 emotions, from 5 angles, in 2 sessions


def find(source: Path | str, angles: Sequence[str] | str = ("S",), folds: int = 10) -> Annotations:
    """KDEF in `source`.

    Splits are "fold_0", "fold_1", ... with disjoint subjects; a subject is the same person in both sessions.

    Args:
        source: the folder of its subjects or of all its images, or a folder above it.
        angles: which of "FL", "HL", "S", "HR", "FR" (full left to full right) to use, also as text: "FL,S".
        folds: number of splits.

    Raises:
        MissingFileError: `source` does not exist.
        UserError: the data set is not there, or occurs more than once, or an option is invalid.
    """
    angles = tuple(angle.strip().upper() for angle in (angles.split(",") if isinstance(angles, str) else angles))
    if not angles or not set(angles) <= set(ANGLES):
        raise UserError(f"angles: expected some of {', '.join(ANGLES)}, got {angles!r}")
    location = readers.locate(source, _recognise, dataset="KDEF", expected="images named like AF01ANS.JPG")
    files = readers.select_images(records.image_files(location.root))
    matches = {path: match for path in files if (match := NAME.fullmatch(path.stem))}
    subjects = {match[1].upper() for match in matches.values()}
    notes = (
        counts.published_line("images of all angles", len(files), IMAGES),
        counts.published_line("subjects", len(subjects), SUBJECTS),
    )
    other_angles = [path for path, match in matches.items() if match[3].upper() not in angles]
    if other_angles:
        notes += (f"images of other angles than {', '.join(angles)}, left out: {len(other_angles):,}",)
    used = sorted(set(files) - set(other_angles))
    read = functools.partial(_image, splits.folds(subjects, folds))
    return Annotations(
        name="KDEF",
        layout=f"angles {', '.join(angles)}",
        root=location.root,
        classes=emotions.SEVEN,
        records=functools.partial(readers.image_records, location.root, used, read),
        detectors=readers.PHOTO_DETECTORS,
        notes=notes,
    )


def _recognise(folder: Path) -> Iterator[readers.Location]:
    folders = [folder, *(below for below in readers.subfolders(folder) if FOLDER.fullmatch(below.name))]
    if any(NAME.fullmatch(path.stem) for below in folders for path in readers.entries(below)):
        yield readers.Location("images", folder)


def _image(folds: Mapping[str, str], path: PurePosixPath) -> dict[str, Any]:
    match = NAME.fullmatch(path.stem)
    if not match:
        raise UserError("expected a name like AF01ANS.JPG")
    subject = match[1].upper()
    return {
        "id": path.stem.upper(),
        "split": folds[subject],
        "emotion": emotions.from_code("KDEF", match[2]),
        "subject": subject,
    }
