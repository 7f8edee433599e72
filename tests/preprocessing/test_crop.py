"""Bounding box to square to face, against known pixels."""

import cv2
import numpy as np
import pytest

from edram_fer.preprocessing import crop


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((20, 30, 40, 40), (20, 30, 40)),
        ((20, 30, 40, 20), (20, 20, 40)),  # the longer side, about the centre
        ((20, 30, 20, 40), (10, 30, 40)),
        ((-10, 5, 40, 40), (0, 5, 40)),  # moved into the image
        ((150, 90, 60, 60), (140, 60, 60)),
        ((10.4, 10.4, 30.2, 30.2), (10, 10, 30)),
        ((0, 0, 500, 30), (80, 0, 120)),  # no larger than the image
    ],
)
def test_square(box, expected):
    assert crop.square(box, (120, 200)) == expected


def test_margin_grows_about_the_centre():
    assert crop.square((50, 40, 20, 20), (120, 200), margin=0.5) == (45, 35, 30)


def test_the_square_grows_downward_until_the_chin_is_in():
    landmarks = np.full((68, 2), 50.0)
    landmarks[8, 1] = 79
    assert crop.square((50, 40, 20, 20), (120, 200), landmarks=landmarks) == (40, 40, 40)  # rows 40 to 79
    landmarks[8, 1] = 55  # already in it
    assert crop.square((50, 40, 20, 20), (120, 200), landmarks=landmarks) == (50, 40, 20)


@pytest.mark.parametrize(
    ("box", "image_size", "expected"),
    [
        ((60, 50, 20, 30), (200, 200), (20, 15, 100)),  # about the centre
        ((5, 5, 20, 30), (200, 200), (0, 0, 100)),  # moved inside
        ((60, 50, 20, 30), (80, 200), (30, 0, 80)),  # no larger than the image
        ((20, 30, 120, 110), (200, 200), (20, 25, 120)),  # large enough already
    ],
)
@pytest.mark.parametrize("rounding", crop.ROUNDINGS)
def test_the_smallest_square(box, image_size, expected, rounding):
    assert crop.square(box, image_size, smallest=100, rounding=rounding) == expected


def test_rounding_down():
    assert crop.square((10.9, 20.9, 30.9, 30.9), (120, 200)) == (11, 21, 31)
    assert crop.square((10.9, 20.9, 30.9, 30.9), (120, 200), rounding="down") == (10, 20, 31)
    assert crop.square((10, 20, 30, 31), (120, 200), margin=0.1, rounding="down") == (8, 18, 34)  # 9.5 - 1.5, 18.5
    assert crop.square((-10.5, 5, 40, 30), (120, 200), rounding="down") == (0, 0, 39)  # from -10 to 29
    tall = (50, 10, 60, 300)  # limited by the image: about the centre of the box, or from its upper edge
    assert crop.square(tall, (200, 150), rounding="down") == (0, 50, 150)
    assert crop.square(tall, (200, 150)) == (0, 10, 150)
    landmarks = np.full((68, 2), 50.0)
    landmarks[8, 1] = 79
    assert crop.square((50, 40, 20, 20), (120, 200), landmarks=landmarks, rounding="down") == (40, 40, 40)
    landmarks[8, 1] = 90
    with pytest.raises(crop.BoxError, match="chin landmark at row 90"):
        crop.square((50, 40, 20, 20), (120, 200), landmarks=landmarks, rounding="down")


def test_the_share_of_a_box_that_lies_inside():
    shares = {(80, 10, 20, 20): 1, (81, 10, 20, 20): 0.95, (10, 90, 20, 20): 0.5, (98, 90, 20, 20): 0.1}
    for box, share in shares.items():
        assert crop.share_inside(box, (100, 100)) == pytest.approx(share)
    assert crop.share_inside((-15, -15, 20, 20), (100, 100)) == 1  # the code of the paper tests two borders only


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((10, 10, 0, 20), "box 0x20 without area"),
        ((10, 10, -5, 20), "without area"),
        ((10, 10, float("nan"), 20), "without area"),
        ((float("nan"), 10, 20, 20), r"box at \(nan, 10\), 20x20: expected numbers below 1e\+09"),
        ((10, 10, float("inf"), 20), "expected numbers below"),
        ((10, 10, 20, 1e300), "expected numbers below"),
        ((10, 10, 7, 7), "box 7x7, expected at least 8 pixels"),
        ((200, 10, 20, 20), r"box at \(200, 10\), 20x20, lies outside the 200x120 image"),
        ((-30, 10, 30, 20), "lies outside"),
    ],
)
def test_boxes_that_give_no_square(box, message):
    with pytest.raises(crop.BoxError, match=message):
        crop.square(box, (120, 200))


