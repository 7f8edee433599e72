"""Change the content of a file at random, by its kind, so that the change reaches the code behind the first checks.

A mutation is a function of a random generator alone: the same seed gives the same bytes. Checksums of PNG chunks, zip
members and TFRecords are made to fit again.
"""

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Mutation = Callable[[random.Random, bytes, Sequence[bytes]], bytes]

NUMBERS = (0, 1, 2, 7, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**64 - 1)
WORDS = (
    *("", " ", "0", "-0", "1", "-1", "1e309", "-1e309", "1e-400", "nan", "NaN", "inf", "-Infinity", "0x10", "1_000"),
    *("null", "None", "true", "[]", "{}", "../", "../../etc/passwd", "/etc/passwd", "C:\\x", "con", ".", "..", "~"),
    *("\0", "\ufeff", "\r", "\n", "\r\n", "\t", '"', "'", ",", ";", "\\", "%s", "{0}", "=1+1", "\u202e", "é", "😀"),
    *("\u0661\u0662", "9" * 20, "9" * 400, "9" * 5000, "A" * 300, "A" * 140_000, "a," * 5000, '"' * 1001),
)
PAYLOADS = (
    *("<fuzz-tag>", "</script><fuzz-tag>", '"><fuzz-tag>', "'><fuzz-tag>", "--><fuzz-tag>", "]]><fuzz-tag>"),
    *("</title><fuzz-tag>", "</style><fuzz-tag>", "</textarea><fuzz-tag>", '" onfuzz="1', "' onfuzz='1", "<!--"),
    *("{{ 7 * 7 }}", "{% raw %}", "&lt;fuzz-tag&gt;", "\\u003cfuzz-tag\\u003e", "\u2028", "<svg/onfuzz=1>"),
)
DEEP, LONG_NUMBER = "@deep@", "@number@"  # replaced in the text of JSON, which `json.dumps` could not write
LARGEST = 2_000_000  # bytes of a mutated file, except for those of a bomb
BOMB = 300_000_000  # bytes that a member of a zip archive unpacks to


