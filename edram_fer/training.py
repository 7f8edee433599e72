"""Training: a recipe and a prepared data set to a run folder, with Keras' own compile and fit."""

import contextlib
import csv
import logging
import signal
import time
from pathlib import Path

import keras
import numpy as np

import models
from edram_fer import checkpoints, data, environment, files, losses
from edram_fer.attention.windows import COLLAPSED
from edram_fer.metrics import FinalAccuracy, WindowStatistics

log = logging.getLogger(__name__)
UNDECAYED = ["bias", "beta", "gamma", "alpha", "emission"]


def train(recipe, run, *, data_dir=None, verbose="auto"):
    """Train from the beginning.

    Args:
        recipe: Recipe.
        run: folder to make; it must not hold a run yet.
        data_dir: where prepared data sets lie.
        verbose: of Keras' progress bar.

    Raises:
        ValueError: a bad recipe or data set; FileExistsError: `run` holds a run; FloatingPointError: the loss is nan.
        checkpoints.Interrupted: SIGTERM or Ctrl-C came; the state is saved.
    """
    run = Path(run)
    if (run / "recipe.json").exists():
        raise FileExistsError(f"{run} already holds a run: go on with --resume {run}, or name another folder")
    described = data.describe(recipe.data, data_dir=data_dir)
    setting = _Setting(recipe, run, described, data_dir)  # before the folder: a bad recipe leaves no run behind
    environment.record(run, recipe, described, data_dir)
    files.write_json(run / "recipe.json", recipe.to_json())  # from here on it can be resumed
    _fit(setting, verbose)


def resume(run, *, data_dir=None, verbose="auto"):
    """Go on with a run as if it had never been stopped: on CPU the weights will be the same, bit for bit.

    Raises as `train`, and ValueError for a damaged checkpoint, one of another model, or a data set that has changed.
    """
    run = Path(run)
    recipe, before = checkpoints.read_recipe(run), environment.read(run)
    data_dir = before["data_dir"] if data_dir is None else data_dir
    if before.get("finished"):
        log.info("%s is finished: nothing to go on with", run)
        return
    described = data.describe(recipe.data, data_dir=data_dir)
    if described["fingerprint"] != before["data"]["fingerprint"]:
        raise ValueError(
            f"{recipe.data} has changed since the run began: expected fingerprint {before['data']['fingerprint']}, "
            f"found {described['fingerprint']}"
        )
    files.remove_leftovers(run)
    setting = _Setting(recipe, run, described, data_dir)
    if (run / checkpoints.LATEST).exists():
        setting.checkpoint.read(setting.model)
        if setting.checkpoint.step:  # Keras makes the metrics, whose sums come back too, at the first batch
            setting.model.evaluate(setting.validation.start(), steps=1, verbose=0)
    environment.record(run, recipe, described, data_dir)
    _fit(setting, verbose)


class _Setting:
    """What `fit` needs: model, batches, callbacks."""

    def __init__(self, recipe, run, described, data_dir):
        make_reproducible(recipe.seed)
        self.recipe, self.run = recipe, run
        self.model = build(recipe, described)
        outputs = _output_shapes(self.model)
        self.training, self.validation = batches(recipe, outputs, data_dir)
        logged = compile_model(self.model, recipe, outputs, self.training)
        if recipe.monitor not in logged:
            raise ValueError(f"monitor: expected one of {', '.join(logged)}, got {recipe.monitor!r}")
        self.history, self.stop = [], _StopRequest()
        monitor = {"monitor": recipe.monitor, "mode": "max" if recipe.monitor.endswith("accuracy") else "min"}
        self.best = Best(run, recipe.classes, **monitor)
        others = [
            NanGuard(self.training.steps),
            *_schedule_callbacks(recipe),
            keras.callbacks.EarlyStopping(patience=recipe.patience, **monitor),
            Log(
                run,
                self.history,
                fixed_first=recipe.options.get("first_glimpse") == "whole",
                given="emitted" not in outputs,
                majority=self.validation.counts.max() / self.validation.counts.sum(),
            ),
            self.best,
        ]
        self.checkpoint = checkpoints.Checkpoint(run, others, recipe.checkpoint_steps, self.history, self.stop)
        self.callbacks = [*others, *_tensorboard(run), self.checkpoint]


def make_reproducible(seed):
    """Seed everything, and on TensorFlow choose the deterministic implementations."""
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def build(recipe, described):
    """The recipe's model for pictures as `data.describe` tells of them."""
    return models.build(
        recipe.model,
        image_size=tuple(described["image_size"]),
        channels=described["channels"],
        classes=len(recipe.classes),
        dtype=recipe.dtype,
        **({"seed": recipe.seed} | recipe.options),
    )


def batches(recipe, outputs, data_dir):
    """(training, validation) data.Batches of a recipe for a model with these `outputs`, name -> shape."""
    limit = recipe.options.get("zoom_limit")
    squashed = limit is not None and recipe.options.get("zoom_mode", "squash") == "squash"
    zoom = min(recipe.zoom_target, limit) if squashed else recipe.zoom_target
    # Keras wants a target for every output; but for the emitted matrices nothing looks at these constants.
    constants = {name: np.zeros((), "float32") for name in outputs if name not in ("emotion", "affect")}
    if "emitted" in outputs:
        constants["emitted"] = np.array([[zoom, 0, 0], [0, zoom, 0]], "float32")
    shared = {
        "classes": recipe.classes,
        "batch_size": recipe.batch_size,
        "seed": recipe.seed,
        "affect": "affect" in outputs,
        "constants": constants,
        "data_dir": data_dir,
    }
    training = data.Batches(recipe.data, recipe.train_split, augmentation=recipe.augmentation, **shared)
    return training, data.Batches(recipe.data, recipe.validation_split, **shared)


