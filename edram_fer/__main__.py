"""python -m edram_fer: the same as `edram-fer`."""

from edram_fer.cli import main

if __name__ == "__main__":
    main()
