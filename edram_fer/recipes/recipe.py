"""A recipe: everything that decides what a training run does. The run keeps a copy with all settings resolved."""

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edram_fer import models, recipes
from edram_fer.data.augment import Augmentation
from edram_fer.data.guides import FREE, MOST_PEOPLE, PARTS, Guide
from edram_fer.errors import UserError
from edram_fer.preprocessing.emotions import EIGHT, SETS, parse_classes
from edram_fer.recipes.settings import parse_value

DATA, AUTO = "data", "auto"
_CHOICES = {
    "dtype": (AUTO, "float32", "mixed_bfloat16", "mixed_float16"),
    "optimizer": ("adam", "adamw", "sgd"),
    "schedule": ("constant", "plateau", "cosine", "steps"),
    "class_weights": ("sqrt", "inverse", "none"),
    "decayed": ("kernels", "all"),
    "labels": ("hard", "soft"),
    "loss_form": ("ours", "forch2019", "ablavatski2017"),
}
_LEAST = {"epochs": 1, "batch_size": 2, "seed": 0, "patience": 1, "checkpoint_steps": 1, "steps_per_call": 1}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The settings of a training run. Defaults close to Forch et al. 2019, whose own are in the recipe `forch2019`.

    Attributes:
        name: Name of the recipe.
        data: Source of the images, see `edram_fer.data`.
        train_split, validation_split: The splits for training and for choosing the best epoch.
        emotions: The classes: "seven" or "eight" emotions, names such as "bored,engaged", or "data", the classes of the
            data set. Training replaces "data", and also "seven" and "eight" if the data set has other classes than the
            eight emotions, by the names of the data set's classes (`with_classes_of`).
        model: A name of `edram_fer.models.MODELS`.
        options: Options of that model.
        initial_weights: A run, a .keras file or the name of an included model, whose weights initialise every part of
            the same shape, or a file that `edram-fer backbone` wrote; "": all weights are randomly initialised.
        teacher: A trained model, named as in `initial_weights`, whose probabilities are mixed with the labels of the
            training images, see `training.teacher.Teacher`; "": none.
        teacher_share, teacher_temperature: Its settings.
        dtype: "float32"; "mixed_bfloat16", in which coordinates and losses stay float32; "mixed_float16", likewise, and
            the loss is scaled, for GPUs older than bfloat16; or "auto", which training replaces by the faster of the
            first two (`edram_fer.devices.fastest_dtype`).
        seed: Seed of weights, dropout, order and augmentation.
        deterministic: Whether TensorFlow uses only operations that repeat a result exactly. On a GPU it is faster
            without, and a resumed run then equals an uninterrupted one up to rounding.
        device_data: Whether the training images stay in the memory of the device, where the compiled training step
            makes the batches: for GPUs that wait for their data. On JAX, GPUs and TPUs do so in any case if the images
            take at most half of the memory.
        epochs: Number of epochs.
        batch_size: Images per training step.
        optimizer: "adam", "adamw" or "sgd".
        momentum, nesterov: Settings of "sgd".
        learning_rate: The initial rate, or the peak of "cosine".
        schedule: "constant"; "plateau": divided by `plateau_divisor` when the validation loss stalls for one epoch,
            down to `min_learning_rate`; "cosine": linear warm-up over `warmup_epochs`, then a cosine down to
            `min_learning_rate`; "steps": divided by 10 after each of `step_epochs`.
        weight_decay: Decoupled from the gradient in "adamw", part of the gradient in "adam" and "sgd".
        decayed: "kernels", but never those of the emission network, where decay would pull glimpses to the centre; or
            "all" weights, as PyTorch's optimizers do.
        clip_norm: Maximum norm of the global gradient; 0: the gradient is not clipped.
        patience: Training ends after this many epochs without a better value of `monitor`.
        monitor: The "val_" column of history.csv that determines patience and the best epoch; higher is better if its
            name ends in "accuracy", otherwise lower is better.
        class_weights: "sqrt" or "inverse", see `training.losses.class_weights`, or "none".
        labels: "hard", the emotion, or "soft", the data set's probabilities; validation always uses the emotion.
        label_smoothing: Share in [0, 1).
        mixup: Alpha of `data.mixup`; 0: none.
        ema: Decay of the moving average of the weights, see `training.averaging`; 0: none. With it the average is
            validated and saved as model.keras.
        emotion_weight, affect_weight, location_weight, region_weight: Weights of the losses; a loss applies where the
            model has the output for it. The margin of the region-biased loss is RAN's option `margin`.
        loss_form: "ours", "forch2019" or "ablavatski2017": reduction of the losses, see `training.losses.FORMS`.
        guide: For each glimpse of EDRAM, what the landmarks of the training faces guide it to: a name of
            `data.guides.PARTS`, such as "mouth", "people" or "free"; (): no glimpse is guided. See
            `training.losses.GuideLoss`.
        guide_weight: Weight of the guide loss.
        guide_epochs: The weight falls to 0 within this number of epochs, along a cosine, and is 0 in validation, whose
            loss would otherwise prefer early epochs; 0: it stays.
        guide_fixations: File or folder of the fixations that "people" and "people by emotion" need, as `edram-fer
            fixations` writes it.
        guide_layout: Layout of the photos that people looked at, see `gaze.layouts.read`.
        zoom_target: Target of the location loss; with a zoom limit in mode "squash" it is at most the limit.
        augmentation: See `data.augment.Augmentation`.
        checkpoint_steps: Training steps between two checkpoints; one more is written after each epoch.
        steps_per_call: Training steps that follow each other without a look at the loss, at signals and at checkpoints:
            for GPUs, which otherwise wait for Python after each short step. The weights do not depend on it.

    Raises:
        UserError: A value is out of range or of the wrong type; the message names the setting.

    >>> Recipe(model="ran", options={"crops": "fixed5"}, epochs=10).learning_rate
    0.0001
    >>> Recipe(optimizer="lion")
    Traceback (most recent call last):
    edram_fer.errors.UserError: optimizer: expected one of adam, adamw, sgd, got 'lion'
    """

    name: str = "forch2019"
    data: str = "fer2013"
    train_split: str = "train"
    validation_split: str = "validation"
    emotions: str = "seven"
    model: str = "edram"
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    initial_weights: str = ""
    teacher: str = ""
    teacher_share: float = 0.7
    teacher_temperature: float = 1.0
    dtype: str = "float32"
    seed: int = 0
    deterministic: bool = True
    device_data: bool = False
    epochs: int = 25
    batch_size: int = 192
    optimizer: str = "adam"
    momentum: float = 0.9
    nesterov: bool = True
    learning_rate: float = 1e-4
    schedule: str = "plateau"
    plateau_divisor: float = 3.0
    warmup_epochs: float = 1.0
    min_learning_rate: float = 1e-5
    step_epochs: tuple[float, ...] = ()
    weight_decay: float = 0.0
    decayed: str = "kernels"
    clip_norm: float = 10.0
    patience: int = 1000
    monitor: str = "val_loss"
    class_weights: str = "sqrt"
    labels: str = "hard"
    label_smoothing: float = 0.0
    mixup: float = 0.0
    ema: float = 0.0
    emotion_weight: float = 1.0
    affect_weight: float = 1.0
    location_weight: float = 1.0
    region_weight: float = 1.0
    loss_form: str = "ours"
    guide: tuple[str, ...] = ()
    guide_weight: float = 100.0
    guide_epochs: float = 0.0
    guide_fixations: str = ""
    guide_layout: str = "kdef"
    zoom_target: float = 0.35
    augmentation: Augmentation = Augmentation()
    checkpoint_steps: int = 500
    steps_per_call: int = 1

    def __post_init__(self) -> None:
        for name, choices in {"model": tuple(models.MODELS), **_CHOICES}.items():
            if getattr(self, name) not in choices:
                raise UserError(f"{name}: expected one of {', '.join(choices)}, got {getattr(self, name)!r}")
        for field in dataclasses.fields(self):
            value, kind = getattr(self, field.name), type(field.default)
            if kind is float and isinstance(value, int) and not isinstance(value, bool):
                object.__setattr__(self, field.name, float(value))
            elif kind in _WORDS and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
                raise UserError(f"{field.name}: expected {_WORDS[kind]}, got {value!r}")
            if kind is float and not 0 <= value < float("inf"):
                raise UserError(f"{field.name}: expected a number of at least 0, got {value!r}")
            if field.name in _LEAST and value < _LEAST[field.name]:
                raise UserError(f"{field.name}: expected at least {_LEAST[field.name]}, got {value!r}")
        if self.learning_rate == 0 or self.plateau_divisor <= 1:
            raise UserError(
                "expected learning_rate > 0 and plateau_divisor > 1, got "
                f"{self.learning_rate!r} and {self.plateau_divisor!r}"
            )
        if self.seed >= 2**32:
            raise UserError(f"seed: expected a whole number below 2**32, got {self.seed!r}")
        for name in ("label_smoothing", "momentum", "ema"):
            if not getattr(self, name) < 1:
                raise UserError(f"{name}: expected a share in [0, 1), got {getattr(self, name)!r}")
        if self.emotions != DATA:
            _parse_emotions(self.emotions)
        self._check_steps()
        self._check_guide()
        if self.schedule == "cosine" and self.min_learning_rate > self.learning_rate:
            raise UserError(
                f"min_learning_rate: expected at most the learning rate, {self.learning_rate:g}, at which the cosine "
                f"begins, got {self.min_learning_rate:g}"
            )
        if self.ema and self.steps_per_call > 1:
            raise UserError(f"steps_per_call: expected 1, because ema averages each step, got {self.steps_per_call}")
        if self.teacher_share > 1 or self.teacher_temperature == 0:
            raise UserError(
                "expected a teacher_share in [0, 1] and a teacher_temperature above 0, got "
                f"{self.teacher_share:g} and {self.teacher_temperature:g}"
            )
        if not 0 < self.zoom_target <= 1:
            raise UserError(f"zoom_target: expected a share of the side in (0, 1], got {self.zoom_target!r}")
        # Options with several numbers are tuples, also where JSON or a user gives lists: equal recipes are equal.
        options = {name: tuple(value) if isinstance(value, list) else value for name, value in self.options.items()}
        object.__setattr__(self, "options", options)
        known = model_options(self.model)
        for option in self.options:
            if option not in known:
                raise UserError(f"options.{option}: unknown to {self.model}; known are {', '.join(known)}")

    def _check_steps(self):
        steps = self.step_epochs
        steps = tuple(steps) if isinstance(steps, (list, tuple)) else (steps,)
        numbers = all(isinstance(e, (int, float)) and not isinstance(e, bool) and e > 0 for e in steps)
        if not numbers or list(steps) != sorted(set(steps)) or (self.schedule == "steps" and not steps):
            raise UserError(f"step_epochs: expected epochs in rising order, (18, 30, 48), got {self.step_epochs!r}")
        object.__setattr__(self, "step_epochs", steps)

    def _check_guide(self):
        guide = self.guide
        guide = (guide,) if isinstance(guide, str) else tuple(guide) if isinstance(guide, list) else guide
        if not isinstance(guide, tuple) or any(name not in PARTS for name in guide):
            raise UserError(f"guide: expected a name of {', '.join(PARTS)} for each glimpse, got {guide!r}")
        object.__setattr__(self, "guide", guide)
        if guide and self.options.get("first_glimpse") == "whole" and guide[0] != FREE:
            raise UserError(f"guide: expected {FREE!r} for the first glimpse, the whole image, got {guide!r}")
        people = len(self.guided.people)
        if people and not self.guide_fixations:
            raise UserError(
                "guide_fixations: expected a file of people's fixations, which `edram-fer fixations` writes"
            )
        if people > MOST_PEOPLE:
            raise UserError(f"guide: expected at most {MOST_PEOPLE} glimpses that follow people, got {people}")

    @property
    def guided(self) -> Guide:
        """The four settings of the guide."""
        return Guide(self.guide, self.guide_fixations, self.guide_layout, self.guide_epochs)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the model's order.

        Raises:
            UserError: `emotions` is "data", and the data set is not known yet.
        """
        if self.emotions == DATA:
            raise UserError("emotions: 'data' stands for the classes of a data set; see Recipe.with_classes_of")
        return _parse_emotions(self.emotions)

    def with_classes_of(self, classes: Sequence[str]) -> "Recipe":
        """The recipe for a data set with certain classes, in label order.

        >>> Recipe(emotions="data").with_classes_of(["happy", "bored"]).classes
        ('happy', 'bored')
        >>> Recipe(emotions="seven").with_classes_of(["happy", "sad"]).emotions
        'seven'
        """
        has_other_classes = not set(classes) <= set(EIGHT)
        if self.emotions != DATA and not (self.emotions in SETS and has_other_classes):
            return self
        names = next((name for name, members in SETS.items() if members == tuple(classes)), ",".join(classes))
        return dataclasses.replace(self, emotions=names)

    def to_json(self) -> dict[str, Any]:
        """The settings as a dict of JSON values; a run keeps it in its recipe.json.

        >>> Recipe(epochs=3).to_json()["epochs"]
        3
        """
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Recipe":
        """The recipe that `to_json` described; absent fields, as in files of older versions, get their defaults.

        Raises:
            UserError: A key is unknown, a value is out of range or of the wrong type, or `options` or `augmentation` is
                missing.

        >>> recipe = Recipe(epochs=3)
        >>> Recipe.from_json(recipe.to_json()) == recipe
        True
        """
        for name in ("options", "augmentation"):
            if not isinstance(content.get(name), dict):
                raise UserError(f"recipe: expected an object as {name}, got {content.get(name)!r}")
        _check_keys("recipe", cls, content)
        _check_keys("recipe, augmentation", Augmentation, content["augmentation"])
        return cls(**{**content, "augmentation": Augmentation(**content["augmentation"])})


