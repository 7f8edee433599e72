"""The files of a run that hold weights: checkpoints/latest.npz (for exact resume) and model.keras (the best epoch)."""

import json
import logging
import re
import reprlib
import shlex
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edram_fer import archives, devices, files, foreign, keras_file
from edram_fer.errors import DivergedError, MissingFileError, Stopped, UserError, reason
from edram_fer.models import FERModel  # importing it registers the classes that a .keras file names
from edram_fer.models.region_attention import Backbone, take_over
from edram_fer.preprocessing.emotions import checked_classes
from edram_fer.recipes.recipe import Recipe
from edram_fer.run import layout
from edram_fer.run.model_file import is_exported, model_path
from edram_fer.runtime import ExportedModel, load_exported

log = logging.getLogger(__name__)
# What Keras raises for classes and arguments that it does not know, and h5py for damaged weights.
_UNLOADABLE = (ValueError, TypeError, LookupError, AttributeError, OSError, ImportError, RuntimeError)
_CALLBACK_STATE = ("wait", "best", "best_epoch", "stopped_epoch", "cooldown_counter", "current_epoch")


def load(source: str | Path) -> FERModel:
    """Load a trained model.

    Args:
        source: a run folder (its model.keras, the best on validation), a .keras file, the card of a model from
            elsewhere (`edram_fer.foreign`), or one of `edram_fer.list_weights()`; a path that exists comes before a
            name.

    Returns:
        A Keras model with `model.emotions`, the class names in order, and `model.preprocessing`, how to crop its faces
        from photos. Call it with images [B, H, W, C], uint8 in 0 to 255 or floats in [0, 1]. A model that was trained
        in a type that this machine emulates computes in float32 instead, which changes its outputs by a hundredth.

    Raises:
        MissingFileError: there is no file, folder or included model of that name.
        UserError: the file is damaged, holds no model with class names, is an exported one, names a class that is not
            registered, or is from a newer version of Keras.

    >>> model = load("fer2013-edram")
    >>> model.emotions
    ('neutral', 'happy', 'sad', 'surprise', 'fear', 'disgust', 'anger')
    >>> model.input_shapes()
    {'image': (None, 48, 48, 1)}
    """
    path = model_path(source)
    if is_exported(path):
        raise UserError(
            f"{path}: expected the .keras file that it was exported from; exported files are for `predict`, "
            f"`evaluate`, `saliency`, `robustness` and edram_fer.load_exported"
        )
    if foreign.is_card(path):
        return foreign.load(path)
    content = keras_file.read(path)
    model = _load_keras(path)
    if isinstance(model, Backbone):
        raise UserError(
            f"{path} holds a backbone, which has no classes: train from it with "
            f"--set {shlex.quote(f'initial_weights={path}')}"
        )
    if not isinstance(model, FERModel):
        raise UserError(
            f"{path} holds a {type(model).__name__}: expected one of the models of edram_fer; another model needs a "
            f"card, see docs/howto/foreign-models.md"
        )
    if keras_file.OLD_EMOTIONS in content:
        model.emotions = checked_classes(content[keras_file.OLD_EMOTIONS], f"{path}: {keras_file.OLD_EMOTIONS}", 2)
        model.preprocessing = _recorded_preprocessing(path)
    if model.emotions is None:
        raise UserError(f"{path} holds a {type(model).__name__} without class names: set model.emotions and save it")
    checked_classes(model.emotions, f"{path}: emotions", 2)
    if devices.emulates(model.compute_dtype):  # one face would take twice as long
        model = model.in_float32()
    model.compile_calls()
    return model


def _load_keras(path: Path) -> keras.Model:
    """The model in a .keras file."""
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except _UNLOADABLE as error:
        raise UserError(f"{path}: Keras {keras.__version__} cannot load it: {reason(error)}") from error


def open_model(source: str | Path) -> FERModel | ExportedModel:
    """Like `load`, and also for exported files (.onnx, .tflite): a model for `evaluation.inference.predict`.

    >>> open_model("fer2013-edram").image_shape
    (48, 48, 1)
    """
    path = model_path(source)
    return load_exported(path) if is_exported(path) else load(source)


def _recorded_preprocessing(path: Path) -> dict[str, Any] | None:
    """The preprocessing recorded in the run folder of an old .keras file, which does not hold it itself."""
    environment = path.with_name(layout.ENVIRONMENT)
    return files.read_json(environment).get("data", {}).get("faces") if environment.exists() else None


def save(model: FERModel, path: str | Path) -> None:
    """Write a .keras file atomically, without optimizer and losses, which the checkpoints of a run hold."""
    with files.replace(path) as temporary:
        model.save(temporary)
        keras_file.strip(temporary, temporary)


