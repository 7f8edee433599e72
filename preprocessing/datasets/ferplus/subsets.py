"""Three lists of difficult images in FERPlus' test split: occluded faces, and poses over 30 and over 45 degrees.

Wang, Peng, Yang, Meng, Qiao, "Region Attention Networks for Pose and Occlusion Robust Facial Expression Recognition",
2020. A list has one image per line, `1_fer0034656.png 8 0` or `0/fer0032226.jpg`: a class, which is ignored, and the
name, whose extension may differ from the one in fer2013new.csv. Does not need TensorFlow.
"""

import collections
import re
from pathlib import Path

import numpy as np

from edram_fer.errors import UserError
from edram_fer.preprocessing.datasets.ferplus.labels import Votes

LISTS = {
    "test_occlusion": "jianfei_occlusion_list.txt",
    "test_pose30": "pose_30_ferplus_list.txt",
    "test_pose45": "pose_45_ferplus_list.txt",
}
_LINE = re.compile(r"\d+[_/](\w+)\.(?:png|jpg)(?:\s+\d+)*")


def read(path: Path | str, votes: Votes) -> np.ndarray:
    """The rows of fer2013new.csv whose images a list names, int [m], ascending; a repeated name counts once.

    Args:
        path: the list.
        votes: fer2013new.csv.

    Raises:
        UserError: a line has another form, or its name does not belong to exactly one PrivateTest row.
    """
    path, test_rows = Path(path), _test_rows(votes)
    rows = set()
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if not match:
            raise UserError(
                f"{path}, line {number}: expected a line such as 1_fer0034656.png 8 0 or "
                f"0/fer0032226.jpg, got {line[:60]!r}"
            )
        named_rows = test_rows.get(match[1], [])
        if len(named_rows) != 1:
            raise UserError(
                f"{path}, line {number}: {match[1]} is the name of {len(named_rows)} PrivateTest rows of "
                f"{votes.path.name}, expected one"
            )
        rows.add(named_rows[0])
    return np.array(sorted(rows), int)


def _test_rows(votes: Votes) -> dict[str, list[int]]:
    """Name without extension -> the PrivateTest rows that have it."""
    rows = collections.defaultdict(list)
    for row in np.flatnonzero((votes.usages == "PrivateTest") & (votes.names != "")).tolist():
        rows[str(votes.names[row]).rpartition(".")[0]].append(row)
    return rows
