"""Training callbacks: stop at a loss that is not finite, keep the best model, write the history, warn of collapse."""

import itertools
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from edram_fer import files
from edram_fer.attention.windows import COLLAPSED
from edram_fer.errors import DivergedError
from edram_fer.run import checkpoints, layout
from edram_fer.training.metrics import DominantClassShare

log = logging.getLogger(__name__)
ONE_CLASS = 0.99  # share of the validation images predicted as one class, from which the model counts as collapsed

Logs = Any  # {name: value}; Keras declares None as the default, but always passes a dict


class LossNames(keras.callbacks.Callback):
    """Renames losses in the logs of an epoch, for all subsequent callbacks.

    Keras names each loss after its output; history.csv and `monitor` use the names of the recipe.

    Args:
        names: Output -> name of its loss; other losses keep their names.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        super().__init__()
        self.names = {
            f"{part}{output}_loss": f"{part}{name}_loss" for output, name in names.items() for part in ("", "val_")
        }

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        for old in [name for name in self.names if name in logs]:  # in a fixed order: it is that of the columns
            logs[self.names[old]] = logs.pop(old)


class Progress(keras.callbacks.ProgbarLogger):
    """Keras' progress bar, counting to the last epoch of the run; a resumed `fit` may end with the current epoch.

    It shows only loss and accuracy, to fit on one line of a terminal; history.csv has the rest.

    Args:
        epochs: Number of epochs of the run.
    """

    SHOWN = ("loss", "emotion_accuracy", "val_loss", "val_emotion_accuracy")

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.all_epochs = epochs

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params({**params, "epochs": self.all_epochs})

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        super().on_train_batch_end(min(batch, self.target - 1), self._select(logs))

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        super().on_epoch_end(epoch, self._select(logs))

    def _select(self, logs):
        return {name: logs[name] for name in self.SHOWN if name in logs}


class Calls(keras.callbacks.Callback):
    """With several steps a call, ends the last call of an epoch at the end of the epoch.

    Keras would go on with batches of the next epoch, because the batches are endless, and pass callbacks the number of
    a step that does not exist.

    Args:
        model: A model with a train function, made with `steps_per_execution` > 1.
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self.begin, inner = 0, model.train_function

        def call(*arguments):
            *state, iterator = arguments  # on TensorFlow there is no state
            return inner(*state, itertools.islice(iterator, self.params["steps"] - self.begin))

        model.train_function = call

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self.begin = batch


class NanGuard(keras.callbacks.Callback):
    """Ends training with a DivergedError as soon as the loss of a step or of a validation is not finite, before it
    reaches a checkpoint.

    Args:
        steps: Steps in a whole epoch; `fit` may have started in the middle of an epoch.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        step = min(self.steps - self.params["steps"] + batch + 1, self.steps)
        self._check("loss", logs["loss"], f"step {step}")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._check("validation loss", logs["val_loss"], f"after step {self.steps}")

    def _check(self, name, loss, step):
        if not np.isfinite(float(loss)):
            raise DivergedError(
                f"the {name} became {float(loss)} in epoch {self.epoch + 1}, {step}; a smaller learning rate or "
                f"context_activation=tanh often helps"
            )


class Best(keras.callbacks.Callback):
    """Keeps model.keras: the model of the best epoch so far.

    Args:
        run: The run folder.
        monitor: The logged quantity that determines the best epoch.
        mode: "max" or "min": which values are better.
        writes: Whether this process writes the file; of several one does.
    """

    def __init__(self, run: Path | str, monitor: str, mode: Literal["max", "min"], writes: bool = True) -> None:
        super().__init__()
        self.writes = writes
        self.path, self.monitor = Path(run) / layout.MODEL, monitor
        self.sign = 1 if mode == "max" else -1
        self.best = -self.sign * np.inf

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.sign * (logs[self.monitor] - self.best) > 0:
            self.best = float(logs[self.monitor])
            if self.writes:
                checkpoints.save(self.model, self.path)


class Log(keras.callbacks.Callback):
    """Writes history.csv after each epoch and warns of collapsed glimpses and of a model that predicts one class.

    Args:
        run: The run folder.
        history: One dict for each epoch so far; it grows by one after each epoch.
        fixed_first: Whether the first window is the same for all images by design.
        predefined: Whether all windows may be the same for all images by design.
        writes: Whether this process writes the file; of several one does.
    """

    def __init__(
        self,
        run: Path | str,
        history: list[dict[str, Any]],
        fixed_first: bool,
        predefined: bool = False,
        writes: bool = True,
    ) -> None:
        super().__init__()
        self.writes = writes
        self.path, self.history = Path(run) / layout.HISTORY, history
        self.fixed_first, self.predefined = fixed_first, predefined
        self.begin = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self.begin = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        row = {"epoch": epoch + 1, "seconds": round(time.monotonic() - self.begin, 2)}
        row["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self.history.append({**row, **{name: float(value) for name, value in logs.items()}})
        if self.writes:
            files.write_csv(self.path, self.history)
        self._log_glimpses(logs)
        self._warn_of_collapse(logs)
        self._warn_of_one_class(logs)

    def _log_glimpses(self, logs):
        """Mean and standard deviation over the validation images: centre in [-1, 1], zoom as a share of the side."""
        for glimpse in _glimpses(logs):
            values = ((name, f"val_glimpse_{glimpse}_{name}") for name in ("x", "y", "zoom"))
            parts = [f"{name} {logs[key]:z.2f} ± {logs[f'{key}_sd']:.2f}" for name, key in values]
            log.info("glimpse %d: %s", glimpse, ", ".join(parts))

    def _warn_of_one_class(self, logs):
        if (share := logs[f"val_emotion_{DominantClassShare.NAME}"]) > ONE_CLASS:
            log.warning(
                "the model has collapsed to one class: it predicts the same for %.1f %% of the validation images "
                "(accuracy %.4f); a smaller learning rate often helps",
                *(100 * share, logs["val_emotion_accuracy"]),
            )

    def _warn_of_collapse(self, logs):
        glimpses = _glimpses(logs)
        if len(glimpses) < 2 or self.predefined:
            return  # one fixed window, or a model that looks only once
        for glimpse in glimpses[1 if self.fixed_first else 0 :]:
            variances = [logs[f"val_glimpse_{glimpse}_{axis}_sd"] ** 2 for axis in ("x", "y")]
            if (spread := np.sqrt(np.mean(variances))) < COLLAPSED:
                log.warning(
                    "glimpse %d has collapsed: the spread of its centre over the validation images is %.4f (in "
                    "[-1, 1]), less than %.2f: it looks at the same position on every face",
                    *(glimpse, spread, COLLAPSED),
                )


def _glimpses(logs):
    """Numbers, from 1, of the windows whose statistics the logs of the validation hold."""
    start, end = "val_glimpse_", "_x"
    return [int(name[len(start) : -len(end)]) for name in logs if name.startswith(start) and name.endswith(end)]
