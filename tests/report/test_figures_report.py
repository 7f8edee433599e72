"""Figures hold the numbers that they claim; the report is one complete page that escapes what it is given."""

import functools
import html.parser
import itertools
import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from support.fake_runs import COUNT, EMOTIONS, NASTY, SIZE, STEPS, landmarks, random_run, write_run

from edram_fer import attention, files, report
from edram_fer.attention.maps import shares
from edram_fer.evaluation import evaluate, summary
from edram_fer.figures import curves, heatmaps, multi_run, samples, style
from edram_fer.figures import run as figures_of_a_run
from edram_fer.figures.accuracy_by_glimpse import _spread_labels, accuracy_by_glimpse
from edram_fer.figures.confidence import reliability
from edram_fer.figures.confusion import confusion
from edram_fer.figures.run import draw
from edram_fer.figures.scan_paths import scan_paths
from edram_fer.report import page
from edram_fer.run import predictions
from edram_fer.run.evaluated_run import EvaluatedRun
from edram_fer.run.layout import SPLIT_FIGURES, clear_figures

RECURRENT = set(SPLIT_FIGURES) - {"crops.png"}  # of the figures of a split, those of a model that answers at each step


def history(epochs=4):
    columns = {"epoch": np.arange(epochs), "loss": np.linspace(2, 1, epochs), "val_loss": np.linspace(2, 1.5, epochs)}
    columns |= {f"{part}emotion_accuracy": np.linspace(0.2, 0.6, epochs) for part in ("", "val_")}
    columns["learning_rate"] = np.full(epochs, 1e-4)
    for step in range(1, STEPS + 1):
        for name in ("x", "y", "zoom"):
            columns |= {f"val_glimpse_{step}_{name}": np.full(epochs, 0.3)}
            columns |= {f"val_glimpse_{step}_{name}_sd": np.full(epochs, 0.01)}
    return columns


