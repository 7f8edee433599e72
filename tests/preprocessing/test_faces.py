"""Records to chunk files of faces: what each row holds, unusable rows, killed and resumed runs."""

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import psutil
import pyarrow.parquet
import pytest
from support.face_files import EMOTIONS, make_annotations, make_image, record
from support.genuine import PHOTOS, needs_photos
from support.paths import ROOT

from edram_fer.errors import MissingFileError
from edram_fer.preprocessing import cores, crop, detection, face_chunks, face_table, faces, splits
from edram_fer.preprocessing.face_settings import FaceSettings
from edram_fer.preprocessing.face_table import FaceTable, SplitSettings
from edram_fer.preprocessing.records import OK, Annotations


def annotations(root, records):
    return Annotations(name="made", layout="made", root=root, classes=EMOTIONS, records=lambda: iter(records))


def single_row(rows):
    """The one row of an iterator."""
    [row] = rows
    return row


def decoded(row):
    return cv2.imdecode(np.frombuffer(row["face"], np.uint8), cv2.IMREAD_UNCHANGED)


def test_a_face_from_the_box_of_the_annotation(tmp_path):
    image = make_image(tmp_path / "a.png")
    settings = FaceSettings(size=24, detectors=("annotation",), margin=0.2)
    points = tuple((30.0 + i / 10, 20.0) for i in range(68))
    row = single_row(faces.rows(record(box=(20, 10, 20, 16), landmarks=points, subject="s1"), tmp_path, settings))
    assert (row["status"], row["detector"], row["subject"]) == (OK, "annotation", "s1")
    assert row["square"] == [18, 6, 24] and row["box"] == [20, 10, 20, 16]
    expected = crop.grey(crop.equalise(np.ascontiguousarray(image[6:30, 18:42])))
    np.testing.assert_array_equal(decoded(row), expected)
    assert row["digest"] == hashlib.blake2b(expected.tobytes(), digest_size=16).digest()
    np.testing.assert_allclose(np.reshape(row["landmarks"], (68, 2)), np.array(points) - (18, 6), atol=1e-4)


