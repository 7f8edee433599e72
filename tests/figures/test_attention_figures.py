"""Figures of the attention measures show the numbers that they are given."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text

from edram_fer.attention import early_exit as exits
from edram_fer.attention import regions
from edram_fer.errors import UserError
from edram_fer.figures import differences, heatmaps, region_shares, scan_paths, style
from edram_fer.figures.early_exit import early_exit
from edram_fer.figures.glimpses import draw_glimpses

RNG = np.random.default_rng(0)
REGIONS = list(regions.REGIONS)


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def shares(groups=3, steps=2):
    preference = RNG.uniform(0, 3, (groups, steps + 1, 5))
    interval = np.stack([preference - 0.2, preference + 0.3], axis=-1)
    names = ["happy", "sad", "fear", "anger", "neutral"][:groups]
    return {
        "groups": names,
        "regions": REGIONS,
        "images": np.arange(1, groups + 1) * 1000,
        "preference": preference,
        "preference_interval": interval,
    }


def test_difference_maps_are_symmetric_about_no_difference():
    values = np.zeros((2, 3, 4, 5))
    values[0, 1, 2, 3], values[1, 2, 0, 0] = 0.1, -0.03
    figure = differences.difference_maps(np.full((2, 4, 5, 1), 0.5), values, [("happy", 1200), ("sad", None)], "abc")
    bar = figure.axes[1]
    assert bar.get_ylim() == (-2, 2)  # 0.1 * 20 pixels
    assert {"happy", "1,200", "sad", "a", "+2", "-2", "0"} <= set(texts(figure))
    images = [image.get_array() for image in figure.axes[0].images]
    assert len(images) == 6 and np.ptp(images[0]) == 0
    more, less = images[1][2, 3], images[5][0, 0]
    assert more[0] > more[2] and less[2] > less[0]  # orange is more, blue is less


@pytest.mark.parametrize("count", [1, 4, 8])
def test_the_label_of_the_scale_fits_a_row_of_maps(count):
    """As a model with fixed windows has them, in one row: the bar is an inch high there."""
    images, names = RNG.integers(0, 255, (count, 12, 12, 1), dtype=np.uint8), np.array(list("abcdefgh"[:count]))
    windows, weights = np.tile(0.5 * np.eye(2, 3), (count, 2, 1, 1)), np.full((count, 2), 0.5)
    maps = heatmaps.heatmaps(images, windows, weights, names, names, by_step=False)
    meaning = "more or less with this true\nthan with this predicted emotion"
    change = differences.difference_maps(
        images / 255, RNG.normal(size=(count, 1, 12, 12)), [(name, 7) for name in names], meaning=meaning
    )
    for figure, meaning_start in ((maps, "mean weight of the windows here"), (change, meaning)):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        label = figure.axes[1].yaxis.label
        assert label.get_text().replace("\n", " ").startswith(meaning_start.replace("\n", " "))
        box = label.get_window_extent(canvas.get_renderer())
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        bar = figure.axes[1].get_tightbbox(canvas.get_renderer())
        assert figure.axes[0].get_window_extent().x1 < bar.x0  # beside the maps, which keep their room


def test_a_difference_of_nothing_is_the_face_alone():
    face = RNG.random((4, 5, 3))
    np.testing.assert_allclose(differences.tint(face, np.zeros((4, 5)), 1.0), face)
    figure = differences.difference_maps(face[None], np.full((1, 1, 4, 5), np.nan), [("happy", 3)])
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), face)
    tops = [differences.round_up(value) for value in (0, 0.3, 1, 1.2, 7, 30)]
    np.testing.assert_allclose(tops, [1, 0.3, 1, 2, 8, 30])
    with pytest.raises(ValueError, match="1 faces, 2 rows of maps and 1 labels"):
        differences.difference_maps(face[None], np.zeros((2, 1, 4, 5)), [("happy", 3)])


def test_scan_paths_stand_where_the_model_looked():
    windows = 0.2 * np.tile(np.eye(2, 3), (2, 3, 1, 1))
    windows[0, :, :, 2] = [(-1, -1), (1, 1), (0.9, 1)]  # a jump, then a shift
    images = RNG.integers(0, 255, (2, 11, 11, 1), dtype=np.uint8)
    figure = scan_paths.scan_paths(images, windows, ["a", "b"], others=[[np.zeros((4, 2))], []], columns=1)
    axes = figure.axes[0]
    dots = axes.collections[0].get_offsets()
    np.testing.assert_allclose(dots[:2], [[0.5 / 11, 0.5 / 11 + 0.16], [10.5 / 11, 10.5 / 11 + 0.16]])
    thin, jump, shift = axes.lines[:3]
    assert len(thin.get_xdata()) == 4 and jump.get_linestyle() == "-" and shift.get_linestyle() != "-"
    assert {"a", "b", "1", "2, 3", "1, 2, 3"} <= set(texts(figure))  # the second model never moves


@pytest.mark.parametrize("steps", [1, 4])
def test_scan_paths_of_any_length_and_colour(tmp_path, steps):
    windows = np.tile(0.5 * np.eye(2, 3), (3, steps, 1, 1))
    path = style.save(scan_paths.scan_paths(RNG.random((3, 8, 6, 3)), windows, "abc"), tmp_path / "paths.png", dpi=40)
    assert path.stat().st_size > 1000


def test_region_preference_shows_all_steps_together():
    attention_shares = shares()
    figure = region_shares.region_preference(attention_shares)
    assert [axes.get_title(loc="left") for axes in figure.axes] == REGIONS
    for index, axes in enumerate(figure.axes):
        rule, dots = axes.collections
        np.testing.assert_allclose(
            dots.get_offsets(), np.stack([attention_shares["preference"][:, -1, index], range(3)], axis=1)
        )
        ends = np.array([segment[:, 0] for segment in rule.get_segments()])
        np.testing.assert_allclose(ends, attention_shares["preference_interval"][:, -1, index])
    assert "sad (2,000)" in texts(figure)


def test_preferences_without_intervals_are_not_cut_off():
    attention_shares = shares()
    attention_shares["preference"][:, -1, 0] = 2.5
    attention_shares["preference_interval"][:] = np.nan  # the images of a single person
    assert region_shares.region_preference(attention_shares).axes[0].get_xlim()[1] > 2.5


@pytest.mark.parametrize(("groups", "steps"), [(1, 1), (3, 2), (5, 6)])
def test_region_steps_shows_each_step(groups, steps):
    attention_shares = shares(groups, steps)
    figure = region_shares.region_steps(attention_shares)
    visible = [axes for axes in figure.axes if axes.get_visible()]
    assert len(visible) == groups
    for group, axes in enumerate(visible):
        for index, line in enumerate(axes.lines[1:]):
            np.testing.assert_allclose(line.get_ydata(), attention_shares["preference"][group, :-1, index])
    looks = {(to_hex(line.get_color()), line.get_marker(), line.get_linestyle()) for line in visible[0].lines[1:]}
    assert len({mark for _, mark, _ in looks}) == 5  # not by colour alone


def test_classes_without_images_are_drawn_empty():
    attention_shares = shares()
    attention_shares["preference"][1], attention_shares["preference_interval"][1] = np.nan, np.nan
    assert region_shares.region_preference(attention_shares) and region_shares.region_steps(attention_shares)


@pytest.mark.parametrize("steps", [1, 3])
def test_the_early_exit_curve(steps):
    probabilities = RNG.dirichlet(np.ones(4), (30, steps))
    exit_curve = exits.curve(RNG.integers(0, 4, 30), probabilities, repeats=10)
    figure = early_exit(exit_curve, labelled=(0.5, 0.505))
    fixed, curve = figure.axes[0].lines[:2]
    np.testing.assert_allclose(fixed.get_ydata(), exit_curve["accuracy_after_glimpse"])
    np.testing.assert_allclose(curve.get_xdata(), exit_curve["mean_glimpses"])
    np.testing.assert_allclose(curve.get_ydata(), exit_curve["accuracy"])
    assert "50% confident" in texts(figure) and len(figure.axes[0].lines) == 3


@pytest.mark.parametrize(
    ("image", "windows", "labels", "message"),
    [
        (
            np.zeros((8, 8)),
            np.zeros((1, 3, 2, 3)),
            None,
            r"windows: expected the windows of one image, \[N, 2, 3\], got \[1",
        ),
        (np.full((8, 8), 200.0), np.zeros((3, 2, 3)), None, r"image: expected floats in \[0, 1\].* from 200 to 200"),
        (np.zeros((2, 8, 8, 1)), np.zeros((3, 2, 3)), None, r"image: expected \[H, W\].* got \[2, 8, 8, 1\]"),
        (np.zeros((8, 8)), np.zeros((3, 2, 3)), ["a"], "labels: expected one for each of 3 glimpses, got 1"),
    ],
)
def test_misuse_of_draw_glimpses_is_one_sentence(image, windows, labels, message):
    with pytest.raises(UserError, match=message):
        draw_glimpses(image, windows, labels=labels)


@pytest.mark.parametrize("name", ["$x_{$", "costs $5 or $6", r"$\frac"])
def test_dollar_signs_in_names_are_no_mathematics(name, tmp_path):
    figure = differences.difference_maps(np.full((1, 4, 5, 1), 0.5), np.zeros((1, 2, 4, 5)), [(name, 3)], [name, "b"])
    style.save(figure, tmp_path / "a.svg")
    assert not any(text.get_parse_math() for text in figure.findobj(Text))
