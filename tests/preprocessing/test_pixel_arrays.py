"""Pillow images of every mode, and arrays of every depth, become upright arrays of 8 bits or of shares."""

import numpy as np
import pytest
from PIL import Image

from edram_fer.errors import UserError
from edram_fer.preprocessing import pixel_arrays

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
STORED = {
    None: lambda a: a, 1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2), 6: np.rot90, 7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}  # fmt: skip


def noise(*shape, largest=255, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, largest, shape, endpoint=True).astype(dtype)


def on_white(rgba):
    """What a share of alpha lets through, in front of white."""
    alpha = rgba[..., 3:].astype(float) / 255
    return rgba[..., :3] * alpha + 255 * (1 - alpha)


@pytest.mark.parametrize("orientation", STORED)
def test_images_are_turned_as_their_orientation_says(orientation):
    image = noise(6, 9, 3)
    stored = np.ascontiguousarray(STORED[orientation](image))
    pillow = Image.fromarray(stored)
    if orientation is not None:
        pillow.getexif()[0x0112] = orientation
    np.testing.assert_array_equal(pixel_arrays.from_pillow(pillow), image)
    np.testing.assert_array_equal(pixel_arrays.upright(Image.fromarray(stored), orientation), image)
    deep = stored[..., ::-1].astype(np.uint16) * 257  # BGR
    np.testing.assert_array_equal(pixel_arrays.from_sixteen_bits(deep, orientation), image)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV"])
def test_opaque_modes_become_rgb(mode):
    image = Image.fromarray(noise(20, 30, 3)).convert(mode)
    np.testing.assert_array_equal(pixel_arrays.from_pillow(image), np.asarray(image.convert("RGB")))


def test_what_is_transparent_becomes_white():
    rgba = noise(20, 30, 4)
    assert np.abs(pixel_arrays.from_pillow(Image.fromarray(rgba)) - on_white(rgba)).max() <= 1
    np.testing.assert_array_equal(pixel_arrays.from_array(rgba), on_white(rgba).round())
    deep = rgba[..., [2, 1, 0, 3]].astype(np.uint16) * 257  # BGRA
    np.testing.assert_array_equal(pixel_arrays.from_sixteen_bits(deep, None), on_white(rgba).round())
    shares = rgba / np.float32(255)
    np.testing.assert_allclose(pixel_arrays.from_array(shares), on_white(rgba) / 255, atol=1e-6)


def test_a_transparent_colour_of_a_palette_becomes_white():
    palette = Image.fromarray(np.repeat(np.array([[RED], [GREEN], [BLUE]], np.uint8), 4, 1)).quantize(4)
    palette.info["transparency"] = palette.getpixel((0, 0))
    np.testing.assert_array_equal(pixel_arrays.from_pillow(palette)[:, 0], [(255, 255, 255), GREEN, BLUE])


@pytest.mark.parametrize(
    ("dtype", "largest", "white"),
    [
        (np.uint16, 199, 4095),
        (np.uint16, 4095, 4095),
        (np.uint16, 4096, 16383),
        (np.uint16, 20000, 65535),
        (np.int32, 255, 255),
        (np.int32, 256, 4095),
        (np.int32, 70000, 70000),
        (np.float32, 1, 1),
        (np.float32, 2, 255),
    ],
)
def test_white_is_the_largest_value_of_as_many_bits(dtype, largest, white):
    values = np.linspace(0, largest, 600).reshape(20, 30).astype(dtype)
    expected = (values.astype(float) * 255 / white).round()
    decoded = pixel_arrays.from_pillow(Image.fromarray(values))
    assert np.abs(decoded - expected[..., None]).max() <= (dtype == np.float32)  # halves are rounded up or down
    if dtype == np.uint16:
        np.testing.assert_array_equal(pixel_arrays.from_array(values), expected)
        colours = np.dstack([values, values // 2, values // 3])
        expected = (colours.astype(float) * 255 / white).round()
        np.testing.assert_array_equal(pixel_arrays.from_array(colours), expected)
        np.testing.assert_array_equal(pixel_arrays.from_sixteen_bits(colours[..., ::-1], None), expected)


def test_what_is_not_a_number_becomes_black():
    values = np.array([[0.5, np.nan, np.inf, -np.inf, 1.0]], np.float32)
    decoded = pixel_arrays.from_pillow(Image.fromarray(values))
    np.testing.assert_array_equal(decoded[0, :, 0], [128, 0, 0, 0, 255])


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK", "P", "I", "I;16", "F"])
def test_strips_make_the_same_image(mode, monkeypatch):
    if mode in ("I", "I;16", "F"):
        dtype = {"I": np.int32, "I;16": np.uint16, "F": np.float32}[mode]
        image = Image.fromarray(noise(40, 50, largest=5000, dtype=dtype))
    else:
        image = Image.fromarray(noise(40, 50, 4)).convert(mode)
    whole = pixel_arrays.from_pillow(image)
    deep = noise(40, 50, 4, largest=65535, dtype=np.uint16)
    whole_deep = pixel_arrays.from_sixteen_bits(deep, 6)
    monkeypatch.setattr(pixel_arrays, "STRIP", 130)  # two rows
    assert [len(strip) for strip in pixel_arrays.rgb_strips(image)] == 20 * [2]
    np.testing.assert_array_equal(pixel_arrays.from_pillow(image), whole)
    np.testing.assert_array_equal(pixel_arrays.from_sixteen_bits(deep, 6), whole_deep)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3)])
def test_arrays_in_range_come_back(shape):
    image = noise(*shape)
    expected = image[..., 0] if shape[2:] == (1,) else image
    np.testing.assert_array_equal(pixel_arrays.from_array(image), expected)
    shares = pixel_arrays.from_array(image / 255)
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares, expected / 255, atol=1e-7)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 6, 2)), r"^face: expected \[H, W\], .* got \[4, 6, 2\]$"),
        (np.zeros((2, 4, 6, 3)), r"got \[2, 4, 6, 3\]$"),
        (np.zeros((0, 6)), r"got \[0, 6\]$"),
        (np.zeros((4, 6), int), "^face: expected uint8 in 0 to 255 or floats in .* got int64$"),
        (np.full((4, 6), 1.5), "got float64 with values from 1.5 to 1.5$"),
        (np.full((4, 6), np.nan), "got float64 with values from nan to nan$"),
    ],
)
def test_other_arrays_are_refused(array, message):
    with pytest.raises(UserError, match=message):
        pixel_arrays.from_array(array, "face")
