"""The Beam pipeline makes the same chunk files as local processes, tried on Beam's local runner with two workers."""

import numpy as np
import pytest
from support.face_files import make_annotations, make_image

from edram_fer.errors import UserError
from edram_fer.preprocessing import face_chunks, faces_beam
from edram_fer.preprocessing.face_settings import FaceSettings
from edram_fer.preprocessing.records import FaceRecord

beam = pytest.importorskip("apache_beam", reason="Apache Beam is not installed: pip install 'edram-fer[beam]'")

LOCAL = ("--runner=DirectRunner", "--direct_num_workers=2", "--direct_running_mode=multi_processing")
SETTINGS = FaceSettings(size=16, detectors=("none",))


@pytest.mark.slow
def test_the_chunk_files_equal_those_of_local_processes(tmp_path):
    for number in range(10):
        make_image(tmp_path / "images" / f"{number}.png", number, (20, 20, 3))
    local = face_chunks.process(make_annotations(tmp_path / "images"), tmp_path / "local", SETTINGS, workers=1)
    progress = []
    paths = faces_beam.process(
        make_annotations(tmp_path / "images"), tmp_path / "beam", SETTINGS, LOCAL, progress=progress.append
    )
    assert [path.name for path in paths] == [path.name for path in local] and sum(progress) == 1600
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in local]
    assert sorted(path.name for path in (tmp_path / "beam").iterdir()) == [path.name for path in local]


def test_existing_chunk_files_are_kept(tmp_path):
    for number in range(10):
        make_image(tmp_path / "images" / f"{number}.png", number, (20, 20, 3))
    (tmp_path / "beam").mkdir()
    for number in range(4):
        (tmp_path / "beam" / f"{number:06d}.parquet").write_bytes(b"made before")
    paths = faces_beam.process(make_annotations(tmp_path / "images"), tmp_path / "beam", SETTINGS, LOCAL)
    assert {path.read_bytes() for path in paths} == {b"made before"}


def test_records_pass_through_json_unchanged():
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    points = tuple((float(n), n / 3) for n in range(68))
    full = FaceRecord(
        *("a", "b", "f\udce4ce.png", "train", "happy"), valence=0.1, arousal=float("nan"), box=(1.5, 2.0, 1e300, 4.0),
        landmarks=points, subject="s", soft_label=(0.25,) * 8, pixels=pixels,
    )  # fmt: skip
    bare = FaceRecord("a", "b", "c", "", status="no label")
    first, second = faces_beam._from_json(faces_beam._to_json([full, bare]))
    assert repr(first) == repr(full) and second == bare and second.pixels is None
    np.testing.assert_array_equal(first.pixels, pixels)


def test_a_misspelt_flag_is_named(tmp_path):
    flags = ["--runner=DirectRunner", "--direct_num_wrokers=2"]
    with pytest.raises(UserError, match="^beam: unknown flags 'direct_num_wrokers'; docs/beam.md"):
        faces_beam.process(make_annotations(tmp_path), tmp_path / "chunks", FaceSettings(detectors=("none",)), flags)
