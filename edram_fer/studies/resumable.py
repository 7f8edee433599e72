"""A long calculation in steps, whose state is saved in one file, so that it can resume after an interruption."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from edram_fer import archives, files
from edram_fer.errors import UserError

SETTINGS, STEPS_DONE = "settings", "steps_done"
EVERY = 20.0  # seconds from one save to the next


class Resumable:
    """Arrays that grow step by step, saved every few seconds as an NPZ file.

        sums = Resumable(path, {"seed": 3}, lambda: {"total": np.zeros(4)})
        for step in sums.steps(100, "adding"):
            sums.arrays["total"] += work(step)

    The contribution of a step must depend only on the settings and the step's number, so that the arrays are the same
    whether or not the calculation was interrupted.

    Args:
        path: the NPZ file; besides the arrays it holds `settings` as JSON and `steps_done`, the number of steps.
        settings: JSON values that determine the result.
        begin: function that returns the arrays before the first step.
        restart: start again and replace the contents of the file.

    Attributes:
        arrays: {name: array}, to be changed in the steps.
        done: number of steps done.

    Raises:
        UserError: the file is damaged or was written with other settings; the message names it.
    """

    def __init__(
        self,
        path: Path | str,
        settings: Mapping[str, Any],
        begin: Callable[[], dict[str, np.ndarray]],
        *,
        restart: bool = False,
    ) -> None:
        self.path, self.settings = Path(path), json.loads(json.dumps(settings))
        self._complete = False
        if restart or not self.path.exists():
            self.arrays, self.done = begin(), 0
        else:
            self.arrays = read(self.path)
            self.done = int(self.arrays.pop(STEPS_DONE))
            self._check(json.loads(str(self.arrays.pop(SETTINGS))))

    def steps(self, total: int, description: str) -> Iterator[int]:
        """Yield the numbers of the remaining steps, under a progress bar; save between steps and at the end.

        If a step raises, the file stays as it was last saved.

        Args:
            total: number of all steps.
            description: for the progress bar.
        """
        saved = time.monotonic()
        with tqdm(total=total, initial=self.done, desc=description, disable=None) as bar:
            for step in range(self.done, total):
                yield step
                self.done = step + 1
                bar.update()
                if time.monotonic() - saved >= EVERY:
                    self.save()
                    saved = time.monotonic()
        self._complete = True
        self.save()

    def save(self) -> None:
        """Write the arrays, the settings and the number of steps done."""
        with files.replace(self.path) as temporary:
            content: dict[str, Any] = {SETTINGS: json.dumps(self.settings), STEPS_DONE: self.done, **self.arrays}
            # Not compressed before the end: zeros would shrink to less than `archives` takes for arrays.
            (np.savez_compressed if self._complete else np.savez)(temporary, **content)

    def _check(self, settings):
        differing = [key for key in {**settings, **self.settings} if settings.get(key) != self.settings.get(key)]
        if differing:
            details = ", ".join(
                f"{key}: {settings.get(key)} in the file, {self.settings.get(key)} now" for key in differing
            )
            raise UserError(
                f"{self.path} was made with other settings ({details}): use the same settings to resume it, or replace "
                f"it with --force"
            )


def read(path: Path | str) -> dict[str, np.ndarray]:
    """The arrays of a file that `Resumable` wrote, `settings` and `steps_done` among them.

    Raises:
        MissingFileError: there is no such file.
        UserError: the file is damaged or was not written by `Resumable`; the message names it.
    """
    arrays = archives.read_npz(path)
    if not {SETTINGS, STEPS_DONE} <= set(arrays):
        raise UserError(f"{path} is not the file of a calculation: it lacks `{SETTINGS}` or `{STEPS_DONE}`")
    return arrays
