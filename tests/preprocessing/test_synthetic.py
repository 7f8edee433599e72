"""Drawn faces: one number is one image, action units move the right landmarks, the mask shows what changed."""

import numpy as np
import pytest

from edram_fer.preprocessing import synthetic
from edram_fer.preprocessing.emotions import EMOTIONS
from edram_fer.preprocessing.synthetic import action_units, points
from edram_fer.preprocessing.synthetic.occluders import OCCLUDERS

QUIET = dict(pose=0, noise=0, occlusion=0)
PEOPLE = range(6)
MOUTH, EYES, BROWS, JAW = range(48, 68), range(36, 48), range(17, 27), range(17)


def landmarks(person: int, units: dict) -> np.ndarray:
    """Frontal landmarks of a person in units of the distance between the eyes' outer corners, y upwards."""
    points = synthetic.scene(3, person, **QUIET).show(units)[1]
    return points * (1, -1) / np.linalg.norm(points[45] - points[36])


def change(person: int, units: dict, points) -> np.ndarray:
    """How far the units move some landmarks on average: (to the right, up)."""
    return (landmarks(person, units) - landmarks(person, {}))[list(points)].mean(axis=0)


def same(a: synthetic.DrawnFace, b: synthetic.DrawnFace) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in a.__dataclass_fields__)


def test_an_image_is_a_function_of_seed_and_index():
    series = list(synthetic.generate(9, 5, size=48))
    assert same(series[7], synthetic.draw(5, 7, size=48))
    assert same(series[7], next(synthetic.generate(1, 5, start=7, size=48)))
    assert not np.array_equal(series[7].image, synthetic.draw(6, 7, size=48).image)
    assert [face.index for face in series] == list(range(9)) and series[7].id == "drawn-000007"


@pytest.mark.parametrize("size", [16, 48, 100, 131])
@pytest.mark.parametrize("colour", [False, True])
def test_any_size_grey_or_colour(size, colour):
    face = synthetic.draw(0, 1, size=size, colour=colour)
    assert face.image.shape == (size, size, 3 if colour else 1) and face.image.dtype == np.uint8
    assert face.mask.shape == (size, size, 1) and face.mask.dtype == np.uint8 and set(np.unique(face.mask)) <= {0, 1}
    assert face.landmarks.shape == (68, 2) and face.landmarks.dtype == np.float32


def test_size_and_colour_change_nothing_else():
    small, large = synthetic.draw(2, 4, size=60), synthetic.draw(2, 4, size=120, colour=True)
    assert small.action_units == large.action_units and small.pose == large.pose
    # Pixels are counted from the centre of the first, 0.5 from its edge.
    np.testing.assert_allclose((small.landmarks + 0.5) * 2, large.landmarks + 0.5, atol=1.5)


def test_an_occluder_changes_only_what_it_hides():
    for index in range(20):
        free, hidden = (synthetic.draw(8, index, size=48, occlusion=chance) for chance in (0, 1))
        assert free.occluder == "" and hidden.occluder in OCCLUDERS
        assert np.array_equal(free.landmarks, hidden.landmarks) and free.action_units == hidden.action_units
        assert not np.array_equal(free.image, hidden.image)


def test_landmarks_lie_inside_and_in_order():
    for face in synthetic.generate(150, 1, size=48, classes=8):
        assert (face.landmarks >= 0).all() and (face.landmarks <= 47).all()
        x, y = face.landmarks.T
        assert x[36:42].mean() < x[27:31].mean() < x[42:48].mean()
        assert y[17:27].mean() < y[36:48].mean() < y[31:36].mean() < y[48:68].mean() < y[8]
        assert (np.diff(x[:17]) > 0).mean() > 0.85 and x[48] < x[51] < x[54] and x[17] < x[21] < x[22] < x[26]


def test_faces_fill_the_image():
    spans = np.array([np.ptp(face.landmarks, axis=0) for face in synthetic.generate(60, 2, size=100, occlusion=0)])
    assert (spans[:, 1] > 55).all() and 60 < spans[:, 1].mean() < 90 and spans[:, 1].std() > 2


def test_landmarks_lie_on_what_is_drawn():
    """Where the landmarks say that the pupil is, the image is darker than where they say that the white is."""
    hits = []
    for person in range(12):
        image, face_drawn = synthetic.scene(4, person, size=100, **QUIET).show({"AU5": 0.5})
        for eye in (range(36, 42), range(42, 48)):
            x, y = np.rint(face_drawn[list(eye)].mean(axis=0)).astype(int)
            corner = np.rint(0.25 * face_drawn[eye[2]] + 0.75 * face_drawn[eye[3]]).astype(int)
            hits.append(image[y - 2 : y + 3, x - 2 : x + 3].min() < image[corner[1], corner[0]].min() + 20)
    assert np.mean(hits) > 0.8


