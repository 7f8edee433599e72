"""Dummy data of FERPlus, and an oracle for its label modes."""

from pathlib import Path

import numpy as np
from support.fer2013_files import ROWS, write_csv

from edram_fer.preprocessing import emotions

HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"

FERPLUS = ("neutral", "happy", "surprise", "sad", "anger", "disgust", "fear", "contempt")

# For each row of fer2013_files.ROWS: the number in its name (which differs from row 3 on), and its votes.
VOTES = [
    (0, "8 0 0 1 1 0 0 0 0 0"),
    (1, "0 10 0 0 0 0 0 0 0 0"),
    (2, "1 0 0 9 0 0 0 0 0 0"),
    (None, "0 0 0 0 0 0 0 0 0 10"),
    (3, "0 0 3 0 0 0 7 0 0 0"),
    (4, "2 0 0 0 0 4 0 3 1 0"),
    (5, "0 0 0 0 6 0 0 4 0 0"),
    (6, "1 8 0 0 0 0 0 0 1 0"),
    (7, "4 0 0 0 6 0 0 0 0 0"),
    (8, "2 0 0 8 0 0 0 0 0 0"),
    (9, "0 0 0 2 2 1 0 0 5 0"),
    (10, "0 0 5 0 0 0 5 0 0 0"),
    (11, "0 0 0 0 0 6 0 4 0 0"),
]

LISTS = {
    "jianfei_occlusion_list.txt": "3_fer0000008.png 8 0\r\n2_fer0000010.png 8 2\r\n",
    "pose_30_ferplus_list.txt": "2/fer0000010.jpg\n5/fer0000011.jpg\n",
    "pose_45_ferplus_list.txt": "5/fer0000011.jpg\n",
}


def write_votes(path: Path, votes=VOTES, *, edit=lambda lines: lines) -> Path:
    lines = [HEADER] + [
        f"{usage},{'' if name is None else f'fer{name:07d}.png'},{counts.replace(' ', ',')}"
        for (usage, _, _), (name, counts) in zip(ROWS, votes)
    ]
    path.write_text("\n".join(edit(lines)) + "\n")
    return path


def write_source(folder: Path) -> Path:
    (folder / "ferplus_subsets").mkdir(parents=True, exist_ok=True)
    write_csv(folder / "fer2013.csv")
    write_votes(folder / "fer2013new.csv")
    for name, text in LISTS.items():
        (folder / "ferplus_subsets" / name).write_bytes(text.encode())
    return folder


def oracle(votes: np.ndarray, mode: str) -> np.ndarray:
    """The votes of a row [10] that count in a mode, all 0 without a label; an independent implementation."""
    if mode == "argmax":
        return votes
    votes = np.where(votes < 2, 0, votes)
    total = votes.sum()
    if mode == "majority":
        return np.where(votes > total / 2, votes, 0)
    if mode == "multi_target":
        counted = np.where(votes >= np.float64(3) * total / 10, votes, 0)
        return counted if counted.sum() > total / 2 else 0 * counted
    counted = 0 * votes
    for most in sorted(set(votes.tolist()) - {0}, reverse=True):
        if counted.sum() >= 0.75 * total or (counted > 0).sum() >= 3 or counted[8:].any():
            break
        ties = np.flatnonzero(votes == most)
        if ties[-1] >= 8:  # unknown or no face: the last to count, and only alone
            ties = ties[ties < 8] if counted.any() or ties[0] < 8 else ties[:1]
            counted[ties] = most
            break
        counted[ties] = most
    return counted if counted.sum() > total / 2 and (counted > 0).sum() <= 3 else 0 * counted


def expected(votes: np.ndarray, has_names: np.ndarray, mode: str):
    """(name of the emotion or "", soft label in canonical order) of every row."""
    order = [FERPLUS.index(name) for name in emotions.EIGHT]
    for row, has_name in zip(votes, has_names):
        counted = oracle(row, mode)
        if not counted.any() or counted.argmax() > 7 or not (has_name or mode == "argmax"):
            yield "", np.zeros(8)
        else:
            yield FERPLUS[counted.argmax()], counted[order] / counted[:8].sum()
