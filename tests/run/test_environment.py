"""What environment.json says about the code of a run."""

import subprocess
from pathlib import Path

import pytest

from edram_fer.run import environment

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not in a checkout")
def test_the_revision_is_that_of_the_checkout():
    git = ["git", "rev-parse", "--short", "HEAD"]
    expected = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    assert environment._git_revision().removesuffix("+") == expected
