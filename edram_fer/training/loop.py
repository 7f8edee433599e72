"""Training: from a recipe and a prepared data set to a run folder, with Keras' compile and fit."""

import contextlib
import dataclasses
import importlib
import logging
import signal
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from edram_fer import data, files, keras_file, models, processes
from edram_fer.data.batches import Batches
from edram_fer.devices import ONE, Count, Replicas, fastest_dtype, find_replicas
from edram_fer.errors import ExistingRunError, UserError
from edram_fer.preprocessing.folder_lock import exclusive_lock
from edram_fer.recipes.recipe import AUTO, Recipe
from edram_fer.run import checkpoints, environment, layout
from edram_fer.training import callbacks, losses, optimizer
from edram_fer.training.averaging import MovingAverage
from edram_fer.training.metrics import DominantClassShare, FinalAccuracy, WindowStatistics
from edram_fer.training.teacher import Teacher

log = logging.getLogger(__name__)
Verbose = Literal["auto", 0, 1, 2]  # values of `verbose` in Keras' `fit`


def train(
    recipe: Recipe,
    run: Path | str,
    *,
    data_dir: Path | str | None = None,
    verbose: Verbose = "auto",
    devices: Count = 1,
) -> None:
    """Train from the beginning.

    Args:
        recipe: The recipe.
        run: Folder to create; it must not hold a run yet.
        data_dir: Folder of prepared data sets.
        verbose: See Keras' `fit`.
        devices: Devices of this machine that each process uses, or "all", see `edram_fer.devices.find_replicas`. Of
            several processes only the first writes; all need the same data and, to resume, the same run folder.

    Raises:
        UserError: The recipe, the data set or the devices cannot be used.
        KilledWorkerError: Another process of the run has ended.
        ExistingRunError: `run` already holds a run, or is a file.
        FolderInUseError: Another process trains in the folder.
        OSError: The folder cannot be written.
        DivergedError: The loss became nan or infinite.
        checkpoints.Interrupted: SIGTERM or Ctrl-C was received; the state is saved.

    >>> from edram_fer.recipes import recipe
    >>> settings = ["data=faces.npz", "model=cnn", "glimpse_size=18", "guide=()", "epochs=1", "batch_size=14"]
    >>> train(recipe.override(recipe.get("demo"), settings), "runs/cnn", verbose=0)
    >>> sorted(path.name for path in Path("runs/cnn").glob("*.*"))
    ['environment.json', 'history.csv', 'model.keras', 'recipe.json']
    """
    run, writes = Path(run), processes.is_first()
    if writes:
        _check_free(run)
    described = data.describe(recipe.data, data_dir=data_dir)
    with processes.together():
        replicas = find_replicas(devices)  # before the backend computes anything
        recipe = resolve(recipe, described)
        log.info("classes: %s; %s", ", ".join(recipe.classes), recipe.dtype)
        # First: a bad recipe must not leave a run folder behind.
        setup = _TrainingSetup(recipe, run, described, data_dir, replicas)
        with _reserved(run):
            if writes:
                _check_free(run)  # again, because another process may have created the run meanwhile
                environment.record(run, recipe, described, data_dir, replicas)
                files.write_json(run / layout.RECIPE, recipe.to_json())  # from here on the run can be resumed
            _fit(setup, verbose)


def _reserved(run):
    """Reserve the run folder for the process that writes."""
    return exclusive_lock(run / layout.CHECKPOINTS, "training") if processes.is_first() else contextlib.nullcontext()


def resolve(recipe: Recipe, described: dict[str, Any]) -> Recipe:
    """Replace what a recipe leaves to the data set, its classes, and to the machine, the dtype.

    Args:
        recipe: The recipe.
        described: The result of `edram_fer.data.describe` for its data.
    """
    if recipe.dtype == AUTO:
        recipe = dataclasses.replace(recipe, dtype=fastest_dtype())
    return recipe.with_classes_of(described["emotions"])


def _check_free(run):
    """Raise an ExistingRunError if the folder holds a run or is a file, and an OSError if it cannot be written."""
    if (run / layout.RECIPE).exists():
        raise ExistingRunError(f"{run} already holds a run: continue it with --resume {run}, or name another folder")
    nearest = next(folder for folder in (run, *run.absolute().parents) if folder.exists())
    if not nearest.is_dir():
        raise ExistingRunError(f"expected a folder for the run at {run}, found the file {nearest}")
    files.check_writable(nearest)