@needs_photos
def test_an_annotated_box_chooses_the_face():
    """The largest face that a detector finds is not the annotated one, and the landmarks belong to one face only."""
    others = list(faces.rows(record("multi_face.jpg"), PHOTOS, FaceSettings(faces="all", detectors=("yunet",))))
    smallest = min(others, key=lambda row: row["box"][2] * row["box"][3])
    left, top, width, height = smallest["box"]
    points = tuple((left + width * (i % 8 + 1) / 9, top + height * (i // 8 + 1) / 10) for i in range(68))
    annotated = record("multi_face.jpg", box=(left + 3, top + 2, width, height), landmarks=points)
    for choice in ("largest", "all"):
        row = single_row(faces.rows(annotated, PHOTOS, FaceSettings(detectors=("yunet",), faces=choice)))
        assert row["box"] == smallest["box"] and row["annotation_iou"] > 0.7 and row["landmarks"] is not None
    elsewhere = dataclasses.replace(annotated, box=(0, 0, 40, 40))
    assert single_row(faces.rows(elsewhere, PHOTOS, FaceSettings(detectors=("yunet",))))["status"] == "no_face"
    unmarked = list(faces.rows(dataclasses.replace(annotated, box=None), PHOTOS, FaceSettings(faces="all")))
    assert sum("landmarks" in row for row in unmarked) == 1 < len(unmarked)


def test_boxes_that_no_face_can_be_cut_with(tmp_path):
    make_image(tmp_path / "a.png")
    points = tuple((30.0, 5000.0 if i == 8 else 20.0) for i in range(68))
    settings = FaceSettings(detectors=("annotation",))
    small = single_row(faces.rows(record(box=(5, 5, 1, 1)), tmp_path, settings))["status"]
    assert "box 1x1, expected at least 8 pixels" in small
    far = single_row(faces.rows(record(box=(20, 10, 20, 16), landmarks=points), tmp_path, settings))["status"]
    assert "chin landmark at row 5000, more than a side below its box" in far
    settings = FaceSettings(detectors=("annotation",), landmarks=True)
    for box in ((20, 10, float("inf"), 16), (20, 10, 20, 1e300), (float("nan"), 10, 20, 20)):
        assert "expected numbers below" in single_row(faces.rows(record(box=box), tmp_path, settings))["status"]


def test_an_unexpected_error_of_one_row_is_its_status_with_its_type(tmp_path, monkeypatch):
    make_image(tmp_path / "a.png")
    monkeypatch.setattr(crop, "cut", lambda *_: np.zeros(3).reshape(2, 2))  # raises ValueError
    row = single_row(faces.rows(record(), tmp_path, FaceSettings(detectors=("none",))))
    assert row["status"].startswith("unexpected ValueError: cannot reshape") and row.get("face") is None


def test_a_missing_detector_ends_the_run(tmp_path, monkeypatch):
    make_image(tmp_path / "a.png")

    def cut(*arguments):
        raise MissingFileError("the detector is missing")

    monkeypatch.setattr(crop, "cut", cut)
    with pytest.raises(MissingFileError):
        list(faces.rows(record(), tmp_path, FaceSettings(detectors=("none",))))


@pytest.mark.parametrize("split", ["all", "All", "fold_0+fold_1", "set 1", "a[9]"])
def test_a_split_that_tfds_cannot_read_is_a_status(split, tmp_path):
    make_image(tmp_path / "a.png")
    changed = dataclasses.replace(record(), split=split)
    row = single_row(faces.rows(changed, tmp_path, FaceSettings(detectors=("none",))))
    assert row["status"] == f"split: expected letters, digits, '_' and '-', and not 'all', got {split!r}"


@pytest.mark.parametrize("split", ["../../outside", "/tmp/outside", "a/b", "a\\b", "..", "", "C:x", "a\0b", "x" * 300])
def test_a_split_that_leads_out_of_the_data_set_is_a_status(split, tmp_path):
    make_image(tmp_path / "a.png")
    changed = dataclasses.replace(record(), split=split)
    row = single_row(faces.rows(changed, tmp_path, FaceSettings(detectors=("none",))))
    assert row["status"].startswith("split: expected a name that can be that of a file, got ")


@pytest.mark.parametrize("box", [(-1e30, 0.0, 2e30, 9.0), (float("nan"), 0.0, 9.0, 9.0), (0.0, 0.0, 1e-300, 1e300)])
@pytest.mark.parametrize("landmark_image", ["photo", "face"])
def test_absurd_boxes_are_statuses(box, landmark_image, tmp_path):
    make_image(tmp_path / "a.png")
    settings = FaceSettings(detectors=("annotation",), landmarks=True, landmark_image=landmark_image)
    row = single_row(faces.rows(dataclasses.replace(record(), box=box), tmp_path, settings))
    assert row["status"].startswith("box ")


def test_names_that_are_not_utf_8_are_written_with_escapes(tmp_path):
    name = os.fsdecode(b"f\xe4ce.png")
    make_image(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / name)  # OpenCV cannot write it
    changed = dataclasses.replace(record(), id=name, row=name, image=name, subject=name)
    face_chunks.write_chunk(tmp_path / "000000.parquet", [changed], tmp_path, FaceSettings(detectors=("none",)))
    row = single_row(face_chunks.read_chunks([tmp_path / "000000.parquet"]))
    assert row["status"] == "ok" and row["id"] == row["image"] == row["subject"] == r"f\udce4ce.png"


def test_an_image_that_is_a_face_in_colour(tmp_path):
    image = make_image(tmp_path / "a.png", shape=(40, 40, 3))
    settings = FaceSettings(size=40, colour=True, detectors=("none",), clahe=0)
    row = single_row(faces.rows(record(), tmp_path, settings))
    np.testing.assert_array_equal(decoded(row)[:, :, ::-1], image)


@needs_photos
def test_faces_of_photos():
    several = record("multi_face.jpg")
    rows = list(faces.rows(several, PHOTOS, FaceSettings(faces="all")))
    assert len(rows) == 5 and {row["detector"] for row in rows} == {"yunet"}
    assert [row["id"] for row in rows] == [f"multi_face.jpg#{i}" for i in range(5)]
    assert [row["square"][0] for row in rows] == sorted(row["square"][0] for row in rows)
    assert len({row["image_digest"] for row in rows}) == 1 < len({row["digest"] for row in rows})
    largest = single_row(faces.rows(several, PHOTOS, FaceSettings()))
    assert largest["square"][2] == max(row["square"][2] for row in rows)
    nothing = single_row(faces.rows(record("free-mountain-vector-01.jpg"), PHOTOS, FaceSettings(detectors=("yunet",))))
    assert nothing["status"] == detection.NO_FACE and "face" not in nothing
    chin = single_row(faces.rows(record("single_face.jpg"), PHOTOS, FaceSettings(landmarks=True)))
    points = np.reshape(chin["landmarks"], (68, 2))
    assert (points > 0).all() and (points[crop.CHIN, 1] < 100).all()


def test_annotated_boxes_are_compared_with_a_detector(tmp_path, monkeypatch):
    make_image(tmp_path / "a.png")
    monkeypatch.setattr(detection, "Dlib", lambda **_: lambda image: [detection.Face((10, 20, 20, 20), 1.0)])
    boxes = {(10, 20, 20, 20): 1, (20, 20, 20, 20): 200 / 600, (50, 20, 20, 20): 0}
    source = annotations(tmp_path, [record(id=str(box), row=str(box), box=box) for box in boxes])
    settings = FaceSettings(size=16, detectors=("annotation",), check="dlib")
    chunks = face_chunks.process(source, tmp_path / "chunks", settings, workers=1)
    assert [row["annotation_iou"] for row in face_chunks.read_chunks(chunks)] == pytest.approx(list(boxes.values()))
    assert {row["detector"] for row in face_chunks.read_chunks(chunks)} == {"annotation"}  # the detector only checks
    lines = face_table.summary(source, FaceTable(chunks, EMOTIONS, SplitSettings()))
    overlaps = "median overlap (IoU) 0.33, below 0.5 in 2, none in 1"
    assert f"annotated boxes compared with detected boxes in 3 images: {overlaps}" in lines


def test_an_unusable_record_is_a_row_with_its_status(tmp_path):
    make_image(tmp_path / "a.png")
    (tmp_path / "broken.jpg").write_bytes((tmp_path / "a.png").read_bytes()[:500])
    settings = FaceSettings(detectors=("annotation",))
    statuses = {
        "label uncertain": record(emotion=None, status="label uncertain"),
        "cannot be decoded: ": record("broken.jpg", box=(1, 1, 9, 9)),
        "cannot be read: No such file": record("gone.png", box=(1, 1, 9, 9)),
        "leads out of the data set": record("../secret.png", box=(1, 1, 9, 9)),
        "box -5x9 without area": record(box=(1, 1, -5, 9)),
        "lies outside the 80x60 image": record(box=(300, 1, 5, 9)),
        "no box is annotated": record(),
    }
    for status, unusable in statuses.items():
        row = single_row(faces.rows(unusable, tmp_path, settings))
        assert status in row["status"] and "face" not in row and row["row"] == "list.csv:1"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"detectors": ("haar",)}, "detectors: expected some of yunet, ssd, dlib, annotation, none, got 'haar'"),
        ({"detectors": ()}, "detectors: expected at least one"),
        ({"faces": "first"}, "faces: expected one of largest, surest, centre, all, got 'first'"),
        ({"size": 4}, "size: expected 8 to 2048 pixels, got 4"),
        ({"margin": -1.0}, "margin: expected at least 0, got -1.0"),
        ({"margin": float("nan")}, "margin: expected a number, got nan"),
        ({"clahe": float("inf")}, "clahe: expected a number, got inf"),
        ({"size": "4x"}, "size: expected a whole number, got '4x'"),
        ({"detector_size": 320.5}, "detector_size: expected a whole number, got 320.5"),
        ({"detector_size": 0}, "detector_size: expected at least 32, got 0"),
        ({"retry": "gamma"}, "retry: expected one of histogram, clahe, none, got 'gamma'"),
        ({"retry": 3}, "retry: expected one of histogram, clahe, none, got 3"),
        ({"retry": "clahe,clahe,none"}, "retry: expected one, or one for each of the 2 detectors, got 3"),
        ({"faces": "largest,surest", "detectors": ("ssd",)}, "faces: expected one, or one for each of the 1 detectors"),
        ({"faces": "all,largest"}, "faces: expected 'all' alone, for all detectors, got 'all,largest'"),
        ({"rounding": "up"}, "rounding: expected one of nearest, down, got 'up'"),
        ({"landmark_image": "square"}, "landmark_image: expected one of photo, face, got 'square'"),
        ({"interpolation": "cubic"}, "interpolation: expected one of area, linear, got 'cubic'"),
        ({"smallest_photo": -1}, "smallest_photo: expected at least 0, got -1"),
        ({"smallest_photo": 0.5}, "smallest_photo: expected a whole number, got 0.5"),
        ({"smallest_square": -1}, "smallest_square: expected at least 0, got -1"),
        ({"smallest_inside": 1.1}, r"smallest_inside: expected a share in \[0, 1\], got 1.1"),
        ({"smallest_inside": -0.1}, "smallest_inside: expected at least 0, got -0.1"),
        ({"detectors": ("annotation",), "annotated": False}, "which annotated=False ignores"),
        ({"check": "annotation"}, "check: expected one of yunet, ssd, dlib, got 'annotation'"),
    ],
)
def test_settings_out_of_range(fields, message):
    with pytest.raises(ValueError, match=message):
        FaceSettings(**fields)


