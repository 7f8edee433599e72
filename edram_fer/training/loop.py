"""Training: a recipe and a prepared data set to a run folder, with Keras' own compile and fit."""

import contextlib
import logging
import signal
from pathlib import Path

import keras
import numpy as np

from edram_fer import data, files, models
from edram_fer.data.batches import Batches
from edram_fer.errors import ExistingRunError, UserError
from edram_fer.preprocessing.folder_lock import exclusive_lock
from edram_fer.run import checkpoints, environment, layout
from edram_fer.training import callbacks, losses, optimizer
from edram_fer.training.averaging import MovingAverage
from edram_fer.training.metrics import DominantClassShare, FinalAccuracy, WindowStatistics

log = logging.getLogger(__name__)


def train(recipe, run, *, data_dir=None, verbose="auto"):
    """Train from the beginning.

    Args:
        recipe: Recipe.
        run: folder to make; it must not hold a run yet.
        data_dir: where prepared data sets lie.
        verbose: of Keras' progress bar.

    Raises:
        ValueError: a bad recipe or data set; FileExistsError: `run` holds a run; NotADirectoryError: a file is in its
            place; BlockingIOError: another process trains there; FloatingPointError: the loss is nan.
        checkpoints.Interrupted: SIGTERM or Ctrl-C came; the state is saved.
    """
    run = Path(run)
    _check_free(run)
    described = data.describe(recipe.data, data_dir=data_dir)
    setting = _TrainingSetup(recipe, run, described, data_dir)  # before the folder: a bad recipe leaves no run behind
    with exclusive_lock(run / layout.CHECKPOINTS, "training"):
        _check_free(run)  # still
        environment.record(run, recipe, described, data_dir)
        files.write_json(run / layout.RECIPE, recipe.to_json())  # from here on it can be resumed
        _fit(setting, verbose)


def _check_free(run):
    """Raise FileExistsError where a run lies in the folder, NotADirectoryError where a file is in its way."""
    if (run / layout.RECIPE).exists():
        raise ExistingRunError(f"{run} already holds a run: continue it with --resume {run}, or name another folder")
    nearest = next(place for place in (run, *run.absolute().parents) if place.exists())
    if not nearest.is_dir():
        raise ExistingRunError(f"expected a folder for the run at {run}, found the file {nearest}")


def resume(run, *, data_dir=None, verbose="auto"):
    """Resume a run as if it had never been stopped: on CPU the weights will be the same, bit for bit.

    That holds in float32; in mixed_bfloat16 TensorFlow itself does not always repeat a run exactly.

    Raises as `train`, and ValueError for a damaged checkpoint, one of another model, or a data set that has changed.
    Only one process can resume a run: a second one raises BlockingIOError.
    """
    run = Path(run)
    recipe, before = checkpoints.read_recipe(run), environment.read(run)
    data_dir = before["data_dir"] if data_dir is None else data_dir
    if before.get("finished"):
        log.info("%s is finished: nothing to resume", run)
        return
    described = data.describe(recipe.data, data_dir=data_dir)
    if described["fingerprint"] != before["data"]["fingerprint"]:
        raise UserError(
            f"{recipe.data} has changed since the run began: expected fingerprint {before['data']['fingerprint']}, "
            f"found {described['fingerprint']}"
        )
    with exclusive_lock(run / layout.CHECKPOINTS, "training"):
        files.remove_leftovers(run)
        setting = _TrainingSetup(recipe, run, described, data_dir)
        if (run / layout.LATEST).exists():
            setting.checkpoint.read(setting.model)
        environment.record(run, recipe, described, data_dir)
        _fit(setting, verbose)


