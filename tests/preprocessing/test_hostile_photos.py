"""Damaged image files for which Pillow or its plugins raise errors that they do not document."""

import contextlib
import io
import struct
import zlib

import pytest
from PIL import Image, features

from edram_fer.preprocessing import jpeg, photos
from edram_fer.preprocessing.photos import DamagedPhotoError, PhotoError


def encoded(kind, mode="RGB", **options):
    file = io.BytesIO()
    Image.linear_gradient("L").resize((24, 24)).convert(mode).save(file, kind, **options)
    return file.getvalue()


def test_more_transparencies_than_colours_are_damage(tmp_path):
    chunk = b"tRNS" + bytes(300)
    chunk = struct.pack(">I", 300) + chunk + struct.pack(">I", zlib.crc32(chunk))
    content = encoded("PNG", "P")
    place = content.index(b"IDAT") - 4
    (tmp_path / "a.png").write_bytes(content[:place] + chunk + content[place:])
    with pytest.raises(DamagedPhotoError, match="palette index out of range"):
        photos.read(tmp_path / "a.png")


@pytest.mark.parametrize("count", [0, 1])
def test_the_structure_of_a_jpeg_with_a_second_frame_is_unknown(count, tmp_path):
    content = encoded("JPEG")
    frame = struct.pack(">HHBHHB", 0xFFC0, 8 + 3 * count, 8, 24, 24, count) + b"\1\x11\0" * count
    (tmp_path / "a.jpg").write_bytes(content[:-2] + frame + content[-2:])
    assert jpeg.read(content) is not None and jpeg.read((tmp_path / "a.jpg").read_bytes()) is None
    with contextlib.suppress(PhotoError):  # decoders differ in what they make of it
        assert photos.read(tmp_path / "a.jpg").shape == (24, 24, 3)


@pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
def test_an_avif_without_its_image_is_damage(tmp_path):
    content = encoded("AVIF").replace(b"av01", b"av02")
    (tmp_path / "a.bin").write_bytes(content)
    assert photos.decoded_pixels(tmp_path / "a.bin") == 0 and not photos.is_image(tmp_path / "a.bin")
    with pytest.raises(DamagedPhotoError, match="Failed to decode image"):
        photos.read(tmp_path / "a.bin")


def test_a_heif_of_another_size_than_it_declares_is_not_reduced(tmp_path):
    pytest.importorskip("pillow_heif")
    photos.is_image(tmp_path)  # registers HEIF
    content = bytearray(encoded("HEIF"))
    struct.pack_into(">I", content, content.index(b"clap") + 20, 2**31)  # where the image lies in its 64 x 64 blocks
    (tmp_path / "a.heic").write_bytes(content)
    with Image.open(tmp_path / "a.heic") as image:
        declared = image.size
    pixels, reduction = photos.read_reduced(tmp_path / "a.heic", 8)
    assert declared == (24, 24) and pixels.shape == (24, 64, 3) and reduction == 1
