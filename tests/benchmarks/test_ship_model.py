"""Shipping a run's model: what its card says about the command."""

from benchmarks.ship_model import _without_folders


def test_folders_of_the_machine_are_left_out():
    command = "train.py demo --out runs/a --set 'guide=()' --data-dir=/home/me/data --data-dir data --quiet"
    assert _without_folders(command) == "train.py demo --set 'guide=()' --quiet"