def fake_detector(monkeypatch, name, *boxes):
    """Replace a detector by one that finds the same boxes in every image, the surest first."""
    detected = [detection.Face(box, 0.9 - 0.1 * number) for number, box in enumerate(boxes)]

    def detector(*arguments, **options):
        def detect(image):
            return detected

        detect.name, detect.margin = name, 0.0
        return detect

    monkeypatch.setattr(detection, {"ssd": "SSD", "yunet": "YuNet", "dlib": "Dlib"}[name], detector)
    monkeypatch.setitem(detection.DETECTORS, name, detector)


def test_each_detector_may_choose_its_face_in_its_own_way(tmp_path, monkeypatch):
    make_image(tmp_path / "a.png", shape=(200, 200, 3))
    small, large = (10, 10, 20, 20), (50, 50, 60, 60)
    fake_detector(monkeypatch, "ssd", small, large)
    fake_detector(monkeypatch, "dlib", small, large)
    for detectors, expected in ((("ssd", "dlib"), small), (("dlib", "ssd"), large)):
        choices = {"ssd": "surest", "dlib": "largest"}
        settings = FaceSettings(detectors=detectors, faces=",".join(choices[name] for name in detectors))
        assert single_row(faces.rows(record(), tmp_path, settings))["box"] == list(expected)