@pytest.mark.parametrize(
    "unit, which, direction",
    [
        ("AU1", (20, 21, 22, 23), (0, 1)),
        ("AU2", (17, 18, 25, 26), (0, 1)),
        ("AU4", BROWS, (0, -1)),
        ("AU5", (37, 38, 43, 44), (0, 1)),
        ("AU6", (40, 41, 46, 47), (0, 1)),
        ("AU7", (40, 41, 46, 47), (0, 1)),
        ("AU9", (31, 32, 34, 35), (0, 1)),
        ("AU10", (50, 52), (0, 1)),
        ("AU12", (48, 54), (0, 1)),
        ("AU12", (48,), (-1, 0)),
        ("AU15", (48, 54), (0, -1)),
        ("AU16", (56, 57, 58), (0, -1)),
        ("AU17", (56, 57, 58), (0, 1)),
        ("AU20", (54,), (1, 0)),
        ("AU23", (48,), (1, 0)),
        ("AU24", (56, 57, 58), (0, 1)),
        ("AU25", (56, 57, 58), (0, -1)),
        ("AU26", (7, 8, 9), (0, -1)),
        ("AU27", (7, 8, 9), (0, -1)),
        ("AU43", (37, 38, 43, 44), (0, -1)),
        ("AU14L", (54,), (1, 0)),
        ("AU14R", (48,), (-1, 0)),
    ],
)
def test_every_action_unit_moves_what_it_should(unit, which, direction):
    for person in PEOPLE:
        weak, strong = (change(person, {unit: value}, which) @ direction for value in (0.5, 1.0))
        assert 0 < weak < strong


def test_a_one_sided_unit_leaves_the_other_side():
    left = landmarks(0, {"AU12L": 1}) - landmarks(0, {})  # the person's left is the image's right
    assert left[54, 1] > 0.05 and np.allclose(left[48], 0, atol=1e-6)


def test_lids_and_lips_never_cross():
    all_units = {f"AU{unit}": 1.0 for unit in action_units.UNITS}
    for units in (all_units, {"AU43": 1, "AU7": 1}, {"AU24": 1, "AU17": 1}, {"AU5": 1, "AU27": 1, "AU25": 1}):
        y = landmarks(1, units)[:, 1]
        assert (y[[37, 38, 43, 44]] > y[[41, 40, 47, 46]]).all()
        assert (y[[50, 51, 52]] > y[[61, 62, 63]]).all() and (y[[61, 62, 63]] >= y[[67, 66, 65]] - 1e-6).all()


def test_mask_is_where_the_image_differs_from_the_face_at_rest():
    filled = 0
    for index in range(40):
        face = synthetic.draw(6, index, size=64, colour=index % 2 == 0)
        rest = synthetic.scene(6, index, size=64, colour=index % 2 == 0).show({})[0]
        difference = np.abs(face.image.astype(int) - rest).max(axis=2, keepdims=True)
        assert (difference[face.mask == 1] >= 8).all() and (difference[face.mask == 0] < 8).all()
        filled += face.mask.any() or face.emotion == "neutral"
        assert face.emotion != "neutral" or not face.mask.any()
    assert filled >= 38


@pytest.mark.parametrize(
    "units, near",
    [
        ({"AU12": 0.9, "AU25": 0.9}, [*MOUTH, 31, 35, 40, 41, 46, 47]),
        ({"AU1": 1, "AU2": 1}, [*BROWS, 27]),
        ({"AU5": 1}, EYES),
    ],
)
def test_change_lies_near_the_landmarks_that_moved(units, near):
    for person in PEOPLE:
        scene = synthetic.scene(3, person, size=100, **QUIET)
        (image, moved), (rest, _) = scene.show(units), scene.show({})
        changed = np.argwhere(np.abs(image.astype(int) - rest)[..., 0] >= 8)[:, ::-1]
        distance = np.linalg.norm(changed[:, None] - moved[list(near)][None], axis=2).min(axis=1)
        assert len(changed) > 20 and np.quantile(distance, 0.9) < 22


