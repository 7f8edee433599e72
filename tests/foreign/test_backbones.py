"""Backbones of others: files of PyTorch, safetensors and ONNX compared with NumPy, and what a RAN takes over."""

import logging

import keras
import numpy as np
import pytest
from support import onnx_files
from support.oracles import array
from support.pytorch_nets import FILTERS, channels_first, embed, embedding_state, residual_map, residual_state
from support.tiny import make_images

import edram_fer
from edram_fer import cli, models
from edram_fer.errors import MissingFileError, MissingPackageError, UserError
from edram_fer.foreign import backbones, state_files
from edram_fer.models.region_attention import take_over
from edram_fer.models.region_attention.iresnet import IResNet
from edram_fer.models.region_attention.ran import BACKBONES
from edram_fer.models.region_attention.resnet import ResNet
from edram_fer.run import checkpoints

SIDE = 32


@pytest.fixture(autouse=True)
def few_blocks(monkeypatch):
    """ResNet-18 and IResNet-18 with one block in each stage, in the first two: all kinds of blocks."""
    for name, kind in (("resnet18", ResNet), ("iresnet18", IResNet)):
        monkeypatch.setitem(BACKBONES, name, (kind, (2, 1, 1, 1)))


def few(state):
    """The arrays of a state that such a backbone has."""
    return {
        name: value for name, value in state.items() if not name.startswith(("layer2.1.", "layer3.1.", "layer4.1."))
    }


def convert(path, backbone="iresnet18", **options):
    return backbones.convert(path, path.with_name("faces.keras"), backbone, filters=FILTERS, **options)


def write_safetensors(path, state):
    save_file = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed").save_file
    save_file({name: np.ascontiguousarray(value) for name, value in state.items()}, path)
    return path


def reload(path):
    return keras.saving.load_model(path.with_name("faces.keras"))


def test_a_resnet_of_the_released_ran(tmp_path, caplog):
    """DataParallel's prefixes and a classifier of identities; a RAN for grey faces begins with its backbone alone."""
    state = few(residual_state("resnet18"))
    state.update({"fc.weight": np.ones((90, FILTERS[-1]), "float32"), "fc.bias": np.ones(90, "float32")})
    path = write_safetensors(tmp_path / "r18.safetensors", {f"module.{name}": value for name, value in state.items()})
    done, images = convert(path, "resnet18"), make_images(2, 47, 64, 3)
    assert sorted(done.unused) == ["fc.bias", "fc.weight"] and not done.folded
    expected = residual_map(state, channels_first(images), False).mean((2, 3))
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(array(reload(path)(images)), expected, rtol=1e-5, atol=1e-5)
    settings = {"variant": "wang2020", "backbone": "resnet18", "backbone_filters": FILTERS, "image_size": (47, 64)}
    model = models.build("ran", crops="face", **settings)
    head = array(model.emotion_head.kernel)
    with caplog.at_level(logging.INFO):
        changed, variables = checkpoints.initialise_from(model, tmp_path / "faces.keras")
    assert variables - changed == 2  # kernel and bias of the head
    np.testing.assert_array_equal(array(model.emotion_head.kernel), head)
    grey = images[..., :1]
    expected = residual_map(state, channels_first(grey.repeat(3, axis=-1)), False).mean((2, 3))
    np.testing.assert_allclose(array(model.backbone(grey)), expected, rtol=1e-5, atol=1e-5)
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        "all 70 arrays of the resnet18 taken over, the first kernels summed over the colours for grey faces",
        "not in the file, so random at the start: emotion_head",
    ]


@pytest.fixture(scope="module")
def faces():
    """Of different brightness, so that no channel is constant; uint8 [N, H, W, 1]."""
    return (255 * make_images(6, SIDE, SIDE, 1, seed=3)).astype("uint8")