def _parse_emotions(text):
    """The classes of a recipe."""
    try:
        return parse_classes(text)
    except UserError as error:
        raise UserError(f"emotions: {DATA}, or {error}") from None


def _check_keys(location, cls, content):
    """Raise a UserError if `content` has keys that are not fields of a dataclass."""
    if unknown := sorted(set(content) - {field.name for field in dataclasses.fields(cls)}):
        raise UserError(f"{location}: unknown keys {', '.join(unknown)}")


_TEXTS = tuple(field.name for field in dataclasses.fields(Recipe) if field.type is str)
_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def model_options(model: str) -> list[str]:
    """Names of a model's options, without image size, channels, classes and dtype, which data and recipe determine.

    >>> model_options("edram")[:3]
    ['variant', 'glimpses', 'glimpse_size']
    """
    return models.MODELS[model].option_names()


def list_recipes() -> list[str]:
    """The names of the recipes that come with the package.

    >>> list_recipes()[:3]
    ['ablavatski2017', 'deep_emotion_ck_plus', 'deep_emotion_ck_plus_subjects']
    """
    modules = {module.name for module in pkgutil.iter_modules(recipes.__path__)}
    return sorted(modules - {"recipe", "settings"})


def get(name: str) -> Recipe:
    """An included recipe by name. Raises UserError if no recipe has that name.

    >>> get("forch2019").epochs
    25
    """
    if name not in list_recipes():
        raise UserError(f"recipe: expected one of {', '.join(list_recipes())}, got {name!r}")
    return importlib.import_module(f"edram_fer.recipes.{name}").RECIPE


