"""Recipes: the shipped ones build and survive JSON; overriding; errors and their messages."""

import dataclasses
import json

import pytest

from edram_fer import models
from edram_fer.data.augment import Augmentation
from edram_fer.preprocessing.emotions import SEVEN
from edram_fer.recipes import recipe as recipes
from edram_fer.recipes.recipe import Recipe, get, override
from edram_fer.training.loop import build, resolve

SMALL = {  # keeps a shipped recipe's structure and makes its building quick
    "edram": {"glimpse_units": 8, "head_units": 8, "classification_units": 8, "location_units": 8},
    "cnn": {"glimpse_units": 8, "head_units": 8, "hidden_units": 8},
    "deep_emotion": {},
    "ran": {"backbone_filters": (2, 3, 4, 5)},
}


def through_json(recipe):
    return Recipe.from_json(json.loads(json.dumps(recipe.to_json())))


def test_forch_2019():
    recipe = get("forch2019")
    assert recipe.model == "edram" and recipe.options == {"variant": "forch2019", "glimpses": 6}
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate, recipe.clip_norm) == (25, 192, 1e-4, 10)
    assert (recipe.schedule, recipe.plateau_divisor, recipe.min_learning_rate) == ("plateau", 3, 1e-5)
    assert (recipe.class_weights, recipe.zoom_target, recipe.monitor) == ("sqrt", 0.35, "val_loss")
    assert (recipe.emotion_weight, recipe.affect_weight, recipe.location_weight) == (1, 1, 1)
    assert recipe.augmentation == Augmentation(20, 0.15, 0.2, 0.1, flip=0.5, zoom_per_axis=True)
    assert recipe.loss_form == "forch2019"


def test_the_published_schedule_of_deep_emotion_for_both_readings():
    """Equal but for the input of the sampler: the map of the features before it, or the image."""
    paper, image = (override(get("deep_emotion_published"), [f"variant={name}"]) for name in ("paper", "image"))
    assert (paper.optimizer, paper.learning_rate, paper.schedule, paper.epochs) == ("adam", 5e-3, "constant", 500)
    assert paper.clip_norm == 0 and paper.weight_decay > 0 and paper.options["l2_penalty"] > 0
    assert dataclasses.replace(image, options=paper.options) == paper
    size = {"image_size": [48, 48], "channels": 1}
    paper, image = build(paper, size), build(image, size)
    assert [w.shape for w in paper.weights] == [w.shape for w in image.weights]
    assert paper.count_params() == image.count_params() and paper.arguments["initializer"] == "normal"
    assert (paper.after, image.before) == (None, None)
    assert paper.arguments == image.arguments | {"variant": "paper"}


@pytest.mark.parametrize("name", recipes.list_recipes())
def test_shipped_recipes_survive_json_and_build(name):
    recipe = get(name)
    assert recipe.name == name
    restored = through_json(recipe)
    assert restored == recipe
    restored = resolve(restored, {"emotions": SEVEN})
    assert len(restored.classes) == (8 if recipe.emotions == "eight" else 7)
    glimpses = {"glimpses": 1} if recipe.model == "edram" else {}
    small = dataclasses.replace(restored, options={**restored.options, **glimpses, **SMALL[recipe.model]})
    model = build(small, {"image_size": [48, 48], "channels": 1})
    assert model.arguments["classes"] == len(restored.classes)


def test_tuples_come_back_as_tuples_and_lists_build_too():
    recipe = override(Recipe(), ["glimpse_filters=[2, 2, 4, 4, 4, 4]", "context_filters=(4, 4, 8)"])
    assert through_json(recipe) == recipe
    assert recipe.options == {"glimpse_filters": (2, 2, 4, 4, 4, 4), "context_filters": (4, 4, 8)}
    small = dataclasses.replace(recipe, options={**recipe.options, "glimpses": 1, **SMALL["edram"]})
    assert build(small, {"image_size": [48, 48], "channels": 1}).arguments["glimpses"] == 1


