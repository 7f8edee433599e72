"""Your own images with their labels in a table (CSV, TSV, Parquet, Excel): one row per face."""

import contextlib
import functools
import itertools
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from edram_fer.errors import MissingFileError, UserError, as_status
from edram_fer.preprocessing import emotions, readers
from edram_fer.preprocessing.datasets.table import columns as table_columns
from edram_fer.preprocessing.datasets.table import files
from edram_fer.preprocessing.records import OK, UNKNOWN_AFFECT, Annotations, FaceRecord, checked_affect, no_label
from edram_fer.preprocessing.values import parse_landmarks, parse_number

SHARES = {"validation": 0.1, "test": 0.2}  # drawn from rows without splits
_FIRST_IMAGES = 100  # images of the table that are searched for to find the folder that paths are relative to
_MOST_FOLDERS = 1000
_SCALE = re.compile(r"(.*):([-+]?\d+(?:\.\d+)?)\.\.([-+]?\d+(?:\.\d+)?)")  # NAME:LOW..HIGH
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


class Source(NamedTuple):
    """A table that has been read, and how its rows are understood."""

    path: Path
    table: files.Table
    columns: table_columns.Columns
    labels: emotions.Labels
    codes: str | None
    root: Path
    scales: Mapping[str, tuple[float, float]]  # of valence and arousal: lowest and highest value


def find(
    source: Path | str,
    classes: Sequence[str] | None = None,
    root: Path | str | None = None,
    column: Sequence[str] | str = (),
    codes: str | None = None,
    sheet: str | int | None = None,
) -> Annotations:
    """A table of images.

    Columns are found by their usual names (`columns.ROLES`). Required are the image, a path relative to `root`, and
    the label. Optional are valence and arousal, in [-1, 1] or another scale; a box in pixels (left, top, width,
    height, or two corners); the subject; the split; and 68 landmarks in pixels.

    Args:
        source: the table, or a folder that contains one table up to two levels down.
        classes: the names of the classes, see `emotions.parse_classes`; None: all emotions that occur.
        root: folder that image paths are relative to; None: the folder of the table, or the folder near it that
            contains the images.
        column: columns with unusual names, as "role=name"; "role=" leaves a role out. "valence=name:1..9" rescales a
            column from 1 to 9 to [-1, 1]; so does "arousal=...".
        codes: the data set whose numbers the labels are, such as "AffectNet"; None: the labels are names.
        sheet: name or number of the sheet of an Excel file; None: the first.

    Raises:
        MissingFileError: `source` or `root` does not exist.
        UserError: there is no table or more than one, a column is missing, no image of the table exists, a class does
            not occur, or most values of valence or arousal are outside of [-1, 1].
    """
    named, scales = _parse_columns(column)
    source = readers.absolute(source)
    path = source if source.is_file() else _locate(source, named)
    table = files.read(path, sheet)
    try:
        columns = table_columns.match(table.columns, named)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if not table.rows:
        raise UserError(f"{path} has no rows below its header")
    if codes is not None:
        emotions.codes(codes)  # an unknown name is an error of the call, not of every row
    paths = [_path(row[columns.positions["image"]]) for row in table.rows if not isinstance(row, str)]
    labels = emotions.Labels(classes or emotions.EIGHT)
    opened = Source(path, table, columns, labels, codes, _find_root(path, root, paths), scales)
    for role in ("valence", "arousal"):
        _check_scale(opened, role)
    read = functools.partial(_records, opened)
    labelled = [record for record in read() if record.emotion]
    if not labelled:
        raise UserError(_no_label(opened))
    counts = Counter(record.emotion for record in labelled if record.emotion and record.status == OK)
    return Annotations(
        name="table",
        layout=path.name,
        root=opened.root,
        files=(path,),
        classes=readers.present_classes(classes, counts, path),
        records=read,
        detectors=("annotation",) if columns.has_box else ("none",),
        notes=_notes(opened),
        count=lambda: len(table.rows),
        options=repr(
            (
                sorted(columns.positions.items()),
                columns.landmarks,
                classes,
                codes,
                sheet,
                os.path.relpath(opened.root, path.parent),
                *([sorted(scales.items())] if scales else []),
            )
        ),
        shares={"validation": SHARES["validation"]} if "split" in columns.positions else SHARES,
    )


def _parse_columns(texts: Sequence[str] | str) -> tuple[dict[str, str], dict[str, tuple[float, float]]]:
    """{role: name} and {role: (lowest, highest value)} of texts "role=name" and "role=name:lowest..highest"."""
    named, scales = {}, {}
    for text in [texts] if isinstance(texts, str) else texts:
        role, equals, name = text.partition("=")
        if not equals:
            raise UserError(f"column: expected ROLE=NAME, such as emotion=label, got {text!r}")
        role, name = role.strip(), name.strip()
        if role in ("valence", "arousal") and (match := _SCALE.fullmatch(name)):
            name, scales[role] = match[1].strip(), (float(match[2]), float(match[3]))
            if scales[role][0] == scales[role][1]:
                raise UserError(f"column: expected {role}=NAME:LOWEST..HIGHEST, such as 1..9, got {text!r}")
        named[role] = name
    return named, scales


