"""Archives are bounded before and while they are read."""

import io
import struct
import zipfile
import zlib

import h5py
import numpy as np
import pytest

from edram_fer import archives, keras_file
from edram_fer.errors import MissingFileError, UserError


def npy(array, **changes):
    """The bytes of an array's file; `changes` replace parts of its header: {old: new} texts of one length."""
    file = io.BytesIO()
    np.save(file, array)
    content = file.getvalue()
    for old, new in changes.values():
        content = content.replace(old, new)
    return content


def write(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def declare(path, size, crc):
    """Change the size and the CRC-32 that an archive of a single member declares, in both places."""
    content = bytearray(path.read_bytes())
    for start, offset in ((content.index(b"PK\x03\x04"), 14), (content.index(b"PK\x01\x02"), 16)):
        struct.pack_into("<I", content, start + offset, crc)
        struct.pack_into("<I", content, start + offset + 8, size)
    path.write_bytes(content)


def test_arrays_come_back(tmp_path):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b/c": np.array(["é", "sad"]), "d": np.array(3), "e": np.zeros((0, 4))}
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    read = archives.read_npz(tmp_path / "a.npz")
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
    with archives.open_archive(tmp_path / "a.npz", archives.NPZ) as archive:
        assert archives.array_header(archive, "a") == ((2, 3), np.dtype(float))


def test_bombs_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED", 1_000_000)
    monkeypatch.setattr(archives, "MOST_MEMBERS", 10)
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(200_000))
    with pytest.raises(UserError, match="a.npz: expected an archive of its size to unpack to at most 1 MB, got 2$"):
        archives.read_npz(tmp_path / "a.npz")
    np.savez_compressed(tmp_path / "a.npz", a=np.random.default_rng(0).random(200_000))  # not of zeros
    assert archives.read_npz(tmp_path / "a.npz")["a"].shape == (200_000,)
    write(tmp_path / "a.keras", {"config.json": bytes(1_100_000)})
    with pytest.raises(UserError, match="a.keras: expected an archive of its size to unpack to at most 1 MB"):
        keras_file.read(tmp_path / "a.keras")
    write(tmp_path / "b.npz", {f"{number}.npy": npy(np.zeros(1)) for number in range(11)})
    with pytest.raises(UserError, match="b.npz: expected at most 10 files in the archive, got 11"):
        archives.read_npz(tmp_path / "b.npz")
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):  # zipfile unpacks these without a bound
        write(tmp_path / "c.npz", {"a.npy": npy(np.zeros(9))}, method)
        with pytest.raises(UserError, match="c.npz: expected files that are stored or deflated, got 'a.npy'"):
            archives.read_npz(tmp_path / "c.npz")


def test_weights_are_no_larger_than_their_file(tmp_path):
    (tmp_path / "other.h5").write_bytes(b"")
    stored, values = io.BytesIO(), np.arange(6.0).reshape(2, 3)
    with h5py.File(tmp_path / "other.h5", "w") as other, h5py.File(stored, "w") as content:
        other["a"] = content["good"] = values
        content["numbers"], content["text"], content["nothing"] = np.arange(3), "text", h5py.Empty("f")
        content.create_group("group")
        content.create_dataset("huge", (10**6, 10**6), "f", chunks=(100, 100))
        content.create_dataset("endless", (2**62, 4), "f", chunks=(100, 1))
        content.create_dataset("outside", (6,), "f", external=[(str(tmp_path / "other.h5"), 0, 24)])
        content["linked"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "a")
        content["loop"] = h5py.SoftLink("loop")
        layout = h5py.VirtualLayout((2, 3), "f")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "a", (2, 3))
        content.create_virtual_dataset("virtual", layout)
    path = write(tmp_path / "a.keras", {"model.weights.h5": stored.getvalue()})
    np.testing.assert_array_equal(keras_file.read_weights(path, ["good"])["good"], values)
    for name in ("numbers", "text", "nothing", "group", "huge", "endless", "outside", "linked", "loop", "virtual"):
        with pytest.raises(UserError, match=r"a\.keras is damaged: model\.weights\.h5: "):
            keras_file.read_weights(path, ["good", name])


@pytest.mark.parametrize("name", ["a.npz", "a.keras"])
def test_a_declared_size_is_the_real_one(name, tmp_path):
    """The CRC-32 fits the declared part, so zipfile alone would not notice."""
    content = npy(np.zeros(16))
    write(tmp_path / name, {"a.npy": content + bytes(100_000)})
    declare(tmp_path / name, len(content) - 8, zlib.crc32(content[:-8]))
    read = archives.read_npz if name == "a.npz" else keras_file.read
    with pytest.raises(UserError, match=f"{name} is damaged or not an? .*: (.*declared|Bad CRC-32)"):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a.npy": npy(np.zeros(9), shape=(b"(9,), } ", b"(9**9,)}"))}, "damaged"),
        ({"a.npy": npy(np.zeros(1000), shape=(b"(1000,)", b"(9999,)"))}, "'a' is no array of the declared size"),
        ({"a.npy": npy(np.array([{}], object))}, "'a' is no array of the declared size"),
        ({"a.npy": npy(np.zeros(9))[:-1]}, "'a' is no array of the declared size"),
        ({"a.npy": b""}, "damaged"),
        ({"a.npy": b"\x93NUMPY\x03\x00" + bytes(100)}, "unknown version"),
        ({"a.txt": b"text"}, "it holds 'a.txt', which is no array"),
    ],
)
def test_what_is_no_array_is_named(members, message, tmp_path):
    with pytest.raises(UserError, match=f"a.npz .*{message}"):
        archives.read_npz(write(tmp_path / "a.npz", members))


def test_other_files_are_named(tmp_path):
    with pytest.raises(MissingFileError, match="a.npz is missing; expected an NPZ file"):
        archives.read_npz(tmp_path / "a.npz")
    for content in (b"", b"PK\x03\x04" * 100, npy(np.zeros(9))):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(UserError, match="a.npz is damaged or not an NPZ file: "):
            archives.read_npz(tmp_path / "a.npz")
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("a.npy", npy(np.zeros(3)))
        archive.writestr("a.npy", npy(np.ones(3)))
    with pytest.raises(UserError, match="b.npz: two files in the archive have the same name"):
        archives.read_npz(tmp_path / "b.npz")


def test_an_offset_before_the_file_and_half_a_header_are_damage(tmp_path):
    path = write(tmp_path / "a.npz", {"a.npy": npy(np.zeros(9))})
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(b"PK\x05\x06") + 16, 2**31)  # where the directory begins
    (tmp_path / "b.npz").write_bytes(content)
    write(tmp_path / "c.npz", {"a.npy": npy(np.zeros(9), end=(b"}", b" "))})
    for name in ("b.npz", "c.npz"):
        with pytest.raises(UserError, match=f"{name} is damaged or not an NPZ file: "):
            archives.read_npz(tmp_path / name)
