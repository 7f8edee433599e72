"""Image files of every kind become upright RGB arrays; unusable ones are refused."""

import io
import os
import struct

import cv2
import numpy as np
import pytest
from PIL import Image, features
from support.photo_files import make_png

from edram_fer.prediction import folders, video
from edram_fer.preprocessing import photos, pixel_arrays
from edram_fer.preprocessing.photos import PhotoError

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def quarters(size=40):
    """An image with a red top left quarter, green top right, blue bottom left, white bottom right."""
    image = np.full((size, size, 3), 255, np.uint8)
    half = size // 2
    image[:half, :half], image[:half, half:], image[half:, :half] = RED, GREEN, BLUE
    return image


def corners(image):
    return [image[y, x].tolist() for y in (5, -5) for x in (5, -5)]


def saved(path, image, **options):
    """The path that an image is saved to."""
    image.save(path, **options)
    return path


def test_plain_images_come_back(tmp_path):
    image = quarters()
    for name in ("a.png", "a.bmp", "a.tiff", "a.webp"):
        lossless = {"lossless": True} if name == "a.webp" else {}
        decoded = photos.read(saved(tmp_path / name, Image.fromarray(image), **lossless))
        assert decoded.dtype == np.uint8
        np.testing.assert_array_equal(decoded, image)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    stored = {
        1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.transpose(1, 0, 2),
        6: np.rot90, 7: lambda a: np.rot90(a, 2).transpose(1, 0, 2), 8: lambda a: np.rot90(a, -1),
    }[orientation](quarters())  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "a.png", Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    np.testing.assert_array_equal(photos.read(path), quarters())


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_exif_data_of_another_kind_cost_no_image(tmp_path, kind):
    path = saved(tmp_path / "a", Image.new("RGB", (20, 10)), format=kind, exif=b"Exif\0\0no header of a TIFF file")
    assert photos.read(path).shape == (10, 20, 3)
    with Image.open(path) as image:
        assert pixel_arrays.from_pillow(image).shape == (10, 20, 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_damaged_exif_entry_costs_neither_the_image_nor_its_orientation(tmp_path, kind):
    """A width that is a text, before the orientation."""
    entries = [(0x0100, 2, 4, b"abc\0"), (0x0112, 3, 1, struct.pack("<HH", 6, 0))]  # tag, type, count, value
    directory = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4)
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(quarters())))
    decoded = photos.read(saved(tmp_path / "a", stored, format=kind, exif=exif))
    assert np.abs(np.array(corners(decoded), int) - corners(quarters())).max() <= 6


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
def test_jpegs(tmp_path, mode, options):
    path = saved(tmp_path / "a.jpg", Image.fromarray(quarters()).convert(mode), quality=98, subsampling=0, **options)
    decoded = photos.read(path)
    expected = quarters() if mode != "L" else np.asarray(Image.fromarray(quarters()).convert("L").convert("RGB"))
    assert np.abs(np.array(corners(decoded), int) - corners(expected)).max() <= 6


def test_content_decides_not_the_name(tmp_path):
    path = saved(tmp_path / "a.JPG", Image.fromarray(quarters()), format="PNG")
    np.testing.assert_array_equal(photos.read(path), quarters())


@pytest.mark.parametrize(("format", "name"), [("HEIF", "a.heic"), ("HEIF", "a.jpg"), ("AVIF", "a.avif"), ("AVIF", "a")])
def test_heic_and_avif_are_read_by_their_content(tmp_path, format, name):
    if format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    elif not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    path = tmp_path / name
    try:
        Image.fromarray(quarters(64)).save(path, format, quality=95)
    except (KeyError, OSError, RuntimeError) as error:
        pytest.skip(f"cannot be encoded here: {error}")
    assert photos.is_image(path) and not video.is_film(path)
    assert [entry.name for entry in folders.images(tmp_path, [])] == [name]
    np.testing.assert_allclose(np.array(corners(photos.read(path)), float), corners(quarters(64)), atol=20)
    damaged = tmp_path / f"damaged-{name}"
    damaged.write_bytes(path.read_bytes()[:200])
    with pytest.raises(PhotoError):
        photos.read(damaged)