def _check_scale(source: Source, role: str) -> None:
    """Raise UserError if most values of a role are outside of [-1, 1] and the user has not named their scale."""
    if role not in source.columns.positions or role in source.scales:
        return
    position, values = source.columns.positions[role], []
    for row in source.table.rows:
        with contextlib.suppress(UserError):  # such a row gets a status
            values.append(UNKNOWN_AFFECT if isinstance(row, str) else _decimal(role, files.text(row[position])))
    values = [value for value in values if value != UNKNOWN_AFFECT]
    if 2 * sum(abs(value) > 1 for value in values) > len(values):
        name = source.table.columns[position]
        raise UserError(
            f"{source.path}: the column {name} has numbers from {min(values):g} to {max(values):g}; expected {role} "
            f"in [-1, 1]. Name the ends of its scale to convert it, such as "
            f"--column {shlex.quote(f'{role}={name}:1..9')}; --column {role}= leaves it out"
        )


def _locate(source: Path, named: Mapping[str, str]) -> Path:
    """The only table in a folder."""

    def recognise(folder: Path) -> Iterator[readers.Location]:
        for path in sorted(readers.entries(folder)):
            is_table = path.suffix.casefold() in files.SUFFIXES and not path.name.startswith((".", "~$"))
            if is_table and os.path.isfile(path):
                try:
                    table_columns.match(files.read(path).columns, named)
                except UserError:
                    continue
                yield readers.Location(path.name, folder, (path,))

    expected = f"a file ({', '.join(sorted(files.SUFFIXES))}) with columns for image and emotion"
    return readers.locate(source, recognise, dataset="table of images", expected=expected).files[0]


def _path(cell: Any) -> str:
    """An image path with "/", as Windows tools also write it with backslashes."""
    return files.text(cell).replace("\\", "/")


def _find_root(path: Path, root: Path | str | None, images: Sequence[str]) -> Path:
    """The folder that image paths are relative to: `root`, or the first one near the table that contains an image."""
    first = [image for image in itertools.islice(dict.fromkeys(images), _FIRST_IMAGES) if image and "\0" not in image]
    if root is not None:
        root = readers.absolute(root)
        if not root.is_dir():
            raise MissingFileError(f"root: {root} is not a folder")
        candidates = [root]
    else:
        below = (Path(folder) for folder, _, _ in _walk(path.parent))
        candidates = [*itertools.islice(below, _MOST_FOLDERS), path.parent.parent]
    for candidate in candidates:
        if any(os.path.isfile(candidate / image) and _inside(candidate, image) for image in first):
            return candidate
    where = f"{root}" if root else f"{path.parent}, its subfolders and the folder above"
    raise UserError(
        f"{path}: none of the first {len(first)} images, such as {first[0] if first else 'none'!r}, is in {where}; "
        f"--root names the folder that the paths are relative to"
    )


