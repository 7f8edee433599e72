"""Add the model of a run to the models that are included in the package.

    python -m benchmarks.ship_model RUN NAME

The optimizer's state is dropped and the weights are stored in float16.
"""

import argparse
from pathlib import Path

from edram_fer import keras_file, weights
from edram_fer.run import checkpoints


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN", help="run folder or .keras file")
    parser.add_argument("name", metavar="NAME", help="name of the included model, as in `edram_fer.list_weights()`")
    options = parser.parse_args()
    keras_file.strip(checkpoints.model_path(options.run), weights.model_path(options.name), half=True)


if __name__ == "__main__":
    main()