def test_sixteen_bits_become_eight(tmp_path):
    values = np.linspace(0, 65535, 40 * 40).reshape(40, 40).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), values)
    decoded = photos.read(tmp_path / "a.png")
    np.testing.assert_array_equal(decoded[:, :, 0], (values.astype(float) * 255 / 65535).round())
    assert decoded.shape == (40, 40, 3)


@pytest.mark.parametrize(("largest", "white"), [(199, 4095), (4095, 4095), (4096, 16383), (20000, 65535)])
@pytest.mark.parametrize("shape", [(20, 20), (20, 20, 3)])
def test_sixteen_bits_may_hold_twelve_or_fourteen(largest, white, shape, tmp_path):
    values = np.linspace(0, largest, np.prod(shape)).reshape(shape).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "scan.png"), values)
    expected = np.broadcast_to(values.reshape(20, 20, -1)[..., ::-1] * (255 / white), (20, 20, 3)).round()
    np.testing.assert_array_equal(photos.read(tmp_path / "scan.png"), expected)


def test_a_transparent_colour_is_white(tmp_path):
    image = Image.fromarray(quarters())
    image.save(tmp_path / "a.png", transparency=tuple(int(value) for value in quarters()[0, 0]))
    decoded = photos.read(tmp_path / "a.png")
    assert (decoded[0, 0] == 255).all() and (decoded[-1, -1] == quarters()[-1, -1]).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "^empty file$"),
        (b"<html>not found</html>", "^not an image$"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "^not an image$|^cannot be decoded"),
        (make_png(20_000, 20_000), "more than 100000000( pixels)?$"),
        (make_png(11_000, 10_000), "^11000x10000 pixels, more than 100000000$"),
        (make_png(1, 1), "^1x1 pixels, expected at least 8 on a side$"),
        (make_png(60, 60), "^cannot be decoded"),
    ],
    ids=["empty", "html", "only a header", "huge", "large", "one pixel", "broken off"],
)
def test_what_is_refused(tmp_path, content, message):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(PhotoError, match=message):
        photos.read(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_truncated_images_are_refused(tmp_path, kind):
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)).save(whole, kind)
    (tmp_path / "a").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    with pytest.raises(PhotoError, match="^cannot be decoded: .*truncated"):
        photos.read(tmp_path / "a")


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_that_lacks_only_its_end_mark_is_whole(tmp_path, options):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8))
    path = saved(tmp_path / "a.jpg", image, **options)
    whole, content = photos.read(path), path.read_bytes()
    for lost in (1, 2):
        path.write_bytes(content[:-lost])
        np.testing.assert_array_equal(photos.read(path), whole)
    for lost in (3, 4, 10, 100):  # bytes of the image itself
        path.write_bytes(content[:-lost])
        with pytest.raises(PhotoError, match="truncated"):
            photos.read(path)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(PhotoError, match="^cannot be read: No such file"):
        photos.read(tmp_path / "a.jpg")
    with pytest.raises(PhotoError, match="^not a file$"):
        photos.read(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this platform")
def test_a_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")  # opened, it would wait for ever
    with pytest.raises(PhotoError, match="^not a file$"):
        photos.read(tmp_path / "pipe.jpg")


def photo(size=120):
    """An image with edges and noise, so that no part of its JPEG file decodes to what a decoder fills in."""
    noise = np.random.default_rng(1).integers(0, 60, (size, size, 3))
    return Image.fromarray((noise + quarters(size) // 2).clip(0, 255).astype(np.uint8))


def jpeg_file(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"restart_marker_rows": 1},  # a filler behind the last marker is passed over
        {"restart_marker_blocks": 3, "subsampling": 0},
        {"progressive": True, "optimize": True},
        {"quality": 20, "optimize": True},
    ],
)
def test_no_cut_of_a_jpeg_is_taken_for_the_whole(options, tmp_path):
    content, path, refused = jpeg_file(photo(), **options), tmp_path / "a.jpg", 0
    path.write_bytes(content)
    whole = photos.read(path)
    for cut in range(len(content) // 4, len(content) - 2, len(content) // 60):
        path.write_bytes(content[:cut])
        try:
            np.testing.assert_array_equal(photos.read(path), whole)
        except PhotoError:
            refused += 1
    assert refused >= 40


@pytest.mark.parametrize("share", [0.3, 0.9])
@pytest.mark.parametrize("least", [None, 60])
@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}, {"progressive": True}])
def test_an_end_mark_does_not_make_a_part_whole(share, least, options, tmp_path):
    content = jpeg_file(photo(), **options)
    (tmp_path / "a.jpg").write_bytes(content[: int(len(content) * share)] + b"\xff\xd9")
    with pytest.raises(PhotoError, match="^cannot be decoded: image file is truncated$"):
        photos.read_reduced(tmp_path / "a.jpg", least)
    if not options:  # not tested again in a file that was read before
        assert photos.read_reduced(tmp_path / "a.jpg", least, whole=True)[0].size


