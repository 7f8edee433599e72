"""Zip archives of arrays and models (.npz, .keras), bounded before and while they are read.

A few megabytes of zip can unpack to a thousand times as many, and sizes that an archive declares can be wrong. Arrays
and weights shrink to no less than a tenth or so; an archive that would unpack to far more is refused.
"""

import contextlib
import copy
import errno
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Generator
from pathlib import Path

import numpy as np

from edram_fer.errors import MissingFileError, UserError, reason

NPZ = "an NPZ file"  # in messages
MOST_MEMBERS = 20_000
ALWAYS_ALLOWED = 200 << 20  # bytes that any archive may unpack to
MOST_RATIO = 30  # of the unpacked size to the size of the file above that
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Errors that zipfile raises for a damaged archive: RuntimeError and NotImplementedError if a flag or method of a member
# is damaged, ValueError if an offset is, struct.error if a header is cut. NumPy raises TokenError, SyntaxError and
# TypeError for the header of an array, and JSON ValueError and RecursionError, which is a RuntimeError.
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, MemoryError),
    *(tokenize.TokenError, SyntaxError, TypeError, OverflowError),
)


@contextlib.contextmanager
def damage(path: Path | str, kind: str) -> Generator[None, None, None]:
    """Turn the errors of a damaged archive inside the block into a UserError.

    Args:
        path: the archive.
        kind: what it should be, such as "an NPZ file".
    """
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise MissingFileError(f"{path} is missing; expected {kind}") from None
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # of an offset before the start of the file
            raise
        raise UserError(f"{path} is damaged or not {kind}: {reason(error)}") from error


def open_archive(path: Path | str, kind: str) -> zipfile.ZipFile:
    """Open an archive after checking the number of its members and the sizes that it declares.

    Raises:
        MissingFileError: there is no such file.
        UserError: it is no zip archive, or it declares more members or bytes than an archive of its size can hold.
    """
    with damage(path, kind):
        archive = zipfile.ZipFile(path)
        try:
            _check(archive, Path(path))
        except BaseException:
            archive.close()
            raise
    return archive


def _check(archive: zipfile.ZipFile, path: Path) -> None:
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        raise UserError(f"{path}: expected at most {MOST_MEMBERS:,} files in the archive, got {len(members):,}")
    most = max(ALWAYS_ALLOWED, MOST_RATIO * path.stat().st_size)
    size = sum(member.file_size for member in members)
    if size > most:
        raise UserError(
            f"{path}: expected an archive of its size to unpack to at most {most / 1e6:,.0f} MB, got {size / 1e6:,.0f}"
        )
    for member in members:
        if member.compress_type not in METHODS:
            raise UserError(f"{path}: expected files that are stored or deflated, got {member.filename[:60]!r}")
    if len({member.filename for member in members}) < len(members):
        raise UserError(f"{path}: two files in the archive have the same name")


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """The content of a member of the declared size.

    Raises:
        KeyError: there is no such member.
        BadZipFile: its CRC-32 or size differs from the declared one; see `damage`.
    """
    member = copy.copy(archive.getinfo(name))
    size = member.file_size
    member.file_size += 1  # zipfile would pass over, but unpack, what lies behind the declared end
    with archive.open(member) as file:
        content = file.read(size + 1)  # without a number it would unpack everything at once
    if len(content) != size:
        raise zipfile.BadZipFile(f"{name[:60]!r} does not hold the declared {size} bytes")
    return content


def read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """The array in the member `name`.npy.

    Raises:
        KeyError: there is no such member.
        ValueError, BadZipFile: it is damaged, holds objects, or is larger than declared; see `damage`.
    """
    member = archive.getinfo(f"{name}.npy")
    shape, dtype, start = _header(archive, member)
    if (
        dtype.hasobject
        or not dtype.itemsize
        or int(np.prod(shape, dtype=object)) * dtype.itemsize != (member.file_size - start)
    ):
        raise ValueError(f"{name[:60]!r} is no array of the declared size")
    with archive.open(member) as file:  # read in parts, into the array
        return np.lib.format.read_array(file, allow_pickle=False)


def array_header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of the array in the member `name`.npy, without reading it. Raises as `read_array` does."""
    return _header(archive, archive.getinfo(f"{name}.npy"))[:2]


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype, int]:
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
        if read is None:
            raise ValueError(f"{member.filename[:60]!r} is an array of the unknown version {version}")
        shape, _, dtype = read(file)
        return shape, dtype, file.tell()


def array_names(archive: zipfile.ZipFile) -> list[str]:
    """The names of the arrays, without .npy.

    Raises:
        ValueError: a member is no array.
    """
    names = archive.namelist()
    if others := [name for name in names if not name.endswith(".npy")]:
        raise ValueError(f"it holds {others[0][:60]!r}, which is no array")
    return [name.removesuffix(".npy") for name in names]


def read_npz(path: Path | str) -> dict[str, np.ndarray]:
    """All arrays of an NPZ file.

    Raises:
        MissingFileError: there is no such file.
        UserError: the file is damaged, holds something else, or would unpack to too much; the message names it.
    """
    with open_archive(path, NPZ) as archive, damage(path, NPZ):
        return {name: read_array(archive, name) for name in array_names(archive)}
