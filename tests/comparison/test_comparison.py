"""Runs beside each other: aligned by image, numbers compared with restatements, and what is refused."""

import csv
import dataclasses
import math
import shutil

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score
from support.fake_runs import (
    COUNT,
    EMOTIONS,
    SIZE,
    npz_file,
    random_outputs,
    random_run,
    write_occlusion,
    write_robustness,
    write_run,
    write_three_runs,
)

from edram_fer import attention, files
from edram_fer.attention import fixations
from edram_fer.comparison import agreement_tables, attention_tables, saliency, score_tables
from edram_fer.comparison.runs import read
from edram_fer.figures.multi_run import STYLES, styles
from edram_fer.run import layout, predictions

SHAPE = (SIZE, SIZE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs a and b of three glimpses, short of two, cnn without windows; b has other orders of rows and of classes."""
    root = tmp_path_factory.mktemp("runs")
    images, data = write_three_runs(root)
    turn, order = np.random.default_rng(5).permutation(COUNT), [2, 0, 1]
    outputs = {name: values[turn] for name, values in random_outputs(images["emotion"], seed=7).items()}
    outputs["probabilities"] = outputs["probabilities"][:, :, order]
    turned = {name: values[turn] for name, values in images.items()}
    write_run(root / "b", turned, outputs, data=data, emotions=[EMOTIONS[k] for k in order])
    return root


@pytest.fixture(scope="module")
def runs(folder):
    return read([folder / name for name in ("a", "b", "short", "cnn")])


def test_rows_and_classes_are_brought_into_one_order(runs, folder):
    images, _ = random_run()
    expected = random_outputs(images["emotion"], seed=7)
    assert [run.name for run in runs.runs] == ["a", "b", "short", "cnn"] and runs.split == "test"
    aligned = runs.runs[1].predictions
    assert aligned["id"].tolist() == [str(name) for name in images["id"]]
    np.testing.assert_array_equal(aligned["probabilities"], expected["probabilities"])
    np.testing.assert_array_equal(aligned["windows"], expected["windows"])
    predicted = expected["probabilities"][:, -1].argmax(-1)
    np.testing.assert_array_equal(runs.runs[1].correct, predicted == images["emotion"])
    assert [run.has_windows for run in runs.runs] == [True, True, True, False]
    assert [run.recurrent for run in runs.runs] == [True, True, True, False]
    np.testing.assert_array_equal(runs.features()["image"], images["image"])


def test_runs_that_differ_in_the_seed_alone_are_one_way_of_training(folder, tmp_path):
    images, _ = random_run()
    data = read([folder / "a", folder / "b"]).data
    folders = []
    for number, (recipe, seed) in enumerate([("x", 0), ("x", 1), ("y", 0), ("y", 1), ("y", 2), ("z", 0)]):
        run = write_run(
            tmp_path / f"{recipe}-seed={seed}", images, random_outputs(images["emotion"], seed=number), data=data
        )
        content = files.read_json(run / layout.RECIPE)
        files.write_json(run / layout.RECIPE, {**content, "name": recipe, "seed": seed})
        folders.append(run)
    runs = read(folders)
    rows = score_tables.group_rows(runs)
    assert [(row["group"], row["runs"]) for row in rows] == [("x", 2), ("y", 3), ("z", 1)]
    x, y = (np.mean([run.correct.mean() for run in part]) for part in (runs.runs[:2], runs.runs[2:5]))
    assert rows[1]["accuracy"] == pytest.approx(y) and rows[1]["difference"] == pytest.approx(y - x)
    assert rows[1]["difference_low"] < y - x < rows[1]["difference_high"] and rows[2]["low"] is None
    assert score_tables.group_rows(read(folders[1:3])) == []
    for seed in (0, None):  # the same training twice, and two exported files
        for number in (0, 1):
            content = files.read_json(folders[number] / layout.RECIPE)
            files.write_json(folders[number] / layout.RECIPE, {**content, "seed": seed})
        assert score_tables.group_rows(read(folders[:2])) == []


def test_recalls_are_tested_for_all_runs_and_emotions_together(runs):
    rows = score_tables.recall_rows(runs)
    tested = [row for row in rows if row["p"] is not None]
    assert {row["run"] for row in tested} == {"b", "short", "cnn"} and len(tested) == 3 * len(runs.present)
    smallest = min(tested, key=lambda row: row["p"])
    assert smallest["p_holm"] == pytest.approx(min(1, smallest["p"] * len(tested)))
    members = runs.truth == smallest["emotion"]
    run = next(run for run in runs.runs if run.name == smallest["run"])
    a, b = run.correct[members], runs.runs[0].correct[members]
    assert smallest["p"] == pytest.approx(binomtest(int((a & ~b).sum()), int((a ^ b).sum())).pvalue)


def test_pairs_are_mcnemar_and_a_paired_bootstrap(runs):
    truth, first = runs.truth.astype(str), runs.runs[0]
    for run, row in zip(runs.runs[1:], score_tables.pair_rows(runs, repeats=2000), strict=True):
        disagreements = [int((a & ~b).sum()) for a, b in ((run.correct, first.correct), (first.correct, run.correct))]
        assert [row["only_this_correct"], row["only_reference_correct"]] == disagreements
        tail = sum(math.comb(sum(disagreements), k) for k in range(min(disagreements) + 1)) / 2 ** sum(disagreements)
        assert row["p"] == pytest.approx(min(1, 2 * tail))
        predicted = [compared.predictions["prediction"].astype(str) for compared in (run, first)]
        for key, score in (
            ("accuracy", lambda t, p: np.mean(t == p)),
            ("mean_class_accuracy", balanced_accuracy_score),
            ("macro_f1", lambda t, p: f1_score(t, p, average="macro")),
        ):
            assert row[f"{key}_difference"] == pytest.approx(score(truth, predicted[0]) - score(truth, predicted[1]))
        gain = run.correct.astype(float) - first.correct
        ends = gain.mean() + np.array([-1.96, 1.96]) * gain.std() / math.sqrt(COUNT)
        np.testing.assert_allclose([row["accuracy_low"], row["accuracy_high"]], ends, atol=0.03)


def test_recalls_have_wilson_intervals(runs):
    rows = score_tables.recall_rows(runs)
    assert len(rows) == 4 * 3
    for row in rows[3:6]:
        run, members = runs.runs[1], runs.truth == row["emotion"]
        truth, predicted = runs.truth.astype(str), run.predictions["prediction"].astype(str)
        expected = recall_score(truth, predicted, average=None, labels=EMOTIONS)
        assert row["recall"] == pytest.approx(expected[EMOTIONS.index(row["emotion"])])
        n, share, z = members.sum(), row["recall"], 1.959964
        middle, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
        ends = [(middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)]
        np.testing.assert_allclose([row["recall_low"], row["recall_high"]], ends, atol=1e-6)


def test_maps_are_mean_coverages_and_differences_of_densities(runs):
    maps = attention_tables.maps(runs, SHAPE)
    assert list(maps) == ["a", "b", "short"] and list(maps["a"]) == ["all", *EMOTIONS]
    covered = attention.coverage(runs.runs[1].predictions["windows"], SHAPE)
    np.testing.assert_allclose(maps["b"]["all"][:-1], covered.mean(axis=0), atol=1e-6)
    happy = runs.truth == "happy"
    np.testing.assert_allclose(maps["b"]["happy"][-1], covered[happy].mean(axis=(0, 1)), atol=1e-6)
    differences = attention_tables.differences(maps)
    assert list(differences) == ["b", "short"] and list(differences["short"]["all"]) == ["mean", 1, 2]
    first = attention.coverage(runs.runs[0].predictions["windows"], SHAPE)[:, 1].mean(axis=0)
    second = covered[:, 1].mean(axis=0)
    expected = second / second.sum() - first / first.sum()
    np.testing.assert_allclose(differences["b"]["all"][2], expected, atol=1e-8)
    row = next(
        row
        for row in agreement_tables.map_agreement_rows(maps)
        if (row["other"], row["emotion"], row["glimpse"]) == ("b", "all", 2)
    )
    assert row["total_variation"] == pytest.approx(np.abs(expected).sum() / 2)
    assert row["cc"] == pytest.approx(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def test_glimpses_scatter_within_and_between(runs):
    rows = [row for row in attention_tables.glimpse_rows(runs) if row["run"] == "b"]
    assert len(rows) == (1 + 3) * 3 and not [row for row in attention_tables.glimpse_rows(runs) if row["run"] == "cnn"]
    windows = runs.runs[1].predictions["windows"]
    for row in rows:
        chosen = windows if row["emotion"] == "all" else windows[runs.truth == row["emotion"]]
        points = chosen[:, row["glimpse"] - 1, :, 2]
        assert row["images"] == len(chosen) and row["x"] == pytest.approx(points[:, 0].mean())
        assert row["spread"] == pytest.approx(np.sqrt(points.var(axis=0).mean()), rel=1e-5)
        if row["emotion"] == "all":
            assert row["variance_within"] + row["variance_between"] == pytest.approx(row["spread"] ** 2, rel=1e-5)


def test_agreement_on_the_single_image(runs, folder, tmp_path):
    shutil.copytree(folder / "a", tmp_path / "twin")
    same = read([folder / "a", tmp_path / "twin"])
    rows = {row["measure"]: row for row in agreement_tables.image_agreement_rows(same, SHAPE, repeats=20)}
    assert rows["cc"]["same"] == pytest.approx(1) and rows["sim"]["same"] == pytest.approx(1)
    assert rows["cc"]["same_minus_shuffled"] > 0.05 and rows["nss"]["same"] > rows["nss"]["shuffled"]
    rows = {
        row["measure"]: row
        for row in agreement_tables.image_agreement_rows(runs, SHAPE, repeats=20)
        if row["other"] == "b"
    }
    maps = [attention.coverage(run.predictions["windows"], SHAPE).sum(axis=1) for run in runs.runs[:2]]
    expected = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(*maps, strict=True)]
    assert rows["cc"]["same"] == pytest.approx(np.mean(expected)) and rows["cc"]["images"] == COUNT
    assert rows["cc"]["same_low"] < rows["cc"]["same"] < rows["cc"]["same_high"]
    assert agreement_tables.image_agreement_rows(runs, SHAPE, limit=9, repeats=2)[0]["images"] == 9


def test_samples_are_where_runs_agree_and_disagree(runs):
    correct = {run.name: run.correct for run in runs.runs}
    chosen = agreement_tables.samples(runs, count=2)
    assert list(chosen)[0] == "All are correct" and {"Only cnn is correct", "All are wrong"} <= set(chosen)
    for title, rows in chosen.items():
        for row in rows:
            correct_runs = {name for name in correct if correct[name][row]}
            single = title.removeprefix("Only ").removesuffix(" is correct")
            if title == "Several are correct, not all":
                assert 1 < len(correct_runs) < len(correct)
                continue
            assert correct_runs == {"All are correct": set(correct), "All are wrong": set()}.get(title, {single})
    again = agreement_tables.samples(runs, count=2)
    assert all((chosen[title] == again[title]).all() for title in chosen)
    assert any(
        (chosen[title] != other).any() for title, other in agreement_tables.samples(runs, count=2, seed=1).items()
    )


def test_samples_that_several_runs_have_right(runs):
    correct_runs = np.stack([run.correct for run in runs.runs]).sum(axis=0)
    rows = agreement_tables.samples(runs, count=1000)["Several are correct, not all"]
    assert sorted(rows) == np.flatnonzero((correct_runs > 1) & (correct_runs < len(runs.runs))).tolist()


def test_many_runs_take_neither_hours_nor_a_figure_each(runs):
    many = dataclasses.replace(runs, runs=[dataclasses.replace(runs.runs[0], name=str(index)) for index in range(9)])
    many.runs[0] = dataclasses.replace(runs.runs[1], name="0")
    chosen = agreement_tables.samples(many, count=1000)
    alone = runs.runs[1].correct & ~runs.runs[0].correct
    assert sorted(chosen["Only one is correct"]) == np.flatnonzero(alone).tolist() and len(chosen) == 4
    titles = agreement_tables.samples(dataclasses.replace(many, runs=many.runs[:8]))
    assert "Only 0 is correct" in titles and "Only one is correct" not in titles


def test_fewer_images_of_many_pairs(runs, monkeypatch):
    monkeypatch.setattr(agreement_tables, "_COMPARISONS", 60)
    monkeypatch.setattr(agreement_tables, "_FEWEST", 5)
    assert agreement_tables.image_agreement_rows(runs, SHAPE, repeats=2)[0]["images"] == 20  # of three pairs


def test_a_run_that_looks_beside_every_image(folder, tmp_path, recwarn):
    images, _ = random_run()
    outputs = random_outputs(images["emotion"], windows=1, steps=1, seed=3)
    outputs["windows"] = np.tile(np.float32([[0.2, 0, 10], [0, 0.2, 0]]), (COUNT, 1, 1, 1))
    data = read([folder / "a", folder / "b"]).data
    runs = read([folder / "a", write_run(tmp_path / "beside", images, outputs, data=data)])
    maps = attention_tables.maps(runs, SHAPE)
    differences = attention_tables.differences(maps)["beside"]["all"]
    assert all(np.isnan(difference).all() for difference in differences.values()) and set(differences) == {
        "mean",
        1,
        2,
        3,
    }
    rows = agreement_tables.image_agreement_rows(runs, SHAPE, repeats=2)
    assert all(np.isnan(row["same"]) for row in rows) and not recwarn.list
    (tmp_path / "eyes.csv").write_text("subject,image,start_x,start_y,duration\nann,1,8,8,200\n")
    people = fixations.read_for_images(tmp_path / "eyes.csv", runs.runs[0].predictions["id"], SHAPE)
    with pytest.raises(ValueError, match="beside: the windows miss all 1 images with fixations"):
        agreement_tables.human_agreement_rows(runs, people, SHAPE)


def test_regions_of_each_run(runs):
    shares = attention_tables.region_shares(runs, runs.features()["landmarks"], SHAPE, repeats=5)
    assert list(shares) == ["a", "b", "short"]
    rows = attention_tables.region_rows(shares)
    assert len(rows) == (4 + 4 + 3) * (1 + 3) * 5
    for step in (1, "all"):
        picked = [row["share"] for row in rows if (row["run"], row["emotion"], row["glimpse"]) == ("b", "sad", step)]
        assert len(picked) == 5 and sum(picked) == pytest.approx(1)
    assert attention_tables.region_shares(runs, None, SHAPE) == {}


def test_every_split_of_every_run_is_told(tmp_path):
    images, outputs = random_run()
    write_run(tmp_path / "a", images, outputs, test_pose=30, test_flip=COUNT)
    write_run(tmp_path / "b", images, random_outputs(images["emotion"], seed=7))
    rows = score_tables.split_rows(read([tmp_path / "a", tmp_path / "b"]))
    assert [(row["run"], row["split"], row["images"], row["average"]) for row in rows] == [
        ("a", "test", COUNT, None),
        ("a", "test_pose", 30, None),
        ("a", "test_flip", COUNT, "averaged with the mirror images"),
        ("b", "test", COUNT, None),
    ]
    truth, predicted = images["emotion"][:30], outputs["probabilities"][:30, -1].argmax(axis=-1)
    assert rows[1]["accuracy"] == np.mean(truth == predicted) and rows[1]["low"] < rows[1]["accuracy"] < rows[1]["high"]
    assert rows[1]["mean_class_accuracy"] == pytest.approx(balanced_accuracy_score(truth, predicted))


def test_what_each_loses_on_this_split(folder, tmp_path):
    for name in ("a", "b", "short"):
        shutil.copytree(folder / name, tmp_path / name)
    write_robustness(tmp_path / "a", (0.8, 0.6, 0.3, 0.8, 0.5))
    write_robustness(tmp_path / "b", (0.9, 0.7, 0.4, 0.9, 0.2), split="validation")
    rows = score_tables.robustness_rows(read([tmp_path / name for name in ("a", "b", "short")]))
    scores = [(row["run"], row["perturbation"], row["level"], row["accuracy"]) for row in rows]
    assert scores == [
        ("a", "occlusion", 0, 0.8),
        ("a", "occlusion", 0.5, 0.6),
        ("a", "occlusion", 1, 0.3),
        ("a", "rotation", 0, 0.8),
        ("a", "rotation", 90, 0.5),
    ]
    ends = [rows[2][key] for key in ("low", "high", "accuracy_drop", "accuracy_drop_low", "accuracy_drop_high")]
    assert ends == pytest.approx([0.25, 0.35, 0.5, 0.49, 0.52])


def test_mean_occlusion_maps_and_how_alike_they_are(folder, tmp_path):
    images, _ = random_run()
    for name in ("a", "b", "short"):
        shutil.copytree(folder / name, tmp_path / name)
    drops = np.random.default_rng(3).normal(0, 0.1, (2, 20, SIZE, SIZE)).astype(np.float32)
    drops[0, :, 5, 10] += 2
    write_occlusion(tmp_path / "a", images, drops[0])
    write_occlusion(tmp_path / "b", images, drops[1])
    write_occlusion(tmp_path / "short", images, drops[1], finished=False)
    runs = read([tmp_path / name for name in ("a", "b", "short")])
    maps = saliency.maps(runs, SHAPE)
    assert list(maps) == ["a", "b"] and maps["a"].settings["window"] == 4
    labels = images["emotion"][:20]
    means = [[drop[labels == k].mean(axis=0).ravel() for k in range(3)] for drop in drops.astype(float)]
    np.testing.assert_allclose(maps["b"].mean("sad").ravel(), means[1][2])
    np.testing.assert_allclose(maps["b"].mean("all"), drops[1].astype(float).mean(axis=0))
    row = saliency.map_rows(maps, EMOTIONS)[2]
    assert (row["run"], row["emotion"], row["images"]) == ("a", "happy", (labels == 1).sum())
    assert row["max_probability_drop"] == pytest.approx(means[0][1].max())
    assert row["mean_probability_drop"] == pytest.approx(means[0][1].mean())
    assert [row["max_x"], row["max_y"]] == pytest.approx([2 * 10 / 15 - 1, 2 * 5 / 15 - 1])
    whole, _, happy, _ = saliency.agreement_rows(maps, EMOTIONS)
    assert whole["cc_other_emotions"] is None and (happy["run"], happy["other"]) == ("a", "b")
    same, *others = (np.corrcoef(means[0][1], means[1][k])[0, 1] for k in (1, 0, 2))
    assert [happy["cc"], happy["cc_other_emotions"]] == pytest.approx([same, np.mean(others)])
    assert np.isnan(saliency.agreement_rows(maps, ["fear"])[1]["cc"])  # no image of it


def test_occlusion_maps_by_region_of_the_face(folder, tmp_path):
    images, _ = random_run()
    for name in "ab":
        shutil.copytree(folder / name, tmp_path / name)
    write_occlusion(tmp_path / "a", images, np.arange(1, 21)[:, None, None] * np.indices(SHAPE)[0] / 100)
    runs = read([tmp_path / "a", tmp_path / "b"])
    points = runs.features()["landmarks"].copy()
    points[3] = np.nan
    maps, labels = saliency.maps(runs, SHAPE), attention.regions.labels(points, SHAPE)
    rows = saliency.region_rows(maps, runs, points, SHAPE)
    assert len(rows) == 4 * 5 and saliency.region_rows(maps, runs, None, SHAPE) == []
    for number, row in enumerate(rows[:5]):
        below = [(face + 1) / 100 * np.nonzero(labels[face] == number)[0].mean() for face in range(20) if face != 3]
        assert row["images"] == 19 and row["mean_probability_drop"] == pytest.approx(np.mean(below))
    eye, _, nose, mouth, _ = (row["mean_probability_drop"] for row in rows[:5])
    assert eye < nose < mouth  # the maps grow downwards


def test_occlusion_maps_of_other_images_are_refused(folder, tmp_path):
    images, _ = random_run()
    for name in "ab":
        shutil.copytree(folder / name, tmp_path / name)
    runs = read([tmp_path / "a", tmp_path / "b"])
    write_occlusion(tmp_path / "b", images, np.zeros((4, 8, 9)))
    with pytest.raises(ValueError, match=r"b/saliency_occlusion.npz: maps of \[8, 9\] pixels, .* have \[16, 16\]"):
        saliency.maps(runs, SHAPE)
    write_occlusion(tmp_path / "b", {**images, "id": images["id"] + 38}, np.zeros((4, *SHAPE)))
    with pytest.raises(ValueError, match="b/saliency_occlusion.npz: image '40' is not among the 40 of split test"):
        saliency.maps(runs, SHAPE)
    (tmp_path / "b" / layout.OCCLUSION_MAPS).write_bytes(b"PK and then nothing")
    with pytest.raises(ValueError, match="b/saliency_occlusion.npz is damaged or not an NPZ file"):
        saliency.maps(runs, SHAPE)


def test_settings_that_differ(folder, tmp_path):
    for name in "ab":
        shutil.copytree(folder / "a", tmp_path / name)
        recipe = {"name": "x", "options": {"glimpses": 3, **({"zoom_limit": 0.4} if name == "b" else {})}}
        files.write_json(tmp_path / name / "recipe.json", recipe)
    rows = score_tables.setting_rows(read([tmp_path / "a", tmp_path / "b"]))
    assert rows == [{"setting": "options.zoom_limit", "a": None, "b": 0.4}]


def test_a_table_comes_back(tmp_path):
    files.write_csv(tmp_path / "t.csv", [{"run": 'a, "b"', "value": 0.25, "low": np.nan}, {"run": "c", "value": None}])
    with open(tmp_path / "t.csv", newline="", encoding="utf-8") as file:
        assert [*csv.DictReader(file)] == [
            {"run": 'a, "b"', "value": "0.25", "low": ""},
            {"run": "c", "value": "", "low": ""},
        ]


def test_names_are_as_long_as_needed(folder, tmp_path):
    (tmp_path / "other").mkdir()
    shutil.copytree(folder / "a", tmp_path / "other" / "a")
    assert [run.name for run in read([folder / "a", tmp_path / "other" / "a"]).runs] == [f"{folder.name}/a", "other/a"]


def test_fingerprints_tell_data_sets_apart(folder, tmp_path):
    shutil.copytree(folder / "a", tmp_path / "a")
    shutil.copytree(folder / "a", tmp_path / "b")
    for name, fingerprint, data in (("a", "f1", "fer2013"), ("b", "f1", "fer2013.npz")):
        metrics = files.read_json(tmp_path / name / "metrics.json")
        metrics["run"] |= {"data_fingerprint": fingerprint, "data": data}
        files.write_json(tmp_path / name / "metrics.json", metrics)
    assert len(read([tmp_path / "a", tmp_path / "b"]).runs) == 2
    for data in ("fer2013.npz", "fer2013"):  # of the same name, too
        other = metrics["run"] | {"data_fingerprint": "f2", "data": data}
        files.write_json(tmp_path / "b" / "metrics.json", metrics | {"run": other})
        message = f"data set: .*a has fer2013 with the fingerprint f1, .*b has {data} with the fingerprint f2;"
        with pytest.raises(ValueError, match=message):
            read([tmp_path / "a", tmp_path / "b"])


def change(name, run, data):
    """Break a copy of run b, whose images lie in the NPZ file `data`."""
    images, _ = random_run()
    outputs = random_outputs(images["emotion"], seed=7)

    def rewrite(images=images, outputs=outputs, **options):
        write_run(run, images, outputs, data=data, **options)

    def rename_data(source):
        metrics = files.read_json(run / "metrics.json")
        files.write_json(run / "metrics.json", {**metrics, "run": {**metrics["run"], "data": source}})

    table = run / "predictions.parquet"
    others, labels = {**images, "id": images["id"] + 1}, {**images, "emotion": (images["emotion"] + 1) % 3}
    twice = {**images, "id": np.minimum(images["id"], COUNT - 2)}
    {
        "data": lambda: rename_data("ferplus"),
        "split": lambda: rewrite(split="validation"),
        "emotions": lambda: rewrite(emotions=["neutral", "happy", "fear"]),
        "images": lambda: rewrite(others),
        "labels": lambda: rewrite(labels),
        "twice": lambda: rewrite(twice),
        "rows": lambda: predictions.write(predictions.read(table)[:-3], table),
        "damaged": lambda: table.write_bytes(b"x" * 99),
        "metrics": lambda: (run / "metrics.json").write_text('{"splits": {'),
        "unevaluated": lambda: table.unlink(),
    }[name]()


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ("data", ValueError, "data set: .*/a has .*faces.npz, .*/broken has ferplus; expected the same"),
        ("split", ValueError, "not evaluated on a common split .*a: test; .*broken: validation"),
        ("emotions", ValueError, "emotions: .*/a has happy, neutral, sad, .*/broken has fear, happy, neutral"),
        ("images", ValueError, "not evaluated on the same images: '0' is in only one"),
        ("labels", ValueError, "image '0' is .* in .*/a and .* in .*/broken: expected the same labels"),
        ("twice", ValueError, "broken, split test: image '38' has more than one row"),
        ("rows", ValueError, "broken, split test: .* do not match: 37 predictions, but metrics of 40"),
        ("damaged", ValueError, "broken/predictions.parquet is not a readable predictions table"),
        ("metrics", ValueError, "broken/metrics.json is not readable as JSON"),
        ("unevaluated", FileNotFoundError, "evaluate the run first, with edram-fer evaluate .*/broken"),
    ],
)
def test_what_cannot_be_compared(folder, tmp_path, fault, error, message):
    shutil.copytree(folder / "b", tmp_path / "broken")
    change(fault, tmp_path / "broken", folder / "faces.npz")
    with pytest.raises(error, match=message):
        read([folder / "a", tmp_path / "broken"])


def test_too_few_runs_and_unknown_splits(folder):
    with pytest.raises(ValueError, match="expected two or more runs to compare, got 1"):
        read([folder / "a"])
    with pytest.raises(ValueError, match="is listed twice"):
        read([folder / "a", folder / "b", folder / ".." / folder.name / "a"])
    with pytest.raises(
        ValueError, match="was not evaluated on split 'train', only on test; run edram-fer evaluate .* --split train"
    ):
        read([folder / "a", folder / "b"], "train")


def test_images_of_another_data_set(folder, tmp_path):
    images, _ = random_run()
    other = npz_file(tmp_path / "other.npz", {**images, "id": images["id"] + 100})
    with pytest.raises(ValueError, match="a, split test: 40 of 40 images, such as '0', are not in split test of"):
        read([folder / "a", folder / "b"]).features(data=str(other))


def test_no_two_of_many_runs_look_the_same():
    names = [f"run {number}" for number in range(len(STYLES) ** 2)]
    assert len(set(styles(names).values())) == len(names)
    assert list(styles(names[:3]).values()) == STYLES[:3]