def initialise_from(model: FERModel, source: str | Path) -> tuple[int, int]:
    """Copy the weights of a trained model wherever both models have the same part and shape.

    A part that learned at another rate (`edram_fer.models.slow`) computes what it computed there. Of a file that
    `edram-fer backbone` wrote, the backbone of a RAN is copied, all of it; the log says what that
    leaves out.

    Args:
        model: the model to change.
        source: see `load`; the file need not name classes.

    Returns:
        (number of changed variables, number of all variables).

    Raises:
        MissingFileError, UserError: see `load`; also if no weight fits, or a backbone is not that of the model.
    """
    path = model_path(source)
    content = keras_file.read(path)  # otherwise a damaged file would look like another model's
    before = [keras.ops.convert_to_numpy(variable) for variable in model.variables]
    trained = content[keras_file.CONFIG].get("class_name")
    if trained == Backbone.__name__ and isinstance(backbone := _load_keras(path), Backbone):
        _take_over(model, backbone, path)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras names each part that does not fit
            model.load_weights(path, skip_mismatch=True)
        _adapt_rates(model, before, content[keras_file.CONFIG].get("config") or {})
    after = [keras.ops.convert_to_numpy(variable) for variable in model.variables]
    changed = sum(not np.array_equal(old, new) for old, new in zip(before, after, strict=True))
    if not changed:
        raise UserError(f"{source}: no weight of its {trained} fits {type(model).__name__}")
    return changed, len(after)


def _adapt_rates(model: FERModel, before: Sequence[np.ndarray], arguments: Mapping[str, Any]) -> None:
    """Scale the variables V of slow layers that were copied, so that rate * V is what it is in the file."""
    start = {id(variable): value for variable, value in zip(model.variables, before, strict=True)}
    for option, variables in model.slow_weights().items():
        factor = (arguments.get(option) or 1.0) / model.arguments[option]
        for variable in variables:
            value = keras.ops.convert_to_numpy(variable)
            if factor != 1 and not np.array_equal(value, start[id(variable)]):
                variable.assign(value * factor)


def _take_over(model: keras.Model, backbone: Backbone, path: Path) -> None:
    """Copy a backbone into a RAN, and log what was and was not taken over."""
    try:
        taken = take_over(model, backbone)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    for line in taken.done:
        log.info("%s: %s", path, line)
    for line in taken.warnings:
        log.warning("%s: %s", path, line)


class Interrupted(Stopped):
    """Training was stopped by a signal and has saved its state; the message says after which step."""


class Checkpoint(keras.callbacks.Callback):
    """Saves and restores the whole state of a training run.

    The state consists of every variable of the model (including seed generators), the optimizer and the metrics;
    `more_variables`; epoch and step; the numeric state of the other callbacks; and the history. Put this callback LAST
    in the list, so that it restores the others after they reset themselves at the beginning of `fit`.

    Args:
        run: run folder.
        callbacks: the other callbacks, in the order of `fit`.
        every: training steps between two checkpoints.
        history: list of rows, one dict per epoch, that the log callback fills.
        interrupted: called after each step; if it returns the number of a signal, the state is saved and Interrupted
            is raised.
        more_variables: further variables to save, such as the moving average.
        writes: whether this process writes the file; of several one does.
    """

    def __init__(
        self,
        run: str | Path,
        callbacks: Sequence[keras.callbacks.Callback],
        every: int,
        history: list[dict[str, Any]],
        interrupted: Callable[[], int | None],
        more_variables: Sequence[keras.Variable] = (),
        writes: bool = True,
    ) -> None:
        super().__init__()
        self.more_variables, self.writes = more_variables, writes
        self.path, self.others, self.every = Path(run) / layout.LATEST, callbacks, every
        self.history, self.interrupted = history, interrupted
        self.epoch = self.step = self.first_step = 0
        self.ended, self.state = False, {}

    def read(self, model: keras.Model) -> None:
        """Restore variables, epoch, step and history.

        Raises:
            MissingFileError, UserError: see `read_state`; also for the state of another model.
        """
        arrays, meta = read_state(self.path)
        variables = [*_variables(model), *self.more_variables]
        described = [[variable.path, list(variable.shape)] for variable in variables]
        if _strip_numbers(described) != _strip_numbers(meta["variables"]):
            raise UserError(
                f"{self.path} holds the state of another model or optimizer: expected {len(described)} variables as "
                f"the recipe makes them, got {len(meta['variables'])} of other names or shapes"
            )
        for variable, value in zip(variables, arrays[: len(variables)], strict=True):
            variable.assign(value)
        self.epoch, self.step, self.first_step = meta["epoch"], meta["step"], meta["step"]
        self.history[:] = meta["history"]
        self.metrics = arrays[len(variables) :]
        self.ended, self.state = meta.get("ended", False), meta
        self._restore_callbacks()

    def write(self) -> None:
        """Save the state.

        Raises:
            DivergedError: a variable is nan or infinite; the previous checkpoint stays.
        """
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()  # inside `fit` the model's variables do not hold the current values
        variables, metrics = [*_variables(self.model), *self.more_variables], self.model.metrics_variables
        self.state = {
            "epoch": self.epoch,
            "step": self.step,
            "ended": self.ended,
            "history": self.history,
            "variables": [[variable.path, list(variable.shape)] for variable in variables],
            "callbacks": [_callback_state(callback) for callback in self.others],
        }
        values = [np.asarray(keras.ops.convert_to_numpy(variable)) for variable in [*variables, *metrics]]
        for variable, value in zip(variables, values, strict=False):  # the metrics may be nan
            if not np.isfinite(value).all():
                raise DivergedError(
                    f"{variable.path} is nan or infinite {self._position()}, so no checkpoint was written; a "
                    f"smaller learning rate or context_activation=tanh often cures it"
                )
        if not self.writes:
            return
        with files.replace(self.path) as temporary:
            arrays: dict[str, Any] = {f"v{i:05d}": value for i, value in enumerate(values)}
            np.savez(temporary, meta=np.array(json.dumps(self.state)), count=len(variables), **arrays)

    def on_train_begin(self, logs: Any = None) -> None:
        self._restore_callbacks()

    def _restore_callbacks(self) -> None:
        for callback, numbers in zip(self.others, self.state.get("callbacks", []), strict=False):
            for name, value in numbers.items():
                setattr(callback, name, value)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch
        if self.first_step:  # `fit` has just reset the metrics, which were in the middle of the epoch
            for variable, value in zip(self.model.metrics_variables, self.metrics, strict=True):
                variable.assign(value)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        before, self.step = self.step, self.first_step + batch + 1
        if batch + 1 >= self.params["steps"]:
            return  # validation belongs to the epoch, so the state is saved at its end, not after its last step
        number = self.interrupted()
        if number is not None or self.step // self.every > before // self.every:
            self.write()
        if number is not None:
            raise Interrupted(self._position(), number)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epoch, self.step, self.first_step = epoch + 1, 0, 0
        self.ended = self.model.stop_training
        self.write()
        if (number := self.interrupted()) is not None:
            raise Interrupted(self._position(), number)

    def _position(self) -> str:
        return f"in epoch {self.epoch + 1}, after step {self.step}" if self.step else f"after epoch {self.epoch}"