def test_a_face_that_cannot_be_cut_does_not_hide_the_others(tmp_path, monkeypatch):
    make_image(tmp_path / "a.png", shape=(200, 200, 3))
    fake_detector(monkeypatch, "ssd", (10, 10, 20, 20), (40, 90, 3, 3), (50, 50, 60, 60))
    first, bad, last = faces.rows(record(), tmp_path, FaceSettings(detectors=("ssd",), faces="all"))
    assert (first["box"], last["box"]) == ([10, 10, 20, 20], [50, 50, 60, 60])
    assert "box 3x3" in bad["status"] and "face" not in bad
    assert [row["id"].rpartition("#")[2] for row in (first, bad, last)] == ["0", "1", "2"]


def test_annotations_may_be_left_unused(tmp_path, monkeypatch):
    make_image(tmp_path / "a.png", shape=(200, 200, 3))
    fake_detector(monkeypatch, "ssd", (50, 50, 60, 60), (10, 10, 20, 20))
    points = tuple((20.0, 200.0 if i == 8 else 20.0) for i in range(68))
    annotated = record(box=(10, 10, 20, 20), landmarks=points)
    used = single_row(
        faces.rows(dataclasses.replace(annotated, landmarks=None), tmp_path, FaceSettings(detectors=("ssd",)))
    )
    assert used["box"] == [10, 10, 20, 20] and used["annotation_iou"] == 1
    unused = single_row(
        faces.rows(annotated, tmp_path, FaceSettings(detectors=("ssd",), annotated=False, faces="surest"))
    )
    assert unused["box"] == [50, 50, 60, 60] and unused["annotation_iou"] == 0 and "landmarks" not in unused


def test_small_photos_are_left_out(tmp_path):
    make_image(tmp_path / "a.png", shape=(60, 80, 3))
    for least, status in ((140, OK), (141, "80x60 pixels, expected a sum of width and height of at least 141")):
        settings = FaceSettings(detectors=("none",), smallest_photo=least)
        assert single_row(faces.rows(record(), tmp_path, settings))["status"] == status


