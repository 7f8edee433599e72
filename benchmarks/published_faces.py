"""Faces as published compared with the default faces, photo by photo.

    python -m benchmarks.published_faces PHOTOS --out runs/published_faces.json

Prints two tables in Markdown. The first has a row for each photo: detector, score, box and square, or the status, with
the default settings and as published; the overlap (intersection over union) of the two squares; and the mean absolute
difference of the face pixels (0 to 255). The second has a row for each published option, set back to its default alone:
the number of photos whose box, square and pixels change, and the mean difference over the photos with two faces.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edram_fer import files
from edram_fer.preprocessing import detection, faces, published
from edram_fer.preprocessing.face_settings import FaceSettings
from edram_fer.preprocessing.records import OK, FaceRecord

SUFFIXES = (".jpg", ".jpeg", ".png")


def make_face(path: Path, settings: FaceSettings) -> dict[str, Any]:
    """The row of `face_chunks.SCHEMA` of a photo."""
    record = FaceRecord(path.name, path.name, path.name, split="", status="no label is asked for")
    return next(faces.photo_rows(record, path.parent, settings))


def pixels(row: dict[str, Any]) -> np.ndarray:
    """The face of a row, float [size, size]."""
    return np.asarray(cv2.imdecode(np.frombuffer(row["face"], np.uint8), cv2.IMREAD_GRAYSCALE), float)


def difference(a: dict[str, Any], b: dict[str, Any]) -> float | None:
    """Mean absolute difference of the pixels of two faces, in 0 to 255; None where a row has none."""
    return float(np.abs(pixels(a) - pixels(b)).mean()) if a["status"] == b["status"] == OK else None


def compare(name: str, ours: dict[str, Any], paper: dict[str, Any]) -> dict[str, Any]:
    """A row of the first table."""
    row = {"photo": name, "default": describe(ours), "published": describe(paper), "overlap": None, "difference": None}
    value = difference(ours, paper)
    if value is not None:
        squares = [(*face["square"], face["square"][2]) for face in (ours, paper)]
        row["overlap"] = round(detection.intersection_over_union(*squares), 2)
        row["difference"] = round(value, 1)
    return row


def describe(row: dict[str, Any]) -> str:
    """Detector, score, box and square of a face, or the status."""
    if row["status"] != OK:
        return row["status"]
    (left, top, width, height), (x, y, side) = row["box"], row["square"]
    return (
        f"{row['detector']} ({row['score']:.2f}): {width:.0f}x{height:.0f} at {left:.0f}, {top:.0f}; {side} at {x}, {y}"
    )


def single_options(name: str) -> dict[str, FaceSettings]:
    """{option: the published settings with this option at its default}."""
    settings = published.settings(name)
    return {option: FaceSettings(**{key: settings[key] for key in settings if key != option}) for option in settings}


def compare_options(name: str, paths: Sequence[Path], papers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the second table."""
    rows = []
    for option, settings in single_options(name).items():
        changed = [make_face(path, settings) for path in paths]
        pairs = list(zip(papers, changed, strict=True))
        differences = [value for pair in pairs if (value := difference(*pair)) is not None]
        rows.append(
            {
                "option": option,
                "default": _text(getattr(FaceSettings(), option)),
                "published": _text(published.settings(name)[option]),
                "other box": sum(a.get("box") != b.get("box") for a, b in pairs),
                "other square": sum(a.get("square") != b.get("square") for a, b in pairs),
                "other pixels": sum(a.get("digest") != b.get("digest") for a, b in pairs),
                "mean difference": round(float(np.mean(differences)), 1) if differences else None,
            }
        )
    return rows


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """Print a table in Markdown; None is a dash."""
    columns = list(rows[0])
    print(f"| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    for row in rows:
        print("| " + " | ".join("–" if row[column] is None else str(row[column]) for column in columns) + " |")


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="folder of the photos")
    parser.add_argument("--published", default="forch2019", choices=tuple(published.PUBLISHED))
    parser.add_argument(
        "--out", type=Path, default=Path("runs/published_faces.json"), help="file (default %(default)s)"
    )
    options = parser.parse_args()
    cv2.setNumThreads(1)
    paths = sorted(path for path in options.photos.iterdir() if path.suffix.lower() in SUFFIXES)
    settings = FaceSettings(**published.settings(options.published))
    papers = [make_face(path, settings) for path in paths]
    by_photo = [
        compare(path.name, make_face(path, FaceSettings()), row) for path, row in zip(paths, papers, strict=True)
    ]
    by_option = compare_options(options.published, paths, papers)
    print_table(by_photo)
    print()
    print_table(by_option)
    files.write_json(options.out, {"photos": by_photo, "options": by_option})


if __name__ == "__main__":
    main()