def resume(
    run: Path | str, *, data_dir: Path | str | None = None, verbose: Verbose = "auto", devices: Count = 1
) -> None:
    """Resume a run as if it had never been stopped: on a CPU in float32 the weights are the same, bit for bit.

    This needs the same number of threads as before; with another one there is a warning. In mixed_bfloat16 TensorFlow
    itself does not always repeat a run exactly. With another number of devices or processes the weights are the same
    up to rounding.

    Args:
        run: The run folder.
        data_dir: Folder of prepared data sets; None: the folder used when the run began.
        verbose: See Keras' `fit`.
        devices: See `train`; it need not be the number with which the run began.

    Raises:
        UserError: The checkpoint is damaged or belongs to another model, or the data set or the teacher has changed.
        MissingFileError: A file of the run is missing.
        FolderInUseError, KilledWorkerError, DivergedError, OSError, checkpoints.Interrupted: See `train`.
    """
    run, writes = Path(run), processes.is_first()
    recipe, recorded = checkpoints.read_recipe(run), environment.read(run)
    paths = ("teacher", "initial_weights", "guide_fixations", "guide_layout")
    named = {name: layout.locate(run, getattr(recipe, name), folder=name == "guide_fixations") for name in paths}
    named["data"], data_dir = layout.run_data(run, data_dir=data_dir)
    recipe = dataclasses.replace(recipe, **named)
    if recorded.get("finished"):
        log.info("%s is finished: nothing to resume", run)
        return
    described, expected = data.describe(recipe.data, data_dir=data_dir), recorded["data"].get("fingerprint")
    if described["fingerprint"] != expected:
        raise UserError(
            f"{recipe.data} has changed since the run began: expected fingerprint {expected}, "
            f"found {described['fingerprint']}"
        )
    taught = recorded.get(environment.TEACHER)
    if taught and keras_file.weights_digest(checkpoints.model_path(recipe.teacher)) != taught:
        raise UserError(f"teacher: the weights of {recipe.teacher} have changed since the run began")
    for name, (then, now) in environment.other_arithmetic(run).items():
        log.warning(
            "the run was trained with %s=%s and resumes with %s, which changes the last bits of its weights; for equal "
            "weights, %s",
            name,
            then,
            now,
            environment.remedy(name),
        )
    with processes.together(), _reserved(run):
        replicas = find_replicas(devices)
        if writes:
            files.check_writable(run)
        setup = _TrainingSetup(recipe, run, described, data_dir, replicas)
        if (run / layout.LATEST).exists():
            setup.checkpoint.read(setup.model)
        if writes:
            environment.record(run, recipe, described, data_dir, replicas)
        _fit(setup, verbose)


class _TrainingSetup:
    """Everything that `fit` needs: model, batches and callbacks."""

    def __init__(self, recipe, run, described, data_dir, replicas=ONE) -> None:
        make_reproducible(recipe.seed, recipe.deterministic)
        if recipe.schedule == "cosine" and recipe.warmup_epochs > recipe.epochs:
            log.warning(
                "the learning rate is still warming up when training ends: warmup_epochs=%g, epochs=%d; --set "
                "warmup_epochs=0 or more epochs",
                recipe.warmup_epochs,
                recipe.epochs,
            )
        self.recipe, self.run, self.replicas = recipe, run, replicas
        with replicas.scope():
            self._make_model(described, data_dir)
        self._make_callbacks()

    def _make_model(self, described, data_dir):
        recipe = self.recipe
        self.model = build(recipe, described)
        if recipe.initial_weights and not (self.run / layout.LATEST).exists():
            counts = checkpoints.initialise_from(self.model, recipe.initial_weights)
            log.info("%d of %d variables initialised from %s", *counts, recipe.initial_weights)
        self.training, validation = batches(recipe, self.model, data_dir, self.replicas)
        self.validation = validation.start()
        self.model.prepare_batch = self.training.preparation()
        if recipe.teacher:
            teacher = Teacher(checkpoints.load(recipe.teacher), recipe.teacher_share, recipe.teacher_temperature)
            teacher.check(self.model)
            self.model.teacher = teacher
        logged = compile_model(self.model, recipe, self.training)
        _, targets = next(iter(self.validation))
        make_metrics(self.model, targets)
        if recipe.monitor not in logged:
            raise UserError(f"monitor: expected one of {', '.join(logged)}, got {recipe.monitor!r}")
        self.averages = [MovingAverage(self.model, recipe.ema)] if recipe.ema else []
        self.model.make_train_function()
        self.model.make_test_function()

    def _make_callbacks(self):
        recipe, run, writes = self.recipe, self.run, processes.is_first()
        self.history, self.stop = [], _StopRequest()
        monitor = {"monitor": recipe.monitor, "mode": "max" if recipe.monitor.endswith("accuracy") else "min"}
        self.best = callbacks.Best(run, **monitor, writes=writes)
        others = [
            callbacks.LossNames(losses.NAMES),
            callbacks.NanGuard(self.training.steps),
            *_schedule_callbacks(recipe),
            keras.callbacks.EarlyStopping(patience=recipe.patience, **monitor),
            callbacks.Log(
                run,
                self.history,
                fixed_first=self.model.arguments.get("first_glimpse") == "whole",
                predefined="emitted" not in self.model.output_shapes,
                writes=writes,
            ),
            self.best,
        ]
        self.checkpoint = checkpoints.Checkpoint(
            run,
            others,
            every=recipe.checkpoint_steps,
            history=self.history,
            interrupted=lambda: self.replicas.agree(self.stop()),
            more_variables=[variable for average in self.averages for variable in average.variables],
            writes=writes,
        )
        boards = _tensorboard(run) if writes else []
        calls = [callbacks.Calls(self.model)] if recipe.steps_per_call > 1 else []
        self.callbacks = [callbacks.Progress(recipe.epochs), *calls, *others, *self.averages, *boards, self.checkpoint]