def test_boxes_that_leave_the_photo_are_passed_over(tmp_path, monkeypatch):
    make_image(tmp_path / "a.png", shape=(100, 100, 3))
    settings = FaceSettings(detectors=("ssd",), faces="surest", smallest_inside=0.9)
    fake_detector(monkeypatch, "ssd", (85, 10, 20, 20), (10, 10, 20, 20))
    assert single_row(faces.rows(record(), tmp_path, settings))["box"] == [10, 10, 20, 20]
    fake_detector(monkeypatch, "ssd", (85, 10, 20, 20))
    status = "box at (85, 10), 20x20: expected at least 90% of it inside the 100x100 image"
    assert single_row(faces.rows(record(), tmp_path, settings))["status"] == status
    assert single_row(faces.rows(record(), tmp_path, FaceSettings(detectors=("ssd",))))["status"] == OK
    fake_detector(monkeypatch, "dlib", (85, 10, 20, 20))
    both = FaceSettings(detectors=("ssd", "dlib"), smallest_inside=0.9)
    assert single_row(faces.rows(record(), tmp_path, both))["detector"] == "dlib"  # its boxes all count


def test_square_and_interpolation(tmp_path, monkeypatch):
    image = make_image(tmp_path / "a.png", shape=(200, 200, 3))
    fake_detector(monkeypatch, "ssd", (60, 50, 20, 30))
    settings = FaceSettings(
        detectors=("ssd",), size=50, smallest_square=100, interpolation="linear", clahe=0, colour=True
    )
    row = single_row(faces.rows(record(), tmp_path, settings))
    assert row["square"] == [20, 15, 100]
    blocks = image[15:115, 20:120].reshape(50, 2, 50, 2, 3).mean(axis=(1, 3))  # half as large: means of 2x2 pixels
    assert np.abs(decoded(row)[:, :, ::-1] - blocks).max() <= 1


def test_the_square_is_extended_while_the_cut_face_shows_no_chin(tmp_path, monkeypatch):
    """A chin n pixels below the face extends the square by n times the box's share of the face, both ways."""
    make_image(tmp_path / "a.png", shape=(300, 300, 3))
    fake_detector(monkeypatch, "ssd", (100, 100, 50, 40))
    chins, seen = iter([120, 110, 101, 500]), []

    def landmarks(image, box, **options):
        seen.append((image.shape, box))
        points = np.full((68, 2), 50, np.float32)
        points[8, 1] = next(chins)
        return points

    monkeypatch.setattr(detection, "landmarks", landmarks)
    settings = FaceSettings(
        detectors=("ssd",), smallest_square=100, rounding="down", landmarks=True, landmark_image="face"
    )
    row = single_row(faces.rows(record(), tmp_path, settings))
    assert row["square"] == [67, 70, 115]  # 75, 70, 100; then by 20 * 50 / 100, and by 10 * 50 / 100
    assert seen == [((100, 100, 3), (0, 0, 101, 101))] * 3 and np.max(row["landmarks"]) == 101
    chins = iter([120])
    without = dataclasses.replace(settings, chin=False)
    assert single_row(faces.rows(record(), tmp_path, without))["square"] == [75, 70, 100]
    chins = iter(range(200, 400))
    row = single_row(faces.rows(record(), tmp_path, settings))
    assert row["square"][1] + row["square"][2] == 300  # at the lower border there is nothing to extend it into
    chins = iter([102] * 20)
    seen.clear()
    assert single_row(faces.rows(record(), tmp_path, settings))["square"][2] == 111 and len(seen) == 12


def test_later_settings_at_their_defaults_leave_fingerprints_alone():
    former = {"size", "colour", "detectors", "detector_size", "faces", "margin", "chin", "landmarks", "clahe", "check"}
    assert FaceSettings().identity.keys() == FaceSettings(models="elsewhere").identity.keys() == former
    assert FaceSettings(smallest_square=100).identity.keys() == former | {"smallest_square"}


def test_as_many_workers_as_the_process_may_use_cores(monkeypatch):
    if hasattr(os, "sched_getaffinity"):
        assert cores.available_cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS and Windows
    assert cores.available_cores() == os.cpu_count()


