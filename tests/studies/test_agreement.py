"""A run compared with people's fixations: the numbers are those of the measures, and unusable files are reported."""

import csv

import numpy as np
import pandas as pd
import pytest
from support.fake_runs import COUNT, SIZE, random_outputs, random_run, write_run, write_three_runs

from edram_fer import attention, cli, files
from edram_fer.attention import agreement, baselines
from edram_fer.attention.fixations import Fixations, fixation_map, read, smooth
from edram_fer.attention.scan_paths import scale_points, scan_match
from edram_fer.report import people
from edram_fer.run.evaluated_run import EvaluatedRun
from edram_fer.studies.agreement import measure_agreement

SHAPE = (SIZE, SIZE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs, and fixations of three people on 12 of their images, near the centres of the glimpses of run a."""
    root = tmp_path_factory.mktemp("people")
    images, data = write_three_runs(root)
    write_run(root / "crops", images, random_outputs(images["emotion"], windows=5, steps=1), data=data)
    _, outputs = random_run()
    places = attention.pixels(attention.centres(outputs["windows"]), SHAPE)
    rng = np.random.default_rng(3)
    rows = []
    for image in range(12):
        for person in ("ann", "bob", "eve"):
            for x, y in np.clip(places[image] + rng.normal(0, 0.1, (3, 2)), 0, SIZE - 1).round(2):
                rows.append((person, image, x, y, 200))
    write(root / "eyes.csv", rows)
    return root


def write(path, rows):
    with open(path, "w", newline="") as target:
        csv.writer(target).writerows([("subject", "image", "start_x", "start_y", "duration"), *rows])


def test_the_numbers_are_those_of_the_measures(folder):
    result = measure_agreement(folder / "a", folder / "eyes.csv")
    assert files.read_json(folder / "a" / "agreement.json") == result
    assert (folder / "a" / "figures" / "agreement.svg").stat().st_size > 5000
    assert (result["images"], result["images_without_fixations"], result["sigma"]) == (12, COUNT - 12, 0.1 * SIZE)
    _, outputs = random_run()
    fixations = read(folder / "eyes.csv", {str(name): SHAPE for name in range(COUNT)})
    nss, kl, similarity = [], [], []
    for image in range(12):
        points = fixations.image_points(str(image))
        density = attention.density(outputs["windows"][image], outputs["weights"][image], SHAPE)
        density = smooth(density, 0.1 * SIZE)
        nss.append(agreement.nss(density, points))
        kl.append(agreement.kl(density, fixation_map(points, SHAPE, 0.1 * SIZE)))
        path = attention.centres(outputs["windows"][image])
        similarity.append([scan_match(path, scale_points(points[start : start + 3], SHAPE)) for start in (0, 3, 6)])
    assert result["maps"]["model"]["nss"]["pooled"] == pytest.approx(np.mean(nss))
    assert result["maps"]["model"]["kl"]["pooled"] == pytest.approx(np.mean(kl))
    assert result["paths"]["model"]["scan_match"]["mean"] == pytest.approx(np.mean(similarity))
    similarity = {name: measures["scan_match"]["mean"] for name, measures in result["paths"].items()}
    assert similarity["model"] > similarity["shuffled"]  # people looked where it did
    assert similarity["people"] > similarity["shuffled"]
    assert result["paths"]["people"]["scan_match"]["images"] == 12
    assert 0.2 < similarity["random"] < similarity["people"]  # two random paths match by chance
    assert result["intervals_note"] == ""
    assert "mean_landmarks" in result["maps"] and result["landmarks_note"] == "The landmarks are part of the data set."


def test_paths_of_one_person_are_compared_with_nobody_else(folder):
    everyone = read(folder / "eyes.csv", {"3": SHAPE})
    columns = (getattr(everyone, name)[:3] for name in ("subject", "image", "points", "duration", "label"))
    person = Fixations(*columns, {}, 0)
    result = baselines.compare_paths({"3": person.points, "9": person.points}, person, SHAPE)
    assert list(result) == ["model", "random"] and result["model"]["scan_match"]["mean"] == 1
    with pytest.raises(ValueError, match="none of 1 scan paths has fixations"):
        baselines.compare_paths({"9": person.points}, person, SHAPE)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("ann", "else.png", 1, 1, 1)], "no fixation on any of the 40 images, such as 0; it names else.png"),
        ([("ann", 3, 99, 1, 1)], r"line 2: \(99, 1\) lies outside 3, 16 x 16 pixels"),
        ([], "no fixation on any of the 40 images"),
    ],
)
def test_files_without_usable_fixations_are_reported(folder, tmp_path, rows, message):
    write(tmp_path / "bad.csv", rows)
    with pytest.raises(ValueError, match=f"bad.csv.*{message}"):
        measure_agreement(folder / "a", tmp_path / "bad.csv")


def test_the_command(folder, tmp_path, capsys):
    rows = [("ann", image, 8 + image, 8, 1) for image in range(12)]  # outside from image 8 on
    write(tmp_path / "few.csv", [*rows, ("ann", "other", 1, 1, 1)])
    few = ["--fixations", str(tmp_path / "few.csv"), "--outside", "drop"]
    with pytest.raises(SystemExit, match="0"):
        cli.main(["agreement", str(folder / "short"), *few])
    output = capsys.readouterr().out
    assert "8 fixations of 1 people on 8 images; 1 rows on 1 unknown images (other) left out; 4 rows outside" in output
    assert "32 images of test have none" in output and "shuffled AUC" in output and "MultiMatch" not in output
    assert "Intervals are undefined: the images of a single person say nothing about other people." in output
    with pytest.raises(SystemExit, match="sees the whole of every image"):
        cli.main(["agreement", str(folder / "cnn"), *few])
    with pytest.raises(SystemExit, match="was not evaluated on split 'train', only on test"):
        cli.main(["agreement", str(folder / "a"), *few, "--split", "train"])


def test_windows_that_are_used_at_once_are_no_steps(folder):
    result = {"split": "test", "sigma": 1.6}
    for name, maps in (("a", 4), ("crops", 1)):
        evaluated = EvaluatedRun(folder / name)
        run_maps, _ = people._image_maps(evaluated, result, folder / "eyes.csv", {})
        assert {len(stack) for stack in run_maps.values()} == {maps}


def test_small_p_values_are_not_zero():
    row = {"region": "nose", "emotion": "sad", "effect": 0.1, "low": 0.0, "high": 0.2, "z": 5.0}
    rows = people._mixed_table(pd.DataFrame([{**row, "p": p} for p in (2e-6, 0.02)]))["rows"]
    assert [cells[-1] for cells in rows] == ["< 0.001", "0.020"]
