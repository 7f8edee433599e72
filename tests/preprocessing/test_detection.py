"""Detectors on photos with known faces, the cascade, the choice among several faces."""

import json

import cv2
import numpy as np
import pytest
from support.genuine import PHOTOS, needs_photos

from edram_fer.preprocessing import crop, detection, photos

DETECTORS = {"yunet": detection.YuNet(), "ssd": detection.SSD(), "dlib": detection.Dlib()}


@pytest.fixture(scope="module")
def truth():
    """{photo: its true boxes, or where these are unknown the number of faces}."""
    content = json.loads((PHOTOS / "truth.json").read_text())
    return {name: entry.get("boxes_ltwh", entry["n_faces"]) for name, entry in content.items()}


def portrait():
    return photos.read(PHOTOS / "single_face.jpg")


@needs_photos
@pytest.mark.parametrize("name", DETECTORS)
def test_the_annotated_faces_are_detected(truth, name):
    detected = false_positives = annotated = 0
    for photo, boxes in truth.items():
        if isinstance(boxes, list):
            faces = DETECTORS[name](photos.read(PHOTOS / photo))
            overlaps = detection.matches(faces, boxes)
            annotated += len(boxes)
            detected += len(overlaps)
            false_positives += len(faces) - len(overlaps)
    assert (detected, annotated) == (24, 24)
    assert false_positives <= {"yunet": 1, "ssd": 2, "dlib": 0}[name]


@needs_photos
@pytest.mark.parametrize("name", DETECTORS)
def test_a_portrait_and_a_landscape(name):
    [face] = DETECTORS[name](portrait())
    left, top, width, height = face.box
    assert 0 <= left and 0 <= top and 0.6 < width / height < 1.2
    assert DETECTORS[name](photos.read(PHOTOS / "free-mountain-vector-01.jpg")) == []


@needs_photos
def test_faces_are_sorted_by_score_and_have_points():
    faces = DETECTORS["yunet"](photos.read(PHOTOS / "multi_face.jpg"))
    scores = [face.score for face in faces]
    assert len(faces) == 5 and scores == sorted(scores, reverse=True)
    for face in faces:
        left, top, width, height = face.box
        inside = (face.points >= (left, top)) & (face.points <= (left + width, top + height))
        assert inside.all()
        right_eye, left_eye, nose, right_mouth, left_mouth = face.points
        assert right_eye[0] < left_eye[0] and right_eye[1] < nose[1] < right_mouth[1]


@needs_photos
def test_boxes_are_in_pixels_of_the_original_image():
    image = portrait()
    [face] = detection.YuNet(size=160)(image)
    [other] = detection.YuNet(size=10_000)(image)
    assert detection.intersection_over_union(face.box, other.box) > 0.75


def test_each_box_is_matched_once_in_the_order_of_the_faces():
    boxes = [(0, 0, 10, 10), (20, 0, 10, 10)]
    faces = [detection.Face(box, 1.0) for box in ((0, 0, 10, 5), (0, 0, 10, 10), (20, 0, 10, 8), (50, 50, 5, 5))]
    assert detection.matches(faces, boxes) == pytest.approx([0.5, 0.8])
    assert detection.matches(faces[::-1], boxes) == pytest.approx([0.8, 1.0])
    assert detection.matches(faces, []) == [] and detection.matches([], boxes) == []


class RecordingDetector:
    """Records the images that it is called with, and finds a face from the n-th one on."""

    def __init__(self, name, finds_at):
        self.name, self.finds_at, self.images = name, finds_at, []

    def __call__(self, image):
        self.images.append(image)
        return [detection.Face((1, 2, 3, 4), 1.0)] if len(self.images) >= self.finds_at else []


@pytest.mark.parametrize(
    ("finds_at", "expected"),
    [((1, 1), "a"), ((2, 1), "a equalised"), ((9, 1), "b"), ((9, 2), "b equalised"), ((9, 9), detection.NO_FACE)],
)
def test_the_cascade(finds_at, expected):
    image = np.random.default_rng(0).integers(100, 130, (40, 40, 3), np.uint8)
    a, b = (RecordingDetector(name, at) for name, at in zip("ab", finds_at, strict=True))
    faces, detector = detection.cascade(image, [a, b])
    assert detector == expected and bool(faces) == (expected != detection.NO_FACE)
    for images in (a.images, b.images):
        if len(images) == 2:
            assert images[0] is image and images[1].std() > 2 * image.std()  # more contrast


