"""What training does beside the steps: it stops at a loss that is not finite, keeps the best model, logs and warns."""

import csv
import logging
import time
from pathlib import Path

import keras
import numpy as np

from edram_fer import files
from edram_fer.attention.windows import COLLAPSED
from edram_fer.errors import DivergedError
from edram_fer.run import checkpoints, layout
from edram_fer.training.metrics import DominantClassShare

log = logging.getLogger(__name__)
ONE_CLASS = 0.99  # share of the validation images


class Progress(keras.callbacks.ProgbarLogger):
    """Keras' progress bar, which counts to the last epoch of the run: a resumed `fit` may only end the one in hand.

    It shows loss and accuracy only, so that it fits a line of a terminal: history.csv has the rest.
    """

    SHOWN = ("loss", "emotion_accuracy", "val_loss", "val_emotion_accuracy")

    def __init__(self, epochs):
        super().__init__()
        self.all_epochs = epochs

    def set_params(self, params):
        super().set_params({**params, "epochs": self.all_epochs})

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, self._shown(logs))

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, self._shown(logs))

    def _shown(self, logs):
        return {name: logs[name] for name in self.SHOWN if name in logs}


class NanGuard(keras.callbacks.Callback):
    """Ends training at the first loss of a step or a validation that is not finite, before it reaches a checkpoint."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps  # of a whole epoch: `fit` may have begun in the middle of one

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self._check("loss", logs["loss"], f"step {self.steps - self.params['steps'] + batch + 1}")

    def on_epoch_end(self, epoch, logs=None):
        self._check("validation loss", logs["val_loss"], f"after step {self.steps}")

    def _check(self, name, loss, step):
        if not np.isfinite(float(loss)):
            raise DivergedError(
                f"the {name} became {float(loss)} in epoch {self.epoch + 1}, {step}; a smaller learning rate or "
                f"context_activation=tanh often cures it"
            )


class Best(keras.callbacks.Callback):
    """Keeps model.keras: the weights of the best epoch so far."""

    def __init__(self, run, monitor, mode):
        super().__init__()
        self.path, self.monitor = Path(run) / layout.MODEL, monitor
        self.sign = 1 if mode == "max" else -1
        self.best = -self.sign * np.inf

    def on_epoch_end(self, epoch, logs=None):
        if self.sign * (logs[self.monitor] - self.best) > 0:
            self.best = float(logs[self.monitor])
            checkpoints.save(self.model, self.path)


class Log(keras.callbacks.Callback):
    """Writes history.csv after each epoch and warns when the glimpses collapse or the model knows one class only.

    Args:
        run, history: the folder; the rows so far.
        fixed_first: the first window is the same for all images; predefined: all may be, and nothing is wrong with that.
    """

    def __init__(self, run, history, fixed_first, predefined=False):
        super().__init__()
        self.path, self.history = Path(run) / layout.HISTORY, history
        self.fixed_first, self.predefined = fixed_first, predefined
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
        self._tell_glimpses(logs)
        self._warn(logs)
        self._warn_of_one_class(logs)

    def _tell_glimpses(self, logs):
        """Mean and standard deviation over the validation images: centre in [-1, 1], zoom as a share of the side."""
        for step in _steps(logs):
            told = [logs[f"val_{name}_{step}{end}"] for name in ("x", "y", "zoom") for end in ("", "_sd")]
            log.info("glimpse %d: x %.2f ± %.2f, y %.2f ± %.2f, zoom %.2f ± %.2f", step, *told)

    def _warn_of_one_class(self, logs):
        if (share := logs[f"val_emotion_{DominantClassShare.NAME}"]) > ONE_CLASS:
            log.warning(
                "the model has fallen into one class: it calls %.1f %% of the validation images the same (accuracy "
                "%.4f); a smaller learning rate often cures it",
                *(100 * share, logs["val_emotion_accuracy"]),
            )

    def _warn(self, logs):
        steps = _steps(logs)
        if len(steps) < 2 or self.predefined:
            return  # one fixed window, or a model that does not glimpse again
        for step in steps[1 if self.fixed_first else 0 :]:
            spread = np.sqrt((logs[f"val_x_{step}_sd"] ** 2 + logs[f"val_y_{step}_sd"] ** 2) / 2)
            if spread < COLLAPSED:
                log.warning(
                    "glimpse %d has collapsed: its centre scatters by %.4f (of [-1, 1]) over the validation images, "
                    "less than %.2f: it looks at the same place on every face",
                    *(step, spread, COLLAPSED),
                )


def _steps(logs):
    """Numbers of the windows that validation tells of."""
    return [int(name.removeprefix("val_x_")) for name in logs if name.startswith("val_x_") and name[6:].isdigit()]
