"""Targets of guided glimpses: means of regions, and places that people looked at on other faces."""

import numpy as np
import pytest

from edram_fer.attention.template import TEMPLATE
from edram_fer.data.guides import Guide, Viewings
from edram_fer.gaze.layouts import KDEF

SIZE = (60, 80)
RNG = np.random.default_rng(0)
POINTS = RNG.uniform(20, 40, (5, 68, 2)).astype("float32")


def test_targets_are_the_means_of_the_regions_in_image_coordinates():
    points = POINTS.copy()
    points[1, 48] = np.nan
    guide, weights = Guide(("free", "mouth", "eyes", "left eye")), np.linspace(0, 1, 5, dtype="float32")
    actual = np.array(guide.targets(points, None, weights, SIZE))
    regions = {1: [*range(48, 60)], 2: [*range(17, 27), *range(36, 48)], 3: [*range(17, 22), *range(36, 42)]}
    for column, numbers in regions.items():
        x, y = points[:, numbers].mean(axis=1).T
        expected = np.stack([x / (SIZE[1] - 1) * 2 - 1, y / (SIZE[0] - 1) * 2 - 1], axis=-1)
        np.testing.assert_allclose(actual[:, column, :2], expected, atol=1e-6)
    assert np.isnan(actual[:, 0, :2]).all() and np.isnan(actual[1, 1, :2]).all() and np.isfinite(actual[1, 2]).all()
    np.testing.assert_array_equal(actual[..., 2], np.repeat(weights[:, None], 4, axis=1))


@pytest.fixture
def fixations(tmp_path):
    """One person looked at the eye on the left of a sad face and four times at the mouth of a happy one."""
    path = tmp_path / "fixations.csv"
    rows = [("AF01SAS.JPG", KDEF["left_eye"])] + [("AF01HAS.JPG", KDEF["mouth"])] * 4
    lines = [f"P1,{image},{x},{y},{200 + i}" for i, (image, (x, y)) in enumerate(rows)]
    path.write_text("\n".join(["subject,image,start_x,start_y,duration", *lines]))
    return str(path)


def test_people_look_at_the_same_parts_of_any_face(fixations):
    """A face turned by 30 degrees, one of another size, one without landmarks; many copies of each."""
    angle = np.deg2rad(30)
    turned = 20 * TEMPLATE @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + (40, 25)
    faces = np.concatenate([np.repeat([turned, 8 * TEMPLATE + (15, 20)], 500, axis=0), np.full((10, 68, 2), np.nan)])
    emotions = np.tile(["happy", "fear"], 505)
    guide = Guide(("free", "people", "people by emotion"), fixations)
    drawn = Viewings(guide, faces, list(emotions)).draw(0, 1)
    assert drawn.shape == (1010, 2, 2) and np.isnan(drawn[1000:]).all()
    eye, mouth = faces[:1000, 36:42].mean(axis=1), faces[:1000, 48:60].mean(axis=1)
    scale = np.repeat([20, 8], 500)[:, None]
    at_mouth = np.linalg.norm(drawn[:1000] - mouth[:, None], axis=-1) < 0.05 * scale
    at_eye = np.linalg.norm(drawn[:1000] - eye[:, None], axis=-1) < 0.05 * scale
    assert (at_mouth ^ at_eye).all()
    happy = emotions[:1000] == "happy"
    assert at_mouth[happy, 1].all()  # on happy faces people looked at nothing else
    for share in (at_mouth[:, 0].mean(), at_mouth[~happy, 1].mean()):  # all fixations; nobody saw a frightened face
        assert share == pytest.approx(0.8, abs=0.06)


def test_draws_depend_on_seed_and_epoch_alone(fixations):
    faces = np.repeat(10 * TEMPLATE[None] + 20, 20, axis=0)
    viewings = Viewings(Guide(("people",), fixations), faces, ["sad"] * 20)
    np.testing.assert_array_equal(viewings.draw(3, 2), viewings.draw(3, 2))
    assert (viewings.draw(3, 2) != viewings.draw(3, 1)).any() and (viewings.draw(3, 2) != viewings.draw(2, 2)).any()


def test_fixations_beside_all_faces_cannot_guide(fixations, tmp_path):
    path = tmp_path / "outside.csv"
    path.write_text("subject,image,start_x,start_y,duration\nP1,AF01SAS.JPG,2,2,200\n")
    with pytest.raises(ValueError, match=r"guide_fixations: .*outside.csv: no fixation is on a face"):
        Viewings(Guide(("people",), str(path)), POINTS, ["sad"] * 5)
    with pytest.raises(FileNotFoundError, match="nowhere.csv"):
        Viewings(Guide(("people",), str(tmp_path / "nowhere.csv")), POINTS, ["sad"] * 5)
