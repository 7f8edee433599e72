"""Regions of the face: the transform compared with the paper's equations, masks and shares with loops over pixels."""

import numpy as np
import pytest
from scipy.spatial import ConvexHull, Delaunay

from edram_fer import attention
from edram_fer.attention import alignment, regions
from edram_fer.attention.template import TEMPLATE
from edram_fer.preprocessing import synthetic
from edram_fer.preprocessing.synthetic.points import MIRROR

SHAPE, FEW = (40, 36), {"repeats": 40}
WHOLE = np.multiply.outer(*([0.5, *[1] * (size - 2), 0.5] for size in SHAPE))  # from centre to centre of the pixels


def placed(size, degrees, x, y, noise=0.0, seed=0):
    """The template as landmarks in pixels."""
    c, s = size * np.cos(np.radians(degrees)), size * np.sin(np.radians(degrees))
    return TEMPLATE @ [[c, s], [-s, c]] + (x, y) + np.random.default_rng(seed).normal(0, noise, (68, 2))


def random_attention(count=12, steps=2, seed=0):
    rng = np.random.default_rng(seed)
    faces = np.stack([placed(rng.uniform(8, 14), rng.uniform(-25, 25), 17, 14, 0.3, i) for i in range(count)])
    windows = 0.35 * np.eye(2, 3) + rng.normal(0, 0.15, (count, steps, 2, 3))
    return windows, rng.random((count, steps)), faces


def umeyama(x, y):
    """Equations 40 to 42 of the paper, by singular value decomposition."""
    u, d, v = np.linalg.svd((y - y.mean(axis=0)).T @ (x - x.mean(axis=0)) / len(x))
    signs = np.array([1, np.sign(np.linalg.det(u) * np.linalg.det(v))])
    scaled = (d * signs).sum() / x.var(axis=0).sum() * (u * signs) @ v
    return np.column_stack([scaled, y.mean(axis=0) - scaled @ x.mean(axis=0)])


def test_similarity_is_umeyamas():
    rng = np.random.default_rng(0)
    source, target = rng.normal(0, 5, (4, 68, 2)), rng.normal(0, 2, (68, 2))
    transforms = alignment.similarity(source, target)
    for transform, points in zip(transforms, source):
        np.testing.assert_allclose(transform, umeyama(points, target), atol=1e-10)


def test_similarity_does_not_reflect_and_is_undefined_without_landmarks():
    face = placed(11, 20, 5, 3)
    np.testing.assert_allclose(alignment.apply(alignment.similarity(face, TEMPLATE), face), TEMPLATE, atol=1e-12)
    flipped = alignment.similarity(TEMPLATE * (-1, 1), TEMPLATE)
    assert np.linalg.det(flipped[:, :2]) > 0
    for place in (0, 0.1):  # the mean of 68 times 0.1 is not 0.1
        assert np.isnan(alignment.similarity(np.full((68, 2), place), TEMPLATE)).all()
    face[3, 1] = np.nan
    assert np.isnan(alignment.similarity(face, TEMPLATE)).all()


def test_mean_shape_ignores_place_size_and_rotation():
    faces = np.stack([placed(5 + i, 30 - 10 * i, i, -i) for i in range(6)])
    faces[2, 0] = np.nan
    expected = alignment.align_eyes(TEMPLATE)
    np.testing.assert_allclose(alignment.mean_shape(faces), expected, atol=1e-9)
    with pytest.raises(ValueError, match="with all its landmarks"):
        alignment.mean_shape(faces[2:3])


def test_the_template_is_the_mean_drawn_face():
    np.testing.assert_allclose(TEMPLATE, TEMPLATE[MIRROR] * (-1, 1), atol=1e-12)
    np.testing.assert_allclose(TEMPLATE, alignment.align_eyes(TEMPLATE), atol=1e-3)
    drawn = np.stack([face.landmarks for face in synthetic.generate(40, 0, size=16)])
    mean = alignment.mean_shape(np.concatenate([drawn, drawn[:, MIRROR] * (-1, 1)]))
    assert np.linalg.norm(mean - TEMPLATE, axis=1).max() < 0.05