def make_reproducible(seed: int, deterministic: bool = True) -> None:
    """Seed all random numbers; on TensorFlow also choose deterministic implementations, for the rest of the process."""
    keras.utils.set_random_seed(seed)
    if deterministic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def build(recipe: Recipe, described: dict[str, Any]) -> keras.Model:
    """Build the model of a recipe, see `resolve`, for the images that `data.describe` describes."""
    return models.build(
        recipe.model,
        image_size=tuple(described["image_size"]),
        channels=described["channels"],
        emotions=recipe.classes,
        preprocessing=described.get("preprocessing"),
        dtype=recipe.dtype,
        **({"seed": recipe.seed} | recipe.options),
    )


def batches(
    recipe: Recipe, model: keras.Model, data_dir: Path | str | None, replicas: Replicas = ONE
) -> tuple[Batches, Batches]:
    """(training, validation) batches of a recipe for a model.

    Mixup and soft labels apply only to training: validation uses the data set's emotions, as evaluation does.
    """
    limit = model.arguments.get("zoom_limit")
    zoom = recipe.zoom_target
    if limit is not None and model.arguments["zoom_mode"] == "squash":
        zoom = min(zoom, limit)
    affect = model.predicts_affect
    labelled = ("emotion", "affect") if affect else ("emotion",)
    # Keras needs a target for every output. All except the target of the emitted matrices are ignored.
    constants = {name: np.zeros((), "float32") for name in model.output_shapes if name not in labelled}
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
        "replicas": replicas,
    }
    varied = {"augmentation": recipe.augmentation, "mixup": recipe.mixup, "soft": recipe.labels == "soft"}
    varied["device_data"] = recipe.device_data
    training = Batches(recipe.data, recipe.train_split, **varied, **shared)
    return training, Batches(recipe.data, recipe.validation_split, **shared)


def _guide(recipe, model):
    """The recipe's guide. UserError if the model has no glimpses to guide, or a different number of glimpses."""
    count = model.output_shapes["windows"][1] if "emitted" in model.output_shapes else 0
    if recipe.guide and len(recipe.guide) != count:
        raise UserError(f"guide: expected {count} names, one for each glimpse of {recipe.model}, got {recipe.guide!r}")
    return recipe.guided


