"""One file per experiment: the differences from the defaults; its docstring says command, time and expected score."""