class _TrainingSetup:
    """What `fit` needs: model, batches, callbacks."""

    def __init__(self, recipe, run, described, data_dir):
        make_reproducible(recipe.seed)
        if recipe.schedule == "cosine" and recipe.warmup_epochs > recipe.epochs:
            log.warning(
                "the learning rate is still warming up when training ends: warmup_epochs=%g, epochs=%d; --set "
                "warmup_epochs=0 or more epochs",
                recipe.warmup_epochs,
                recipe.epochs,
            )
        self.recipe, self.run = recipe, run
        self.model = build(recipe, described)
        if recipe.initial_weights and not (self.run / layout.LATEST).exists():
            counts = checkpoints.initialise_from(self.model, recipe.initial_weights)
            log.info("%d of %d variables changed to those of %s", *counts, recipe.initial_weights)
        outputs = self.model.output_shapes
        self.training, self.validation = batches(recipe, self.model, data_dir)
        logged = compile_model(self.model, recipe, self.training)
        _make_metrics(self.model, outputs, self.validation)
        if recipe.monitor not in logged:
            raise UserError(f"monitor: expected one of {', '.join(logged)}, got {recipe.monitor!r}")
        self.history, self.stop = [], _StopRequest()
        monitor = {"monitor": recipe.monitor, "mode": "max" if recipe.monitor.endswith("accuracy") else "min"}
        self.best = callbacks.Best(run, **monitor)
        others = [
            callbacks.NanGuard(self.training.steps),
            *_schedule_callbacks(recipe),
            keras.callbacks.EarlyStopping(patience=recipe.patience, **monitor),
            callbacks.Log(
                run,
                self.history,
                fixed_first=recipe.options.get("first_glimpse") == "whole",
                predefined="emitted" not in outputs,
            ),
            self.best,
        ]
        averages = [MovingAverage(self.model, recipe.ema)] if recipe.ema else []
        saved = {"every": recipe.checkpoint_steps, "history": self.history, "interrupted": self.stop}
        more = [variable for average in averages for variable in average.variables]
        self.checkpoint = checkpoints.Checkpoint(run, others, more_variables=more, **saved)
        self.callbacks = [callbacks.Progress(recipe.epochs), *others, *averages, *_tensorboard(run), self.checkpoint]


def make_reproducible(seed):
    """Seed everything, and on TensorFlow choose the deterministic implementations."""
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def build(recipe, described):
    """The recipe's model for images as `data.describe` tells of them."""
    return models.build(
        recipe.model,
        image_size=tuple(described["image_size"]),
        channels=described["channels"],
        emotions=recipe.classes,
        preprocessing=described.get("faces"),
        dtype=recipe.dtype,
        **({"seed": recipe.seed} | recipe.options),
    )


def batches(recipe, model, data_dir):
    """(training, validation) Batches of a recipe for a model.

    Mixup and soft labels are for training; what validation counts are the data set's emotions, as in evaluation.
    """
    limit = recipe.options.get("zoom_limit")
    squashed = limit is not None and recipe.options.get("zoom_mode", "squash") == "squash"
    zoom = min(recipe.zoom_target, limit) if squashed else recipe.zoom_target
    # Keras wants a target for every output; but for the emitted matrices nothing looks at these constants.
    affect = model.predicts_affect
    told = ("emotion", "affect") if affect else ("emotion",)
    constants = {name: np.zeros((), "float32") for name in model.output_shapes if name not in told}
    if "emitted" in constants:
        constants["emitted"] = np.array([[zoom, 0, 0], [0, zoom, 0]], "float32")
    shared = {
        "classes": recipe.classes,
        "batch_size": recipe.batch_size,
        "seed": recipe.seed,
        "affect": affect,
        "guide": _guide(recipe, model),
        "landmarks": "landmarks" in model.input_shapes(),
        "constants": constants,
        "data_dir": data_dir,
    }
    learned = {"augmentation": recipe.augmentation, "mixup": recipe.mixup, "soft": recipe.labels == "soft"}
    training = Batches(recipe.data, recipe.train_split, **learned, **shared)
    return training, Batches(recipe.data, recipe.validation_split, **shared)


def _guide(recipe, model):
    """The recipe's guide. ValueError where the model has no glimpses to guide, or another number of them."""
    count = model.output_shapes["windows"][1] if "emitted" in model.output_shapes else 0
    if recipe.guide and len(recipe.guide) != count:
        raise UserError(f"guide: expected {count} names, one for each glimpse of {recipe.model}, got {recipe.guide!r}")
    return recipe.guide


