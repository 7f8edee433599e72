"""What every model shares: how it is built and saved, and the checks of its arguments."""

import numbers

import keras
from keras import ops

from edram_fer.errors import UserError

UNKNOWN_AFFECT = -2.0  # AffectNet's mark: what a model without that head answers


class FERModel(keras.Model):
    """A model from {"image": [B, H, W, C]} to the outputs of the contract, built as soon as it is made.

    A subclass keeps the arguments of its __init__, by name, in `self.arguments` ("image_size" and "channels" among
    them) and ends its __init__ with `self.build_for_image()`. One that needs more than the image says so in
    `input_shapes`. `output_shapes` is {name: shape} of what it answers, None for the size of a batch.
    """

    def input_shapes(self):
        """{name: shape} of what the model must be given."""
        return {"image": (None, *self.arguments["image_size"], self.arguments["channels"])}

    def build_for_image(self):
        self.build(self.input_shapes())

    def build(self, input_shape):
        if not self.built:
            inputs = {name: keras.KerasTensor(shape, dtype="float32") for name, shape in input_shape.items()}
            outputs = self.compute_output_spec(inputs)
            self.output_shapes = {name: output.shape for name, output in outputs.items()}
            self.built = True

    @property
    def predicts_affect(self):
        """Whether it has a head for valence and arousal: else its "affect" is UNKNOWN_AFFECT everywhere."""
        return "affect" in self.output_shapes and bool(self.arguments.get("affect", True))

    def get_config(self):
        return {**super().get_config(), **self.arguments}


def unknown_affect(emotion):
    """The "affect" [B, T, 2] of a model without that head, beside its logits [B, T, K]."""
    return ops.full_like(emotion[:, :, :2], UNKNOWN_AFFECT)


def check_choice(name, value, choices):
    """Raise ValueError unless `value` is one of the names `choices`."""
    if value not in tuple(choices):
        raise UserError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")


def check_bool(name, value):
    """Raise ValueError unless `value` is a bool: any text, "off" too, would count as true."""
    if not isinstance(value, bool):
        raise UserError(f"{name}: expected true or false, got {value!r}")


def check_integer(name, value, smallest):
    """Raise ValueError unless `value` is a whole number of at least `smallest`."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < smallest:
        raise UserError(f"{name}: expected a whole number of at least {smallest}, got {value!r}")


def check_filters(name, value, count):
    """Raise ValueError unless `value` holds `count` whole numbers, the filters of as many convolutions."""
    if not isinstance(value, (tuple, list)) or len(value) != count:
        raise UserError(f"{name}: expected {count} numbers of filters, got {value!r}")
    for filters in value:
        check_integer(name, filters, 1)


def is_number(value):
    """Whether it is a real number; true and false are none here."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def check_fraction(name, value):
    """Raise ValueError unless `value` is a number in [0, 1)."""
    if not is_number(value) or not 0 <= value < 1:
        raise UserError(f"{name}: expected a number in [0, 1), got {value!r}")


def check_image_and_classes(image_size, channels, classes, smallest_side):
    """Raise ValueError unless image_size = (H, W) in pixels, channels and classes can make a model."""
    if not isinstance(image_size, (tuple, list)) or len(image_size) != 2:
        raise UserError(f"image_size: expected (height, width) in pixels, got {image_size!r}")
    for side in image_size:
        check_integer("image_size", side, smallest_side)
    check_integer("channels", channels, 1)
    check_integer("classes", classes, 2)
