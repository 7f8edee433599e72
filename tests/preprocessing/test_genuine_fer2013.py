"""The genuine FER2013 and FERPlus, prepared and joined, compared with an index of the images and published counts."""

import collections
import hashlib
import runpy

import numpy as np
import pytest
from PIL import Image
from support.genuine import FER2013, needs_fer2013

from edram_fer.preprocessing import datasets, emotions
from edram_fer.preprocessing.datasets.fer2013 import published
from edram_fer.preprocessing.datasets.ferplus import joined

tfds = pytest.importorskip("tensorflow_datasets")

pytestmark = needs_fer2013
MD5 = "f8428a1edbd21e88f42c73edd2a14f95"  # of fer2013.csv, as torchvision publishes it


def write_csv(path):
    """As unpack.py beside the images does, in a third of its time."""
    limit = Image.MAX_IMAGE_PIXELS  # which the script lifts
    images, labels, usage = runpy.run_path(str(FER2013 / "unpack.py"))["pixels_and_labels"](FER2013)
    Image.MAX_IMAGE_PIXELS = limit
    words = [str(value) for value in range(256)]
    with open(path, "w", newline="\n") as file:
        file.write("emotion,pixels,Usage\n")
        for image, label, split in zip(images, labels, usage, strict=True):
            pixels = " ".join(map(words.__getitem__, image.tobytes()))
            file.write(f"{label},{pixels},{('Training', 'PublicTest', 'PrivateTest')[split]}\n")
    with open(path, "rb") as file:
        assert hashlib.file_digest(file, "md5").hexdigest() == MD5


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A folder with the published files: fer2013.csv, fer2013new.csv and the lists of the subsets."""
    folder = tmp_path_factory.mktemp("genuine")
    write_csv(folder / "fer2013.csv")
    for name in ("fer2013new.csv", "ferplus_subsets"):
        (folder / name).symlink_to(FER2013 / name)
    yield folder
    (folder / "fer2013.csv").unlink()  # 300 MB


@pytest.mark.slow
def test_fer2013(source, tmp_path):
    tfds.disable_progress_bar()
    lines = []
    builder = datasets.prepare("fer2013", source / "fer2013.csv", tmp_path / "data", report=lines.append)
    assert "all counts as published" in lines
    metadata = builder.info.metadata
    assert metadata["status"] == published.AS_PUBLISHED and metadata["faults"] == 0
    assert (metadata["distinct"], metadata["conflicting"], metadata["blank"]) == (34034, 57, 12)
    assert metadata["duplicates"] == {"PublicTest": 280, "PrivateTest": 288}
    assert {name: part.num_examples for name, part in builder.info.splits.items()} == {
        "train": 28709,
        "validation": 3589,
        "test": 3589,
        "test_clean": 3301,
        "test_distinct": 3150,
    }
    _compare_with_index(builder)


def _compare_with_index(builder):
    """Compare labels, order, counts and duplicates with index.npz, which gives equal images the same number."""
    index = np.load(FER2013 / "index.npz")
    tile, emotion, usage = index["tile"], index["emotion"], index["usage"]
    names = np.array([emotions.from_code("FER2013", code) for code in emotion.tolist()])
    repeated = np.isin(tile, tile[usage == 0])
    expected = {
        "train": usage == 0,
        "validation": usage == 1,
        "test": usage == 2,
        "test_clean": (usage == 2) & ~repeated,
    }
    skip = {"image": tfds.decode.SkipDecoding()}
    for split, rows in expected.items():
        data = builder.as_dataset(split=split, decoders=skip, batch_size=4096)
        values = collections.defaultdict(list)
        for batch in tfds.as_numpy(data):
            for key in ("id", "emotion", "duplicate"):
                values[key].extend(batch[key].tolist())
        assert values["id"] == [b"fer2013-%05d" % row for row in np.flatnonzero(rows)]
        assert [emotions.SEVEN[label] for label in values["emotion"]] == names[rows].tolist()
        assert values["duplicate"] == (repeated & (usage > 0))[rows].tolist()
        for image in tfds.as_numpy(builder.as_dataset(split=split).take(1)):
            assert image["image"].shape == (48, 48, 1)


@pytest.mark.slow
def test_ferplus(source):
    data = joined.read(source, "majority")
    counts = joined.summary(data)
    assert "all counts as published" in joined.report(counts) and 0.67 < counts["agreement"] < 0.68
    index = np.load(FER2013 / "index.npz")
    clean = ~np.isin(index["tile"], index["tile"][index["usage"] == 0]) & (index["usage"] == 2)
    assert counts["splits"]["test_clean"]["rows"] == (clean & (data.emotions != "")).sum()
    assert {name: part["rows"] for name, part in counts["splits"].items() if name.startswith("test_")} == {
        "test_clean": 2894,
        "test_distinct": 2760,
        "test_occlusion": 600,
        "test_pose30": 1167,
        "test_pose45": 630,
    }