def hull_samples():
    """{region: points throughout the convex hull of its landmarks}."""
    rng, samples = np.random.default_rng(0), {}
    for index, chosen in enumerate(regions.REGION_LANDMARKS.values()):
        corners = TEMPLATE[chosen]
        box = rng.uniform(corners.min(axis=0), corners.max(axis=0), (4000, 2))
        samples[index] = np.concatenate([box[Delaunay(corners).find_simplex(box) >= 0], corners])
    return samples


def test_a_pixel_belongs_to_the_nearest_region():
    face = placed(12, 15, 17, 14)
    labels = regions.labels(face[None], SHAPE)[0]
    back, samples, checked = alignment.similarity(face, TEMPLATE), hull_samples(), 0
    for row in range(0, 40, 3):
        for column in range(0, 36, 3):
            point = alignment.apply(back, np.array([[column, row]]))
            near, best = min((np.linalg.norm(hull - point, axis=1).min(), k) for k, hull in samples.items())
            if abs(near - 0.15) > 0.04:  # too close to call for cells and samples
                assert labels[row, column] == (best if near <= 0.15 else regions.REST)
                checked += 1
    assert checked > 120


def test_regions_are_as_large_as_their_polygons():
    """The hulls, each widened by the margin: area + perimeter * margin + pi margin^2 (Steiner), where none overlap."""
    face = placed(300, 0, 500, 300)
    labels = regions.labels(face[None], (900, 1000), margin=0.05)[0]
    for index in (0, 1, 3):  # the nose nearly touches the eyes
        hull = ConvexHull(TEMPLATE[list(regions.REGION_LANDMARKS.values())[index]])
        expected = hull.volume + hull.area * 0.05 + np.pi * 0.05**2  # SciPy: volume and area of a polygon
        assert (labels == index).sum() / 300**2 == pytest.approx(expected, rel=2e-3)


def test_left_is_the_left_of_the_image():
    labels = regions.labels(placed(12, 0, 17, 14)[None], SHAPE)[0]
    middle = {name: np.argwhere(labels == k).mean(axis=0) for k, name in enumerate(regions.REGIONS)}
    assert middle["left eye"][1] < middle["nose"][1] < middle["right eye"][1]
    assert middle["left eye"][0] < middle["nose"][0] < middle["mouth"][0]


def test_faces_without_landmarks_or_outside_the_image():
    faces = np.stack([placed(12, 0, 17, 14), placed(12, 0, 500, 14), placed(12, 0, 17, 14)])
    faces[2, 60] = np.nan
    labels = regions.labels(faces, SHAPE)
    assert (labels[1] == regions.REST).all() and (labels[2] == regions.MISSING).all()
    mass, area = regions.region_mass(np.zeros((3, 1, 2, 3)) + 0.5 * np.eye(2, 3), np.ones((3, 1)), faces, SHAPE)
    assert area[1].tolist() == [0, 0, 0, 0, 1] and np.isnan(mass[2]).all() and np.isnan(area[2]).all()
    assert regions.labels(np.zeros((0, 68, 2)), SHAPE).shape == (0, *SHAPE)


def test_region_mass_is_the_coverage_in_each_mask(monkeypatch):
    windows, weights, faces = random_attention()
    mass, area = regions.region_mass(windows, weights, faces, SHAPE)
    maps, number = np.minimum(attention.coverage(windows, SHAPE), WHOLE), regions.labels(faces, SHAPE)
    for i in range(len(faces)):
        for k in range(5):
            assert area[i, k] == pytest.approx(WHOLE[number[i] == k].sum() / WHOLE.sum())
            for t in range(2):
                assert mass[i, t, k] == pytest.approx(maps[i, t][number[i] == k].sum() * weights[i, t], abs=1e-9)
    monkeypatch.setattr(regions, "_CHUNK", 1)
    np.testing.assert_allclose(regions.region_mass(windows, weights, faces, SHAPE)[0], mass)


