"""One file per experiment with its differences from the defaults; its docstring gives command, source and protocol."""