def override(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """Change a recipe by "key=value" settings.

    A key is a field ("epochs"), a model option ("glimpses" or "options.glimpses") or "augmentation.flip"; "rotation"
    alone is the model's option. A value is a Python literal, a word (none, true, false in any case), or text; a field
    that holds text takes it verbatim, including "none", without surrounding quotes.

    >>> changed = override(get("forch2019"), ["epochs=3", "class_weights=none", "zoom_limit=none"])
    >>> changed.epochs, changed.class_weights, changed.options
    (3, 'none', {'variant': 'forch2019', 'glimpses': 6, 'zoom_limit': None})

    Raises:
        UserError: A key is unknown or a value cannot be used; the message names the key.
    """
    changed = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"--set: expected key=value, got {setting!r}")
        key = key.strip()
        value = parse_setting(key, text.strip())
        model = changed.get("model", recipe.model)
        if model in models.MODELS:  # otherwise the recipe itself raises
            _change(recipe, changed, _locate(key, model), value)
    return dataclasses.replace(recipe, **changed)


def parse_setting(key: str, text: str) -> object:
    """Parse the text of a setting, as `override` does.

    >>> parse_setting("class_weights", "none"), parse_setting("zoom_limit", "none")
    ('none', None)
    """
    value = parse_value(text)
    return text if key in _TEXTS and not isinstance(value, str) else value


