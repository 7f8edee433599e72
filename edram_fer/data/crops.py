"""Where the faces of a prepared data set lie in their photos: from pixels of a photo to pixels of a face and back.

The preparation of photos stores the square of each face in `rows.parquet`. A face of S x S pixels was resized from a
square of whole pixels, so the two grids differ by a shift and a scale (`preprocessing.crop.to_square`).
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from edram_fer.errors import MissingFileError, UserError

if TYPE_CHECKING:  # training needs neither pandas nor OpenCV
    import pandas as pd

ROWS = "rows.parquet"


@dataclass(frozen=True)
class Crops:
    """The squares of n faces.

    Attributes:
        split: names [n].
        id: ids of the faces [n], unique in their split.
        photo: paths of the photos [n], as in the annotations.
        square: int [n, 3]: left, top and side in pixels of the photo.
        size: side of all faces in pixels.
    """

    split: np.ndarray
    id: np.ndarray
    photo: np.ndarray
    square: np.ndarray
    size: int

    def to_face(self, face: str, points: ArrayLike) -> np.ndarray:
        """Points [n, 2] in pixels of the photo as pixels of a face, float [n, 2]; pixel centres at whole numbers."""
        from edram_fer.preprocessing.crop import to_square

        return to_square(np.asarray(points, float), self._square(face), self.size)

    def to_photo(self, face: str, points: ArrayLike) -> np.ndarray:
        """Points [n, 2] in pixels of a face as pixels of its photo, float [n, 2]."""
        from edram_fer.preprocessing.crop import from_square

        return from_square(np.asarray(points, float), self._square(face), self.size)

    def of_split(self, split: str) -> "Crops":
        """The crops of a split, or of a sum of splits.

        Raises:
            UserError: there are none.
        """
        parts = [name.removesuffix("_clean") for name in split.split("+")]
        rows = np.isin(self.split.astype(str), parts)
        if not rows.any():
            raise UserError(f"split: expected some of {', '.join(sorted(set(self.split)))}, got {split!r}")
        return Crops(self.split[rows], self.id[rows], self.photo[rows], self.square[rows], self.size)

    def fixations_on_faces(self, table: "pd.DataFrame") -> tuple["pd.DataFrame", dict[str, int]]:
        """Fixations on photos as fixations on the faces in them.

        Args:
            table: a row per fixation with the columns "image" (path of the photo as in `photo`, or its file name),
                "start_x" and "start_y" in pixels of the photo; others are kept.

        Returns:
            The table with the ids of the faces as "image" and positions in their pixels; a fixation that lies in the
            squares of two faces has two rows. And the numbers of fixations that have none: {"fixations on photos
            without a face", "fixations outside the square of the face"}.

        Raises:
            UserError: two photos in different folders have the file name of a fixation's photo.
        """
        import pandas as pd

        from edram_fer.preprocessing.crop import to_square

        faces: dict[str, list[int]] = {}
        folders: dict[str, set[str]] = {}
        for row, photo in enumerate(self.photo):
            for name in {str(photo), Path(photo).name}:
                faces.setdefault(name, []).append(row)
                folders.setdefault(name, set()).add(str(photo))
        parts, counts = [], Counter[str]()
        for photo, group in table.groupby("image", sort=False):
            rows = faces.get(str(photo), [])
            if len(folders.get(str(photo), ())) > 1:
                raise UserError(
                    f"{photo}: expected the path of a photo; {len(folders[str(photo)])} photos have this name"
                )
            counts["fixations on photos without a face"] += 0 if rows else len(group)
            landed = np.zeros(len(group), bool)
            for row in rows:
                points = to_square(group[["start_x", "start_y"]].to_numpy(float), self.square[row], self.size)
                inside = ((points >= -0.5) & (points < self.size - 0.5)).all(axis=1)
                part = group[inside].assign(image=self.id[row])
                part[["start_x", "start_y"]] = points[inside]
                parts.append(part)
                landed |= inside
            counts["fixations outside the square of the face"] += int((~landed).sum()) if rows else 0
        on_faces = pd.concat(parts, ignore_index=True) if parts else table.iloc[:0]
        return on_faces, {name: count for name, count in counts.items() if count}

    def _square(self, face):
        rows = np.flatnonzero(self.id.astype(str) == str(face))
        if len(rows) != 1:
            raise UserError(f"face: expected the id of one face, got {face!r}, the id of {len(rows)}")
        return tuple(self.square[rows[0]].tolist())


def read(folder: Path | str, size: int) -> Crops:
    """Read the crops of a prepared data set.

    Args:
        folder: the folder of the prepared data set's files.
        size: side of its faces in pixels.

    Raises:
        MissingFileError: the data set was not prepared from photos.
    """
    import pandas as pd

    path = Path(folder) / ROWS
    if not path.exists():
        raise MissingFileError(f"{path} is missing: the faces of this data set were not cropped from photos here")
    table = pd.read_parquet(path, columns=["split", "id", "image", "square", "status"])
    table = table[table["square"].notna() & (table["status"] == "ok")]
    square = np.array(table["square"].tolist(), int).reshape(-1, 3)
    split, face, photo = (table[name].to_numpy(object) for name in ("split", "id", "image"))
    return Crops(split, face, photo, square, size)
