"""Colours against Matplotlib's."""

import matplotlib
import numpy as np

from edram_fer.figures.colours import class_colours, step_colours


def test_step_colours_are_those_of_plasma():
    for count in (1, 2, 7):
        shares = np.linspace(0.22, 0.95, count) if count > 1 else [0.6]
        np.testing.assert_allclose(step_colours(count), matplotlib.colormaps["plasma"](shares)[:, :3], atol=1 / 255)


def test_class_colours_are_those_of_tab10_and_tab20():
    for count, name in ((3, "tab10"), (10, "tab10"), (11, "tab20"), (23, "tab20")):
        colours = matplotlib.colormaps[name]
        expected = [colours(number % colours.N)[:3] for number in range(count)]
        np.testing.assert_allclose(class_colours(count), np.multiply(expected, 255), atol=0.5)
