"""Colours against Matplotlib's, and as colour-blind people see them."""

import itertools

import cv2
import matplotlib
import numpy as np

from edram_fer.figures.colours import class_colours, step_colours


def test_step_colours_are_those_of_plasma():
    for count in (1, 2, 7):
        shares = np.linspace(0.22, 0.95, count) if count > 1 else [0.6]
        np.testing.assert_allclose(step_colours(count), matplotlib.colormaps["plasma"](shares)[:, :3], atol=1 / 255)


def test_class_colours_are_those_of_tab10_and_tab20():
    for count, name in ((9, "tab10"), (10, "tab10"), (11, "tab20"), (23, "tab20")):
        colours = matplotlib.colormaps[name]
        expected = [colours(number % colours.N)[:3] for number in range(count)]
        np.testing.assert_allclose(class_colours(count), np.multiply(expected, 255), atol=0.5)


# Linear RGB as seen without one kind of cones (Machado, Oliveira, Fernandes 2009, severity 1).
BLINDNESS = (
    ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
)


def test_eight_classes_differ_for_colour_blind_people():
    linear = (np.divide(class_colours(8), 255)) ** 2.2
    for matrix in (np.eye(3), *BLINDNESS):
        seen = np.clip(linear @ np.transpose(matrix), 0, 1) ** (1 / 2.2)
        lab = cv2.cvtColor(seen[None].astype(np.float32), cv2.COLOR_RGB2LAB)[0]
        assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(lab, 2)) > 12