def test_an_iresnet_in_onnx(tmp_path, faces):
    """Folded normalisations get back their scales from faces, without which the outputs are the same."""
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    state = few(embedding_state(points=4))
    onnx_files.write(tmp_path / "r18.onnx", state)
    images = make_images(2, SIDE, SIDE, 3)
    expected = embed(state, residual_map(state, channels_first(2 * images - 1), True))
    assert np.abs(expected).max() > 0.1
    for given in (None, faces):
        done = convert(tmp_path / "r18.onnx", faces=given)
        assert (done.unused, done.folded) == ([], 1 + 2 * 5 + 4)
        assert done.backbone.arguments["embedding"] and done.backbone.arguments["signed_input"]
        np.testing.assert_allclose(array(done.backbone(images)), expected, rtol=1e-4, atol=1e-5)
    stem, norm = done.backbone.backbone.convolution, done.backbone.backbone.norm
    x = stem(np.repeat(faces / np.float32(127.5) - 1, 3, axis=-1))
    outputs = array(norm(x))
    np.testing.assert_allclose(array(norm.beta)[0], outputs.mean((0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(array(norm.gamma)[0], outputs.std((0, 1, 2)), rtol=1e-3)
    np.testing.assert_allclose(array(norm(x, training=True)), outputs, atol=1e-3)  # so training begins with the same


def test_a_resnet_in_onnx_with_its_normalisations(tmp_path):
    pytest.importorskip("onnx", reason="the package onnx is not installed")
    state, images = few(residual_state("resnet18")), make_images(2, 33, 40, 3)
    onnx_files.write(tmp_path / "r18.onnx", state, fold=False)
    done = convert(tmp_path / "r18.onnx", "resnet18")
    assert not done.folded
    np.testing.assert_array_equal(array(done.backbone.backbone.norm.gamma)[0], state["bn1.weight"])
    expected = residual_map(state, channels_first(images), False).mean((2, 3))
    np.testing.assert_allclose(array(done.backbone(images)), expected, rtol=1e-5, atol=1e-5)


def test_another_network_in_onnx_is_named(tmp_path):
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    path, state = tmp_path / "net.onnx", few(residual_state("iresnet18"))

    def refused(message):
        with pytest.raises(UserError, match=f"net.onnx: expected the graph of a ResNet-18 or an IResNet: {message}"):
            state_files.read(path)

    changes = [
        (
            lambda node: node.op_type == "PRelu",
            lambda node: setattr(node, "op_type", "Sigmoid"),
            "expected PRelu or Relu",
        ),
        (
            lambda node: node.op_type == "Add",
            lambda node: setattr(node, "op_type", "Mul"),
            "expected Add after t5, got Mul",
        ),
        (
            lambda node: node.op_type == "Conv",
            lambda node: next(option for option in node.attribute if option.name == "pads").ints.__setitem__(0, 0),
            "expected a convolution with 1 points of padding",
        ),
        (
            lambda node: node.op_type == "Conv",
            lambda node: node.input.__setitem__(1, "gone"),
            r"expected a square kernel at t0, got \[\]",
        ),
    ]
    for chosen, change, message in changes:
        onnx_files.write(path, state)
        model = onnx.load(path)
        change(next(node for node in model.graph.node if chosen(node)))
        onnx.save(model, path)
        refused(message)
    onnx_files.write(path, state)
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, location="secret", size_threshold=0)
    refused("the array 100 is in another file")
    path.write_bytes(b"\x08\x07" + b"\xff" * 40)
    with pytest.raises(UserError, match=r"net\.onnx is damaged or not an ONNX file"):
        state_files.read(path)


def test_files_that_hold_no_backbone_are_named(tmp_path):
    state = few(residual_state("iresnet18"))
    missing = {name: value for name, value in state.items() if name != "layer2.0.bn3.weight"}
    path = write_safetensors(tmp_path / "w.safetensors", missing)
    with pytest.raises(
        UserError, match=r"w\.safetensors: expected the arrays of iresnet18; it lacks 1 of 101 arrays: "
    ):
        convert(path)
    with pytest.raises(UserError, match=r"expected the arrays of resnet18; .*; its names are those of iresnet18$"):
        convert(path, "resnet18")
    assert not (tmp_path / "faces.keras").exists()
    write_safetensors(path, state | {"conv1.weight": np.full_like(state["conv1.weight"], np.nan)})
    with pytest.raises(UserError, match=r"w\.safetensors: conv1\.weight holds values that are nan or infinite"):
        convert(path)
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(UserError, match=r"w\.safetensors is damaged or no safetensors file: .*header too large"):
        convert(path)
    with pytest.raises(MissingFileError, match=r"none\.pth is missing"):
        convert(tmp_path / "none.pth")
    with pytest.raises(UserError, match="backbone: expected one of vgg16, .*, got 'resnet50'"):
        convert(path, "resnet50")
    with pytest.raises(UserError, match="x.h5: expected a file to write that ends in .keras"):
        backbones.convert(path, "x.h5", "resnet18")


def test_pytorch_is_asked_for(tmp_path, monkeypatch):
    (tmp_path / "w.pth").write_bytes(b"x")
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(MissingPackageError, match=r"w\.pth needs torch"):
        convert(tmp_path / "w.pth")


@pytest.fixture(scope="module")
def pretrained():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "iresnet18", (IResNet, (1, 0, 0, 0)))
        yield models.region_attention.Backbone("iresnet18", FILTERS, signed_input=True, image_size=(16, 16))


def test_what_differs_from_the_model_is_told(pretrained, monkeypatch):
    monkeypatch.setitem(BACKBONES, "iresnet18", (IResNet, (1, 0, 0, 0)))
    model = models.build("ran", backbone="iresnet18", backbone_filters=FILTERS, image_size=(16, 16), crops="face")
    assert [line.partition(" and computes")[0] for line in take_over(model, pretrained).warnings] == [
        "the backbone was trained with signed_input=true, the model has false",
        "the backbone was trained with padding=symmetric, the model has same",
        "the backbone was trained with batch_norm_epsilon=1e-05, the model has 0.001",
    ]
    model = models.build("ran", backbone="iresnet18", backbone_filters=(2, 3, 4, 5), image_size=(16, 16), crops="face")
    with pytest.raises(UserError, match=r"with backbone_filters=\[4,5,6,7\], the model has \[2,3,4,5\]: --set "):
        take_over(model, pretrained)
    with pytest.raises(UserError, match="it holds a backbone for RAN, the model is CNN"):
        take_over(models.build("cnn", image_size=(32, 32), glimpse_units=4, hidden_units=4), pretrained)


def test_a_backbone_is_no_model_with_classes(pretrained, tmp_path, monkeypatch):
    monkeypatch.setitem(BACKBONES, "iresnet18", (IResNet, (1, 0, 0, 0)))
    pretrained.save(tmp_path / "faces.keras")
    with pytest.raises(UserError, match=r"faces\.keras holds a backbone, which has no classes: train from it with"):
        edram_fer.load(tmp_path / "faces.keras")


def test_the_command_prints_the_next_one(tmp_path, monkeypatch, capsys, pretrained):
    monkeypatch.chdir(tmp_path)
    done = backbones.Conversion(pretrained, [f"w{i}" for i in range(8)], 3)
    monkeypatch.setattr(backbones, "convert", lambda *arguments, **options: done)
    with pytest.raises(SystemExit) as ending:
        cli.main(["backbone", "w600k.onnx", "--as", "iresnet18"])
    assert not ending.value.code
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("w600k.keras: iresnet18, ") and lines[0].endswith("for RGB faces from -1 to 1")
    assert lines[1] == "Left out: w0, w1, w2, w3, w4, w5 and 2 more"
    assert lines[2].startswith("3 batch normalisations are folded into convolutions.")
    assert lines[3] == (
        "Next: edram-fer train ran_ferplus --set initial_weights=w600k.keras --set backbone=iresnet18 "
        "--set crop_size=112 --set signed_input=true"
    )


# With PyTorch, on the published numbers of filters


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "iresnet18", "iresnet34", "iresnet50", "iresnet100"])
def test_outputs_equal_pytorch(name, tmp_path, monkeypatch):
    """A checkpoint with prefixes in the old format, and plain state dicts; grey and colour RANs."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra torch)")
    from support import torch_nets

    monkeypatch.setitem(BACKBONES, name, (BACKBONES[name][0], torch_nets.BLOCKS[name]))
    net, path, improved = torch_nets.make_net(name), tmp_path / "net.pth", name.startswith("i")
    state = net.state_dict()
    if not improved:
        state = {"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}
    torch.save(state, path, _use_new_zipfile_serialization=improved)
    backbones.convert(path, tmp_path / "faces.keras", name)
    side = backbones.published_side(name)
    images = make_images(2, side, side, 3)
    for channels in (1, 3):
        x = images[..., :channels]
        signed = 2 * x - 1 if improved else x
        given = torch.from_numpy(np.moveaxis(np.broadcast_to(signed, images.shape), -1, 1).copy())
        with torch.no_grad():
            expected, embedded = net.maps(given).mean((2, 3)).numpy(), net(given).numpy()
        model = models.build(
            "ran", variant="wang2020", backbone=name, channels=channels, image_size=(side, side), crops="face"
        )
        checkpoints.initialise_from(model, tmp_path / "faces.keras")
        np.testing.assert_allclose(array(model.backbone(signed)), expected, atol=1e-4)
    if improved:
        np.testing.assert_allclose(array(reload(path)(images)), embedded, atol=1e-4)


@pytest.mark.slow
def test_files_of_pytorch_run_no_code(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra torch)")

    class Code:
        def __reduce__(self):
            return (open, (str(tmp_path / "was-run"), "w"))

    path, array_of_one = tmp_path / "w.pth", torch.zeros(1)
    for content, message in (
        ({"state_dict": Code()}, r"w\.pth holds \S*open, for which code would run: expected arrays alone"),
        (
            {"conv1.weight": array_of_one.expand(10_000, 100_000)},
            "expected arrays of at most .* MB for its size, got 4,000",
        ),
        ([array_of_one], "expected a dict of arrays by name, or one under state_dict, .*; got list"),
    ):
        torch.save(content, path)
        with pytest.raises(UserError, match=message):
            state_files.read(path)
    assert not (tmp_path / "was-run").exists()
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"w\.pth is damaged or not a file of PyTorch"):
        state_files.read(path)