def write_history(path, columns):
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """A run with everything: three glimpses, a history, all figures, a nasty name, the report."""
    folder = tmp_path_factory.mktemp("run")
    images, outputs = random_run()
    images["landmarks"] = np.tile(landmarks(SIZE), (COUNT, 1, 1))
    write_run(folder, images, outputs, recipe=NASTY)
    write_history(folder / "history.csv", history())
    draw(folder, lambda split: images)
    report.write(folder)
    return folder


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def test_shares_are_the_mean_coverage():
    _, outputs = random_run()
    windows, weights = outputs["windows"], outputs["weights"]
    maps = shares(windows, weights, (SIZE, SIZE))
    covered = attention.coverage(windows, (SIZE, SIZE))
    np.testing.assert_allclose(maps[:-1], covered.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(maps[-1], covered.mean(axis=(0, 1)), atol=1e-6)
    total = shares(windows, weights, (SIZE, SIZE), by_step=False)
    np.testing.assert_allclose(total[0], covered.mean(axis=(0, 1)), atol=1e-6)


def test_blend_shows_the_face_where_nobody_looks():
    face, share = np.random.default_rng(0).random((5, 5, 1)), np.zeros((5, 5))
    share[2, 2] = 0.8
    mixed = heatmaps.blend(face, share, 0.8)
    np.testing.assert_allclose(mixed[0], np.repeat(face[0], 3, axis=-1))
    full = (1 - heatmaps.OPACITY) * face[2, 2] + heatmaps.OPACITY * np.array(style.HEAT(0.97)[:3])
    np.testing.assert_allclose(mixed[2, 2], full)


def test_heatmaps_have_a_tile_for_each_group_and_step():
    images, outputs = random_run()
    groups = np.array(EMOTIONS, object)[images["emotion"]]
    figure = heatmaps.heatmaps(images["image"], outputs["windows"], outputs["weights"], groups, [*EMOTIONS, "fear"])
    assert len(figure.axes[0].images) == (1 + 3) * (STEPS + 1)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "all" in texts and "fear" not in texts and f"glimpse {STEPS}" in texts
    assert "share of images" in figure.axes[1].get_ylabel()
    at_once = heatmaps.heatmaps(
        *(images["image"], outputs["windows"], outputs["weights"], groups, EMOTIONS), by_step=False
    )
    assert " ".join(at_once.axes[1].get_ylabel().split()) == "mean weight of the windows here"
    with pytest.raises(ValueError, match="no image belongs to any of fear"):
        heatmaps.heatmaps(images["image"], outputs["windows"], outputs["weights"], groups, ["fear"])


def test_a_glimpse_is_what_the_window_covers():
    image = np.random.default_rng(0).random((8, 11, 3))
    np.testing.assert_allclose(samples.glimpse(image, np.eye(2, 3), 1)[0, 0], image[:1, :1].mean(axis=(0, 1)))
    rows, columns = np.mgrid[:9.0, :9.0]
    ramp = np.stack([columns, rows], axis=-1)  # each pixel holds its own place
    window = np.array([[0.3, -0.4, 0.1], [0.2, 0.5, -0.1]])
    shown = samples.glimpse(ramp, window, size=5)
    corner_pixels = attention.corner_pixels(window, (9, 9))
    np.testing.assert_allclose([shown[0, 0], shown[0, -1], shown[-1, -1], shown[-1, 0]], corner_pixels)
    np.testing.assert_allclose(shown[2, 2], attention.pixels(attention.centres(window), (9, 9)))
    outside = samples.glimpse(ramp, np.array([[1, 0, 1.0], [0, 1, 0]]), size=9)
    assert (outside[:, 4:, 0] == 8).all()  # the border is repeated


def test_samples_are_chosen_by_what_was_said_in_the_end():
    truth = np.array(["sad", "sad", "happy", "sad"], object)
    predicted = np.array(["sad", "happy", "sad", "happy"], object)
    assert samples.choose(truth, predicted, EMOTIONS, correct=True) == [0]
    misclassified = samples.choose(truth, predicted, EMOTIONS, correct=False)
    assert len(misclassified) == 2 and misclassified[0] == 2 and misclassified[1] in (1, 3)


def test_confusion_tells_shares_and_counts():
    figure = confusion([[3, 1, 0], [0, 0, 0], [250, 0, 750]], EMOTIONS)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["75", "3", "25", "1", "0", "0", "25", "250", "0", "0", "75", "750"]  # the row of happy is empty


def test_long_names_and_many_runs_leave_room(recwarn):
    names = [f"sweeps/fer2013-edram-zoom_limit=0.{number:02d}-glimpses=6-seed={number}" for number in range(30)]
    row = {"accuracy": 0.5, "low": 0.4, "high": 0.6}
    curves = multi_run.accuracy_curves([{"run": name, "glimpses": 1, **row} for name in names], names)
    figures = [curves, confusion(np.eye(2), names[:2])]
    paths = scan_paths(
        np.zeros((4, 8, 8, 1)), [None] * 4, names[:4], columns=2, rows=["fer2013-edram-20260101-120000"] * 2
    )
    for figure in (*figures, paths):
        FigureCanvasAgg(figure).draw()
    assert not [str(warning.message) for warning in recwarn]  # of axes that collapsed
    legend, axes = curves.legends[0].get_window_extent(), curves.axes[0].get_window_extent()
    assert legend.y0 >= axes.y1 and legend.y1 <= curves.bbox.y1
    texts = [text.get_window_extent() for text in paths.axes[0].texts]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(texts, 2))


def test_an_average_over_the_views_of_a_calibrated_model_is_calibrated():
    bins = [{"low": 0.4, "high": 0.5, "images": 3, "confidence": 0.45, "accuracy": 0.4}]
    for calibrated, label in ((True, "with temperature"), (False, "not calibrated")):
        axes = reliability(bins, calibrated=calibrated).axes[0]
        assert axes.get_legend_handles_labels()[1][1] == label


def test_labels_keep_their_distance_and_order():
    placed = _spread_labels({"a": 0.5, "b": 0.501, "c": 0.499, "d": 0.9, "e": np.nan}, 0.05)
    assert list(placed) == ["c", "a", "b", "d"]
    assert (np.diff([height for _, height in placed.values()]) > 0.049).all() and placed["d"][1] == pytest.approx(0.9)
    assert accuracy_by_glimpse([0.4, 0.6], [[0.3, 0.5], [0.5, 0.7]], {"happy": [0.5, 0.8]}).axes


def test_history_is_read_or_refused(tmp_path):
    path = tmp_path / "history.csv"
    write_history(path, history())
    columns = curves.read_history(path)
    assert columns["loss"].tolist() == np.linspace(2, 1, 4).tolist()
    assert len(curves.curves(columns).axes) == 6
    assert curves._best(columns, "val_loss") == 3 and curves._best(columns, "val_emotion_accuracy") == 3
    assert curves._best({"val_loss": [1, 0.5, np.nan, 0.6]}, "val_loss") == 1 and curves._best(columns, "none") is None
    few = {name: columns[name] for name in ("epoch", "loss", "emotion_accuracy")}
    assert len(curves.curves(few).axes) == 2
    path.write_text("epoch,loss\n0,1.5\n1,\n")
    assert np.isnan(curves.read_history(path)["loss"][1])
    for text in ("", "epoch,loss\n", "epoch,loss\n0,high\n"):
        path.write_text(text)
        with pytest.raises(ValueError, match="history.csv is not a readable training history"):
            curves.read_history(path)