def test_override_fields_options_and_augmentation():
    settings = ["epochs=3", "learning_rate=1", "options.glimpses=2", "zoom_limit=NONE", "affect=false", "data=a=b.npz"]
    recipe = override(Recipe(), [*settings, "augmentation.flip=0", " seed = 7 ", "augmentation.rotation=4"])
    assert recipe.epochs == 3 and recipe.seed == 7 and recipe.data == "a=b.npz"
    assert recipe.learning_rate == 1.0 and isinstance(recipe.learning_rate, float)
    assert recipe.options == {"glimpses": 2, "zoom_limit": None, "affect": False}
    assert recipe.augmentation == Augmentation(flip=0, rotation=4)
    assert Recipe().options == {}  # the original is as it was


def test_another_model_keeps_the_options_that_it_has():
    recipe = override(get("fer2013"), ["model=cnn"])
    shared = ("glimpse_size", "affect", "glimpse_filters", "dropout")
    assert recipe.options == {name: get("fer2013").options[name] for name in shared}
    built = models.build("cnn", image_size=(48, 48), **{**recipe.options, **SMALL["cnn"]})
    assert built.arguments["dropout"] == recipe.options["dropout"]
    with pytest.raises(ValueError, match="unknown key 'glimpses'"):
        override(recipe, ["glimpses=3"])


def test_a_custom_model_can_be_named(monkeypatch):
    from support.toy import Toy

    with pytest.raises(ValueError, match="model: expected one of .*, got 'toy'"):
        override(Recipe(), ["model=toy"])
    monkeypatch.setitem(models.MODELS, "toy", Toy)
    changed = override(Recipe(), ["model=toy", "dropout=0.1"])
    assert changed.model == "toy" and changed.options == {"dropout": 0.1}


def test_a_bare_rotation_is_that_of_the_model():
    for key in ("rotation", "options.rotation"):
        assert override(Recipe(), [f"{key}=false"]) == Recipe(options={"rotation": False})


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epochs", "expected key=value, got 'epochs'"),
        ("epoch=3", "unknown key 'epoch'; known are name, data,.*options.glimpses.*augmentation.flip"),
        ("options.epochs=3", "unknown key 'options.epochs'"),
        ("augmentation=none", "unknown key 'augmentation'"),
        ("augmentation.flips=1", "unknown key 'augmentation.flips'"),
        ("augmentation.flip=2", r"augmentation.flip: expected a number in \[0, 1\], got 2"),
        ("augmentation.flip=true", r"augmentation.flip: expected a number in \[0, 1\], got True"),
        ("epochs=0", "epochs: expected at least 1, got 0"),
        ("epochs=2.5", "epochs: expected a whole number, got 2.5"),
        ("epochs=true", "epochs: expected a whole number, got True"),
        ("learning_rate=fast", "learning_rate: expected a number, got 'fast'"),
        ("learning_rate=-1", "learning_rate: expected a number of at least 0, got -1"),
        ("learning_rate=1e999", "learning_rate: expected a number of at least 0, got inf"),
        ("learning_rate=0", "expected learning_rate > 0"),
        ("clip_norm=-1", "clip_norm: expected a number of at least 0, got -1"),
        ("plateau_divisor=1", "plateau_divisor > 1"),
        ("label_smoothing=1", r"label_smoothing: expected a share in \[0, 1\)"),
        ("zoom_target=0", "zoom_target: expected a share of the side"),
        ("model=vgg", "model: expected one of edram, cnn.*, got 'vgg'"),
        ("schedule=step", "schedule: expected one of constant, plateau, cosine, steps, got 'step'"),
        ("emotions=six", "emotions: data, or classes: expected seven, eight, or at least two"),
    ],
)
def test_bad_settings_are_rejected_by_name(setting, message):
    with pytest.raises(ValueError, match=message):
        override(Recipe(), [setting])


def test_text_is_taken_verbatim():
    changed = override(Recipe(), ["class_weights=none", "name=007", "data='fer2013'", "zoom_limit=none"])
    assert (changed.class_weights, changed.name, changed.data) == ("none", "007", "fer2013")
    assert changed.options == {"zoom_limit": None}
    with pytest.raises(ValueError, match="name: expected text, got 3"):
        Recipe(name=3)


