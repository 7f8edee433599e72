"""python evaluate.py RUN [--split test]: the same as `edram-fer evaluate`."""

import sys

from edram_fer.cli import main

if __name__ == "__main__":
    main(["evaluate", *sys.argv[1:]])