def _locate(key, model):
    """(group, name) of a key; the group is "options", "augmentation", or "" for a field of the recipe itself."""
    fields = [field.name for field in dataclasses.fields(Recipe) if field.name not in ("options", "augmentation")]
    groups = {"options": model_options(model), "augmentation": [f.name for f in dataclasses.fields(Augmentation)]}
    group, _, name = key.rpartition(".")
    if group == "" and key in fields:
        return "", key
    if group == "" and key in groups["options"]:
        return "options", key
    if name in groups.get(group, ()):
        return group, name
    known = [*fields, *(f"{group}.{name}" for group, names in groups.items() for name in names)]
    raise UserError(f"--set: unknown key {key!r}; known are {', '.join(known)}")


def _change(recipe, changed, key, value):
    """Add a setting to the `changed` fields of a recipe; checks that involve several fields follow at the end."""
    group, name = key
    if group == "augmentation":
        augmentation = changed.get("augmentation", recipe.augmentation)
        changed["augmentation"] = dataclasses.replace(augmentation, **{name: value})
        return
    options = changed.get("options", recipe.options)
    if group == "options":
        changed["options"] = {**options, name: value}
        return
    changed[name] = value
    if name == "model" and value in models.MODELS:
        shared = set(model_options(value)) - {"variant"}  # the variants of another model are not those of this one
        changed["options"] = {name: option for name, option in options.items() if name in shared}
