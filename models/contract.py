"""Checks of the arguments that every model shares."""

import numbers


def whole_number(name, value, smallest):
    """Raise ValueError unless `value` is a whole number of at least `smallest`."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < smallest:
        raise ValueError(f"{name}: expected a whole number of at least {smallest}, got {value!r}")


def filter_counts(name, value, count):
    """Raise ValueError unless `value` holds `count` whole numbers, the filters of as many convolutions."""
    if not isinstance(value, (tuple, list)) or len(value) != count:
        raise ValueError(f"{name}: expected {count} numbers of filters, got {value!r}")
    for filters in value:
        whole_number(name, filters, 1)


def share(name, value):
    """Raise ValueError unless `value` is a number in [0, 1)."""
    if not isinstance(value, numbers.Real) or not 0 <= value < 1:
        raise ValueError(f"{name}: expected a number in [0, 1), got {value!r}")


def check_image_and_classes(image_size, channels, classes, smallest_side):
    """Raise ValueError unless image_size = (H, W) in pixels, channels and classes can make a model."""
    if not isinstance(image_size, (tuple, list)) or len(image_size) != 2:
        raise ValueError(f"image_size: expected (height, width) in pixels, got {image_size!r}")
    for side in image_size:
        whole_number("image_size", side, smallest_side)
    whole_number("channels", channels, 1)
    whole_number("classes", classes, 2)
