"""What is predicted of what a user passes: paths that cannot be opened, deep folders, iterables that load lazily."""

import errno
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from edram_fer import files
from edram_fer.prediction.folders import PassedOver
from edram_fer.prediction.images import decode, single_images
from edram_fer.prediction.output import Output


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_a_name_that_is_too_long_is_a_row(photo):
    names = [photo.with_name("x" * 300), photo, photo / "below", str(photo.with_name("x" * 300 + "*"))]
    long, none, below, pattern = (decode(single).fault for single in single_images(names))
    assert not none and long == pattern == "cannot be read: File name too long"
    assert below == "cannot be read: Not a directory"


def test_folders_of_any_depth_are_searched(photo):
    root = photo.parent
    folders = [f"{root}/a" + "/b" * depth for depth in range(1000)]  # as deep as Python calls functions
    for folder in folders:
        os.mkdir(folder)
    shutil.copy(photo, f"{folders[-1]}/c.png")
    try:
        assert list(map(str, single_images(root))) == [f"{folders[-1]}/c.png", str(photo)]
        os.rename(root / "a", root / ".a")
        images = single_images(root)
        os.rename(root / ".a", root / "a")
        assert list(images) == [photo] and images.passed_over == [PassedOver(root / ".a", "hidden", 1)]
    finally:  # pytest cannot delete so many
        os.remove(f"{folders[-1]}/c.png")
        for folder in reversed(folders):
            os.rmdir(folder)


def test_an_iterable_that_loads_lazily_is_not_listed():
    loaded = []

    class Lazy:
        def __len__(self):
            return 3

        def __iter__(self):
            for number in range(3):
                loaded.append(number)
                yield np.full((20, 30), number, np.uint8)

    images = single_images(Lazy())
    assert loaded == [] and images.total is None
    assert decode(next(iter(images))).pixels.max() == 0 and loaded == [0]
    assert single_images(list(Lazy())).total == 3


@pytest.mark.parametrize(("fails", "state"), [(1, "new"), (2, "resumed")])
def test_a_command_that_stops_before_its_first_row_can_be_repeated(photo, monkeypatch, fails, state):
    """The disk is full when a file is written that takes its place with a rename: the first or the second one."""
    out, images, calls, replace = photo.parent / "out", single_images(photo), [], files.replace

    def replace_or_fail(path):
        calls.append(path)
        if len(calls) == fails:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return replace(path)

    first = Output(out)
    assert first.state(images, {}) == "new"
    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space left"):
        patched.setattr(files, "replace", replace_or_fail)
        first.start([PassedOver(photo.with_name("notes.txt"), "not an image")])
    assert Output(out).state(images, {}) == state
