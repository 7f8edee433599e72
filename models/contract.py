"""The base class of all models: how they are built, called and saved, and how their arguments are checked."""

import inspect
import json
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import keras
from keras import ops

from edram_fer.errors import UserError
from edram_fer.models import images
from edram_fer.models.compiled_call import CompiledCall, is_known
from edram_fer.models.tensor import Shape, Tensor

# The largest numbers of an argument, which may come from a file: a model of more would build for minutes.
LARGEST_SIZE = 16_384  # pixels of a side, units, filters
LARGEST_COUNT = 100  # glimpses, crops
UNKNOWN_AFFECT = -2.0  # AffectNet's code for unknown, and the "affect" of a model without an affect head


class FERModel(keras.Model):
    """A model from {"image": [B, H, W, C]} to the outputs of the contract, built on construction.

    Call it with `model(images)` or `model({"image": images})`. Images are uint8 in 0 to 255, which are divided by 255,
    or floats in [0, 1]; a model with one channel also takes [B, H, W]. A different size or dtype, and values outside
    the range, raise UserError (inside `tf.function` or `jax.jit` the values are not known, so only shape and dtype are
    checked). The same holds for `predict`, `predict_on_batch`, `evaluate` and `fit`.

    Class names, preprocessing and calibration are part of the model's configuration and therefore of a .keras file.

    A subclass stores the arguments of its __init__, by name, in `self.arguments` (including "image_size" and
    "channels"), passes **kwargs on and ends its __init__ with `self.build_for_image()`. If it needs more than the
    image, it overrides `input_shapes`. `output_shapes` is {name: shape} of its outputs, with None for the batch size.

    Args:
        emotions: class names, in the order of the logits; None: unknown.
        preprocessing: how the training faces were cropped from photos, as the fields of
            `edram_fer.preprocessing.face_settings.FaceSettings`; None: the faces were used as published.
        calibration: "temperature", by which the logits are divided before the softmax: a positive number, or one for
            each of T steps; and what else `edram_fer.evaluation.calibration.fit` returns. None: not calibrated.

    >>> import edram_fer
    >>> model = edram_fer.build("deep_emotion", image_size=(48, 48), emotions=["happy", "sad"], affect=True)
    >>> isinstance(model, FERModel), model.image_shape, model.emotions, model.predicts_affect
    (True, (48, 48, 1), ('happy', 'sad'), True)
    """

    # {name: options}: what `edram_fer.build(..., variant=name)` sets unless it is passed as well.
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    def __init__(
        self,
        *args: Any,
        emotions: Sequence[str] | None = None,
        preprocessing: Mapping[str, Any] | None = None,
        calibration: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.compiled_call: CompiledCall | None = None
        # Makes (inputs, targets) inside the compiled training step, from a dict that a data set yields in their place.
        self.prepare_batch: Callable[..., tuple[Any, Any]] | None = None
        self.teacher: Callable[..., tuple[Any, Any]] | None = None  # changes (inputs, targets) in that step
        self.emotions = emotions
        self.preprocessing = preprocessing
        self.calibration = calibration

    @classmethod
    def option_names(cls) -> list[str]:
        """Names of the options that `edram_fer.build` takes for this class, "variant" first where it has variants."""
        shared = {"image_size", "channels", "classes", "dtype", "kwargs"}
        names = [name for name in inspect.signature(cls).parameters if name not in shared]
        return ["variant", *names] if cls.variants else names

    @property
    def emotions(self) -> tuple[str, ...] | None:
        """Class names in the order of the logits, or None."""
        return self._emotions

    @emotions.setter
    def emotions(self, names: Sequence[str] | None) -> None:
        if names is not None:
            if isinstance(names, str) or not all(isinstance(name, str) for name in names):
                raise UserError(f"emotions: expected a list of class names, got {names!r}")
            names = tuple(names)
        self._check_emotions(names)
        self._emotions = names

    @property
    def preprocessing(self) -> dict[str, Any] | None:
        """How to crop faces from photos for this model (a copy); None if the training faces were used as published."""
        return json.loads(self._preprocessing)

    @preprocessing.setter
    def preprocessing(self, settings: Mapping[str, Any] | None) -> None:
        try:
            # Stored as text, because Keras would replace a dict by a tracking dict.
            self._preprocessing = json.dumps(None if settings is None else dict(settings))
        except (TypeError, ValueError) as error:
            raise UserError(f"preprocessing: expected a dict that JSON can hold, got {settings!r}") from error

    @property
    def calibration(self) -> dict[str, Any] | None:
        """How the probabilities are calibrated (a copy); None if they are not."""
        return json.loads(self._calibration)

    @calibration.setter
    def calibration(self, content: Mapping[str, Any] | None) -> None:
        try:
            # Stored as text for the same reason as the preprocessing.
            text = json.dumps(None if content is None else dict(content), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise UserError(f"calibration: expected a dict that JSON can hold, got {content!r}") from error
        self._check_calibration(json.loads(text))
        self._calibration = text

    @property
    def temperature(self) -> tuple[float, ...]:
        """The numbers by which the logits are divided before the softmax: one for all steps, or one for each.

        (1.0,) if the model is not calibrated. The logits that the model returns are not divided;
        `edram_fer.evaluation.inference.predict` divides them.
        """
        value = 1.0 if (content := self.calibration) is None else content["temperature"]
        return tuple(map(float, value)) if isinstance(value, list) else (float(value),)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the model's images."""
        height, width = self.arguments["image_size"]
        return height, width, self.arguments["channels"]

    def input_shapes(self) -> dict[str, Shape]:
        """{name: shape} of the model's inputs, with None for the batch size."""
        return {"image": (None, *self.image_shape)}

    def build_for_image(self) -> None:
        """Build the model: the last step of a subclass's __init__."""
        self.build(self.input_shapes())
        self._check_emotions(self.emotions)
        self._check_calibration(self.calibration)

    def build(self, input_shape: Mapping[str, Shape]) -> None:
        if not self.built:
            self.output_shapes = _output_shapes(self, input_shape)
            self.built = True

    def _check_emotions(self, names: Sequence[str] | None) -> None:
        """Raise UserError unless there is one name for each logit."""
        count = self.output_shapes["emotion"][-1] if self.built else None
        if names is not None and (len(set(names)) != len(names) or count not in (None, len(names))):
            raise UserError(f"emotions: expected {count or 'some'} different class names, got {', '.join(names)}")

    def _check_calibration(self, content: Mapping[str, Any] | None) -> None:
        """Raise UserError unless there is one positive temperature, or one for each step."""
        if content is None:
            return
        value = content.get("temperature")
        numbers: list[Any] = value if isinstance(value, list) else [value]
        steps = self.output_shapes["emotion"][1] if self.built else len(numbers)
        if len(numbers) not in (1, steps) or not all(is_number(number) and number > 0 for number in numbers):
            raise UserError(
                f"calibration: expected a positive temperature, or one for each of {steps} steps, got {value!r}"
            )

    @property
    def last_map_reader(self) -> keras.layers.Layer | None:
        """The layer that reads the last maps with two spatial axes; None for a model from elsewhere."""
        return None

    def slow_weights(self) -> dict[str, list[keras.Variable]]:
        """{option: variables V of the layers that learn at the rate in this option}, see `edram_fer.models.slow`."""
        return {}

    @property
    def predicts_affect(self) -> bool:
        """Whether the model has a head for valence and arousal; otherwise "affect" is UNKNOWN_AFFECT everywhere."""
        return "affect" in self.output_shapes and bool(self.arguments.get("affect", True))

    def get_config(self) -> dict[str, Any]:
        emotions = None if self.emotions is None else list(self.emotions)
        return {
            **super().get_config(),
            **self.arguments,
            "emotions": emotions,
            "preprocessing": self.preprocessing,
            "calibration": self.calibration,
        }

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        inputs = self._standardise(inputs)
        is_inference = not args and not kwargs.get("training") and not kwargs.keys() - {"training"}
        if self.compiled_call is not None and is_inference and is_known(inputs):
            return self.compiled_call(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def in_float32(self) -> "FERModel":
        """The model itself if it computes in float32; otherwise a copy that does, with the same weights."""
        if self.compute_dtype == self.variable_dtype == "float32":
            return self
        copy = type(self).from_config({**self.get_config(), "dtype": "float32"})
        for target, source in zip(copy.weights, self.weights, strict=True):
            target.assign(ops.cast(source, "float32"))
        return copy

    def compile_calls(self) -> None:
        """From now on, compile calls outside training, at the first call with each set of inputs.

        `edram_fer.load` does this. The outputs are equal up to the order in which floating-point numbers are added.
        """
        self.compiled_call = CompiledCall(self)

    def stateless_call(
        self, trainable_variables: Any, non_trainable_variables: Any, inputs: Any, *args: Any, **kwargs: Any
    ) -> Any:
        # Keras' JAX trainer calls this method instead of __call__.
        inputs = self._standardise(inputs)
        return super().stateless_call(trainable_variables, non_trainable_variables, inputs, *args, **kwargs)

    def _standardise(self, inputs: Any) -> dict[str, Any]:
        """{"image": float32 [B, H, W, C] in [0, 1], ...}, with the other inputs unchanged."""
        if not isinstance(inputs, Mapping):
            inputs = {"image": inputs}
        if "image" not in inputs:
            raise UserError(f"inputs: expected images or a dict with `image`, got {', '.join(map(str, inputs))}")
        return {**inputs, "image": images.standardise(inputs["image"], self.image_shape)}

    def train_step(self, *arguments: Any) -> Any:
        *state, data = arguments  # on TensorFlow there is no state
        if self.prepare_batch is not None:
            data = self.prepare_batch(**data[0])
        if self.teacher is not None:
            data = self.teacher(*data)
        return super().train_step(*state, data)

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        return super().fit(self._checked(x), *args, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        return super().evaluate(self._checked(x), *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        return super().predict(self._checked(x), *args, **kwargs)

    def train_on_batch(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        return super().train_on_batch(self._checked(x), *args, **kwargs)

    def test_on_batch(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        return super().test_on_batch(self._checked(x), *args, **kwargs)

    def predict_on_batch(self, x: Any) -> Any:
        if self.compiled_call is not None:
            return keras.tree.map_structure(ops.convert_to_numpy, self(x, training=False))
        return super().predict_on_batch(self._checked(x))

    def _checked(self, x: Any) -> Any:
        """The inputs, with their images checked if they are an array; inside a graph their values are not known."""
        image: Any = x.get("image") if isinstance(x, Mapping) else x
        if not (hasattr(image, "shape") and hasattr(image, "dtype")):
            return x
        images.check(image, self.image_shape)
        if len(image.shape) == 3:  # use the same rank for all batches, or the model would be compiled again
            image = image[..., None]
        return {**x, "image": image} if isinstance(x, Mapping) else image


def _output_shapes(model: FERModel, input_shapes: Mapping[str, Shape]) -> dict[str, tuple[Any, ...]]:
    """{name: shape} of the outputs of a model, all of whose layers are built thereby."""
    if keras.backend.backend() == "tensorflow":
        zeros = {name: ops.zeros((1, *shape[1:])) for name, shape in input_shapes.items()}
        if is_known(zeros):  # TensorFlow takes several times as long to trace a model as to call it once
            return {name: (None, *output.shape[1:]) for name, output in model.call(zeros).items()}
    symbols = {name: keras.KerasTensor(shape, dtype="float32") for name, shape in input_shapes.items()}
    return {name: output.shape for name, output in model.compute_output_spec(symbols).items()}


def unknown_affect(emotion: Tensor) -> Tensor:
    """The "affect" [B, T, 2] of a model without an affect head, for logits [B, T, K]."""
    return ops.full_like(emotion[:, :, :2], UNKNOWN_AFFECT)


def check_windows(name: str, windows: Tensor, count: int) -> None:
    """Raise UserError unless `windows`, an input of a model, are `count` matrices for each image."""
    if tuple(windows.shape[1:]) != (count, 2, 3):
        raise UserError(f"{name}: expected [B, {count}, 2, 3], a matrix for each window, got {list(windows.shape)}")


def check_choice(name: str, value: Any, choices: Iterable[str]) -> None:
    """Raise UserError unless `value` is one of the names `choices`."""
    if value not in tuple(choices):
        raise UserError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")


def check_bool(name: str, value: Any) -> None:
    """Raise UserError unless `value` is a bool: any text, even "off", would count as true."""
    if not isinstance(value, bool):
        raise UserError(f"{name}: expected true or false, got {value!r}")


def check_integer(name: str, value: Any, smallest: int, largest: int | None = LARGEST_SIZE) -> None:
    """Raise UserError unless `value` is a whole number from `smallest` to `largest`."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < smallest:
        raise UserError(f"{name}: expected a whole number of at least {smallest}, got {value!r}")
    if largest is not None and int(value) > largest:
        raise UserError(f"{name}: expected a whole number of at most {largest}, got {value!r}")


def check_filters(name: str, value: Any, count: int) -> None:
    """Raise UserError unless `value` holds `count` whole numbers, the filters of as many convolutions."""
    if not isinstance(value, (tuple, list)) or len(value) != count:
        raise UserError(f"{name}: expected {count} numbers of filters, got {value!r}")
    for filters in value:
        check_integer(name, filters, 1)


def is_number(value: Any) -> bool:
    """Whether it is a real number; true and false are not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def check_fraction(name: str, value: Any) -> None:
    """Raise UserError unless `value` is a number in [0, 1)."""
    if not is_number(value) or not 0 <= value < 1:
        raise UserError(f"{name}: expected a number in [0, 1), got {value!r}")


def check_image_and_classes(image_size: Any, channels: Any, classes: Any, smallest_side: int) -> None:
    """Raise UserError unless image_size = (H, W) in pixels, channels and classes can make a model."""
    if not isinstance(image_size, (tuple, list)) or len(image_size) != 2:
        raise UserError(f"image_size: expected (height, width) in pixels, got {image_size!r}")
    for side in image_size:
        check_integer("image_size", side, smallest_side)
    check_integer("channels", channels, 1)
    check_integer("classes", classes, 2)
