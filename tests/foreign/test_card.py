"""Cards: what they say, and one sentence for each mistake in them."""

import hashlib

import pytest

from edram_fer.errors import MissingFileError, UserError
from edram_fer.foreign import copy_model, read_card, set_calibration

CARD = """\
model: m.onnx
classes: [Angry, joy, bored]
image_size: [64, 48]
colour: bgr
scaling: [0, 255]
output: logits
"""


@pytest.fixture
def write(tmp_path):
    """write(text) -> path of a card beside a file m.onnx."""
    (tmp_path / "m.onnx").write_bytes(b"content")

    def write(text):
        (tmp_path / "card.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / "card.yaml"

    return write


def test_a_card_is_read_with_the_names_of_the_vocabulary(write):
    card = read_card(write(CARD + "mean: [1, 2, 3]\nstd: 4\nlayout: nchw\ncitation: Somebody 2020\n"))
    assert card.classes == ("anger", "happy", "bored")
    assert (card.image_size, card.channels, card.colour, card.layout) == ((64, 48), 3, "bgr", "NCHW")
    assert (card.scaling, card.mean, card.std) == ((0, 255), (1, 2, 3), (4,))
    assert (card.name, card.citation) == ("card", "Somebody 2020")


def test_a_copied_model_has_the_same_card(write, tmp_path):
    card = read_card(write(CARD + "ignored_classes: [bored]\nstd: [1, 2, 3]\nlicence: MIT\n"))
    (tmp_path / "m.onnx.data").touch()
    copy_model(card.path, tmp_path / "run" / "card.yaml")
    copy = read_card(tmp_path / "run" / "card.yaml")
    assert copy.sha256 == hashlib.sha256(b"content").hexdigest()
    assert copy.to_json() == card.to_json() | {"sha256": copy.sha256}
    assert copy.kept == [0, 1]
    assert [path.name for path in copy.files()] == ["m.onnx", "m.onnx.data"]


def test_a_calibrated_card_names_the_same_model_file(write, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "m.onnx").rename(tmp_path / "models" / "m.onnx")
    calibration = {"temperature": 2.0, "images": 100, "split": "validation"}
    for name in ("models/m.onnx", str(tmp_path / "models" / "m.onnx")):
        path = write(replaced("model", name))
        set_calibration(path, calibration)
        card = read_card(path)
        assert (card.model, card.calibration) == (tmp_path / "models" / "m.onnx", calibration)
        assert f"model: {name}\n" in path.read_text()


def test_another_model_file_than_the_one_of_the_digest_is_rejected(write, tmp_path):
    path = write(CARD + f"sha256: {hashlib.sha256(b'content').hexdigest()}")
    read_card(path)
    (tmp_path / "m.onnx").write_bytes(b"changed")
    with pytest.raises(UserError, match=r"card\.yaml: sha256: expected the digest of .*m\.onnx"):
        read_card(path)


def without(key):
    return "\n".join(line for line in CARD.splitlines() if not line.startswith(key))


def replaced(key, value):
    return without(key) + f"\n{key}: {value}\n"


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "expected a card with keys such as `model` and `classes`, got None"),
        ("- a\n- b", r"expected a card with keys .*, got \['a', 'b'\]"),
        ("model: [", "line 1: expected YAML"),
        (b"model: \xff", "expected a card in UTF-8"),
        (b"\x00\x01", "expected YAML"),
        ("x" * 200_000, "expected the card of a model, at most 20000 bytes, got 200000"),
        ("a: &a [*a]", "expected YAML"),
        ("!!python/object/apply:os.system ['true']", "expected YAML"),
        ("[" * 200, "expected YAML"),
        ("a: 2001-99-99", "expected YAML with text"),
        (without("classes"), "classes missing; a card has at least model, classes"),
        (CARD + "colour: rgb", "line 7: expected YAML.*'colour' occurs twice"),
        (CARD + "color: rgb", "unknown key 'color'; did you mean colour?"),
        (CARD + "7: rgb", "unknown key 7; known are model, classes"),
        (replaced("model", "3"), "model: expected text, got 3"),
        (replaced("model", "https://a/m.onnx"), "model: expected a file beside the card, got the address"),
        (replaced("classes", "angry"), "classes: expected a list of class names, got 'angry'"),
        (replaced("classes", "[no, happy]"), "classes: expected class names, got False among them"),
        (replaced("classes", "[angry, happy, Anger]"), "different emotions, got angry, Anger, which are all anger"),
        (replaced("classes", "[suprise, happy]"), "expected an emotion, got 'suprise'; did you mean surprise?"),
        (replaced("image_size", "[64]"), r"image_size: expected \[height, width\] in pixels, 1 to 4096, got \[64\]"),
        (replaced("image_size", "[64, 1.5]"), "image_size: expected"),
        (replaced("image_size", "true"), "image_size: expected"),
        (replaced("image_size", "[64, 1000000]"), "image_size: expected"),
        (replaced("colour", "red"), "colour: expected grey or rgb or bgr, got 'red'"),
        (replaced("scaling", "1"), r"scaling: expected the values of black and white, such as \[0, 1\].*, got 1"),
        (replaced("scaling", "[1, 1]"), "scaling: expected"),
        (replaced("scaling", "[.nan, 1]"), "scaling: expected"),
        (replaced("output", "softmax"), "output: expected probabilities or logits, got 'softmax'"),
        (CARD + "mean: [1, 2]", "mean: expected one number or 3, one for each channel of bgr, got 2"),
        (CARD + "mean: 1e-3x", "mean: expected a number, or one for each channel, got '1e-3x'"),
        (CARD + "std: [1, 0, 1]", "std: expected numbers above 0"),
        (CARD + "layout: HWC", "layout: expected NHWC or NCHW, got 'HWC'"),
        (CARD + "ignored_classes: [fear]", "ignored_classes: expected some of anger, happy, bored, got 'fear'"),
        (CARD + "ignored_classes: [bored, joy]", "ignored_classes: expected at least 2 classes to remain, got 1"),
        (
            replaced("model", "x" * 300),
            "model: expected a path of at most 2000 bytes, its names of at most 255, got 'xxx",
        ),
        (replaced("model", "x/" * 2000), "model: expected a path of at most 2000 bytes"),
        (CARD + "calibration: 2", "calibration: expected what `edram-fer calibrate` writes, got 2"),
        (CARD + "sha256: abc", "sha256: expected 64 hexadecimal digits, got 'abc'"),
    ],
)
def test_a_mistake_is_one_sentence(write, text, message):
    path = write(text)
    with pytest.raises(UserError, match=message) as raised:
        read_card(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


def test_missing_files_are_named(write, tmp_path):
    with pytest.raises(MissingFileError, match=r"nothing\.yaml is missing"):
        read_card(tmp_path / "nothing.yaml")
    with pytest.raises(MissingFileError, match=r"card\.yaml: model: expected a file, .*n\.onnx is missing"):
        read_card(write(replaced("model", "n.onnx")))


def test_the_weights_beside_an_onnx_file_belong_to_it(write, tmp_path):
    card = read_card(write(CARD))
    (tmp_path / "m.onnx.data").touch()
    (tmp_path / "other.onnx").touch()
    assert [path.name for path in card.files()] == ["m.onnx", "m.onnx.data"]
