"""The Beam pipeline makes the same chunk files as local processes, tried on Beam's local runner with two workers."""

import pytest
from support.face_files import make_annotations, make_image

from edram_fer.preprocessing import face_chunks, faces_beam
from edram_fer.preprocessing.face_settings import FaceSettings

beam = pytest.importorskip("apache_beam", reason="Apache Beam is not installed: pip install 'edram-fer[beam]'")

LOCAL = ("--runner=DirectRunner", "--direct_num_workers=2", "--direct_running_mode=multi_processing")
SETTINGS = FaceSettings(size=16, detectors=("none",))


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
