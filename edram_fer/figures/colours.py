"""Colours of glimpses and classes, without Matplotlib, which drawing into photos and films does not need."""

import cv2
import numpy as np

# Okabe and Ito's colours (jfly.uni-koeln.de/color), distinguishable with all common kinds of colour blindness, with
# grey instead of black, which a dark ground hides.
EIGHT = ("#bbbbbb", "#f0e442", "#0072b2", "#e69f00", "#cc79a7", "#009e73", "#d55e00", "#56b4e9")
# Matplotlib's "tab20"; the first ten of each pair are "tab10".
PAIRS = (
    ("#1f77b4", "#aec7e8"),
    ("#ff7f0e", "#ffbb78"),
    ("#2ca02c", "#98df8a"),
    ("#d62728", "#ff9896"),
    ("#9467bd", "#c5b0d5"),
    ("#8c564b", "#c49c94"),
    ("#e377c2", "#f7b6d2"),
    ("#7f7f7f", "#c7c7c7"),
    ("#bcbd22", "#dbdb8d"),
    ("#17becf", "#9edae5"),
)


def step_colours(count: int) -> np.ndarray:
    """`count` colours [count, 3], RGB in [0, 1], from early (violet) to late (yellow), bright enough for outlines on a
    grey face: Matplotlib's "plasma" without its ends.

    >>> step_colours(2).round(2).tolist()
    [[0.45, 0.0, 0.66], [0.97, 0.89, 0.15]]
    """
    shares = np.linspace(0.22, 0.95, count) if count > 1 else np.array([0.6])
    bgr = cv2.applyColorMap((shares * 256).astype(np.uint8)[:, None], cv2.COLORMAP_PLASMA)
    return bgr[:count, 0, ::-1] / 255


def class_colours(count: int) -> list[tuple[int, int, int]]:
    """`count` colours, RGB in 0 to 255, that differ as far as possible, up to eight also for colour-blind people; from
    the 21st on they repeat.

    >>> class_colours(2)
    [(187, 187, 187), (240, 228, 66)]
    """
    if count <= len(EIGHT):
        names = EIGHT
    elif count <= len(PAIRS):
        names = tuple(dark for dark, _ in PAIRS)
    else:
        names = tuple(name for pair in PAIRS for name in pair)
    colours = []
    for number in range(count):
        red, green, blue = bytes.fromhex(names[number % len(names)][1:])
        colours.append((red, green, blue))
    return colours