def compile_model(model: keras.Model, recipe: Recipe, training: Batches) -> list[str]:
    """Compile a model with a loss for each output that it learns, the optimizer and the metrics.

    Returns:
        The names of the quantities that `fit` will log for the validation split.
    """
    weights = None
    if recipe.class_weights != "none":
        weights = losses.class_weights(training.counts, root=recipe.class_weights == "sqrt")
    measure, form = model.arguments.get("zoom_measure", "entries"), losses.FORMS[recipe.loss_form]
    terms = {
        "emotion": (losses.EmotionLoss(weights, recipe.label_smoothing, **form["emotion"]), recipe.emotion_weight),
        "affect": (losses.AffectLoss(**form["affect"]), recipe.affect_weight),
        "emitted": (losses.LocationLoss(measure=measure, **form["emitted"]), recipe.location_weight),
        "windows": (losses.GuideLoss(recipe.guided.people), recipe.guide_weight),
        "attention": (losses.RegionBiasedLoss(model.arguments.get("margin", 0.0)), recipe.region_weight),
    }
    unused = {"affect": not model.predicts_affect, "windows": not recipe.guide}
    learned = [name for name in model.output_shapes if not unused.get(name)]
    terms = {name: term for name, term in terms.items() if name in learned}
    windows = WindowStatistics(model.output_shapes["windows"][1])
    model.compile(
        optimizer=optimizer.make(recipe, training.steps, model.trainable_variables),
        loss={name: loss for name, (loss, _) in terms.items()},
        loss_weights={name: weight for name, (_, weight) in terms.items()},
        metrics={"emotion": [FinalAccuracy(), DominantClassShare(len(recipe.classes))], "windows": [windows]},
        steps_per_execution=recipe.steps_per_call,
        # XLA, which Keras chooses on a GPU, lacks TensorFlow's operation by which a step there augments its images.
        jit_compile=False if training.on_device and keras.backend.backend() == "tensorflow" else "auto",
    )
    model.optimizer.build(model.trainable_variables)
    parts = [f"{losses.NAMES.get(output, output)}_loss" for output in terms] if len(terms) > 1 else []
    names = ("loss", *parts, "emotion_accuracy", f"emotion_{DominantClassShare.NAME}", *windows.result())
    return [f"val_{name}" for name in names]


def make_metrics(model: keras.Model, targets: dict[str, Any]) -> None:
    """Create the variables of losses and metrics of a compiled model, for the targets of one batch.

    Keras would create them in the first step, which TensorFlow would then trace twice, and a resumed run could not
    restore their sums before it.
    """
    count = len(targets["emotion"])
    predictions = {name: np.zeros((count, *shape[1:]), "float32") for name, shape in model.output_shapes.items()}
    model.compute_loss(y=targets, y_pred=predictions)
    model.compute_metrics(None, targets, predictions)
    model.reset_metrics()


def _schedule_callbacks(recipe):
    if recipe.schedule != "plateau":
        return []
    lowest = recipe.min_learning_rate
    return [keras.callbacks.ReduceLROnPlateau("val_loss", 1 / recipe.plateau_divisor, patience=1, min_lr=lowest)]


def _tensorboard(run):
    try:
        for package in ("tensorboard", "tensorflow"):  # Keras writes the event files through both
            importlib.import_module(package)
    except ImportError:
        return []
    return [keras.callbacks.TensorBoard(run / layout.TENSORBOARD, write_graph=False)]


def _fit(setup, verbose):
    """Train the rest of the current epoch, then the remaining epochs: at most two calls of `fit`."""
    recipe, checkpoint = setup.recipe, setup.checkpoint
    log.info("training on %s with %s", ", ".join(setup.replicas.names), keras.backend.backend())
    pieces = [(checkpoint.epoch, 0, recipe.epochs)]
    if checkpoint.step:
        pieces = [
            (checkpoint.epoch, checkpoint.step, checkpoint.epoch + 1),
            (checkpoint.epoch + 1, 0, recipe.epochs),
        ]
    with setup.stop.installed():
        for epoch, step, end in pieces:
            if epoch < end and not checkpoint.ended:
                setup.model.fit(
                    setup.training.start(epoch, step),
                    steps_per_epoch=setup.training.steps - step,
                    initial_epoch=epoch,
                    epochs=end,
                    shuffle=False,  # the batches are shuffled already
                    validation_data=setup.validation,
                    callbacks=setup.callbacks,
                    verbose=verbose,
                )
    if processes.is_first():
        environment.finish(setup.run)
    best = setup.best
    log.info("%s: best %s %.4f; model in %s", setup.run, best.monitor, best.best, setup.run / layout.MODEL)


class _StopRequest:
    """The number of the last SIGTERM or Ctrl-C that was received, or None; a second Ctrl-C stops immediately."""

    # Windows sends SIGBREAK for Ctrl-Break and has no other signal that stops a process gracefully.
    SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGBREAK") if hasattr(signal, name)]

    def __init__(self) -> None:
        self.signal = None

    def __call__(self) -> int | None:
        return self.signal

    @contextlib.contextmanager
    def installed(self) -> Generator[None, None, None]:
        """Handle the signals in a `with` block. Only the main thread may do this; in others, nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def handle(number, frame):
            if self.signal is not None and number == signal.SIGINT:
                raise KeyboardInterrupt
            self.signal = number
            log.warning("stopping at the next step")

        previous = {number: signal.signal(number, handle) for number in self.SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