def test_affect_follows_from_emotion_and_intensity():
    signs = {
        "happy": (1, 1),
        "sad": (-1, -1),
        "surprise": (1, 1),
        "fear": (-1, 1),
        "disgust": (-1, 1),
        "anger": (-1, 1),
        "contempt": (-1, 1),
    }
    for emotion, sign in signs.items():
        weak, strong = (synthetic.draw(0, 0, emotion=emotion, intensity=value, size=16) for value in (0.4, 0.9))
        assert np.sign([weak.valence, weak.arousal]).tolist() == list(sign)
        assert abs(strong.valence) > abs(weak.valence) and abs(strong.arousal) > abs(weak.arousal)
        assert max(abs(strong.valence), abs(strong.arousal)) <= 1
    rest = synthetic.draw(0, 0, emotion="neutral", size=16)
    assert (rest.valence, rest.arousal, rest.intensity, rest.action_units) == (0, 0, 0, {})


def test_intensity_scales_the_action_units():
    weak, strong = (synthetic.draw(0, 3, emotion="fear", intensity=value, size=16).action_units for value in (0.3, 0.8))
    assert weak.keys() == strong.keys() and all(weak[name] < strong[name] for name in weak)


def test_expressions_follow_the_prototypes_and_vary():
    for emotion, must in {"happy": "AU12", "surprise": "AU1", "disgust": "AU9", "anger": "AU4", "sad": "AU15"}.items():
        shown = [synthetic.draw(1, index, emotion=emotion, size=16).action_units for index in range(30)]
        assert all(must in units for units in shown)
        assert len({tuple(sorted(units)) for units in shown}) >= 3 and np.std([units[must] for units in shown]) > 0.1
        assert all(0 < value <= 1 for units in shown for value in units.values())


@pytest.mark.parametrize("classes", [7, 8])
def test_classes_are_balanced_and_shuffled(classes):
    names = [synthetic.emotion_at(0, index, classes) for index in range(classes * 60)]
    assert all(names.count(name) == 60 for name in EMOTIONS[:classes]) and set(names) == set(EMOTIONS[:classes])
    assert len({tuple(names[start : start + classes]) for start in range(0, len(names), classes)}) > 50


def test_people_differ_and_a_person_stays_the_same():
    rest = [landmarks(person, {}) for person in range(8)]
    assert all(np.abs(a - b).max() > 0.02 for k, a in enumerate(rest) for b in rest[:k])
    first, second = (synthetic.scene(0, index, identity=4) for index in (10, 11))
    assert first.person == second.person != synthetic.scene(0, 10).person and first.pose != second.pose
    people = [synthetic.scene(0, index, size=16).person for index in range(60)]
    assert len({person.hair_style for person in people}) > 5 and len({person.glasses for person in people}) == 3
    assert len({person.skin for person in people}) == 60 and len({person.beard for person in people}) > 2


def test_pose_light_and_background_vary():
    faces = [synthetic.draw(0, index, size=32) for index in range(60)]
    assert np.std([face.pose for face in faces], axis=0).min() > 2
    assert np.std([face.image.mean() for face in faces]) > 10 and np.std([face.image[0, 0, 0] for face in faces]) > 25
    assert len({face.occluder for face in synthetic.generate(60, 0, size=16, occlusion=1)}) == len(OCCLUDERS)


def test_arrays_hold_the_same_faces():
    data = synthetic.generate_arrays(4, 9, size=20, classes=8)
    faces = list(synthetic.generate(4, 9, size=20, classes=8))
    assert data["image"].shape == (4, 20, 20, 1) and data["mask"].shape == (4, 20, 20, 1)
    for row, face in enumerate(faces):
        assert np.array_equal(data["image"][row], face.image) and data["id"][row] == face.id
        assert EMOTIONS[data["emotion"][row]] == face.emotion
        assert np.allclose(data["affect"][row], (face.valence, face.arousal))


def test_mirrored_landmarks():
    assert sorted(points.MIRROR) == list(range(68)) and (points.MIRROR[points.MIRROR] == np.arange(68)).all()


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(size=15), "size.*16.*15"),
        (dict(size=48.0), "size"),
        (dict(emotion="joy"), "emotion.*happy.*joy"),
        (dict(classes=6), "classes.*7 or 8.*6"),
        (dict(intensity=1.2), "intensity.*1.2"),
        (dict(occlusion=-1), "occlusion"),
        (dict(pose=2), "pose"),
        (dict(noise=-0.1), "noise"),
        (dict(identity=-1), "identity"),
        (dict(noise=True), "noise"),
    ],
)
def test_options_out_of_range_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        synthetic.draw(0, 0, **options)
    with pytest.raises(ValueError, match=words):
        synthetic.generate(3, 0, **options)


