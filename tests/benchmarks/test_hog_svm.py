"""benchmarks.hog_svm: which splits it evaluates, and its messages for invalid settings."""

import sys

import numpy as np
import pytest

pytest.importorskip("skimage")
from benchmarks import hog_svm


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """An NPZ file with three emotions (horizontal, vertical, diagonal stripes) and a subset of the test split.

    The last row of each split has no emotion.
    """
    path = tmp_path_factory.mktemp("hog") / "stripes.npz"
    y, x = np.mgrid[:16, :16]
    stripes = np.stack([np.sin(y), np.sin(x), np.sin((x + y) / 1.4)])[..., None]
    content = {"emotions": np.array(["neutral", "happy", "sad"]), "source": "s", "version": "1", "fingerprint": "f"}
    for split, count in (("train", 30), ("validation", 9), ("test", 12), ("test_occlusion", 6)):
        labels, rng = np.append(np.arange(count) % 3, -1), np.random.default_rng(count)
        noise = rng.normal(0, 0.1, (count + 1, 16, 16, 1))
        content |= {
            f"{split}/image": (127 + 80 * (stripes[labels] + noise)).clip(0, 255).astype("uint8"),
            f"{split}/emotion": labels,
            f"{split}/affect": np.full((count + 1, 2), -2, "float32"),
            f"{split}/id": np.arange(count + 1).astype(str),
        }
    np.savez(path, **content)
    return path


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["hog_svm", *map(str, arguments)])
    hog_svm.main()


def test_evaluates_every_test_split(faces, monkeypatch, capsys):
    run(monkeypatch, "--data", faces, "--cells", 4, "--costs", 1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" images")[0] for line in lines[2:]] == ["test, 12", "test_occlusion, 6"]
    assert all("accuracy 100.00%" in line for line in lines[2:])


@pytest.mark.parametrize(("arguments", "message"), [
    (("--cells", 9), "--cells: expected pixels from 1 to 8, half of the faces' side, got 9"),
    (("--cells", 4, 0), "--cells: expected pixels from 1 to 8, half of the faces' side, got 0"),
    (("--costs", -1), "--costs: expected numbers above 0, got -1"),
    (("--costs", "nan"), "--costs: expected numbers above 0, got nan"),
    (("--data", "nowhere"), "--data: unknown data set 'nowhere'"),
])  # fmt: skip
def test_invalid_settings_end_in_a_message(faces, arguments, message, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, "--data", faces, *arguments)
    assert message in capsys.readouterr().err
