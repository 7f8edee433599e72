"""Annotations name only images inside the folder of their data set."""

import pytest
from PIL import Image

from edram_fer.preprocessing import photos
from edram_fer.preprocessing.image_paths import path_inside
from edram_fer.preprocessing.photos import PhotoError


def test_paths_stay_inside(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside.png"
    (root / "sub").mkdir(parents=True)
    for path in (outside, root / "sub" / "a.png"):
        Image.new("RGB", (40, 30), "red").save(path)
    (root / "link.png").symlink_to(outside)
    (root / "inner.png").symlink_to(root / "sub" / "a.png")
    assert path_inside(root, "sub/a.png") == root / "sub" / "a.png"
    assert photos.read(path_inside(root, "inner.png")).shape == (30, 40, 3)
    for path in ("../outside.png", "sub/../../outside.png", str(outside), "..\\outside.png"):
        with pytest.raises(PhotoError, match="leads out of the data set"):
            path_inside(root, path)
    with pytest.raises(PhotoError, match="is a link that leads out of the data set"):
        path_inside(root, "link.png")
    with pytest.raises(PhotoError, match="its path contains a null character"):
        path_inside(root, "a\0.png")
    (root / "loop.png").symlink_to(root / "loop.png")
    with pytest.raises(PhotoError, match="cannot be read"):
        photos.read(path_inside(root, "loop.png"))