def _output_shapes(model):
    height, width = model.arguments["image_size"]
    image = keras.KerasTensor((None, height, width, model.arguments["channels"]), dtype="float32")
    return {name: output.shape for name, output in model.compute_output_spec({"image": image}).items()}


def compile_model(model, recipe, outputs, training):
    """The losses for the outputs that the model has, optimizer and metrics.

    Returns: the names of what `fit` will log of the validation split.
    """
    weights = losses.class_weights(training.counts) if recipe.class_weights == "sqrt" else None
    measure = recipe.options.get("zoom_measure", "entries")
    terms = {
        "emotion": (losses.EmotionLoss(weights, recipe.label_smoothing), recipe.emotion_weight),
        "affect": (losses.AffectLoss(), recipe.affect_weight),
        "emitted": (losses.LocationLoss(measure=measure), recipe.location_weight),
        "attention": (losses.RegionBiasedLoss(model.arguments.get("margin", 0.0)), recipe.region_weight),
    }
    terms = {name: term for name, term in terms.items() if name in outputs}
    windows = WindowStatistics(outputs["windows"][1])
    model.compile(
        optimizer=_optimizer(recipe, training.steps),
        loss={name: loss for name, (loss, _) in terms.items()},
        loss_weights={name: weight for name, (_, weight) in terms.items()},
        metrics={"emotion": [FinalAccuracy()], "windows": [windows]},
    )
    model.optimizer.build(model.trainable_variables)
    parts = [f"{name}_loss" for name in terms] if len(terms) > 1 else []
    names = ("loss", *parts, "emotion_accuracy", *windows.result())
    return [f"val_{name}" for name in names]


def _optimizer(recipe, steps):
    rate = recipe.learning_rate
    if recipe.schedule == "cosine":
        warmup = round(recipe.warmup_epochs * steps)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else rate,
            max(recipe.epochs * steps - warmup, 1),
            alpha=recipe.min_learning_rate / recipe.learning_rate,
            warmup_target=rate if warmup else None,
            warmup_steps=warmup,
        )
    if recipe.optimizer == "adam":
        return keras.optimizers.Adam(rate, global_clipnorm=recipe.clip_norm)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, global_clipnorm=recipe.clip_norm)
    optimizer.exclude_from_weight_decay(var_names=UNDECAYED)
    return optimizer


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
    return [keras.callbacks.TensorBoard(run / "tensorboard", write_graph=False)]


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
    log.info("%s: best %s %.4f; model in %s", setting.run, best.monitor, best.best, setting.run / "model.keras")


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


class NanGuard(keras.callbacks.Callback):
    """Ends training at the first loss that is not finite, before it reaches a checkpoint."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps  # of a whole epoch: `fit` may have begun in the middle of one

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        loss = float(logs["loss"])
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"the loss became {loss} in epoch {self.epoch + 1}, step "
                f"{self.steps - self.params['steps'] + batch + 1}; a smaller learning rate or context_activation=tanh "
                f"often cures it"
            )


class Best(keras.callbacks.Callback):
    """Keeps model.keras: the weights of the best epoch so far."""

    def __init__(self, run, emotions, monitor, mode):
        super().__init__()
        self.path, self.emotions, self.monitor = Path(run) / "model.keras", emotions, monitor
        self.sign = 1 if mode == "max" else -1
        self.best = -self.sign * np.inf

    def on_epoch_end(self, epoch, logs=None):
        if self.sign * (logs[self.monitor] - self.best) > 0:
            self.best = float(logs[self.monitor])
            checkpoints.save(self.model, self.path, self.emotions)


class Log(keras.callbacks.Callback):
    """Writes history.csv after each epoch and warns when the glimpses collapse or the model knows one class only.

    Args:
        run, history: the folder; the rows so far.
        fixed_first: the first window is the same for all pictures; given: all may be, and nothing is wrong with that.
        majority: share of the most frequent class of the validation split.
    """

    def __init__(self, run, history, fixed_first, given=False, majority=np.nan):
        super().__init__()
        self.path, self.history = Path(run) / "history.csv", history
        self.fixed_first, self.given, self.majority = fixed_first, given, majority
        self.begin = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        self.begin = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, "seconds": round(time.monotonic() - self.begin, 2)}
        row["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.history.append({**row, **{name: float(value) for name, value in logs.items()}})
        columns = list(dict.fromkeys(name for row in self.history for name in row))
        with files.replace(self.path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as target:
            writer = csv.DictWriter(target, columns)
            writer.writeheader()
            writer.writerows(self.history)
        self._warn(logs)
        self._warn_of_majority()

    def _warn_of_majority(self):
        accuracies = [row.get("val_emotion_accuracy", np.nan) for row in self.history[-2:]]
        if len(accuracies) == 2 and np.allclose(accuracies, self.majority, rtol=0, atol=1e-6):
            log.warning(
                "the validation accuracy of the last two epochs, %.4f, is the share of the most frequent class: the "
                "model seems to call every picture that; a smaller learning rate often cures it",
                self.majority,
            )

    def _warn(self, logs):
        steps = [int(name.removeprefix("val_x_")) for name in logs if name.startswith("val_x_") and name[6:].isdigit()]
        if len(steps) < 2 or self.given:
            return  # one fixed window, or a model that does not glimpse again
        for step in steps[1 if self.fixed_first else 0 :]:
            spread = np.sqrt((logs[f"val_x_{step}_sd"] ** 2 + logs[f"val_y_{step}_sd"] ** 2) / 2)
            if spread < COLLAPSED:
                log.warning(
                    "glimpse %d has collapsed: its centre scatters by %.4f (of [-1, 1]) over the validation pictures, "
                    "less than %.2f: it looks at the same place on every face",
                    *(step, spread, COLLAPSED),
                )