def compile_model(model, recipe, training):
    """The losses for the outputs that the model has and learns, optimizer and metrics.

    Returns: the names of what `fit` will log of the validation split.
    """
    weights = losses.class_weights(training.counts) if recipe.class_weights == "sqrt" else None
    measure = recipe.options.get("zoom_measure", "entries")
    terms = {
        "emotion": (losses.EmotionLoss(weights, recipe.label_smoothing), recipe.emotion_weight),
        "affect": (losses.AffectLoss(), recipe.affect_weight),
        "emitted": (losses.LocationLoss(measure=measure), recipe.location_weight),
        "windows": (losses.GuideLoss(), recipe.guide_weight),
        "attention": (losses.RegionBiasedLoss(model.arguments.get("margin", 0.0)), recipe.region_weight),
    }
    idle = {"affect": not model.predicts_affect, "windows": not recipe.guide}
    learned = [name for name in model.output_shapes if not idle.get(name)]
    terms = {name: term for name, term in terms.items() if name in learned}
    windows = WindowStatistics(model.output_shapes["windows"][1])
    model.compile(
        optimizer=optimizer.make(recipe, training.steps, model.trainable_variables),
        loss={name: loss for name, (loss, _) in terms.items()},
        loss_weights={name: weight for name, (_, weight) in terms.items()},
        metrics={"emotion": [FinalAccuracy(), DominantClassShare(len(recipe.classes))], "windows": [windows]},
    )
    model.optimizer.build(model.trainable_variables)
    parts = [f"{name}_loss" for name in terms] if len(terms) > 1 else []
    names = ("loss", *parts, "emotion_accuracy", f"emotion_{DominantClassShare.NAME}", *windows.result())
    return [f"val_{name}" for name in names]


def _make_metrics(model, outputs, validation):
    """Make the variables of losses and metrics: Keras does at the first batch, and TensorFlow traces a step anew that
    made variables, which takes as long again; and the sums of a resumed run need a place to come back to."""
    _, targets = next(iter(validation.start()))
    count = len(targets["emotion"])
    answers = {name: np.zeros((count, *shape[1:]), "float32") for name, shape in outputs.items()}
    model.compute_loss(y=targets, y_pred=answers)
    model.compute_metrics(None, targets, answers)
    model.reset_metrics()


def _schedule_callbacks(recipe):
    if recipe.schedule != "plateau":
        return []
    lowest = recipe.min_learning_rate
    return [keras.callbacks.ReduceLROnPlateau("val_loss", 1 / recipe.plateau_divisor, patience=1, min_lr=lowest)]


def _tensorboard(run):
    try:
        import tensorboard  # noqa: F401
        import tensorflow  # noqa: F401  (Keras writes the event files through it)
    except ImportError:
        return []
    return [keras.callbacks.TensorBoard(run / layout.TENSORBOARD, write_graph=False)]


def _fit(setting, verbose):
    """The rest of a begun epoch, then whole epochs: two calls of `fit` at most."""
    recipe, checkpoint = setting.recipe, setting.checkpoint
    log.info("training on %s with %s", ", ".join(keras.distribution.list_devices()), keras.backend.backend())
    pieces = [(checkpoint.epoch, 0, recipe.epochs)]
    if checkpoint.step:
        pieces = [
            (checkpoint.epoch, checkpoint.step, checkpoint.epoch + 1),
            (checkpoint.epoch + 1, 0, recipe.epochs),
        ]
    with setting.stop.installed():
        for epoch, step, end in pieces:
            if epoch < end and not checkpoint.ended:
                setting.model.fit(
                    setting.training.start(epoch, step),
                    steps_per_epoch=setting.training.steps - step,
                    initial_epoch=epoch,
                    epochs=end,
                    shuffle=False,  # the order is the data's own
                    validation_data=setting.validation.start(),
                    callbacks=setting.callbacks,
                    verbose=verbose,
                )
    environment.finish(setting.run)
    best = setting.best
    log.info("%s: best %s %.4f; model in %s", setting.run, best.monitor, best.best, setting.run / layout.MODEL)


class _StopRequest:
    """Called: has SIGTERM or Ctrl-C come? The second Ctrl-C stops at once."""

    def __init__(self):
        self.signal = None

    def __call__(self):
        return self.signal is not None

    @contextlib.contextmanager
    def installed(self):
        def note(number, frame):
            if self.signal is not None and number == signal.SIGINT:
                raise KeyboardInterrupt
            self.signal = number
            log.warning("stopping at the next step")

        old = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)