def _walk(folder: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """os.walk up to two levels down, the folder itself first, without hidden folders."""
    for path, folders, names in os.walk(folder):
        depth = len(Path(path).relative_to(folder).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if depth < readers.LEVELS else []
        yield path, folders, names


def _inside(root: Path, image: str) -> bool:
    return Path(os.path.normpath(root / image)).is_relative_to(root)


def _notes(source: Source) -> tuple[str, ...]:
    names = {role: source.table.columns[position] for role, position in source.columns.positions.items()}
    if source.columns.landmarks:
        names["landmarks"] = f"{source.table.columns[source.columns.landmarks[0]]}, ..."
    listed = ", ".join(role if role == name else f"{role} from {name}" for role, name in names.items())
    notes = [f"columns: {listed}", *source.table.notes]
    if source.columns.unread:
        notes.append(f"columns that are not read: {readers.abbreviate(source.columns.unread)}")
    if source.root != source.path.parent:
        notes.append(f"image paths are relative to {source.root}")
    if not source.columns.has_box:
        notes.append("the images are assumed to be faces; if they show more, use --detectors")
    return tuple(notes)


def _no_label(source: Source) -> str:
    """The message for a table without a single usable label."""
    position = source.columns.positions["emotion"]
    labels = Counter(files.text(row[position]) for row in source.table.rows if not isinstance(row, str))
    labels.pop("", None)
    listed = readers.abbreviate([f"{label} {count:,}" for label, count in labels.most_common()])
    column = source.table.columns[position]
    message = f"{source.path}: no label in the column {column} is among the classes; there are {listed or 'none'}"
    if labels and all(_NUMBER.fullmatch(label) for label in labels):
        return f"{message}. For numbers name the data set whose codes they are: --set codes=AffectNet"
    names = sorted({label.casefold(): label for label in labels}.values())
    if 2 <= len(names) <= 100:
        message += f'. To use them as classes: --classes "{",".join(names)}"'
    return message


def _records(source: Source) -> Iterator[FaceRecord]:
    """All rows in their order. A repeated image is another face if it has another box; otherwise it is not used."""
    usable: dict[tuple[str, Any], str] = {}
    ids: set[str] = set()
    for number, cells in enumerate(source.table.rows, 1):
        row = f"{source.path.name}:{number}"
        if isinstance(cells, str):
            yield FaceRecord(id=row, row=row, image="", split="", status=cells)
            continue
        fields = _fields(source, cells)
        image = fields["image"]
        if "status" not in fields:
            earlier = usable.setdefault((image, fields["box"]), row)
            if earlier != row:
                fields["status"] = f"its image{' and box are' if fields['box'] else ' is'} also that of {earlier}"
        record_id = image if image and image not in ids else f"{image} ({row})".strip()
        ids.add(record_id)
        yield FaceRecord(**{"id": record_id, "row": row, **fields})


def _fields(source: Source, cells: Sequence[Any]) -> dict[str, Any]:
    """The fields of a row; a bad value becomes its status."""
    texts = {role: files.text(cells[position]) for role, position in source.columns.positions.items()}
    fields: dict[str, Any] = {"image": "", "split": "", "subject": texts.get("subject", "")}
    try:
        fields["image"] = _image(texts["image"], source.root)
        fields["split"] = _split(texts)
        fields["emotion"] = _emotion(texts["emotion"], source)
        fields["box"] = _box(texts)
        fields["landmarks"] = _landmarks(source, cells)
        fields["valence"], fields["arousal"] = _affect(texts, source.scales)
    except Exception as error:  # one row must not stop all others
        fields["status"] = as_status(error)
    return fields


def _image(text: str, root: Path) -> str:
    if not text:
        raise UserError("no image path")
    if re.match(r"[a-z]{2,}://", text, re.IGNORECASE):
        raise UserError("its image is a web address; only files are read")
    path = text.replace("\\", "/")
    if os.path.isabs(path) and Path(path).is_relative_to(root):
        path = Path(path).relative_to(root).as_posix()
    return path.removeprefix("./")


def _split(texts: Mapping[str, str]) -> str:
    if "split" not in texts:
        return "train"
    if not texts["split"]:
        raise UserError("no split")
    return readers.split_name(texts["split"])


def _emotion(text: str, source: Source) -> str:
    if not text:
        raise UserError("no label")
    name = source.labels.name(text if source.codes is None else emotions.from_code(source.codes, text))
    if name not in source.labels.classes:
        raise UserError(no_label(name))
    return name


def _box(texts: Mapping[str, str]) -> tuple[float, float, float, float] | None:
    """The box (left, top, width, height); None if it is not annotated."""
    if "box" in texts:
        values = _NUMBER.findall(texts["box"])
        if texts["box"] and len(values) != 4:
            raise UserError(f"box: expected left, top, width, height, got {texts['box'][:40]!r}")
        names = ("left", "top", "width", "height")
    else:
        names = next((form for form in (table_columns.CORNERS, table_columns.SIZE) if form[2] in texts), ())
        values = [texts[name] for name in names]
    if not any(values):
        return None
    left, top, third, fourth = (_decimal(name, value) for name, value in zip(names, values))
    width, height = (third - left, fourth - top) if "right" in names else (third, fourth)
    if width <= 0 or height <= 0:
        raise UserError(f"box {width:g}x{height:g} without area")
    return left, top, width, height


def _landmarks(source: Source, cells: Sequence[Any]) -> tuple[tuple[float, float], ...] | None:
    if source.columns.landmarks:
        texts = [files.text(cells[position]) for position in source.columns.landmarks]
        return parse_landmarks([_decimal("landmark", text) for text in texts] if any(texts) else ())
    if "landmarks" not in source.columns.positions:
        return None
    return parse_landmarks(_NUMBER.findall(_flat_text(cells[source.columns.positions["landmarks"]])))


def _flat_text(cell: Any) -> str:
    """The text of a cell that may hold a list of numbers or of points."""
    if isinstance(cell, str) or not hasattr(cell, "__iter__"):
        return files.text(cell)
    return " ".join(map(_flat_text, cell))


def _affect(texts: Mapping[str, str], scales: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    valence, arousal = texts.get("valence", ""), texts.get("arousal", "")
    if not (valence and arousal):
        return UNKNOWN_AFFECT, UNKNOWN_AFFECT
    scaled = (_rescale(role, _decimal(role, texts[role]), scales.get(role)) for role in ("valence", "arousal"))
    return checked_affect(*scaled)


def _rescale(role: str, value: float, scale: tuple[float, float] | None) -> float:
    """A value of a scale (lowest, highest) in [-1, 1]; without a scale the value itself."""
    if scale is None:
        return value
    lowest, highest = scale
    if not min(scale) <= value <= max(scale):
        raise UserError(f"{role} {value:g} outside {lowest:g}..{highest:g}")
    return 2 * (value - lowest) / (highest - lowest) - 1


def _decimal(name: str, text: str) -> float:
    """A number, also with a decimal comma."""
    return parse_number(name, text.replace(",", ".") if text.count(",") == 1 and "." not in text else text)