def mutate(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Apply one to five mutations; half of them know the kind of the content.

    Args:
        rng: the source of all choices.
        content: a file.
        others: files from which parts are taken.
    """
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))):
        structured = _structured(content)
        if structured is not None and rng.random() < 0.6:
            content = structured(rng, content, others)
        else:
            content = rng.choice(BYTES)(rng, content, others)
    return content[: max(LARGEST, len(content) if content[:2] == b"PK" else 0)]


def payload(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """JSON in which some texts and names have markup added that a page must not contain, wherever they occur."""
    value = json.loads(content)
    texts = sorted(
        {text for place in _places(value) for text in (place[1], place[0][place[1]]) if isinstance(text, str)}
    )
    for text in rng.sample(texts, min(len(texts), rng.choice((1, 1, 2, 5)))):
        value = _renamed(value, text, rng.choice((text, "")) + rng.choice(PAYLOADS) + rng.choice(("", *WORDS)))
    return json.dumps(value).encode()


def _renamed(value: Any, old: str, new: str) -> Any:
    """A value with another text in all places of one text, as a name or as a value."""
    if isinstance(value, dict):
        return {new if key == old else key: _renamed(inner, old, new) for key, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, old, new) for inner in value]
    return new if value == old else value


def name(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A path with other names: the components stay below the folder and within the limits of file systems."""
    parts = content.split(b"/")
    for _ in range(rng.choice((1, 1, 2, 3))):
        place = rng.randrange(len(parts))
        parts[place] = rng.choice(BYTES)(rng, parts[place], [part for other in others for part in other.split(b"/")])
    kept = [part.replace(b"\0", b"").replace(b"/", b"")[:200] for part in parts]
    return b"/".join(part for part in kept if part not in (b"", b".", b"..")) or b"x"


def _structured(content: bytes) -> Mutation | None:
    """The mutation for the kind of a content, by its first bytes."""
    for start, mutation in STARTS.items():
        if content.startswith(start):
            return mutation
    if _records(content[:65536]):
        return _tfrecord
    if content[:1] in (b"{", b"["):
        return _json
    return None if b"\0" in content[:1000] else _cells


def _flip(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    changed = bytearray(content or b"\0")
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _set(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    start, end = _range(rng, content, 16)
    return content[:start] + bytes([rng.choice((0, 255, rng.randrange(256)))]) * (end - start) + content[end:]


def _cut(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    start, end = _range(rng, content, max(len(content) // 2, 1))
    return content[:start] + content[end:]


def _truncate(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _insert(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    place = rng.randrange(len(content) + 1)
    return content[:place] + rng.randbytes(rng.choice((1, 2, 4, 100))) + content[place:]


def _copy(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    start, end = _range(rng, content, 4096)
    place = rng.randrange(len(content) + 1)
    overwritten = rng.choice((0, end - start))
    return content[:place] + content[start:end] * rng.choice((1, 1, 2, 50)) + content[place + overwritten :]


def _number(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    kind = rng.choice("BHIQ")
    value = (rng.choice(NUMBERS) + rng.choice((-1, 0, 0, 1))) % 2 ** (8 * struct.calcsize(f"<{kind}"))
    packed = struct.pack(rng.choice("<>") + kind, value)
    place = rng.randrange(len(content) + 1) if rng.random() < 0.5 else rng.randrange(min(len(content), 300) + 1)
    return content[:place] + packed + content[place + len(packed) :]


def _splice(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others) if others else content
    return content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other) + 1) :]


def _word(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    place = rng.randrange(len(content) + 1)
    return content[:place] + _text(rng) + content[place + rng.choice((0, 0, 1, 4)) :]


BYTES: tuple[Mutation, ...] = (_flip, _flip, _set, _cut, _truncate, _insert, _copy, _number, _number, _splice, _word)


def _range(rng: random.Random, content: bytes, longest: int) -> tuple[int, int]:
    start = rng.randrange(len(content) + 1)
    return start, min(start + rng.randrange(1, longest + 1), len(content))


def _text(rng: random.Random) -> bytes:
    return rng.choice(WORDS).encode(rng.choice(("utf-8", "utf-8", "utf-8", "utf-16-le", "utf-7")))


def _cells(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """Text of lines and cells: change, drop, repeat or move some, or encode all in another way."""
    lines = content.decode("utf-8", "replace").split("\n")
    place = rng.randrange(len(lines))
    separator = max(",;\t| ", key=lines[0].count)
    cells = lines[place].split(separator)
    cell = rng.randrange(len(cells))
    action = rng.randrange(9)
    if action <= 2:
        cells[cell] = rng.choice((rng.choice(WORDS), cells[cell] + rng.choice(WORDS), f'"{cells[cell]}'))
    elif action == 3:
        del cells[cell]
    elif action == 4:
        cells.insert(cell, rng.choice((cells[cell], *WORDS)))
    elif action == 5:
        cells[cell], cells[0] = cells[0], cells[cell]
    elif action == 6:
        lines[place:place] = [lines[rng.randrange(len(lines))]] * rng.choice((1, 2, 100))
    elif action == 7:
        end = rng.choice(("\r\n", "\r", "\n\n", "\0\n", " \n"))
        return end.join(lines).encode("utf-8", "replace")
    else:
        encoding = rng.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "cp1252", "utf-32"))
        return "\n".join(lines).encode(encoding, "replace")
    lines[lines.index(lines[place]) if action == 6 else place] = separator.join(cells)
    return "\n".join(lines).encode("utf-8", "replace")


def _json(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A value replaced by one of another type, or a name changed, dropped or repeated."""
    try:
        text = _changed_json(rng, json.loads(content))
    except (ValueError, RecursionError):  # not JSON, or nested too deeply by a mutation before
        return _word(rng, content, others)
    depth = rng.choice((900, 2000, 100_000))
    text = text.replace(json.dumps(DEEP), "[" * depth + "]" * depth).replace(json.dumps(LONG_NUMBER), "9" * 5000)
    return text.encode("utf-8", "surrogatepass")


def _changed_json(rng: random.Random, value: Any) -> str:
    whole = [value]
    container, key = rng.choice(list(_places(whole)))
    if isinstance(container, dict) and rng.random() < 0.3:
        moved = container.pop(key)
        if rng.random() < 0.5:
            container[rng.choice((*WORDS, *map(str, container)))] = moved
    else:
        container[key] = _value(rng, whole)
    return json.dumps(whole[0], ensure_ascii=rng.random() < 0.5)


def _value(rng: random.Random, whole: Any) -> Any:
    simple = (None, True, False, 0, 1, -1, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"))
    container, key = rng.choice(list(_places(whole)))
    copied = json.loads(json.dumps(container[key]))
    return rng.choice(
        (rng.choice(simple), rng.choice(WORDS), rng.choice(WORDS), [], {}, [copied], {"a": copied}, copied)
        + ([copied] * 1000, DEEP, LONG_NUMBER, [[1, 2], [3]], "\ud800")
    )


def _places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of all values in nested dicts and lists."""
    places, pending = [], [value]
    while pending:
        entry = pending.pop()
        pairs = entry.items() if isinstance(entry, dict) else enumerate(entry) if isinstance(entry, list) else ()
        for key, inner in list(pairs):
            places.append((entry, key))
            pending.append(inner)
    return places


def _zip(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A member changed, dropped, added or renamed, with the right CRC-32; or wrong sizes in the directory."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [[info.filename, archive.read(info), info.compress_type] for info in archive.infolist()]
    except Exception:  # whatever a damaged archive raises
        return rng.choice(BYTES)(rng, content, others)
    action = rng.random()
    if action < 0.1:
        changed, place = bytearray(content), content.rfind(b"PK\1\2")
        struct.pack_into("<I", changed, place + rng.choice((16, 20, 24, 42)), rng.choice(NUMBERS) % 2**32)
        return bytes(changed)
    if members:
        place = rng.randrange(len(members))
        if action < 0.7:
            members[place][1] = mutate(rng, members[place][1], [inner for _, inner, _ in members])
        elif action < 0.75:
            del members[place]
        elif action < 0.8:
            members[place][0] = rng.choice((*WORDS, members[0][0])).replace("\0", "")[:60_000] or "x"
        elif action < 0.81:
            members[place][1:] = [bytes(BOMB), zipfile.ZIP_DEFLATED]
        else:
            members[place][2] = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    if action > 0.9:
        members.append([rng.choice(("x.npy", "../x.npy", "config.json", "x")), _text(rng), zipfile.ZIP_STORED])
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for filename, inner, method in members:
            info = zipfile.ZipInfo(filename)  # of 1980: the same bytes at any time
            info.compress_type = method
            archive.writestr(info, inner, compresslevel=1)
    return file.getvalue()


def _npy(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """An array with another header."""
    kind = rng.choice(("|O", "<f8", "<f2", "<U1", "<U100000", "|V0", "|S0", "<M8[ns]", "|b1", ">i8", "x", "<f8" * 50))
    shape = rng.choice(((), (0,), (1,), (-1,), (2, 3), (10**18,), (2**63,), (2**40, 0), (1,) * 40, "x", (1.5,)))
    values = {"descr": kind, "fortran_order": rng.choice((False, True, 2)), "shape": shape}
    if rng.random() < 0.5 and (end := content.find(b"}")) > 0:
        text = content[10 : end + 1]
        key = rng.choice((b"'descr': ", b"'shape': "))
        before, separator, after = text.partition(key)
        header = before + separator + repr(values[key.decode()[1:6]]).encode() + after[after.find(b", ") :]
    else:
        header, end = repr(values).encode(), content.find(b"\n")
    header = header.ljust(rng.choice((1, 118))) + b"\n"
    version = rng.choice((b"\1\0", b"\1\0", b"\2\0", b"\3\0", b"\x09\0"))
    length = struct.pack("<H" if version == b"\1\0" else "<I", len(header))
    return content[:6] + version + length + header + content[max(content.find(b"\n"), 0) + 1 :]


def _png(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A chunk changed with the right CRC-32, also inside its compressed data; or chunks dropped or repeated."""
    chunks, place = [], 8
    while place + 12 <= len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        chunks.append([content[place + 4 : place + 8], content[place + 8 : place + 8 + length]])
        place += 12 + length
    if not chunks:
        return _flip(rng, content, others)
    chunk = rng.choice(chunks)
    action = rng.randrange(6)
    if action == 0:
        chunks.insert(rng.randrange(len(chunks)), list(chunk))
    elif action == 1:
        chunks.remove(chunk)
    elif action == 2:
        chunk[0] = rng.choice(
            (b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"zTXt", b"iTXt", b"eXIf", b"acTL", b"fcTL", b"fdAT")
        )
    else:
        inner = chunk[1]
        if chunk[0] == b"IDAT" and action > 3:
            unpacker = zlib.decompressobj()
            try:
                inner = rng.choice(BYTES)(rng, unpacker.decompress(inner, LARGEST), ())
            except zlib.error:
                pass
            chunk[1] = zlib.compress(inner, 1)
        else:
            chunk[1] = rng.choice(BYTES)(rng, inner, ())
    parts = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return content[:8] + b"".join(parts)


def _parquet(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A table with a column of another type or content, with other rows, or with other metadata."""
    try:
        table = pq.read_table(io.BytesIO(content))
    except Exception:  # whatever a damaged file raises
        return rng.choice(BYTES)(rng, content, others)
    place, count = rng.randrange(table.num_columns) if table.num_columns else None, len(table)
    action = rng.randrange(8)
    if place is not None and action <= 3:
        lists = [[rng.choice((0.5, float("nan"), 1e38, None))] * rng.choice((0, 1, 6, 21)) for _ in range(count)]
        columns = [
            pa.nulls(count, table.schema.field(place).type),
            pa.nulls(count),
            pa.array([rng.choice(WORDS) for _ in range(count)], pa.string()),
            pa.array([rng.choice((0.0, float("nan"), float("inf"), -1e38)) for _ in range(count)], pa.float32()),
            pa.array(lists, pa.list_(pa.float32())),
            pa.array([[rng.choice(WORDS)] * 2] * count, pa.list_(pa.string())),
            pa.array([{"a": 1}] * count),
        ]
        table = table.set_column(place, table.column_names[place], rng.choice(columns))
    elif place is not None and action == 4:
        table = table.remove_column(place)
    elif place is not None and action == 5:
        renamed = list(table.column_names)
        renamed[place] = rng.choice((*WORDS, table.column_names[0]))
        table = table.rename_columns(renamed)
    elif action == 6:
        table = table.slice(0, rng.randrange(count + 1)) if rng.random() < 0.5 else pa.concat_tables([table, table])
    else:
        metadata = dict(table.schema.metadata or {})
        key = rng.choice([*metadata, b"emotions", b"calibration"])
        metadata[key] = _json(rng, metadata.get(key, b"[]"), ()) if rng.random() < 0.7 else _text(rng)
        table = table.replace_schema_metadata(metadata)
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def _records(content: bytes) -> list[bytes]:
    """The records of a TFRecord file, [] of another file."""
    records, place = [], 0
    while place + 16 <= len(content):
        length = int.from_bytes(content[place : place + 8], "little")
        if content[place + 8 : place + 12] != _masked_crc(content[place : place + 8]):
            break
        records.append(content[place + 12 : place + 12 + length])
        place += 16 + length
    return records


def _tfrecord(rng: random.Random, content: bytes, others: Sequence[bytes]) -> bytes:
    """A record changed with the right checksums, dropped or repeated."""
    records = _records(content)
    place = rng.randrange(len(records))
    records[place : place + 1] = rng.choice(
        ([rng.choice(BYTES)(rng, records[place], records)],) * 6 + ([], [records[place]] * 2)
    )
    parts = []
    for record in records:
        length = struct.pack("<Q", len(record))
        parts.append(length + _masked_crc(length) + record + _masked_crc(record))
    return b"".join(parts)


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC32C = _crc_table()


def _masked_crc(content: bytes) -> bytes:
    """The masked CRC-32C of TFRecord."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _CRC32C[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


STARTS: dict[bytes, Mutation] = {b"PK": _zip, b"\x89PNG": _png, b"\x93NUMPY": _npy, b"PAR1": _parquet}
