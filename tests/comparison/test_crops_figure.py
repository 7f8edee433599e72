"""Crops in the order of their weights, for one run or several; the runs that have no such figure are told why."""

import matplotlib.text
import numpy as np
import pytest
from support.fake_runs import COUNT, EMOTIONS, npz_file, random_outputs, random_run, write_run

from edram_fer import attention, cli
from edram_fer.comparison.crops import crops
from edram_fer.figures import crops as figure
from edram_fer.figures import run as figures_of_a_run
from edram_fer.models.region_attention.crops import FIXED, matrix

CROPS = np.stack([np.eye(2, 3), *map(matrix, FIXED["fixed5"])])


def weighted_outputs(truth, seed=0, windows=CROPS):
    """Answers of a model that weighs the crops anew for each image."""
    outputs, random = random_outputs(truth, len(windows), 1, seed), np.random.default_rng(seed)
    weights = random.dirichlet(np.full(len(windows), 9), len(truth)).astype(np.float32)
    return {**outputs, "windows": np.tile(windows, (len(truth), 1, 1, 1)).astype(np.float32), "weights": weights}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folder of runs a and b that weigh crops, one with a single window, recurrent, and other with other data."""
    root = tmp_path_factory.mktemp("runs")
    images, outputs = random_run()
    data = npz_file(root / "faces.npz", images)
    truth = images["emotion"]
    write_run(root / "a", images, weighted_outputs(truth, 1), data=data)
    write_run(root / "b", images, weighted_outputs(truth, 2), data=data)
    write_run(root / "one", images, random_outputs(truth, 1, 1), data=data)
    write_run(root / "recurrent", images, outputs, data=data)
    write_run(root / "other", images, weighted_outputs(truth), data="elsewhere")
    return root


def texts(crops):
    return [text.get_text() for text in crops.findobj(matplotlib.text.Text) if text.get_text()]


def test_windows_are_named_by_their_places():
    fixed = ["face", "upper left", "upper right", "lower middle", "middle, 90%", "middle, 85%"]
    assert attention.names(CROPS) == fixed
    left, left_too = matrix((0, 0.3, 0.4, 0.7)), matrix((0.05, 0.3, 0.45, 0.7))
    assert attention.names([left, left_too, matrix((0.6, 0, 1, 1))]) == ["left, 40% (1)", "left, 40% (2)", "right"]
    turned = np.array([[0, -0.5, 0], [0.5, 0, -0.5]])  # its entries a0 and a4 are 0
    assert attention.names([turned]) == ["upper middle"]


def test_crops_stand_in_the_order_of_their_weights_for_the_same_faces():
    images, _ = random_run()
    truth = np.array(EMOTIONS)[images["emotion"]]
    predicted = np.where(np.arange(COUNT) % 2, truth, "happy")
    rows = figure.one_per_class(truth, predicted, EMOTIONS)
    assert [(truth[row], bool(predicted[row] == truth[row])) for row in rows] == [
        ("neutral", True),
        ("neutral", False),
        ("happy", True),
        ("sad", True),
        ("sad", False),
    ]
    weighted_runs = [weighted_outputs(images["emotion"], 1), weighted_outputs(images["emotion"], 2, CROPS[:3])]
    crops = figure.crops(
        images["image"][rows],
        truth[rows],
        [
            figure.WeightedFaces(
                title, run["windows"][rows], run["weights"][rows], predicted[rows], np.full(len(rows), 0.5)
            )
            for title, run in zip(("without", "with"), weighted_runs)
        ],
    )
    labels = texts(crops)
    assert len(crops.axes[0].images) == len(rows) * (1 + 6 + 3)
    assert {"without", "with"} <= set(labels)
    shown = [float(text) for text in labels if text.startswith("0.")]
    expected = [np.sort(run["weights"][row])[::-1] for run in weighted_runs for row in rows]
    np.testing.assert_allclose(shown, np.concatenate(expected), atol=5.1e-4)
    names = [text for text in labels if text in attention.names(CROPS)]
    assert names[:6] == [attention.names(CROPS)[i] for i in np.argsort(-weighted_runs[0]["weights"][rows[0]])]
    assert labels.count("✓ happy\n50%") == 2 and labels.count("✗ happy\n50%") == 4


def test_one_run_or_several_are_drawn(runs, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(
            [
                "crops",
                str(runs / "a"),
                str(runs / "b"),
                "--out",
                str(tmp_path / "two.svg"),
                "--title",
                "without",
                "--title",
                "with",
                "--image",
                "3",
                "--split",
                "test",
            ]
        )
    assert not end.value.code and "two.svg" in capsys.readouterr().out
    assert (tmp_path / "two.svg").stat().st_size > 5000
    assert crops([runs / "a"], tmp_path / "one.png", image_ids=["3"]).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["a", "one"], {}, "one: expected a model that weighs several windows of an image, got one window"),
        (["recurrent"], {}, "recurrent: expected .*, got a recurrent model, whose 3 glimpses"),
        (["a", "other"], {}, "data set: .*a has .*faces.npz, .*other has elsewhere; expected the same"),
        (["a"], {"image_ids": ["x"]}, "image: 'x' is not among the 40 of split test, such as '0'"),
        (["a"], {"titles": ["x", "y"]}, "titles: expected one for each of 1 runs, got 2"),
        (["a"], {"split": "train"}, "a was not evaluated on split 'train', only on test"),
    ],
)
def test_what_cannot_be_drawn_is_told(runs, tmp_path, names, options, message):
    with pytest.raises(ValueError, match=message):
        crops([runs / name for name in names], tmp_path / "x.png", **options)
    with pytest.raises(ValueError, match="out: expected a file that ends in .png, .svg, .pdf"):
        crops([runs / "a"], tmp_path / "x.txt")
    assert not list(tmp_path.iterdir())


def test_the_figures_of_a_run_have_it_where_weights_differ(tmp_path, monkeypatch):
    monkeypatch.setattr(figures_of_a_run, "save", lambda drawn, path: path)  # named, not made: that is tested elsewhere
    images, _ = random_run()
    different = weighted_outputs(images["emotion"])
    for weights, expected in ((different["weights"], True), (np.full((COUNT, 6), np.float32(1 / 6)), False)):
        write_run(tmp_path, images, {**different, "weights": weights})
        written = figures_of_a_run.draw(tmp_path, lambda split: images)
        assert ("crops.png" in {path.name for path in written}) == expected
