"""Test the wheel with one extra in a new virtual environment: train, evaluate and predict on toy data as a new user.

    python .ci/clean_environment.py jax build/dist/edram_fer-0.2.0-py3-none-any.whl

The checkout is not visible there: the commands run in an empty folder, next to files called models.py and
preprocessing.py. The first command that fails ends the script with its status.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXTRAS = ("jax", "tensorflow")
TOY = (
    *("glimpses=2", "glimpse_size=14", "glimpse_filters=(2, 2, 4, 4, 4, 4)", "context_filters=(4, 4, 8)"),
    *("glimpse_units=8", "head_units=8", "classification_units=8", "location_units=8"),
    *("data=toy.npz", "batch_size=16", "epochs=1"),
)
IMAGES = 3  # number of images to predict

SCRIPT = f'''
"""A user's script: it imports the user's own modules and the package."""
import models, preprocessing

assert models.WHOSE == preprocessing.WHOSE == "mine", models.__file__
import cv2
import edram_fer
import numpy as np
from edram_fer.figures.glimpses import draw_glimpses

folder = edram_fer.__file__
assert "site-packages" in folder, folder
rng, emotions = np.random.default_rng(0), np.array(["sad", "happy", "neutral", "anger"])
toy = {{"source": "toy", "version": "1.0.0", "fingerprint": "toy", "emotions": emotions}}
for split, count in (("train", 64), ("validation", 32), ("test", 32)):
    toy[f"{{split}}/emotion"] = np.arange(count) % len(emotions)
    toy[f"{{split}}/affect"] = rng.uniform(-1, 1, (count, 2)).astype("float32")
    toy[f"{{split}}/image"] = rng.integers(0, 256, (count, 28, 28, 1), dtype=np.uint8)
    toy[f"{{split}}/id"] = np.array([f"{{split}}-{{i}}" for i in range(count)])
np.savez("toy.npz", **toy)
for i in range({IMAGES}):
    cv2.imwrite(f"{{i}}.png", toy["test/image"][i])

model = edram_fer.load("fer2013-edram")  # included in the package
height, width, channels = model.input_shapes()["image"][1:]
faces = rng.integers(0, 256, (2, height, width, channels), dtype=np.uint8)
table = edram_fer.predict(model, faces)
assert len(table) == 2 and set(table.emotion) <= set(model.emotions), table
draw_glimpses(faces[0], table.windows[0]).savefig("glimpses.png")
print(edram_fer.__version__, folder)
'''


def main() -> None:
    """Check the wheel and the extra that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extra", choices=EXTRAS)
    parser.add_argument("wheel", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        check(arguments.extra, arguments.wheel.resolve(strict=True), Path(temporary))


class Environment:
    """A virtual environment, and an empty folder in which its commands run."""

    def __init__(self, folder: Path, backend: str) -> None:
        self.root, self.work = folder / "environment", folder / "work"
        cleared = ("PYTHON", "VIRTUAL_ENV", "MPLBACKEND")
        self.variables = {name: value for name, value in os.environ.items() if not name.startswith(cleared)}
        self.variables |= {"KERAS_BACKEND": backend, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}  # compiles faster
        self.work.mkdir(exist_ok=True)
        if not self.root.exists():
            subprocess.run([sys.executable, "-m", "venv", self.root], check=True)

    def run(self, name: str, *arguments: str | Path) -> str:
        """Run a program of the environment and return its output. If it fails, the script ends with its status."""
        program, start = self.root / ("Scripts" if os.name == "nt" else "bin") / name, time.monotonic()
        command = [str(program), *map(str, arguments)]
        process = subprocess.run(command, cwd=self.work, env=self.variables, stdout=subprocess.PIPE, text=True)
        print(f"{time.monotonic() - start:6.1f} s  {name} {' '.join(command[1:])[:120]}", flush=True)
        if process.returncode:
            print(process.stdout)
            sys.exit(process.returncode)
        return process.stdout


def check(extra: str, wheel: Path, folder: Path) -> None:
    """Install the wheel with the extra and run the first steps of a new user."""
    environment = Environment(folder, backend=extra)
    environment.run("python", "-m", "pip", "install", "--quiet", f"{wheel}[{extra}]")
    environment.run("python", "-m", "pip", "check")
    listed = environment.run("python", "-m", "pip", "list", "--format=freeze").split()
    packages = {line.partition("==")[0] for line in listed}
    assert not packages & (set(EXTRAS) - {extra}), packages
    files = (path.stat().st_size for path in environment.root.rglob("*") if path.is_file())
    megabytes = sum(files) / 1e6, wheel.stat().st_size / 1e6
    print(f"{extra}: {len(packages)} packages, {megabytes[0]:.0f} MB; the wheel itself {megabytes[1]:.1f} MB")
    use(environment, extra)


def use(environment: Environment, extra: str) -> None:
    """Run a script and then the commands, and check that all files are written."""
    work = environment.work
    for name in ("models", "preprocessing"):
        (work / f"{name}.py").write_text('WHOSE = "mine"\n')
    (work / "stranger.py").write_text(SCRIPT)
    print(environment.run("python", "stranger.py").strip())

    # A notebook's shell inherits the notebook's Matplotlib backend, which is not installed here.
    environment.variables["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    report = json.loads(environment.run("edram-fer", "doctor", "--json"))
    assert report["backend"] == extra and not report["problems"] and not report["missing"][extra], report
    options = [part for setting in TOY for part in ("--set", setting)]
    environment.run("edram-fer", "train", "forch2019", *options, "--out", "run", "--quiet")
    environment.run("edram-fer", "evaluate", "run")
    metrics = json.loads((work / "run" / "metrics.json").read_text())
    assert 0 <= metrics["splits"]["test"]["accuracy"] <= 1, metrics
    assert (work / "run" / "report.html").stat().st_size > 0
    for model in ("run", "fer2013-edram"):
        images = [f"{i}.png" for i in range(IMAGES)]
        environment.run("edram-fer", "predict", model, *images, "--detectors", "none", "--out", f"predictions-{model}")
        with open(work / f"predictions-{model}" / "predictions.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == IMAGES and {row["status"] for row in rows} == {"ok"}, rows
        assert len(list((work / f"predictions-{model}" / "images").iterdir())) == IMAGES


if __name__ == "__main__":
    main()