# Makes 1,600 faces in a process of its own; argument: the folder of the chunks.
MAKER = """
import sys
from contextlib import contextmanager
from pathlib import Path
sys.path.insert(0, "tests")
from support.face_files import make_annotations
from edram_fer.preprocessing import face_chunks
from edram_fer.preprocessing.face_settings import FaceSettings
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    annotations = make_annotations(folder.parent / "images")
    face_chunks.process(annotations, folder, FaceSettings(size=16, detectors=("none",)), workers=2)
"""


def test_a_killed_and_resumed_run_gives_the_same_bytes(tmp_path):
    for number in range(10):
        make_image(tmp_path / "images" / f"{number}.png", number, (20, 20, 3))
    folder = tmp_path / "killed"
    script = tmp_path / "maker.py"
    script.write_text(MAKER)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    maker = subprocess.Popen([sys.executable, script, folder], cwd=ROOT, env=environment, start_new_session=True)
    while not list(folder.glob("*.parquet")) and maker.poll() is None:
        time.sleep(0.005)
    os.killpg(maker.pid, signal.SIGKILL)
    maker.wait()
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}
    assert 1 <= len(before) < 4  # it was killed between the first chunk and the last
    settings = FaceSettings(size=16, detectors=("none",))
    progress = []
    resumed = face_chunks.process(
        make_annotations(tmp_path / "images"), folder, settings, workers=1, progress=progress.append
    )
    assert sum(progress) == 1600 and len(resumed) == 4
    assert all((folder / name).stat().st_mtime_ns == time for name, time in before.items())
    uninterrupted = face_chunks.process(
        make_annotations(tmp_path / "images"), tmp_path / "uninterrupted", settings, workers=2
    )
    assert [path.read_bytes() for path in resumed] == [path.read_bytes() for path in uninterrupted]
    assert sorted(path.name for path in folder.iterdir()) == [f"{i:06d}.parquet" for i in range(4)]
    rows = list(face_chunks.read_chunks(resumed))
    assert [row["id"] for row in rows] == [str(i) for i in range(1600)]
    assert sum(row["status"] != OK for row in rows) == 16