def test_arguments_out_of_range_are_named():
    for call, words in (
        (lambda: synthetic.draw(-1, 0), "seed.*-1"),
        (lambda: synthetic.draw(0, 0.5), "index.*0.5"),
        (lambda: synthetic.generate(-1, 0), "count.*-1"),
        (lambda: synthetic.generate_arrays(0, 0), "count.*0"),
        (lambda: synthetic.generate(1, 0, start=-2), "start.*-2"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(ValueError, match="AU3"):
        synthetic.scene(0, 0).show({"AU3": 0.5})
    with pytest.raises(ValueError, match="AU12.*1.5"):
        synthetic.scene(0, 0).show({"AU12": 1.5})
    assert list(synthetic.generate(0, 0)) == []


@pytest.fixture(scope="module")
def builder_module():
    pytest.importorskip("tensorflow_datasets")
    from edram_fer.preprocessing.datasets.drawn_faces import drawn_faces_dataset_builder

    return drawn_faces_dataset_builder


def test_builder_round_trip(builder_module, tmp_path):
    import tensorflow_datasets as tfds

    config = builder_module.DrawnFacesConfig(size=24, colour=True, classes=8, train=9, validation=3, test=2, seed=7)
    builder = builder_module.Builder(data_dir=tmp_path, config=config)
    builder.download_and_prepare()
    assert builder.info.features["emotion"].names == list(EMOTIONS)
    assert builder.info.features["image"].shape == (24, 24, 3)
    read = {name: list(tfds.as_numpy(builder.as_dataset(name))) for name in ("train", "validation", "test")}
    face_drawn = list(synthetic.generate(9, 7, size=24, colour=True, classes=8))
    for example, face in zip(read["train"], face_drawn, strict=True):
        assert np.array_equal(example["image"], face.image) and np.array_equal(example["mask"], face.mask)
        assert np.array_equal(example["landmarks"], face.landmarks) and example["id"].decode() == face.id
        assert EMOTIONS[example["emotion"]] == face.emotion and example["intensity"] == np.float32(face.intensity)
        assert np.allclose(example["affect"], (face.valence, face.arousal))
    names = [example["id"] for split in read.values() for example in split]
    assert {name: len(split) for name, split in read.items()} == {"train": 9, "validation": 3, "test": 2}
    assert len(set(names)) == 14


def test_builder_configs(builder_module):
    import tensorflow_datasets as tfds

    assert {"grey48", "grey100", "colour100"} <= {config.name for config in builder_module.Builder.BUILDER_CONFIGS}
    assert "drawn_faces" in tfds.list_builders(with_community_datasets=False)
    five, six = builder_module.DrawnFacesConfig(train=5), builder_module.DrawnFacesConfig(train=6)
    assert five.name != six.name
    for config in (five, builder_module.DrawnFacesConfig(size=64, colour=True, classes=8, train=5, test=0, seed=3)):
        assert builder_module.config_from_name(config.name) == config
    assert builder_module.config_from_name("colour64") == builder_module.DrawnFacesConfig(
        name="colour64", size=64, colour=True
    )


def test_any_number_and_size_by_name(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    from edram_fer.preprocessing import datasets

    prepared = datasets.prepare("drawn_faces/colour24_8_9_3_2_7", None, tmp_path, report=lambda line: None)
    assert {name: split.num_examples for name, split in prepared.info.splits.items()} == dict(
        train=9, validation=3, test=2
    )
    assert datasets.builder("drawn_faces/colour24_8_9_3_2_7", tmp_path).info.features["image"].shape == (24, 24, 3)
    for name in ("green48", "grey" + "9" * 5000):
        with pytest.raises(ValueError, match=f"expected a configuration such as grey48, .*, got '{name[:9]}"):
            datasets.builder(f"drawn_faces/{name}", tmp_path)


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(size=3), "size"),
        (dict(size=100_000), "size: expected a whole number from 16 to 1024, got 100000"),
        (dict(classes=9), "classes"),
        (dict(train=-1), "train"),
        (dict(test=100_001), "test.*100000"),
        (dict(seed=-1), "seed"),
    ],
)
def test_configurations_out_of_range_are_named(builder_module, options, words):
    with pytest.raises(ValueError, match=words):
        builder_module.DrawnFacesConfig(**options)
