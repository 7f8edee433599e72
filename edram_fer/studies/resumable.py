"""A long calculation in steps, whose arrays and place are kept in one file: stopped at any moment, it goes on."""

import json
import time
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from edram_fer import files
from edram_fer.errors import MissingFileError, UserError

SETTINGS, STEPS_DONE = "settings", "steps_done"
EVERY = 20.0  # seconds from one save to the next


class Resumable:
    """Arrays that grow step by step, saved every few seconds as an .npz.

        sums = Resumable(path, {"seed": 3}, lambda: {"total": np.zeros(4)})
        for step in sums.steps(100, "adding"):
            sums.arrays["total"] += work(step)

    What a step adds must be a function of the settings and its number alone; then the arrays are the same whether or
    not the calculation was stopped between.

    Args:
        path: the .npz file; beside the arrays it holds `settings` as JSON and `steps_done`, the number of steps.
        settings: dict of JSON values that decide the result.
        begin: function that gives the arrays before the first step.
        restart: begin again in place of what the file holds.

    Raises ValueError, naming the file, where it is damaged or was made with other settings.
    """

    def __init__(self, path, settings, begin, *, restart=False):
        self.path, self.settings = Path(path), json.loads(json.dumps(settings))
        if restart or not self.path.exists():
            self.arrays, self.done = begin(), 0
        else:
            self.arrays = read(self.path)
            self.done = int(self.arrays.pop(STEPS_DONE))
            self._check(json.loads(str(self.arrays.pop(SETTINGS))))

    def steps(self, total, description):
        """Numbers of the steps that are left of `total`, under a progress bar; saved between steps and at the end.

        A step that raises leaves the file as it was last saved.
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
        self.save()

    def save(self):
        with files.replace(self.path) as temporary:
            text = json.dumps(self.settings)
            np.savez_compressed(temporary, **{SETTINGS: np.array(text), STEPS_DONE: np.array(self.done)}, **self.arrays)

    def _check(self, made):
        differing = [key for key in {**made, **self.settings} if made.get(key) != self.settings.get(key)]
        if differing:
            told = ", ".join(f"{key} {made.get(key)} there, {self.settings.get(key)} asked for" for key in differing)
            raise UserError(
                f"{self.path} was made with other settings ({told}): ask for its own to resume it, or "
                f"begin again in its place with --force"
            )


def read(path):
    """{name: array} of a file that `Resumable` wrote. FileNotFoundError or ValueError names it where that fails."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
    except FileNotFoundError:
        raise MissingFileError(f"{path} is missing") from None
    except Exception as error:  # whatever a damaged archive makes zipfile, zlib and NumPy raise
        raise UserError(f"{path} is not a readable .npz: {error}") from error
    if not {SETTINGS, STEPS_DONE} <= set(arrays):
        raise UserError(f"{path} is not the file of a calculation: it lacks `{SETTINGS}` or `{STEPS_DONE}`")
    return arrays
