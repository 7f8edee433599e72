"""Faces as a paper made them and as the defaults make them, photo by photo.

    python -m benchmarks.published_faces PHOTOS --out runs/published_faces.json

Prints two tables in Markdown. The first has a row for each photo: detector or status, box and square of both, the
overlap (intersection over union) of the squares, and the mean absolute difference of the faces' pixels (0 to 255). The
second has a row for each option in which the paper differs: with this option alone at its default, how many photos give
another row, and by how much the pixels differ on average where both give a face. Boxes of the photos are not used.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edram_fer import files
from edram_fer.preprocessing import detection, faces, published
from edram_fer.preprocessing.records import OK, FaceRecord

SUFFIXES = (".jpg", ".jpeg", ".png")


def make_face(path: Path, settings: faces.Settings) -> dict[str, Any]:
    """The row of `faces.SCHEMA` of a photo."""
    record = FaceRecord(path.name, path.name, path.name, split="", status="no label is asked for")
    return next(faces.photo_rows(record, path.parent, settings))


def pixels(row: dict[str, Any]) -> np.ndarray:
    """The face of a row, float [size, size]."""
    return cv2.imdecode(np.frombuffer(row["face"], np.uint8), cv2.IMREAD_GRAYSCALE).astype(float)


def difference(a: dict[str, Any], b: dict[str, Any]) -> float | None:
    """Mean absolute difference of the pixels of two faces, in 0 to 255; None where a row has none."""
    return float(np.abs(pixels(a) - pixels(b)).mean()) if a["status"] == b["status"] == OK else None


def compare(name: str, ours: dict[str, Any], paper: dict[str, Any]) -> dict[str, Any]:
    """A row of the first table."""
    both = ours["status"] == paper["status"] == OK
    squares = [(*row["square"], row["square"][2]) for row in (ours, paper)] if both else []
    return {
        "photo": name,
        "default": describe(ours),
        "published": describe(paper),
        "overlap": round(detection.intersection_over_union(*squares), 2) if both else None,
        "difference": round(difference(ours, paper), 1) if both else None,
    }


def describe(row: dict[str, Any]) -> str:
    """What found the face, its box and its square, or the status."""
    if row["status"] != OK:
        return row["status"]
    (left, top, width, height), (x, y, side) = row["box"], row["square"]
    return (
        f"{row['detector']} ({row['score']:.2f}): {width:.0f}x{height:.0f} at {left:.0f}, {top:.0f}; {side} at {x}, {y}"
    )


def single_options(name: str) -> dict[str, faces.Settings]:
    """{option: the settings of a paper, but for this option at its default}."""
    settings = published.settings(name)
    return {option: faces.Settings(**{key: settings[key] for key in settings if key != option}) for option in settings}


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
                "default": str(getattr(faces.Settings(), option)),
                "published": str(getattr(faces.Settings(**published.settings(name)), option)),
                "other box": sum(a.get("box") != b.get("box") for a, b in pairs),
                "other square": sum(a.get("square") != b.get("square") for a, b in pairs),
                "other pixels": sum(a.get("digest") != b.get("digest") for a, b in pairs),
                "mean difference": round(float(np.mean(differences)), 1) if differences else None,
            }
        )
    return rows


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
    settings = faces.Settings(**published.settings(options.published))
    papers = [make_face(path, settings) for path in paths]
    by_photo = [
        compare(path.name, make_face(path, faces.Settings()), row) for path, row in zip(paths, papers, strict=True)
    ]
    by_option = compare_options(options.published, paths, papers)
    print_table(by_photo)
    print()
    print_table(by_option)
    files.write_json(options.out, {"photos": by_photo, "options": by_option})


if __name__ == "__main__":
    main()