def test_the_second_try_of_the_cascade():
    image = np.random.default_rng(0).integers(100, 130, (70, 70, 3), np.uint8)
    expected = {"histogram": detection.equalise(image), "clahe": crop.equalise(image, clip=1.0, tiles=7)}
    assert not np.array_equal(*expected.values())
    for retry, contrasted in expected.items():
        detector = RecordingDetector("a", 2)
        faces, name = detection.cascade(image, [detector], retry)
        assert len(faces) == 1 and name == {"histogram": "a equalised", "clahe": "a clahe"}[retry]
        np.testing.assert_array_equal(detector.images[1], contrasted)
    first, second = RecordingDetector("a", 2), RecordingDetector("b", 1)
    assert detection.cascade(image, [first, second], "none")[1] == "b" and len(first.images) == 1
    with pytest.raises(ValueError, match="retry: expected one of histogram, clahe, none, got 'gamma'"):
        detection.cascade(image, [first], "gamma")


def test_faces_that_are_not_usable_leave_the_second_try():
    outside, inside = detection.Face((90, 0, 20, 20), 0.9), detection.Face((0, 0, 20, 20), 0.3)
    answers = iter([[outside], [outside, inside]])

    def detector(image):
        return next(answers)

    detector.name = "a"
    image = np.zeros((70, 70, 3), np.uint8)
    faces = detection.cascade(image, [detector], usable=lambda face: face.box[0] < 50)
    assert faces == ([inside], "a equalised")


@needs_photos
def test_boxes_of_dlib_without_their_last_row_and_column():
    [full], [short] = detection.Dlib()(portrait()), detection.Dlib(inclusive=False)(portrait())
    assert np.subtract(full.box, short.box).tolist() == [0, 0, 1, 1]


@needs_photos
def test_the_cascade_finds_a_face_in_the_dark():
    dark = (portrait() * 0.02).astype(np.uint8)
    assert detection.YuNet()(dark) == []
    faces, detector = detection.cascade(dark, [detection.YuNet(), detection.Dlib()])
    assert detector == "yunet equalised" and len(faces) == 1


@needs_photos
def test_equalisation_is_that_of_scikit_image():
    """To the rounding, on the luma; the chroma stays."""
    exposure = pytest.importorskip("skimage.exposure")
    image = portrait()
    before, after = (cv2.cvtColor(x, cv2.COLOR_RGB2YCrCb).astype(float) for x in (image, detection.equalise(image)))
    expected = exposure.equalize_hist(before[:, :, 0].astype(np.uint8), nbins=256) * 255
    unclipped = ((detection.equalise(image) > 0) & (detection.equalise(image) < 255)).all(axis=2)
    assert np.abs(after[:, :, 0] - expected)[unclipped].max() <= 1.5
    assert np.abs(after - before)[unclipped][:, 1:].max() <= 2


def test_choosing_among_several_faces():
    boxes = [(50, 10, 10, 10), (0, 0, 30, 30), (44, 44, 12, 12)]
    faces = [detection.Face(box, score) for box, score in zip(boxes, (0.9, 0.8, 0.7), strict=True)]
    assert [face.box for face in detection.choose(faces, "largest", (100, 100))] == [boxes[1]]
    assert [face.box for face in detection.choose(faces[::-1], "surest", (100, 100))] == [boxes[0]]
    assert [face.box for face in detection.choose(faces, "centre", (100, 100))] == [boxes[2]]
    assert [face.box for face in detection.choose(faces, "all", (100, 100))] == [boxes[1], boxes[2], boxes[0]]
    assert detection.choose([], "largest", (100, 100)) == []
    with pytest.raises(ValueError, match="faces: expected one of largest, surest, centre, all, got 'biggest'"):
        detection.choose(faces, "biggest", (100, 100))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
        ((0, 0, 10, 10), (5, 0, 10, 10), 50 / 150),
        ((0, 0, 10, 10), (10, 0, 10, 10), 0.0),
        ((0, 0, 10, 10), (2, 2, 5, 5), 0.25),
    ],
)
def test_intersection_over_union(a, b, expected):
    assert detection.intersection_over_union(a, b) == pytest.approx(expected)
    assert detection.intersection_over_union(b, a) == pytest.approx(expected)


@needs_photos
@pytest.mark.parametrize("count", [5, 68])
def test_landmarks_of_a_portrait(count):
    image = portrait()
    [face] = detection.YuNet()(image)
    points = detection.landmarks(image, face.box, count)
    assert points.shape == (count, 2) and points.dtype == np.float32
    left, top, width, height = face.box
    assert (points > (left - 0.2 * width, top - 0.2 * height)).all()
    assert (points < (left + 1.2 * width, top + 1.2 * height)).all()
    if count == 68:
        eyes, mouth = points[36:48].mean(axis=0), points[48:68].mean(axis=0)
        np.testing.assert_allclose(eyes, face.points[:2].mean(axis=0), atol=0.08 * width)
        np.testing.assert_allclose(mouth, face.points[3:].mean(axis=0), atol=0.08 * width)