def test_a_header_of_many_pixels_needs_data_for_them(tmp_path):
    content = bytearray(jpeg_file(photo()))
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", 9999, 10000)
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(PhotoError, match="^cannot be decoded: image file is truncated$"):
        photos.read(tmp_path / "a.jpg")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"subsampling": 0}])
def test_whole_jpegs_that_look_filled_in_are_read(options, tmp_path):
    image = Image.new("RGB", (90, 70), (200, 30, 30))  # of one colour, also at its end
    content, expected = jpeg_file(image, **options), None
    for changed in (content, content[:-2], content[:-2] + b"garbage" + content[-2:], content + content):
        (tmp_path / "a.jpg").write_bytes(changed)
        pixels = photos.read(tmp_path / "a.jpg")
        expected = pixels if expected is None else expected
        np.testing.assert_array_equal(pixels, expected)


def test_the_scans_of_a_jpeg_are_limited(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(jpeg_file(photo(), progressive=True))
    assert photos.read(tmp_path / "a.jpg").shape == (120, 120, 3)
    monkeypatch.setattr(photos, "MAX_SCANS", 9)
    with pytest.raises(PhotoError, match="^a JPEG file of 10 scans, more than 9$"):
        photos.read(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    ("mode", "name", "needed", "copies"),
    [
        ("RGB", "a.png", 7, 0),
        ("L", "a.png", 4, 0),
        ("I;16", "a.png", 5, 0),
        ("F", "a.tif", 8, 0),
        ("CMYK", "a.jpg", 7, 2),
        ("RGB", "a.webp", 16, 1),
        ("L", "a.jp2", 6, 0),
        ("RGBA", "a.jp2", 24, 0),
    ],
)
def test_memory_is_limited_by_mode_and_format(mode, name, needed, copies, tmp_path, monkeypatch):
    """Bytes per pixel: as stored and as returned, or in the decoder; and some copies of the file."""
    image = Image.fromarray(np.zeros((40, 50), np.uint16)) if mode == "I;16" else Image.new(mode, (50, 40))
    path = saved(tmp_path / name, image)
    limit = 2000 * needed + copies * path.stat().st_size
    name_of_limit = "MAX_BYTES_JPEG" if name.endswith("jpg") else "MAX_BYTES"
    monkeypatch.setattr(photos, name_of_limit, limit)
    monkeypatch.setattr(pixel_arrays, "STRIP", 130)  # converted in 20 parts
    pixels = photos.read(path)
    monkeypatch.undo()
    np.testing.assert_array_equal(photos.read(path), pixels)
    monkeypatch.setattr(photos, name_of_limit, limit - 1)
    with pytest.raises(PhotoError, match=f"^50x40 pixels of the mode {mode} need 0 MB of memory, more than 0"):
        photos.read(path)
    assert photos.read(path, 2 * photos.MAX_PIXELS).shape == (40, 50, 3)  # more pixels, more memory


def test_libtiff_prints_nothing(tmp_path, capfd):
    path = saved(tmp_path / "a.tif", photo(40), compression="tiff_lzw")
    content = path.read_bytes()
    path.write_bytes(content[:1000] + bytes(1000) + content[2000:])
    with pytest.raises(PhotoError, match="^cannot be decoded"):
        photos.read(path)
    assert capfd.readouterr() == ("", "")
