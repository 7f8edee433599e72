"""Which column of a table holds what: found by usual names, or named by the user."""

import dataclasses
from collections.abc import Mapping, Sequence

from edram_fer.errors import UserError
from edram_fer.preprocessing.records import LANDMARK_COUNT

# Role -> usual names, most specific first; case, blanks and punctuation do not matter.
ROLES = {
    "image": (
        *("image", "imagepath", "imagefile", "imagename", "filepath", "filename", "file", "path", "img", "imgpath"),
        *("photo", "picture", "subdirectoryfilepath"),
    ),
    "emotion": (
        *("emotion", "emotionlabel", "emotionname", "expression", "label", "labels", "labelname", "class", "classname"),
        *("category", "target"),
    ),
    "valence": ("valence",),
    "arousal": ("arousal",),
    "box": ("box", "bbox", "boundingbox", "facebox"),
    "left": ("left", "x", "facex", "xmin", "x1", "bboxx", "boxx", "bboxleft", "boxleft", "bboxx1"),
    "top": ("top", "y", "facey", "ymin", "y1", "bboxy", "boxy", "bboxtop", "boxtop", "bboxy1"),
    "width": ("width", "w", "facewidth", "bboxwidth", "boxwidth", "bboxw", "boxw"),
    "height": ("height", "h", "faceheight", "bboxheight", "boxheight", "bboxh", "boxh"),
    "right": ("right", "xmax", "x2", "bboxright", "boxright", "bboxx2"),
    "bottom": ("bottom", "ymax", "y2", "bboxbottom", "boxbottom", "bboxy2"),
    "subject": (
        *("subject", "subjectid", "person", "personid", "participant", "participantid", "identity", "individual"),
        *("actor", "userid"),
    ),
    "split": ("split", "subset", "partition", "usage", "fold", "set"),
    "landmarks": ("landmarks", "faciallandmarks", "landmarks68", "facelandmarks"),
}
REQUIRED = ("image", "emotion")
CORNERS = ("left", "top", "right", "bottom")
SIZE = ("left", "top", "width", "height")


@dataclasses.dataclass(frozen=True)
class Columns:
    """The columns that are read.

    Attributes:
        positions: role -> position of its column. Of the roles of a box only complete ones: "box"; or left, top, right,
            bottom; or left, top, width, height.
        landmarks: positions of the 136 columns x, y, x, y, ...; () if landmarks are not in columns of their own.
        unread: names of all other columns.
    """

    positions: Mapping[str, int]
    landmarks: tuple[int, ...]
    unread: tuple[str, ...]

    @property
    def has_box(self) -> bool:
        """Whether there is a box."""
        return "box" in self.positions or "left" in self.positions


def match(names: Sequence[str], named: Mapping[str, str]) -> Columns:
    """Find the columns of a table.

    Args:
        names: the names of its columns.
        named: role -> name of its column, for columns with unusual names; "" for a role that is not to be read.

    Raises:
        UserError: a role is unknown, a named column does not exist or occurs twice, or image or emotion is missing.

    Example:
        >>> match(["File", "label", "age"], {}).positions
        {'image': 0, 'emotion': 1}
    """
    for role, name in named.items():
        if role not in ROLES:
            raise UserError(f"column: expected {', '.join(ROLES)} before the =, got {role!r}")
        if name and names.count(name) != 1:
            number = "there is no" if name not in names else "there is more than one"
            raise UserError(f"column: {number} column {name!r}; there are {', '.join(names)}")
    points = _landmark_columns(names) if "landmarks" not in named else ()
    usual = {
        _normalise(name): position for position, name in reversed(list(enumerate(names))) if position not in points
    }
    positions = {}
    for role, aliases in ROLES.items():
        if role in named:
            positions |= {role: names.index(named[role])} if named[role] else {}
        else:
            taken = {names.index(name) for name in named.values() if name}
            free = [usual[alias] for alias in aliases if alias in usual and usual[alias] not in taken]
            positions |= {role: free[0]} if free else {}
    if missing := [role for role in REQUIRED if role not in positions]:
        raise UserError(
            f"no column {' and '.join(missing)} in the first line, which has {', '.join(names)[:500]}. Name it: "
            + " ".join(f"--column {role}=NAME" for role in missing)
        )
    _keep_one_box(positions)
    read = {*positions.values(), *points}
    unread = tuple(name or f"number {position + 1}" for position, name in enumerate(names) if position not in read)
    return Columns(positions, points, unread)


def _normalise(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _landmark_columns(names: Sequence[str]) -> tuple[int, ...]:
    """The positions of columns x0, y0, ..., y67, or from 1 to 68, also written x_0; () if they are not all there."""
    normalised = {_normalise(name): position for position, name in enumerate(names)}
    for first in (0, 1):
        wanted = [f"{axis}{number}" for number in range(first, first + LANDMARK_COUNT) for axis in "xy"]
        if all(name in normalised for name in wanted):
            return tuple(normalised[name] for name in wanted)
    return ()


def _keep_one_box(positions: dict[str, int]) -> None:
    """Remove the columns of incomplete boxes, such as the width of an image, and all but one of several boxes."""
    forms = (("box",), CORNERS, SIZE)
    chosen = next((form for form in forms if all(role in positions for role in form)), ())
    for role in {"box", *CORNERS, *SIZE} - set(chosen):
        positions.pop(role, None)
