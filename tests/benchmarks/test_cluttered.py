"""The cluttered images, and the benchmark of faces at toy size."""

import sys

import numpy as np
import pytest

pytest.importorskip("tensorflow")
from benchmarks import cluttered_faces
from benchmarks.clutter import Scene, make_images, shaken
from benchmarks.clutter_training import TEST_STEP
from edram_fer import files
from edram_fer.evaluation import cost
from edram_fer.models.spatial_transformer import sample

FACES = Scene(canvas=60, target=(15, 20), pieces=9, piece=(4, 8), opaque=True, mirrored=True)


def gradients(count, side=20):
    """Images that differ in their level, brighter from left to right."""
    rows = np.broadcast_to(np.linspace(0, 100, side), (count, side, side))
    return (rows + 10 * np.arange(count)[:, None, None]).astype("uint8")


def test_the_window_shows_the_target_upright_or_mirrored():
    images, labels, windows = make_images((gradients(8), np.arange(8)), FACES, 0, 3, 8, each_once=True)
    assert labels.tolist() == list(range(8)) and images.shape == (8, 60, 60, 1)
    shown = np.asarray(sample(images.astype("float32"), windows[:, None], 20))[:, 0, ..., 0]
    mirrored = 0
    for glimpse, source in zip(shown, gradients(8), strict=True):
        distance = min(np.abs(glimpse - source).max(), np.abs(glimpse - source[:, ::-1]).max())
        mirrored += glimpse[0, 0] > glimpse[0, -1]
        assert distance < 6  # of 100 from left to right: a scaled target is interpolated
    assert 0 < mirrored < 8
    sides = windows[:, 0, 0] * 59 + 1
    assert sides.min() > 14.9 and sides.max() < 20.1 and len(set(sides.round())) > 2


def test_the_brighter_pixel_wins_unless_the_target_is_opaque():
    dark_on_bright = (np.stack([np.full((20, 20), 9), np.full((20, 20), 200)]).astype("uint8"), np.arange(2))
    for opaque, brightest in ((True, 9), (False, 200)):
        scene = Scene(canvas=20, target=(20, 20), pieces=40, piece=(8, 8), opaque=opaque)
        image = make_images(dark_on_bright, scene, 0, 0, 1, each_once=True)[0]
        assert image.max() == brightest and image.min() == 9


def test_an_image_depends_on_seed_and_step_alone():
    sources = (gradients(5), np.arange(5))
    images, labels, windows = make_images(sources, FACES, 1, 3, 3)
    more = make_images(sources, FACES, 1, 3, 5)  # image i does not depend on their number
    assert all(np.array_equal(few, many[:3]) for few, many in zip((images, labels, windows), more, strict=True))
    assert not np.array_equal(images, make_images(sources, FACES, 2, 3, 3)[0])
    assert not np.array_equal(images, make_images(sources, FACES, 1, TEST_STEP, 3)[0])


def test_shaken_windows_stay_near_the_true_ones():
    windows = make_images((gradients(300), np.arange(300)), FACES, 0, 0, 300)[2]
    near = shaken(windows, np.random.default_rng(0))
    zooms, offsets = near[:, 0, 0] / windows[:, 0, 0], (near - windows)[..., 2] / windows[:, :1, 0]
    assert 0.849 < zooms.min() < 0.86 and 1.19 < zooms.max() < 1.201 and np.array_equal(near[:, 0, 0], near[:, 1, 1])
    assert 0.19 < offsets.max() < 0.201 and -0.201 < offsets.min() < -0.19 and not near[:, [0, 1], [1, 0]].any()


def test_the_cnn_has_the_multiplications_that_are_asked_for():
    filters = cluttered_faces.filters_for(2e6, 64)
    model = cluttered_faces.StridedCNN(image_size=(64, 64), classes=3, filters=filters)
    assert cost.flops(model) / 2 == pytest.approx(2e6, rel=0.1)


@pytest.mark.slow
def test_trains_and_evaluates_at_toy_size(tmp_path, monkeypatch, capsys):
    data = tmp_path / "faces.npz"
    content = {"emotions": np.array(["happy", "sad"]), "source": "s", "version": "1", "fingerprint": "f"}
    for split, count in (("train", 8), ("test", 6)):
        content |= {
            f"{split}/image": gradients(count, 24)[..., None],
            f"{split}/emotion": np.append(np.arange(count - 1) % 2, -1),  # the last one has none
            f"{split}/affect": np.full((count, 2), -2, "float32"),
            f"{split}/id": np.arange(count).astype(str),
        }
    np.savez(data, **content)
    monkeypatch.setitem(cluttered_faces.EDRAM_OPTIONS, "glimpse_size", 14)

    def main(*arguments):
        monkeypatch.setattr(sys, "argv", ["cluttered_faces", *map(str, arguments), "--out", str(tmp_path / "out")])
        cluttered_faces.main()

    toy = (
        "--data",
        data,
        "--canvas",
        40,
        "--face",
        18,
        20,
        "--glimpses",
        2,
        "--steps",
        2,
        "--batch",
        4,
        "--taught",
        0.5,
    )
    main(*toy, "--model", "edram")
    assert "edram: " in capsys.readouterr().out
    main(*toy, "--model", "cnn-cut")
    result = files.read_json(tmp_path / "out" / "result.json")
    assert result["majority_error_percent"] == 40.0 and list(result["models"]) == ["edram", "cnn-cut"]
    edram = result["models"]["edram"]
    assert [len(edram[name]) for name in ("error_percent", "distance_pixels", "zoom")] == [2, 2, 2]
    assert "distance_pixels" not in result["models"]["cnn-cut"]
    stored = np.load(tmp_path / "out" / "edram.npz")
    assert stored["classes"].shape == (5, 2) and stored["windows"].shape == (5, 2, 2, 3)
    errors = 100 * (stored["classes"] != stored["labels"][:, None]).mean(axis=0)
    assert errors.tolist() == pytest.approx(edram["error_percent"])
    main(*toy, "--cost", 40, 60)
    costs = files.read_json(tmp_path / "out" / "cost.json")["costs"]
    assert [(row["canvas"], row["model"]) for row in costs] == [(40, "edram"), (40, "cnn"), (60, "edram"), (60, "cnn")]
    assert costs[0]["operations"] == pytest.approx(edram["operations"], rel=0.01)  # of seven classes instead of two
    image, windows = cluttered_faces.first_image(tmp_path / "out", result, None)
    assert image.shape == (40, 40, 1) and np.array_equal(windows, stored["windows"][0])
    main("--plot", tmp_path / "out")
    assert (tmp_path / "out" / "cluttered_faces.svg").read_text().count("<image") == 1
    with pytest.raises(SystemExit):
        main(*toy, "--seed", 1)
    assert "holds results for other images" in capsys.readouterr().err
