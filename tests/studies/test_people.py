"""Runs compared with people who looked at other faces, in the space of the template, and several runs on one page."""

import csv

import numpy as np
import pandas as pd
import pytest
from support.fake_runs import EMOTIONS, SIZE, random_run, write_three_runs
from support.genuine import FIXATIONS, needs_fixations

from edram_fer import attention, cli, files
from edram_fer.attention import template_space
from edram_fer.attention.regions import REGIONS
from edram_fer.errors import UserError
from edram_fer.gaze import layouts, recordings
from edram_fer.run.evaluated_run import EvaluatedRun
from edram_fer.studies.people import compare_with_people

NAMES = ("AF01NES.JPG", "AM02HAS.JPG", "BF03SAS.JPG")  # neutral, happy, sad
LOOKED_AT = {"NE": "left_eye", "HA": "mouth", "SA": "right_eye"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs; fixations of four people near one point of KDEF photos of each emotion; fixations on the runs' images."""
    root = tmp_path_factory.mktemp("people")
    write_three_runs(root)
    rng = np.random.default_rng(0)
    rows = []
    for person in "abcd":
        for photo in NAMES:
            points = rng.normal(layouts.KDEF[LOOKED_AT[photo[4:6]]], 8, (6, 2))
            rows += [(person, photo, *point, 200) for point in points.round(1).tolist()]
    rows += [("a", "unknown.jpg", 5, 5, 100), ("a", NAMES[0], 5, 700, 100)]
    write(root / "kdef.csv", rows)
    _, outputs = random_run()
    places = attention.pixels(attention.centres(outputs["windows"]), (SIZE, SIZE)).clip(0, SIZE - 1)
    write(root / "own.csv", [(who, n, *point, 9) for who in "ab" for n in range(9) for point in places[n].tolist()])
    return root


def write(path, rows):
    with open(path, "w", newline="") as target:
        csv.writer(target).writerows([("subject", "image", "start_x", "start_y", "duration"), *rows])


@pytest.fixture(scope="module")
def comparison(folder):
    return compare_with_people([folder / "a", folder / "short"], [folder / "kdef.csv"], "kdef", repeats=20)


def test_regions_that_people_looked_at(comparison):
    assert sorted(comparison.emotions) == sorted(EMOTIONS)
    table = comparison.tables["regions"].set_index(["source", "emotion", "region"])
    for emotion, region in (("happy", "mouth"), ("sad", "right eye")):
        row = table.loc[("people, fixations", emotion, region)]
        assert row.share == row.low == row.high == 1 and row.observers == 4
    assert table.loc[("people, dwell time", "neutral", "left eye")].share == pytest.approx((3 + 1200 / 1300) / 4)
    for source in ("a", "short", "a, step 1"):
        assert sum(table.loc[(source, "happy", region)].share for region in REGIONS) == pytest.approx(1)
    assert "1 fixations on photos without a layout or an emotion left out" in comparison.notes
    assert any("1 fixations (1.4%) outside the frame" in note for note in comparison.notes)


def test_people_predict_people_better_than_random_windows_do(comparison):
    overall = comparison.tables["agreement"].query("emotion == 'all'").set_index(["candidate", "measure"])["mean"]
    for run in ("a", "short"):
        assert overall["other people", "nss"] > overall[run, "nss"] + 1
        assert overall["other people", "information_gain"] > overall[run, "information_gain"] + 1
    assert overall["centre bias", "information_gain"] == 0
    assert set(comparison.maps) == {"people", "a", "short"} and comparison.maps["a"]["sad"].shape == (
        4,
        *template_space.SHAPE,
    )
    for stack in comparison.maps["people"].values():
        assert stack.sum() == pytest.approx(1)
    mouth = np.unravel_index(comparison.maps["people"]["happy"][0].argmax(), template_space.SHAPE)[::-1]
    np.testing.assert_allclose(mouth, template_space.frame_points(template_space.POINTS["mouth"]), atol=2)


def test_the_order_of_the_runs_does_not_matter(folder, comparison, monkeypatch):
    def agreement(tables):
        return tables["agreement"].sort_values(["candidate", "emotion", "measure"]).reset_index(drop=True)

    features = EvaluatedRun.features

    def enlarged(run, split, **options):  # one run's images are larger, with other landmarks
        content = features(run, split, **options)
        if run.folder.name == "short":
            content = {
                **content,
                "image": content["image"].repeat(2, 1).repeat(2, 2),
                "landmarks": content["landmarks"] + 9,
            }
        return content

    monkeypatch.setattr(EvaluatedRun, "features", enlarged)
    paths = [folder / "a", folder / "short"]
    one, other = (
        compare_with_people(order, [folder / "kdef.csv"], "kdef", repeats=2) for order in (paths, paths[::-1])
    )
    pd.testing.assert_frame_equal(agreement(one.tables), agreement(other.tables))


def test_paths_of_people(comparison):
    viewings = comparison.tables["viewings"].set_index(["emotion", "measure"])["mean"]
    assert viewings["happy", "dwell mouth"] == 1 and viewings["happy", "entry mouth"] == 0
    assert viewings["happy", "first mouth"] == viewings["happy", "second mouth"] == 1
    entropy = comparison.tables["entropy"].set_index(["emotion", "measure"])["mean"]
    assert entropy["happy", "regions"] == entropy["happy", "transitions"] == 0
    transitions = comparison.tables["transitions"].set_index(["emotion", "from", "to"])
    assert transitions.loc[("happy", "mouth", "mouth")]["count"] == 4 * 5
    assert transitions.loc[("happy", "mouth", "mouth")].probability == 1


def test_the_page_in_the_space_of_the_template(folder, tmp_path, capsys):
    options = ["--fixations", str(folder / "kdef.csv"), "--layout", "kdef", "--out", str(tmp_path / "page")]
    with pytest.raises(SystemExit) as end:
        cli.main(["agreement", str(folder / "a"), str(folder / "short"), *options])
    assert end.value.code == 0
    assert "other people" in capsys.readouterr().out
    page = (tmp_path / "page" / "agreement.html").read_text()
    assert "Where people and a, short look" in page and page.count("<img") == 3 and "http://" not in page
    assert pd.read_csv(tmp_path / "page" / "regions.csv").source.nunique() == 2 + 4 + 3
    assert len([*(tmp_path / "page" / "figures").iterdir()]) == 3


@pytest.mark.slow
def test_several_runs_on_their_own_images(folder, tmp_path, capsys):
    options = ["--fixations", str(folder / "own.csv"), "--out", str(tmp_path / "page")]
    with pytest.raises(SystemExit) as end:
        cli.main(["agreement", str(folder / "a"), str(folder / "short"), *options])
    assert end.value.code == 0
    page = (tmp_path / "page" / "agreement.html").read_text()
    images, _ = random_run()
    assert page.count("<img") == len(set(images["emotion"][:9]))
    table = pd.read_csv(tmp_path / "page" / "agreement.csv").set_index(["candidate", "measure"])["mean"]
    for run in ("a", "short"):
        result = files.read_json(folder / run / "agreement.json")
        assert table[run, "nss"] == pytest.approx(result["maps"]["model"]["nss"]["mean"])
        assert table[f"{run}: other people", "cc"] == pytest.approx(result["maps"]["people"]["cc"]["mean"])


def test_layouts_from_files(tmp_path):
    path = tmp_path / "layout.csv"
    path.write_text(
        "image,emotion,left_eye_x,left_eye_y,right_eye_x,right_eye_y,mouth_x,mouth_y\n"
        "a.jpg,happy,10,10,30,10,20,34\n*,sad,210,392,335,392,275,540\n"
    )
    layout, kdef = layouts.read(path), layouts.read("kdef")
    assert (layout.emotion("a.jpg"), layout.emotion("b.jpg")) == ("happy", "sad")
    np.testing.assert_allclose(layout.transform("b.jpg"), kdef.transform("AF01NES.JPG"))
    assert [kdef.emotion(name) for name in (*NAMES, "af05afs.jpg", "face.jpg")] == [
        "neutral",
        "happy",
        "sad",
        "fear",
        None,
    ]
    points = template_space.TEMPLATE * 20 + 50
    names = ",".join(f"x{number},y{number}" for number in range(68))
    path.write_text(f"image,{names}\na.jpg," + ",".join(map(str, points.ravel())) + "\n")
    np.testing.assert_allclose(layouts.read(path).transform("a.jpg"), template_space.to_frame(points))
    assert layouts.read(path).transform("b.jpg") is None and layouts.read(path).emotion("a.jpg") is None
    path.write_text("image,left_eye_x\na,1\n")
    with pytest.raises(UserError, match="expected 'kdef', or the columns image, left_eye_x, left_eye_y"):
        layouts.read(path)
    path.write_text("image,left_eye_x,left_eye_y,right_eye_x,right_eye_y,mouth_x,mouth_y\na,1,2,3,x,5,6\n")
    with pytest.raises(UserError, match="a: expected numbers for all points"):
        layouts.read(path)


def test_what_cannot_be_compared(folder):
    table = pd.DataFrame({"image": ["x.jpg"], "start_x": [1.0], "start_y": [1.0]})
    with pytest.raises(UserError, match="no fixation is on a photo with a known layout and emotion"):
        layouts.in_frame(table, layouts.read("kdef"))
    with pytest.raises(UserError, match="was not evaluated on split 'train', only on "):
        compare_with_people([folder / "a"], [folder / "kdef.csv"], "kdef", split="train")
    with pytest.raises(UserError, match="the model sees the whole of every image: it has no windows to compare"):
        compare_with_people([folder / "cnn"], [folder / "kdef.csv"], "kdef")


@needs_fixations
def test_people_look_more_at_happy_mouths():
    """The genuine fixations: the shares of docs/gaze.md."""
    table = recordings.read([FIXATIONS / "uniss_fgd.csv"], size=(562, 762)).table
    framed, notes = layouts.in_frame(table, layouts.read("kdef"))
    assert notes == ["1,010 fixations (5.1%) outside the frame of the template"]
    counts = framed.groupby(["emotion", "subject"]).region.value_counts(normalize=True).unstack(fill_value=0)
    mouth = counts["mouth"].unstack("emotion")
    assert {name: round(value, 3) for name, value in mouth.mean().items()} == {
        "happy": 0.123,
        "neutral": 0.087,
        "sad": 0.096,
    }
    assert (mouth["happy"] > mouth["neutral"]).sum() >= 15  # of 20 people