@pytest.mark.parametrize("shape", [(60, 80), (60, 80, 3)])
def test_cut_takes_the_pixels_of_the_square(shape):
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    np.testing.assert_array_equal(crop.cut(image, (7, 11, 20), 20), image[11:31, 7:27])
    half = crop.cut(image, (7, 11, 20), 10).astype(float)
    pixels = image[11:31, 7:27].astype(float)
    blocks = pixels.reshape(10, 2, 10, 2, -1).mean(axis=(1, 3)).reshape(half.shape)
    assert np.abs(half - blocks).max() <= 0.5  # areas, rounded
    assert crop.cut(image, (7, 11, 20), 37).shape[:2] == (37, 37)


@pytest.mark.parametrize("size", [7, 20, 37])
def test_linear_interpolation(size):
    """Of the four pixels around each centre, whatever the factor."""
    image = np.random.default_rng(0).integers(0, 255, (60, 80), np.uint8)
    face = image[11:41, 7:37].astype(float)
    place = ((np.arange(size) + 0.5) * 30 / size - 0.5).clip(0, 29)
    low = np.minimum(place.astype(int), 28)
    share = place - low
    rows = face[low] * (1 - share[:, None]) + face[low + 1] * share[:, None]
    expected = rows[:, low] * (1 - share) + rows[:, low + 1] * share
    assert np.abs(crop.cut(image, (7, 11, 30), size, "linear") - expected).max() <= 1  # 11-bit weights, rounded


@pytest.mark.parametrize("size", [9, 16, 23])
def test_shrinking_averages_areas_as_in_scikit_image(size):
    transform = pytest.importorskip("skimage.transform")
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    expected = transform.resize_local_mean(image[11:41, 7:37], (size, size), preserve_range=True)
    assert np.abs(crop.cut(image, (7, 11, 30), size) - expected).max() <= 0.51  # rounded


@pytest.mark.parametrize("size", [10, 20, 50])
def test_points_go_with_the_pixels(size):
    image = np.zeros((60, 80), np.uint8)
    image[21:23, 15:17] = 255  # its middle is (15.5, 21.5)
    place = (6, 11, 20)
    face = crop.cut(image, place, size).astype(float)
    y, x = np.indices(face.shape)
    middle = [(axis * face).sum() / face.sum() for axis in (x, y)]
    np.testing.assert_allclose(crop.to_square([(15.5, 21.5)], place, size)[0], middle, atol=0.15)


def clahe(image, clip, tiles):
    """Zuiderveld, "Contrast Limited Adaptive Histogram Equalization" (1994), with OpenCV's unit of the clip limit."""
    side = len(image) // tiles
    limit, curves = max(int(clip * side * side / 256), 1), np.zeros((tiles, tiles, 256))
    for row, column in np.ndindex(tiles, tiles):
        tile = image[row * side : (row + 1) * side, column * side : (column + 1) * side]
        counts = np.bincount(tile.ravel(), minlength=256)
        excess = int(np.maximum(counts - limit, 0).sum())
        counts = np.minimum(counts, limit) + excess // 256
        counts[:: max(256 // max(excess % 256, 1), 1)][: excess % 256] += 1  # the remainder, evenly spread
        curves[row, column] = (counts.cumsum() * 255 / side**2).round()
    place = (np.arange(len(image)) / side - 0.5).clip(0, tiles - 1)  # among the centres of the tiles
    low = np.minimum(place.astype(int), tiles - 2)
    share = place - low
    y, x = np.ix_(low, low)
    corners = [[curves[y + i, x + j, image] for j in (0, 1)] for i in (0, 1)]
    rows = [first * (1 - share) + second * share for first, second in corners]
    return rows[0] * (1 - share[:, None]) + rows[1] * share[:, None]


def test_grey_and_clahe():
    rng = np.random.default_rng(1)
    colour = rng.integers(80, 120, (90, 90, 3), np.uint8)
    luma = colour @ np.array([0.299, 0.587, 0.114])
    assert np.abs(crop.grey(colour) - luma).max() <= 1
    assert crop.grey(crop.grey(colour)).shape == (90, 90)
    assert crop.equalise(colour, clip=0) is colour
    grey = crop.grey(colour)
    for clip in (1.0, 4.0):
        assert np.abs(crop.equalise(grey, clip) - clahe(grey, clip, 3)).max() <= 1  # rounding of the interpolation
    stronger = crop.equalise(colour, clip=4.0)
    assert crop.grey(stronger).std() > 1.5 * grey.std()
    chroma = [cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)[:, :, 1:].astype(int) for image in (colour, stronger)]
    assert np.abs(chroma[0] - chroma[1]).mean() < 2  # only the luma changes