def alive(process):
    """Whether a process still runs, and is no zombie."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_worker(process):
    """Whether a process is a worker that already watches its parent, in a second thread."""
    try:
        return any("spawn_main" in word for word in process.cmdline()) and process.num_threads() > 1
    except psutil.Error:  # it ended, or is not yet to be looked into
        return False


@contextmanager
def making(folder):
    """A process that makes 1,600 faces of large images in `folder`, and its two workers once both work."""
    make_image(folder.parent / "images" / "0.png", 0, (1500, 1500, 3))
    for number in range(1, 10):
        os.link(folder.parent / "images" / "0.png", folder.parent / "images" / f"{number}.png")
    script = folder.parent / "maker.py"
    script.write_text(MAKER)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, script, folder], cwd=ROOT, env=environment, stderr=subprocess.PIPE) as maker:
        workers = []
        while len(workers) < 2 and maker.poll() is None:
            time.sleep(0.05)
            workers = [child for child in psutil.Process(maker.pid).children() if is_worker(child)]
        yield maker, workers


def test_workers_end_with_a_killed_parent(tmp_path):
    with making(tmp_path / "chunks") as (maker, workers):
        assert len(workers) == 2
        maker.kill()
        maker.wait()
        end = time.monotonic() + 10
        while any(map(alive, workers)) and time.monotonic() < end:
            time.sleep(0.05)
        assert not any(map(alive, workers))


def test_a_killed_worker_ends_the_run_with_a_sentence(tmp_path):
    with making(tmp_path / "chunks") as (maker, workers):
        workers[0].kill()
        assert "a worker process ended abruptly" in maker.communicate()[1].decode()
        assert maker.returncode == 1


def test_a_missing_detector_ends_the_run_at_its_start(tmp_path, monkeypatch):
    monkeypatch.setattr(detection.model_files, "find", lambda *_: (_ for _ in ()).throw(FileNotFoundError("yunet")))
    with pytest.raises(FileNotFoundError, match="yunet"):
        face_chunks.process(annotations(tmp_path, [record()]), tmp_path / "chunks", FaceSettings(detectors=("yunet",)))
    assert not (tmp_path / "chunks").exists()


# The table


def chunk(path, *rows):
    face_chunks.write_chunk(path, [], Path(), FaceSettings())
    columns = {"split": "train", "emotion": "happy", "status": OK}
    full = [{"id": str(i), "row": str(i)} | columns | row for i, row in enumerate(rows)]
    full = [{"image_digest": row.get("digest")} | row for row in full]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(full, schema=face_chunks.SCHEMA), path)
    return [path]


def digest(number):
    return number.to_bytes(16)


def test_validation_is_drawn_by_the_pixels(tmp_path):
    every_face_twice = [{"digest": digest(i // 2), "face": b"x"} for i in range(4000)]
    chunks = chunk(tmp_path / "a.parquet", *every_face_twice)
    table = FaceTable(chunks, EMOTIONS, SplitSettings(0.25, seed=1))
    rows = list(table.rows())
    sides = {}
    for row in rows:
        sides.setdefault(row["digest"], set()).add(row["split"])
    assert all(len(side) == 1 for side in sides.values())  # equal faces are on one side
    assert table.counts["validation"]["happy"] == pytest.approx(1000, abs=2)
    assert table.splits == ["train", "validation"] and table.drawn == ("validation",)
    other = FaceTable(chunks, EMOTIONS, SplitSettings(0.25, seed=2))
    assert [row["split"] for row in other.rows()] != [row["split"] for row in rows]
    some = list(table.rows(("split", "emotion", "status", "digest"), lambda row: row["split"] == "validation"))
    assert [row["digest"] for row in some] == [row["digest"] for row in rows if row["split"] == "validation"]
    assert not list(table.rows(chosen=lambda row: False))
    assert FaceTable(chunks, EMOTIONS, SplitSettings(0)).splits == ["train"]


def test_faces_of_one_image_and_equal_faces_stay_on_one_side(tmp_path):
    """Three faces come from each image, and every fifth face equals one of another image."""
    rows = [
        {"digest": digest(10_000 + (i - 4 if i % 5 == 4 else i)), "image_digest": digest(i // 3), "face": b"x"}
        for i in range(3000)
    ]
    table, graph = FaceTable(chunk(tmp_path / "a.parquet", *rows), EMOTIONS, SplitSettings(0.4)), {}
    for row in table.rows():
        graph.setdefault(row["digest"], set()).add(row["split"])
        graph.setdefault(row["image_digest"], set()).add(row["split"])
    assert all(len(sides) == 1 for sides in graph.values())
    assert table.counts["validation"].total() == pytest.approx(1200, abs=15) and table.repeated == 600


def test_splits_are_stratified_and_divide_no_subject(tmp_path):
    rows = [
        {"digest": digest(i), "emotion": EMOTIONS[i % 3 > 0], "subject": f"person {i // 10}" if i < 500 else ""}
        for i in range(1000)
    ]
    chunks = chunk(tmp_path / "a.parquet", *rows)
    table = FaceTable(chunks, EMOTIONS, SplitSettings(0.1, test=0.2))
    assert table.splits == ["train", "validation", "test"] and table.subjects == 50 and not table.straddling
    for split, share in (("validation", 0.1), ("test", 0.2)):
        for name, total in zip(EMOTIONS, (334, 666)):
            assert table.counts[split][name] == pytest.approx(share * total, abs=2)
    sides = {}
    for row in table.rows():
        if row["subject"]:
            sides.setdefault(row["subject"], set()).add(row["split"])
    assert len(sides) == 50 and all(len(splits) == 1 for splits in sides.values())
    assert (
        "drawn from train: validation and test, stratified by class, no subject in two of them"
        in face_table.summary(annotations(tmp_path, []), table)
    )


def test_subjects_in_two_splits_of_the_data_set_are_reported(tmp_path):
    rows = [{"digest": digest(i), "subject": "a", "split": split} for i, split in enumerate(("train", "test"))]
    table = FaceTable(chunk(tmp_path / "a.parquet", *rows), EMOTIONS, SplitSettings(0.1))
    lines = face_table.summary(annotations(tmp_path, []), table)
    assert "WARNING: 1 subjects occur in more than one of the data set's splits" in lines
    assert "WARNING: too few different images or subjects to draw validation from train" in lines


def test_a_face_from_a_training_image_is_a_duplicate(tmp_path):
    """Another crop of the same photo shows nothing new."""
    chunks = chunk(
        tmp_path / "a.parquet",
        {"digest": digest(1), "image_digest": digest(7)},
        {"digest": digest(2), "image_digest": digest(7), "split": "test"},
        {"digest": digest(3), "image_digest": digest(8), "split": "test"},
    )
    table = FaceTable(chunks, EMOTIONS, SplitSettings(0))
    assert [row["duplicate"] for row in table.rows()] == [False, True, False] and table.clean


def test_duplicates_and_labels_outside_the_classes(tmp_path):
    chunks = chunk(
        tmp_path / "a.parquet",
        {"digest": digest(1)},
        {"digest": digest(2), "split": "validation"},
        {"digest": digest(1), "split": "validation"},
        {"digest": digest(1), "split": "test"},
        {"digest": digest(2), "split": "test"},
        {"digest": digest(3), "split": "test", "emotion": "contempt"},
        {"split": "test", "status": "no_face"},
    )
    table = FaceTable(chunks, EMOTIONS, SplitSettings())
    assert not table.drawn  # the data set has a validation split
    assert table.duplicates == {"train": 0, "validation": 1, "test": 1}
    assert table.statuses == {OK: 5, "label contempt, not among the 2 classes": 1, "no_face": 1}
    lines = "\n".join(face_table.summary(annotations(tmp_path, []), table))
    assert "7 rows read, 5 faces written" in lines and "no_face 1" in lines
    assert "test 2: neutral 0, happy 2" in lines
    assert "test: 1 faces, or their images, equal a training face or image" in lines
    assert table.repeated == 3 and "3 faces equal an earlier one" in lines


def test_several_faces_of_an_annotation_count_as_one_row(tmp_path):
    two = {"row": "list.csv:1", "digest": digest(1)}, {"row": "list.csv:1", "digest": digest(2)}
    table = FaceTable(chunk(tmp_path / "a.parquet", *two, {"status": "no_face"}), EMOTIONS, SplitSettings())
    assert face_table.summary(annotations(tmp_path, []), table)[0] == "2 rows read, 2 faces written"


def test_the_sheet_of_failures_holds_thumbnails(tmp_path):
    make_image(tmp_path / "large.png", shape=(400, 900, 3))
    rows = [{"image": "large.png", "status": f"chin at row {i}"} for i in range(20)]
    rows.append({"image": "gone.png", "status": "not there"})
    failures = face_table.some_failures(FaceTable(chunk(tmp_path / "a.parquet", *rows), EMOTIONS, SplitSettings()),
                                        annotations(tmp_path, []))  # fmt: skip
    assert list(failures) == ["chin at row 0: 20", "not there: 1"]
    assert [face.shape for face in failures["chin at row 0: 20"]] == [(43, 96, 3)] * 12


def test_split_settings_out_of_range():
    with pytest.raises(ValueError, match=r"validation: expected a share in \[0, 1\), got 1"):
        SplitSettings(1)
    with pytest.raises(ValueError, match="validation and test: expected shares below 1 in total, got 1.1"):
        SplitSettings(0.6, test=0.5)


@pytest.mark.parametrize("subjects", [3, 4, 7])
def test_a_few_subjects_give_three_splits_that_are_not_empty(subjects):
    groups = np.arange(600) % subjects
    drawn = splits.stratified(groups, np.arange(600) % 7, {"validation": 0.1, "test": 0.2}, seed=0)
    assert {"validation", "test"} == set(drawn.values()) and len(drawn) <= max(2, subjects // 3 + 1)


def test_rare_classes_are_in_every_split():
    classes = np.repeat([0, 1, 2], [200, 40, 3])
    drawn = splits.stratified(np.arange(243), classes, {"validation": 0.05, "test": 0.1}, seed=0)
    counts = {
        split: np.bincount(classes[[row for row in drawn if drawn[row] == split]]) for split in ("validation", "test")
    }
    assert counts["validation"].tolist() == [10, 2, 1] and counts["test"].tolist() == [20, 4, 1]
    assert drawn != splits.stratified(np.arange(243), classes, {"validation": 0.05, "test": 0.1}, seed=1)
