"""The folder of the command's predictions: rows and drawn photos as they become ready, resumed after any stop.

The rows of a batch are appended to the table and flushed to the disk; then the marker, which is replaced with one
rename, counts them. A stopped command resumes behind the last counted batch: rows that the marker does not count are
cut off first. A list names the images and films that are drawn: no other file in the folder is ever deleted.
"""

import csv
import hashlib
import io
import itertools
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edram_fer import attention, files
from edram_fer.errors import ExistingRunError, MissingPackageError, UserError
from edram_fer.figures import photo
from edram_fer.prediction import overlay
from edram_fer.prediction.folders import DRAWN, DRAWN_LIST, MARKER, PASSED_OVER, PassedOver
from edram_fer.prediction.images import Images
from edram_fer.prediction.parallel import ordered_map
from edram_fer.prediction.video import Film
from edram_fer.preprocessing import crop, photos, spreadsheet
from edram_fer.preprocessing.records import OK

FORMATS = ("csv", "parquet", "jsonl")
UNFINISHED = "predictions.unfinished.jsonl"  # the rows of a Parquet file, which cannot grow
FIRST = ("source", "frame", "time", "face", "track", "status", "detector", "score")
BOX = ("left", "top", "width", "height")
MOST_BYTES = 180  # of a photo's name in the name of its drawn image; most file systems allow 255 in all
CHUNK = 10_000  # rows
TEXTS = ("source", "status", "detector", "image", "emotion")  # types of columns; all others are numbers
INTEGERS = ("frame", "face", "track", "rotation", *BOX)
NESTED = {"windows": 3, "step_probabilities": 2}  # dimensions of arrays


