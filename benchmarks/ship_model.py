"""Put the model of a run among those that the package ships, with its weights in float16.

python -m benchmarks.ship_model RUN NAME
"""

import sys

from edram_fer import keras_file, weights
from edram_fer.run import checkpoints

keras_file.strip(checkpoints.model_path(sys.argv[1]), weights.model_path(sys.argv[2]), half=True)