def test_figures_are_the_same_files_every_time(tmp_path):
    first, second = (style.save(accuracy_by_glimpse([0.4, 0.6]), tmp_path / f"{n}.svg").read_bytes() for n in "ab")
    assert first == second


def test_all_figures_of_a_run_are_drawn(complete):
    figures = {path.relative_to(complete / "figures").as_posix() for path in (complete / "figures").rglob("*.*")}
    assert figures == {"curves.svg", *(f"test/{name}" for name in RECURRENT)}
    with pytest.raises(ValueError, match="split test has 40 predictions, but 3 images were given"):
        draw(complete, lambda split: {"image": np.zeros((3, SIZE, SIZE, 1), np.uint8)})


@pytest.mark.slow
def test_each_split_has_its_own_figures(tmp_path, monkeypatch):
    """Clean parts and further splits are drawn from their own images, averages with mirror images from numbers."""
    images, outputs = random_run()
    parts = {"test": (images, outputs), "test_flip": (images, outputs), "other": random_run(seed=3)}
    parts["test"][0]["duplicate"] = np.arange(COUNT) % 4 == 0
    tables = [predictions.table(name, *part, EMOTIONS, EMOTIONS) for name, part in parts.items()]
    rows = pa.concat_tables(tables, promote_options="default")
    splits = {name: summary.scores(part, repeats=20) for name, part in evaluate._parts(rows, list(parts))}
    del splits["test"]["valence"]  # as of a data set whose first split is not rated
    write_run(tmp_path, images, outputs)
    predictions.write(rows, tmp_path / "predictions.parquet")
    identity = files.read_json(tmp_path / "metrics.json")["run"]
    files.write_json(tmp_path / "metrics.json", files.plain({"run": identity, "splits": splits}))
    run, requested = EvaluatedRun(tmp_path), []
    assert run.splits == ["test", "test_clean", "test_flip", "test_flip_clean", "other"]
    assert [run.data_split(name) for name in run.splits] == ["test", "test", "test", "test", "other"]
    assert [name for name in run.splits if run.average(name)] == ["test_flip", "test_flip_clean"]
    np.testing.assert_array_equal(run.predictions("test_clean")["windows"], outputs["windows"][~images["duplicate"]])

    def load_features(split):
        requested.append(split)
        keep = ~images["duplicate"] if split == "test_clean" else slice(None)
        return {"image": parts[run.data_split(split)][0]["image"][keep]}

    monkeypatch.setattr(figures_of_a_run, "save", functools.partial(style.save, dpi=40))  # small ones are quickly made
    written = draw(tmp_path, load_features)
    assert requested == ["test", "test_clean", "other"] and len(written) == len(set(written))
    heat = [(tmp_path / "figures" / name / "heatmaps.png").read_bytes() for name in requested]
    assert len(set(heat)) == 3 and not (tmp_path / "figures" / "test_flip" / "heatmaps.png").exists()
    assert (tmp_path / "figures" / "test_flip" / "confusion.svg").exists()
    page = Page(report.write(tmp_path))
    assert [button["id"] for button in page.all("input")] == [f"split-{index}" for index in range(1, 6)]
    assert any(word.startswith("Valence:") for word in page.words)
    ids = {image["id"] for image in page.all("img")}
    assert {
        "figure-test_clean-scan_paths",
        "figure-other-differences_steps",
        "figure-test_flip-accuracy_by_glimpse",
    } <= ids
    assert "has no landmarks" in files.read_json(tmp_path / "region_shares.json")["test"]["note"]


