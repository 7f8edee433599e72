"""The structure of a JPEG file: its frame, its scans and where their data end, to tell a whole image from a part.

A decoder fills what is lost with grey and says nothing if the file has an end mark. Whether the data of the last scan
are complete, it shows itself: what is inserted behind complete data changes no pixel (`with_filler`).

Limits, for files that were cut and have an end mark nevertheless: a filler behind a whole restart interval, or behind
data that end between two scans, changes nothing; a baseline file whose last unit does not look filled in is not tested;
and the end of arithmetic coding is not tested.
"""

import dataclasses
import hashlib
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

START, END = b"\xff\xd8", b"\xff\xd9"
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # behind the data of a scan, except restart markers
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}  # baseline, extended, progressive; the last two with arithmetic coding
_OTHER_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF}  # lossless and hierarchical
_NOISE = hashlib.shake_128(b"filler").digest(2048).replace(b"\xff", b"")
FILLERS = (b"\xaa" * 64, _NOISE[:900], _NOISE[900:])


class Component(NamedTuple):
    """Sampling factors of a component."""

    horizontal: int
    vertical: int


class Scan(NamedTuple):
    """A scan: the numbers of its components, coefficients `first` to `last`, the lowest bit that it holds, its restart
    interval (0: none), and where its data begin and end."""

    components: tuple[int, ...]
    first: int
    last: int
    low_bit: int
    interval: int
    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class Structure:
    """What the markers of a JPEG file say.

    Attributes:
        width, height: in pixels.
        progressive: whether each coefficient may be spread over several scans.
        arithmetic: whether its entropy coding is arithmetic.
        components: of the frame.
        scans: in their order.
        ended: whether the file has an end mark.
    """

    width: int
    height: int
    progressive: bool
    arithmetic: bool
    components: tuple[Component, ...]
    scans: tuple[Scan, ...]
    ended: bool

    @property
    def coefficient_bytes(self) -> float:
        """Bytes per pixel that a decoder needs for the coefficients, if it cannot decode row by row."""
        if not self.progressive and all(len(scan.components) == len(self.components) for scan in self.scans):
            return 0.0
        largest = self._largest
        samples = sum(part.horizontal * part.vertical for part in self.components)
        return 2 * samples / (largest.horizontal * largest.vertical)

    @property
    def _largest(self) -> Component:
        return Component(
            max(part.horizontal for part in self.components), max(part.vertical for part in self.components)
        )

    @property
    def last_unit(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """(height of the image, height of a unit), (width of the image, width of a unit), in pixels."""
        return (self.height, 8 * self._largest.vertical), (self.width, 8 * self._largest.horizontal)

    def units(self, scan: Scan) -> int:
        """Number of units (MCUs) of a scan, between which restart markers may lie."""
        largest = self._largest
        part = self.components[scan.components[0]] if len(scan.components) == 1 else Component(1, 1)
        across = -(-self.width * part.horizontal // (8 * largest.horizontal))
        return across * -(-self.height * part.vertical // (8 * largest.vertical))

    def covers_all(self) -> bool:
        """Whether every bit of every coefficient is in some scan."""
        bits = {number: [99] * 64 for number in range(len(self.components))}
        for scan in self.scans:
            for number in scan.components:
                for position in range(scan.first, scan.last + 1):
                    bits[number][position] = min(bits[number][position], scan.low_bit)
        return all(bit == 0 for part in bits.values() for bit in part)

    def lacks_data(self, content: bytes) -> bool:
        """Whether the last scan has too few restart markers or bytes for its units."""
        scan = self.scans[-1]
        units = self.units(scan)
        if scan.interval:
            markers = sum(content.count(bytes((0xFF, 0xD0 + n)), scan.start, scan.end) for n in range(8))
            if markers < -(-units // scan.interval) - 1:
                return True
        blocks = units * sum(
            self.components[number].horizontal * self.components[number].vertical if len(scan.components) > 1 else 1
            for number in scan.components
        )
        least_bits = 0 if self.progressive or self.arithmetic else 2 * blocks  # a code for DC and one for AC
        return 8 * (scan.end - scan.start) < least_bits


def read(content: bytes) -> Structure | None:
    """The structure of a JPEG file; None if it has no scan, or several frames, or its markers are not as the
    standard says."""
    frame, scans, interval, ended = None, [], 0, False
    try:
        for marker, start, end in _segments(content):
            if marker in _OTHER_FRAMES or (marker in _FRAMES and frame is not None):
                return None
            if marker in _FRAMES:
                frame = (marker, *struct.unpack_from(">HH", content, start + 1), _components(content, start, end))
            elif marker == 0xDD:
                interval = struct.unpack_from(">H", content, start)[0]
            elif marker == 0xDA and frame is not None:
                scans.append(_scan(content, start, end, interval, list(frame[3])))
            elif marker == 0xD9:
                ended = True
    except (struct.error, IndexError, KeyError, ValueError):
        return None
    if frame is None or not scans or 0 in frame[1:3]:
        return None
    marker, height, width, components = frame
    sizes = tuple(components.values())
    if not all(1 <= side <= 4 for part in sizes for side in part):
        return None
    return Structure(width, height, marker in (0xC2, 0xCA), marker >= 0xC9, sizes, tuple(scans), ended)


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start and end of what follows its length) of each segment up to the end mark."""
    position = 2
    while position + 1 < len(content):
        if content[position] != 0xFF:
            position = content.find(b"\xff", position)  # decoders skip what should not be there
            if position < 0:
                return
        marker = content[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        position += 2
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            continue
        if marker == 0xD9:
            yield marker, position, position
            return
        end = position + struct.unpack_from(">H", content, position)[0]
        if end > len(content):
            return
        yield marker, position + 2, end
        position = _data_end(content, end) if marker == 0xDA else end


def _data_end(content: bytes, start: int) -> int:
    """Where the data of a scan end."""
    match = _MARKER.search(content, start)
    end = len(content) if match is None else match.start()
    while end > start and content[end - 1] == 0xFF:  # the first half of a marker, or filling before one
        end -= 1
    return end


def _components(content: bytes, start: int, end: int) -> dict[int, Component]:
    """{identifier: sampling factors} of the components of a frame."""
    count = content[start + 5]
    if start + 6 + 3 * count > end:
        raise ValueError("a frame without its components")
    parts = (content[start + 6 + 3 * number : start + 9 + 3 * number] for number in range(count))
    return {part[0]: Component(part[1] >> 4, part[1] & 15) for part in parts}


def _scan(content: bytes, start: int, end: int, interval: int, identifiers: list[int]) -> Scan:
    count = content[start]
    numbers = tuple(identifiers.index(content[start + 1 + 2 * number]) for number in range(count))
    first, last, bits = content[start + 1 + 2 * count : start + 4 + 2 * count]
    if not numbers or last > 63:
        raise ValueError("a scan without components or coefficients")
    return Scan(numbers, first, last, bits & 15, interval, end, _data_end(content, end))


def with_filler(content: bytes, structure: Structure, filler: bytes) -> bytes:
    """The file with a filler behind the data of its last scan, and an end mark."""
    end = structure.scans[-1].end
    return b"".join((content[:end], filler, content[end:] if structure.ended else END))
