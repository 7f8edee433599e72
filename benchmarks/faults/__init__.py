"""What kills, signals, full disks and the like do to the commands; `python -m benchmarks.faults --help`."""