class Output:
    """Writes predictions into a folder.

    Args:
        folder: created if missing.
        format: "csv", "parquet" or "jsonl".
        draw: whether to draw the faces and windows into the photos.
        overlay: whether to draw them into films.

    Attributes:
        counts: of "images" that are done, of their "rows" and "faces", of images without a face ("no_face") and of
            images that could not be used ("faulty").

    Raises:
        UserError: an unknown format.
        ExistingRunError: the folder holds a table or drawn images that this class did not write.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path, *, format: str = "csv", draw: bool = True, overlay: bool = True) -> None:
        if format not in FORMATS:
            raise UserError(f"format: expected one of {', '.join(FORMATS)}, got {format!r}")
        self.folder, self.format, self.draws, self.overlays = folder, format, draw, overlay
        self.table = folder / f"predictions.{format}"
        self._rows = folder / UNFINISHED if format == "parquet" else self.table  # the file that grows
        self.marker = folder / MARKER
        files.check_writable(folder)  # before a model is loaded
        self._old = self._read_marker()
        self._content: dict[str, Any] = {}
        self.counts: Counter[str] = Counter()
        self._listed: set[str] = set()  # names in the list of drawn files that a stopped command may not have counted

    def state(self, images: Images, settings: Mapping[str, Any], *, restart: bool = False) -> str:
        """Compare the folder with the predictions to be made; it is not changed.

        Args:
            images: the images that are predicted.
            settings: everything that decides the rows.
            restart: do not resume.

        Returns:
            "new"; "resumed": the first images are done; "complete": all are done; or "replaced": the folder holds
            predictions of other images or settings, which `start` removes.
        """
        identity = {**settings, "format": self.format, "draw": self.draws, "overlay": self.overlays}
        identity["images"] = _digest(images)
        self._digits = len(str(images.total or 0))
        self._content = {"settings": files.plain(identity), "complete": False, "bytes": 0, "counts": {}}
        state = "replaced" if restart and self._old else self._find_state()
        if state in ("resumed", "complete"):
            self._content = self._old
        self.counts = Counter(self._content["counts"])
        return state

    def start(self, passed_over: Sequence[PassedOver] = ()) -> None:
        """Remove what an earlier command with other images or settings has written, and rows that are not counted.

        Args:
            passed_over: is written to a file of its own.
        """
        if self._content is not self._old:
            self._remove_old()
        files.write_json(self.marker, self._content)  # before the other files, which are this command's by the marker
        with open(self._rows, "ab") as rows:
            rows.truncate(self._content["bytes"])
        self._listed = set(self._listed_drawn())
        if passed_over:
            _write_passed_over(self.folder / PASSED_OVER, passed_over)

    def film_rows(self, images: Images) -> Iterator[dict[str, Any]]:
        """The written rows of the frames of films, with the columns of `Predictor.stream`; windows are lists.

        Args:
            images: as for `state`.
        """
        films = [str(single.path) for single in images.singles if isinstance(single, Film)]
        names = {written: name for name in films for written in (name, _written_name(name))}
        with open(self._rows, encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines) if self.format == "csv" else map(json.loads, lines):
                values = {spreadsheet.read_cell(name): _read_value(name, value) for name, value in row.items()}
                if values["frame"] is not None:
                    corner = tuple(values.pop(name) for name in BOX)
                    box = None if corner[0] is None else corner
                    yield values | {"source": names.get(values["source"], values["source"]), "box": box}

    def draw_films(self, images: Images, classes: Sequence[str]) -> None:
        """Draw the faces into the films, after all rows are written. Films that are drawn already are left as they are.

        Args:
            images: as for `state`.
            classes: names of the model's classes.
        """
        films = {str(film.path): (n, film) for n, film in enumerate(images.singles, 1) if isinstance(film, Film)}
        for source, rows in itertools.groupby(self.film_rows(images) if films else (), key=lambda row: row["source"]):
            number, film = films[source]
            target = self.folder / DRAWN / f"{number:0{self._digits}d}_{_safe_stem(source)}.mp4"
            if target.exists():
                continue
            self._list_drawn([target.name])
            try:
                overlay.write(film, rows, target, classes)
            except MissingPackageError as error:  # an animation, which is read without PyAV
                logging.getLogger(__name__).warning("%s is not drawn: %s", source, error)

    def write(self, images: int, rows: Sequence[Mapping[str, Any]], workers: int) -> None:
        """Draw the photos of a batch, append its rows, and count them.

        Args:
            images: number of images in the batch.
            rows: their rows, as of `Predictor.stream`.
            workers: threads that draw.
        """
        groups = [list(group) for _, group in itertools.groupby(rows, key=lambda row: (row["source"], row["frame"]))]
        names = [self._drawn_name(number, group) for number, group in enumerate(groups, self.counts["images"] + 1)]
        self._list_drawn(filter(None, names))  # before they are drawn, so that none is left if the process is killed
        self._listed.clear()
        drawn = list(ordered_map(self._draw, zip(names, groups, strict=True), workers))
        flat = [_flatten(row, name) for group, name in zip(groups, drawn, strict=True) for row in group]
        with open(self._rows, "ab") as target:
            target.write(self._encode(flat, header=not self._content["bytes"]))
            target.flush()
            os.fsync(target.fileno())
            self._content["bytes"] = target.tell()
        self.counts["images"] += images
        self.counts["rows"] += len(rows)
        for row in rows:
            kind = "faces" if row["status"] == OK else "no_face" if row["status"] == "no_face" else "faulty"
            self.counts[kind] += 1
        self._content["counts"] = dict(self.counts)
        files.write_json(self.marker, self._content)

    def finish(self, complete: bool = True) -> None:
        """Write the Parquet file and, if all images are done, mark the folder as complete."""
        if self.format == "parquet" and self._rows.exists():
            _convert(self._rows, self.table)
        if complete:
            self._content["complete"] = True
            files.write_json(self.marker, self._content)
            if self.format == "parquet":
                self._rows.unlink(missing_ok=True)

    def _read_marker(self) -> dict[str, Any]:
        """The content of the marker, {} if there is none.

        Raises:
            ExistingRunError: there is none, but files that would be overwritten.
        """
        if self.marker.exists():
            old = files.read_json(self.marker)
            if old.get("settings", {}).get("format") != self.format and self.table.exists():
                raise ExistingRunError(
                    f"{self.table} was not written by this command: move it, or choose another --out"
                )
            return old
        for path in (self.table, self._rows, self.folder / PASSED_OVER):
            if path.exists():
                raise ExistingRunError(f"{path} was not written by this command: move it, or choose another --out")
        drawn = self.folder / DRAWN
        if (self.draws or self.overlays) and drawn.exists() and (not drawn.is_dir() or any(drawn.iterdir())):
            raise ExistingRunError(f"{drawn} holds other files: move it, or choose another --out, or --no-draw")
        return {}

    def _find_state(self) -> str:
        if not self._old:
            return "new"
        if self._old.get("settings") != self._content["settings"]:
            return "replaced"
        if self._old["complete"]:
            return "complete" if self.table.exists() else "replaced"
        size = self._rows.stat().st_size if self._rows.exists() else 0
        return "resumed" if size >= self._old["bytes"] else "replaced"

    def _remove_old(self) -> None:
        """Remove the files that the marker's command has written; others in the folder stay."""
        settings = self._old.get("settings", {})
        for name in (f"predictions.{settings.get('format')}", UNFINISHED, PASSED_OVER):
            (self.folder / name).unlink(missing_ok=True)
        drawn = self.folder / DRAWN
        if (settings.get("draw") or settings.get("overlay")) and drawn.is_dir():
            for name in self._listed_drawn():
                (drawn / name).unlink(missing_ok=True)
            if not any(drawn.iterdir()):
                drawn.rmdir()
        (self.folder / DRAWN_LIST).unlink(missing_ok=True)

    def _list_drawn(self, names: Iterable[str]) -> None:
        """Append the names of images or films that are going to be drawn to the list."""
        if text := "".join(f"{name}\n" for name in names if name not in self._listed):
            with open(self.folder / DRAWN_LIST, "ab") as target:
                target.write(text.encode())

    def _listed_drawn(self) -> Iterator[str]:
        """The names in the list; none of what is not the name of a file, which this class did not write."""
        path = self.folder / DRAWN_LIST
        names = set(path.read_text(encoding="utf-8", errors="replace").split("\n")) if path.exists() else set()
        return (name for name in names if name not in ("", "..") and name == Path(name).name)

    def _drawn_name(self, number: int, rows: Sequence[Mapping[str, Any]]) -> str | None:
        """The name of the file into which the faces of a photo are drawn, or None if nothing is to be drawn."""
        source = rows[0]["source"]
        has_face = any(row["status"] == OK for row in rows)
        if not (self.draws and has_face and isinstance(source, str) and rows[0]["frame"] is None):
            return None
        return f"{number:0{self._digits}d}_{_safe_stem(source)}.jpg"

    def _draw(self, named: tuple[str | None, Sequence[Mapping[str, Any]]]) -> str | None:
        """Draw a photo; the name of the file, or None if nothing is drawn."""
        name, rows = named
        if name is None:
            return None
        faces = [row for row in rows if row["status"] == OK]
        try:
            pixels, reduction = photos.read_reduced(rows[0]["source"], photo.LARGEST, whole=True)
        except photos.PhotoError:  # it has changed since it was predicted
            return None
        (self.folder / DRAWN).mkdir(exist_ok=True)
        degrees = faces[0].get("rotation") or 0
        turned = np.ascontiguousarray(np.rot90(pixels, -degrees // 90))
        drawn = [_drawn_face(row, turned.shape[:2], reduction, degrees) for row in faces]
        photo.annotate(turned, drawn).save(self.folder / DRAWN / name, quality=88, subsampling=0)
        return name

    def _encode(self, rows: Sequence[Mapping[str, Any]], header: bool) -> bytes:
        """Rows as lines of the growing file. Bytes of names that are not UTF-8 become escapes such as \\udce4."""
        if self.format == "csv":
            return _csv_text(rows, header)
        text = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
        return text.encode("utf-8", "backslashreplace")


def _flatten(row: Mapping[str, Any], drawn: str | None) -> dict[str, Any]:
    """A row of `Predictor.stream` with one column for each side of the box, and lists instead of arrays."""
    values = dict(row)
    box = dict(zip(BOX, values.pop("box") or (None,) * 4, strict=True))
    first = {name: values.pop(name) for name in FIRST}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    values |= {name: value.astype(float).round(6).tolist() for name, value in arrays.items()}
    return files.plain({**first, **box, "image": drawn, **values})


def _read_value(name: str, value: Any) -> Any:
    """A value of a written row; of a CSV file, a text."""
    if value in ("", None):
        return None
    if name in NESTED:
        return json.loads(value) if isinstance(value, str) else value
    if name in TEXTS:
        return value
    return int(value) if name in INTEGERS else float(value)


def _written_name(name: str) -> str:
    """A name as it stands in a CSV file."""
    return next(csv.reader(io.StringIO(spreadsheet.csv_text([[name]]).decode(), newline="")))[0]


def _csv_text(rows: Sequence[Mapping[str, Any]], header: bool) -> bytes:
    cells = ([json.dumps(value) if isinstance(value, list) else value for value in row.values()] for row in rows)
    return spreadsheet.csv_text(itertools.chain([rows[0]] if header and rows else [], cells))


def _drawn_face(row: Mapping[str, Any], size: tuple[int, int], reduction: int, degrees: int) -> dict[str, Any]:
    """The argument of `photo.annotate` for a row, in pixels of the reduced and turned photo of `size` (H, W)."""
    square = [round(side / reduction) for side in row["box"][:3]]
    left, top, side = crop.turn_back(square, size, (360 - degrees) % 360)
    windows = row["windows"] if attention.has_windows(row["windows"]) else ()
    face = {"left": left, "top": top, "side": side, "windows": windows}
    return {**face, "emotion": row["emotion"], "probability": row["confidence"]}


def _safe_stem(source: str) -> str:
    """The name of a photo without its ending, valid in every file system and not too long."""
    stem = os.fsencode(Path(source).stem)[:MOST_BYTES].decode("utf-8", "ignore")
    return re.sub(r'[\x00-\x1f<>:"/\\|?*]', "_", stem)


def _digest(images: Images) -> str:
    """SHA-256 of the paths, sizes and times of the files."""
    digest = hashlib.sha256()
    for single in images.singles:
        path = single.path if isinstance(single, Film) else single
        name = os.fsencode(path if isinstance(path, Path) else str(path))
        try:
            status = os.stat(name)
        except OSError:
            status = None
        digest.update(name + (b"" if status is None else f"\0{status.st_size}\0{status.st_mtime_ns}".encode()) + b"\n")
    return digest.hexdigest()


def _write_passed_over(path: Path, passed_over: Sequence[PassedOver]) -> None:
    rows: list[dict[str, Any]] = [{"path": str(entry.path), "reason": entry.reason} for entry in passed_over]
    with files.replace(path) as temporary:
        temporary.write_bytes(_csv_text(rows, header=True))


def _read_rows(path: Path) -> Iterator[list[dict[str, Any]]]:
    """The rows of a file of JSON lines, in lists of CHUNK."""
    with open(path, encoding="utf-8") as lines:
        while chunk := [json.loads(line) for line in itertools.islice(lines, CHUNK)]:
            yield chunk


def _convert(source: Path, target: Path) -> None:
    """Write the rows of a file of JSON lines as a Parquet file."""
    chunks = _read_rows(source)
    first = next(chunks, [])
    if not first:
        return
    import pyarrow.parquet

    types: dict[str, Any] = {name: pyarrow.string() for name in TEXTS}
    types |= {name: pyarrow.int64() for name in INTEGERS}
    for name, dimensions in NESTED.items():
        types[name] = pyarrow.float64()
        for _ in range(dimensions):
            types[name] = pyarrow.list_(types[name])
    schema = pyarrow.schema({name: types.get(name, pyarrow.float64()) for name in first[0]})
    with files.replace(target) as temporary, pyarrow.parquet.ParquetWriter(temporary, schema) as writer:
        for chunk in itertools.chain([first], chunks):
            for row in chunk:
                row["source"] = str(row["source"]).encode("utf-8", "backslashreplace").decode()
            writer.write_table(pyarrow.Table.from_pylist(chunk, schema=schema))