def test_bad_recipes_and_names_are_rejected():
    with pytest.raises(ValueError, match="recipe: expected one of .*forch2019.*, got 'resnet'"):
        get("resnet")
    with pytest.raises(ValueError, match="unknown keys epoch, lr"):
        Recipe.from_json({**Recipe().to_json(), "lr": 1, "epoch": 2})
    with pytest.raises(ValueError, match="options.glimpse: unknown to edram"):
        Recipe(options={"glimpse": 3})


def test_another_model_keeps_the_options_that_it_shares_but_not_the_variant():
    ran = override(get("forch2019"), ["model=ran", "variant=wang2020"])
    assert ran.options == {"variant": "wang2020"}
    cnn = override(get("forch2019_fer2013"), ["model=cnn"])
    assert set(cnn.options) == {
        *("affect", "glimpse_filters", "glimpse_units", "classification_units", "location_units", "head_units")
    }
    assert override(get("forch2019"), ["model=deep_emotion"]).options == {}


def test_a_limit_changes_the_zoom_target_only_if_it_squashes():
    from edram_fer.training.loop import batches  # the targets are made with the batches

    model, actual = models.build("edram", image_size=(32, 32), glimpses=1, **SMALL["edram"]), {}

    def fake(*args, constants, **kwargs):
        actual["zoom"] = float(constants["emitted"][0, 0])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edram_fer.training.loop.Batches", fake)
        for options, zoom in (
            ({}, 0.35),
            ({"zoom_limit": 0.3}, 0.3),
            ({"zoom_limit": 0.3, "zoom_mode": "clip"}, 0.35),
            ({"zoom_limit": 0.5}, 0.35),
        ):
            model.arguments.update({"zoom_limit": None, "zoom_mode": "squash"} | options)
            batches(Recipe(), model, None)
            assert actual["zoom"] == pytest.approx(zoom), options


def test_a_guide_names_a_part_of_the_face_for_each_glimpse():
    recipe = override(Recipe(), ["guide=('mouth', 'free')", "glimpses=2"])
    assert through_json(recipe) == recipe and recipe.guide == ("mouth", "free")
    assert override(recipe, ["guide=eyes", "glimpses=1"]).guide == ("eyes",)
    with pytest.raises(ValueError, match=r"guide: expected a name of free, .*, eyes, people, .*, got \('ear',\)"):
        override(recipe, ["guide=ear"])
    with pytest.raises(ValueError, match="guide: expected 'free' for the first glimpse, the whole image"):
        override(recipe, ["first_glimpse=whole"])
    with pytest.raises(ValueError, match="guide_fixations: expected a file of people's fixations"):
        override(recipe, ["guide=('people', 'free')"])
    with pytest.raises(ValueError, match="guide: expected at most 5 glimpses that follow people, got 6"):
        override(recipe, [f"guide={('people',) * 6}", "guide_fixations=a.csv"])


def test_classes_of_the_data_set_replace_seven_only_if_they_are_others():
    own = ["positive", "neutral", "negative"]
    assert Recipe().with_classes_of(own).classes == tuple(own)
    assert Recipe(emotions="data").with_classes_of(["happy", "sad"]).classes == ("happy", "sad")
    for recipe in (Recipe(emotions="seven"), Recipe(emotions="bored,happy")):
        assert recipe.with_classes_of(["neutral", "happy"]) == recipe
    assert through_json(Recipe().with_classes_of(own)).classes == tuple(own)
    assert override(Recipe(), ["emotions=Angry,bored,happiness"]).classes == ("happy", "bored", "anger")
    with pytest.raises(ValueError, match="'data' stands for the classes of a data set"):
        Recipe(emotions="data").classes  # noqa: B018
    with pytest.raises(
        ValueError, match="emotions: data, or classes: expected seven, eight, or at least two different"
    ):
        override(Recipe(), ["emotions=happy,Happiness"])