def test_report_is_one_complete_page(complete):
    path = complete / "report.html"
    page_parser = Page(path)
    for _, attrs in page_parser.tags:
        for name in ("src", "href", "srcset", "action", "data"):
            assert attrs.get(name, "#").startswith(("#", "data:image/"))
    assert "url(" not in path.read_text() and "@import" not in path.read_text()
    assert not page_parser.all("script") and not page_parser.all("link") and not page_parser.all("iframe")
    images = {image["id"]: image for image in page_parser.all("img")}
    names = {f"figure-test-{name.split('.')[0]}" for name in RECURRENT}
    assert set(images) == {"figure-run-curves"} | names
    assert all(len(image["alt"]) > 30 for image in images.values())
    ids = [attrs["id"] for _, attrs in page_parser.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert all(link["href"].removeprefix("#") in ids for link in page_parser.all("a"))
    assert path.stat().st_size < 3_000_000 and page_parser.all("html")[0]["lang"] == "en"


def test_report_escapes_names_and_tells_the_scores(complete):
    text = (complete / "report.html").read_text()
    assert "<script" not in text and "<b>bold" not in text and "drawn <faces>" not in text
    words = " ".join(Page(complete / "report.html").words)
    assert NASTY in words  # shown as it is, as text
    scores = json.loads((complete / "metrics.json").read_text())["splits"]["test"]
    for name in ("accuracy", "mean_class_accuracy", "macro_f1"):
        assert f"{100 * scores[name]:.1f} %" in words
        assert "{:.1f} % to {:.1f} %".format(*(100 * end for end in scores["intervals"][name])) in words
    assert f"{scores['arousal']['ccc']:.3f}" in words and "model_options.size" in words


def test_settings_are_told_by_dotted_names():
    nested = {"a": {"b": [1, 2], "c": None}, "starts": [{"command": "x"}, {"command": "y"}]}
    expected = [("a.b", "1, 2"), ("a.c", "none"), ("starts.1.command", "x"), ("starts.2.command", "y")]
    assert page._flatten(nested) == expected


@pytest.mark.parametrize("windows", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_report_of_a_model_that_is_not_recurrent(tmp_path, windows):
    images, outputs = random_run(windows=windows, steps=1)
    del outputs["affect"]
    if windows == 1:
        outputs["windows"][:] = np.eye(2, 3)
    write_run(tmp_path, images, outputs)
    written = draw(tmp_path, lambda split: images, pdf=windows == 1)
    assert windows > 1 or all(path.with_suffix(".pdf").read_bytes().startswith(b"%PDF") for path in written)
    figures = {path.name for path in written}
    assert ("heatmaps.png" in figures) == (windows == 5)
    words = " ".join(Page(report.write(tmp_path)).words)
    assert ("sees the whole image" in words) == (windows == 1)
    assert "glimpse" not in words.lower() and "The run has no training history" in words
    assert "last step" not in words and "collapsed" not in words and (" fixed" in words) == (windows == 1)


def test_report_without_images_draws_what_the_numbers_allow(tmp_path):
    write_run(tmp_path, *random_run())
    page_parser = Page(report.write(tmp_path))
    assert {image["id"] for image in page_parser.all("img")} == {
        "figure-test-accuracy_by_glimpse",
        "figure-test-early_exit",
        "figure-test-confusion",
        "figure-test-reliability",
        "figure-test-risk_coverage",
    }
    assert "edram-fer figures" in " ".join(page_parser.words)


def test_report_names_what_is_missing_or_damaged(complete, tmp_path):
    run = shutil.copytree(complete, tmp_path / "run")
    metrics = json.loads((run / "metrics.json").read_text())
    del metrics["splits"]["test"]["per_class"]
    for text, message in (
        (json.dumps(metrics), "metrics.json is incomplete: split test lacks per_class"),
        ("{}", "metrics.json holds no metrics"),
        ("not json", "metrics.json is not readable as JSON"),
    ):
        (run / "metrics.json").write_text(text)
        with pytest.raises(ValueError, match=message):
            report.write(run)
    shutil.copy(complete / "metrics.json", run)
    (run / "predictions.parquet").write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match="predictions.parquet is not a readable predictions table"):
        report.write(run)
    (run / "predictions.parquet").unlink()
    with pytest.raises(FileNotFoundError, match="predictions.parquet is missing"):
        report.write(run)
    assert (run / "report.html").read_bytes() == (complete / "report.html").read_bytes()


def test_old_figures_go_and_studies_and_strangers_stay(tmp_path):
    names = (
        "curves.svg",
        "window_ablation.svg",
        "test/confusion.svg",
        "test/confusion.pdf",
        "test/mine.png",
        "confusion.pptx",
        "talk/old/confusion.svg",
        "val/crops.png",
    )
    for name in names:
        (tmp_path / "figures" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "figures" / name).touch()
    clear_figures(tmp_path)
    assert sorted(str(path.relative_to(tmp_path / "figures")) for path in (tmp_path / "figures").rglob("*")) == [
        "confusion.pptx", "talk", "talk/old", "talk/old/confusion.svg", "test", "test/mine.png", "window_ablation.svg"
    ]  # fmt: skip
