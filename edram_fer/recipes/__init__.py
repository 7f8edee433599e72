"""One file per experiment, with its differences from the defaults; the docstring has command, source and protocol."""
