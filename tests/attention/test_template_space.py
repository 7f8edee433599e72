"""Fixations and windows on different faces, brought to the template: equal places on any face are equal there."""

import numpy as np
import pytest

from edram_fer import attention
from edram_fer.attention import regions, template_space
from edram_fer.attention.alignment import apply, similarity
from edram_fer.attention.template import TEMPLATE
from edram_fer.errors import UserError

SHAPE = (60, 50)


def face(scale=12.0, angle=0.0, place=(25, 20)):
    """Landmarks of the template, turned, at a place in an image, and the transform that brings points there."""
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    transform = np.array([[cosine, -sine, place[0]], [sine, cosine, place[1]]])
    return apply(transform, TEMPLATE), transform


def window_around(points):
    """The window whose corners are the three points [3, 2]: upper left, upper right and lower left, in pixels."""
    upper_left, upper_right, lower_left = (np.array(points) / (np.array(SHAPE[::-1]) - 1)) * 2 - 1
    x, y = (upper_right - upper_left) / 2, (lower_left - upper_left) / 2
    return np.stack([x, y, upper_left + x + y], axis=1)


def test_a_window_covers_the_same_part_of_the_template_on_any_face():
    places, faces, windows = [(-0.5, 0.1), (0.4, 0.1), (-0.5, 0.9)], [], []
    for transform_of in ({}, {"angle": 0.3, "place": (22, 18)}, {"scale": 9.0, "place": (28, 25)}):
        landmarks, transform = face(**transform_of)
        faces.append(landmarks)
        windows.append(window_around(apply(transform, np.array(places)))[None])
    in_frame = template_space.windows_in_frame(windows, faces, SHAPE)
    corners = attention.pixels(attention.corners(in_frame), template_space.SHAPE)[:, 0]
    expected = template_space.frame_points([*places, (0.4, 0.9)])
    for found in corners:
        assert sorted(map(tuple, found.round(6))) == sorted(map(tuple, expected.round(6)))
    maps = template_space.densities(windows, np.ones((3, 1)), faces, SHAPE, ["a", "b", "c"])
    np.testing.assert_allclose(maps["b"], maps["a"], atol=1e-12)
    np.testing.assert_allclose(maps["c"], maps["a"], atol=1e-12)
    both = template_space.densities(windows, np.ones((3, 1)), faces, SHAPE, ["a"] * 3)["a"]
    np.testing.assert_allclose(both[-1], maps["a"][-1], atol=1e-12)


def test_only_what_lies_in_the_image_counts_and_faces_without_landmarks_do_not():
    landmarks, transform = face(place=(25, 6))
    beyond = window_around([(-30, -30), (80, -30), (-30, 90)])  # larger than the image
    stacked = np.stack([landmarks, np.full((68, 2), np.nan)])
    maps = template_space.densities(np.stack([beyond] * 2)[:, None], np.ones((2, 1)), stacked, SHAPE, ["a", "b"])
    assert list(maps) == ["a"]
    np.testing.assert_allclose(maps["a"][-1], template_space.whole_faces(landmarks[None], SHAPE), atol=1e-12)
    top = apply(template_space.to_frame(landmarks), [[25, 0]])[0, 1]
    assert not maps["a"][-1][: int(top)].any() and maps["a"][-1][int(top) + 2].any()
    np.testing.assert_allclose(
        template_space.centre_bias(landmarks[None], SHAPE).sum(axis=0).argmax(),
        round(apply(template_space.to_frame(landmarks), [[24.5, 29.5]])[0, 0]),
    )


def test_a_layout_of_three_points_agrees_with_all_landmarks():
    landmarks, transform = face(angle=0.2)
    points = {
        "left_eye": landmarks[36:42].mean(axis=0),
        "right_eye": landmarks[42:48].mean(axis=0),
        "mouth": landmarks[48:60].mean(axis=0),
    }
    np.testing.assert_allclose(template_space.from_layout(points), template_space.to_frame(landmarks), atol=1e-9)
    with pytest.raises(UserError, match="layout: expected left_eye, right_eye, mouth; mouth missing"):
        template_space.from_layout({"left_eye": (0, 0), "right_eye": (1, 1)})
    with pytest.raises(UserError, match="layout: expected three different points"):
        template_space.from_layout(dict.fromkeys(points, (1, 1)))


def test_regions_of_points():
    named = {name: TEMPLATE[indices].mean(axis=0) for name, indices in regions.REGION_LANDMARKS.items()}
    points = template_space.frame_points([*named.values(), (0, 1.8), (50, 50)])
    assert [regions.REGIONS[index] for index in template_space.regions_of(points)] == [*named, "rest", "rest"]


def test_faces_in_the_image_have_the_same_regions():
    landmarks, _ = face(scale=11, angle=-0.2, place=(24, 22))
    labels = regions.labels(landmarks[None], SHAPE)[0]
    rows, columns = np.indices(SHAPE)
    pixels = np.stack([columns.ravel(), rows.ravel()], axis=-1)
    in_frame = template_space.regions_of(apply(similarity(landmarks, template_space.frame_points(TEMPLATE)), pixels))
    assert (labels.ravel() == in_frame).mean() > 0.97  # all but the borders between cells


def test_numbers_that_do_not_match():
    with pytest.raises(UserError, match="1 windows, 1 weights, 2 faces and 1 groups do not match"):
        template_space.densities(np.zeros((1, 1, 2, 3)), np.ones((1, 1)), np.zeros((2, 68, 2)), SHAPE, ["a"])
