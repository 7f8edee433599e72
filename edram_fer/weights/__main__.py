"""python -m edram_fer.weights RUN NAME: the model of a run among those that come with the package."""

import sys

from edram_fer import checkpoints, weights

weights.halve(checkpoints.path_of(sys.argv[1]), weights.path_of(sys.argv[2]))