def test_shares_of_each_class_and_step():
    windows, weights, faces = random_attention()
    faces[5, 0] = np.nan
    groups = np.array(["happy", "sad", "sad"] * 4, dtype=object)
    mass, area = regions.region_mass(windows, weights, faces, SHAPE)
    shares = regions.region_shares(mass, area, groups, ["sad", "happy", "fear"], **FEW)
    assert shares["images"].tolist() == [7, 4, 0] and shares["excluded_share"] == pytest.approx(1 / 12)
    assert shares["share"].shape == (3, 3, 5) and shares["share_interval"].shape == (3, 3, 5, 2)
    rows = [row for row in range(12) if groups[row] == "sad" and row != 5]
    number = regions.labels(faces, SHAPE)
    for step, chosen in ((0, [0]), (1, [1]), (2, [0, 1])):
        maps = np.minimum(attention.coverage(windows[:, chosen], SHAPE), WHOLE) * weights[:, chosen, None, None]
        total = [sum(maps[row].sum(axis=0)[number[row] == k].sum() for row in rows) for k in range(5)]
        np.testing.assert_allclose(shares["share"][0, step], total / np.sum(total))
    np.testing.assert_allclose(shares["preference"][0], shares["share"][0] / area[rows].mean(axis=0))
    assert np.isnan(shares["share"][2]).all() and np.isnan(shares["area"][2]).all()
    low, high = np.moveaxis(shares["share_interval"][:2], -1, 0)
    assert (low <= shares["share"][:2] + 1e-12).all() and (shares["share"][:2] <= high + 1e-12).all()


def test_intervals_are_seeded_and_shrink_with_more_images():
    windows, weights, faces = random_attention(100, 1)
    mass, area = regions.region_mass(windows, weights, faces, SHAPE)
    few, many, again = (
        regions.region_shares(m, a, ["x"] * len(m), ["x"], **FEW)["share_interval"]
        for m, a in ((mass[:10], area[:10]), (mass, area), (mass, area))
    )
    np.testing.assert_array_equal(many, again)
    assert np.ptp(many, axis=-1).mean() < 0.6 * np.ptp(few, axis=-1).mean()
    one = regions.region_shares(mass[:1], area[:1], ["x"], ["x"], **FEW)  # a single image
    assert np.isfinite(one["share"]).all() and np.isnan(one["share_interval"]).all()
    same = regions.region_shares(mass[:10], area[:10], ["x"] * 10, ["x"], subjects=["s"] * 10, **FEW)
    assert np.isnan(same["share_interval"]).all()  # a single subject says nothing about others


@pytest.mark.parametrize("size", [1, 2])
def test_the_whole_image_has_no_preference(size):
    faces = random_attention(6)[2]
    mass, area = regions.region_mass(np.tile(size * np.eye(2, 3), (6, 1, 1, 1)), np.ones((6, 1)), faces, SHAPE)
    shares = regions.region_shares(mass, area, ["x"] * 6, ["x"], **FEW)
    np.testing.assert_allclose(shares["preference"], 1)


def test_windows_outside_the_image_have_no_shares():
    faces = random_attention(2)[2]
    mass, area = regions.region_mass(
        np.tile(np.eye(2, 3) * 0.1 - [0, 0, 9], (2, 1, 1, 1)), np.ones((2, 1)), faces, SHAPE
    )
    shares = regions.region_shares(mass, area, ["x"] * 2, ["x"], **FEW)
    assert np.isnan(shares["share"]).all()


def test_invalid_arguments_are_rejected():
    windows, weights, faces = random_attention()
    with pytest.raises(ValueError, match=r"\[n, 68, 2\], not \[12, 5, 2\]"):
        regions.labels(faces[:, :5], SHAPE)
    with pytest.raises(ValueError, match="12 windows, 12 weights and 3 faces"):
        regions.region_mass(windows, weights, faces[:3], SHAPE)