def read_state(path: Path) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Read a checkpoint.

    Returns:
        (values of all variables, {"epoch", "step", "history", "variables", ...}).

    Raises:
        MissingFileError: there is no checkpoint.
        UserError: the checkpoint is damaged.
    """
    if not path.exists():
        raise MissingFileError(f"{path} is missing: this run has no checkpoint to resume from")
    content = archives.read_npz(path)
    try:
        meta = files.parse_json(str(content.get("meta", "")))
    except files.NOT_JSON as error:
        raise UserError(f"{path} is damaged: its `meta` is not JSON: {reason(error)}") from error
    if not isinstance(meta, dict):
        raise UserError(f"{path} is damaged: expected an object as its `meta`, got {reprlib.repr(meta)}")
    if missing := {"epoch", "step", "history", "variables"} - set(meta):
        raise UserError(f"{path} is damaged: it lacks {', '.join(sorted(missing))}")
    arrays = [content[name] for name in sorted(content) if name.startswith("v")]
    shapes = [list(value.shape) for value in arrays]
    if shapes[: len(meta["variables"])] != [shape for _, shape in meta["variables"]]:
        raise UserError(f"{path} is damaged: its arrays differ from the shapes that it lists")
    return arrays, meta


def read_recipe(run: str | Path) -> Recipe:
    """The recipe of a run.

    Raises:
        MissingFileError: there is no recipe.json.
        UserError: recipe.json is damaged, or is not the recipe of a run.
    """
    path = Path(run) / layout.RECIPE
    content = files.read_json(path)
    if missing := [name for name in ("options", "augmentation") if not isinstance(content.get(name), dict)]:
        raise UserError(f"{path} is not the recipe of a run: it lacks {', '.join(missing)}")
    try:
        return Recipe.from_json(content)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _variables(model: keras.Model) -> list[keras.Variable]:
    return [*model.variables, *model.optimizer.variables]


def _strip_numbers(described: list[list[Any]]) -> list[list[Any]]:
    """Remove the numbers that Keras adds to names, which count all layers made so far in a process."""
    return [[re.sub(r"_\d+(?=[_/]|$)", "", path), shape] for path, shape in described]


def _callback_state(callback: keras.callbacks.Callback) -> dict[str, Any]:
    return {name: _plain(getattr(callback, name)) for name in _CALLBACK_STATE if hasattr(callback, name)}


def _plain(value: Any) -> float | int | None:
    return value if value is None else float(value) if isinstance(value, (float, np.floating)) else int(value)
