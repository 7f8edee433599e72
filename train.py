"""python train.py RECIPE [--set key=value], or --resume RUN: the same as `edram-fer train`."""

import sys

from edram_fer.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
