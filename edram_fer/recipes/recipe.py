"""A recipe: everything that decides what a training run does. It is saved in the run as it was resolved."""

import dataclasses
import importlib
import inspect
import pkgutil

from edram_fer import models, recipes
from edram_fer.data.augment import Augmentation
from edram_fer.data.landmarks import FREE, GUIDE_TARGETS
from edram_fer.errors import UserError
from edram_fer.preprocessing.emotions import EIGHT, SEVEN
from edram_fer.recipes.settings import parse_value

EMOTION_SETS = {"seven": SEVEN, "eight": EIGHT}
_CHOICES = {
    "emotions": tuple(EMOTION_SETS),
    "dtype": ("float32", "mixed_bfloat16"),
    "optimizer": ("adam", "adamw", "sgd"),
    "schedule": ("constant", "plateau", "cosine", "steps"),
    "class_weights": ("sqrt", "none"),
    "labels": ("hard", "soft"),
}
_LEAST = {"epochs": 1, "batch_size": 2, "seed": 0, "patience": 1, "checkpoint_steps": 1}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The defaults are Forch et al. 2019.

    Attributes:
        name: of the recipe.
        data: source, see edram_fer.data.
        train_split, validation_split: trained on; chosen on.
        emotions: "seven" or "eight".
        model: a name of models.build; options: its options.
        initial_weights: a run or .keras file whose weights the model begins with, wherever it has the same part and
            shape; "": all are randomly initialised.
        dtype: "float32", or "mixed_bfloat16" (faster on processors with avx512_bf16; coordinates and
            losses stay float32).
        seed: of weights, dropout, order and augmentation.
        epochs, batch_size: as they say.
        optimizer: "adam", "adamw" or "sgd".
        momentum, nesterov: of "sgd".
        learning_rate: at the start, or the peak of "cosine".
        schedule: "constant"; "plateau": divided by `plateau_divisor` when the validation loss stalls for one epoch,
            down to `min_learning_rate`; "cosine": linear warm-up over `warmup_epochs`, then cosine down to it;
            "steps": divided by 10 after each of `step_epochs`.
        weight_decay: beside the gradient in "adamw", as a part of it in "adam" and "sgd"; on kernels only, never on the
            emission network (it would pull glimpses to the centre).
        clip_norm: of the global gradient.
        patience: epochs without a better validation loss after which training ends.
        monitor: of patience and best weights: a "val_" column of history.csv; one that ends in "accuracy" is better
            high.
        class_weights: "sqrt", see losses.class_weights, or "none".
        labels: "hard", the emotion, or "soft", the data set's probabilities; validation is with the emotion.
        label_smoothing: share in [0, 1).
        mixup: alpha of edram_fer.data.mixup; 0: none.
        ema: decay of the moving average of the weights, see edram_fer.training.averaging; 0: none. With it the average is
            validated, and model.keras holds it.
        emotion_weight, affect_weight, location_weight, region_weight: of the losses, where the model has their output.
            The margin of the region-biased loss is RAN's option `margin`.
        guide: for each glimpse of EDRAM the part of the face that it is guided to by the landmarks of the training
            faces, a name of data.landmarks.GUIDE_TARGETS, or "free"; (): all are free. See losses.GuideLoss.
        guide_weight: of that loss.
        zoom_target: of the location loss, min(zoom_target, zoom limit) in mode "squash".
        augmentation: see augment.Augmentation.
        checkpoint_steps: training steps between two checkpoints; one is also written after each epoch.
    """

    name: str = "forch2019"
    data: str = "fer2013"
    train_split: str = "train"
    validation_split: str = "validation"
    emotions: str = "seven"
    model: str = "edram"
    options: dict = dataclasses.field(default_factory=dict)
    initial_weights: str = ""
    dtype: str = "float32"
    seed: int = 0
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
    step_epochs: tuple = ()
    weight_decay: float = 0.0
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
    guide: tuple = ()
    guide_weight: float = 100.0
    zoom_target: float = 0.35
    augmentation: Augmentation = Augmentation()
    checkpoint_steps: int = 500

    def __post_init__(self):
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
        if self.learning_rate == 0 or self.clip_norm == 0 or self.plateau_divisor <= 1:
            raise UserError(
                "expected learning_rate > 0, clip_norm > 0 and plateau_divisor > 1, got "
                f"{self.learning_rate!r}, {self.clip_norm!r} and {self.plateau_divisor!r}"
            )
        if self.seed >= 2**32:
            raise UserError(f"seed: expected a whole number below 2**32, got {self.seed!r}")
        for name in ("label_smoothing", "momentum", "ema"):
            if not getattr(self, name) < 1:
                raise UserError(f"{name}: expected a share in [0, 1), got {getattr(self, name)!r}")
        self._check_steps()
        self._check_guide()
        if self.schedule == "cosine" and self.min_learning_rate > self.learning_rate:
            raise UserError(
                f"min_learning_rate: expected at most the learning rate, {self.learning_rate:g}, at which the cosine "
                f"begins, got {self.min_learning_rate:g}"
            )
        if not 0 < self.zoom_target <= 1:
            raise UserError(f"zoom_target: expected a share of the side in (0, 1], got {self.zoom_target!r}")
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
        guide = (self.guide,) if isinstance(self.guide, str) else tuple(self.guide)
        object.__setattr__(self, "guide", guide)
        known = (FREE, *GUIDE_TARGETS)
        if any(name not in known for name in guide):
            raise UserError(f"guide: expected a name of {', '.join(known)} for each glimpse, got {guide!r}")
        if guide and self.options.get("first_glimpse") == "whole" and guide[0] != FREE:
            raise UserError(f"guide: expected {FREE!r} for the first glimpse, the whole image, got {guide!r}")

    @property
    def classes(self):
        """Names of the emotions, in the model's order."""
        return EMOTION_SETS[self.emotions]

    def to_json(self):
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content):
        """Raises ValueError for unknown keys or values out of range."""
        unknown = set(content) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise UserError(f"recipe: unknown keys {', '.join(sorted(unknown))}")
        # JSON knows no tuples; the options of a model that are several numbers are tuples
        options = {k: tuple(v) if isinstance(v, list) else v for k, v in content["options"].items()}
        return cls(**{**content, "options": options, "augmentation": Augmentation(**content["augmentation"])})


_TEXTS = tuple(field.name for field in dataclasses.fields(Recipe) if field.type is str)
_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def model_options(model):
    """Names of a model's options; size, channels, classes and dtype come from data and recipe."""
    given = {"image_size", "channels", "classes", "dtype", "kwargs"}
    return [name for name in inspect.signature(models.MODELS[model]).parameters if name not in given]


def list_recipes() -> list[str]:
    """The names of the recipes that come with the package.

    >>> list_recipes()[:3]
    ['deep_emotion_ck_plus', 'deep_emotion_ck_plus_subjects', 'deep_emotion_fer2013']
    """
    modules = {module.name for module in pkgutil.iter_modules(recipes.__path__)}
    return sorted(modules - {"recipe", "settings"})


def get(name):
    """A recipe by name. Raises ValueError for an unknown one."""
    if name not in list_recipes():
        raise UserError(f"recipe: expected one of {', '.join(list_recipes())}, got {name!r}")
    return importlib.import_module(f"edram_fer.recipes.{name}").RECIPE


def override(recipe, settings):
    """Change a recipe by "key=value" settings.

    A key is a field ("epochs"), a model option ("glimpses" or "options.glimpses") or "augmentation.flip"; "rotation"
    alone is the model's. A value is a Python literal, a word (none, true, false in any case), or text; of a field that
    holds text it is the text as it stands ("none" too), without quotes around it.

    Raises ValueError naming the key, what was expected and what came.
    """
    changed = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"--set: expected key=value, got {setting!r}")
        key, text = key.strip(), text.strip()
        value = parse_value(text)
        _set(recipe, changed, key, text if key in _TEXTS and not isinstance(value, str) else value)
    return dataclasses.replace(recipe, **changed)


def _set(recipe, changed, key, value):
    """Note a setting among the `changed` fields of a recipe: what depends on several is checked when all are known."""
    model, old_options = (changed.get(name, getattr(recipe, name)) for name in ("model", "options"))
    if model not in models.MODELS:
        return  # the recipe will say so
    fields = [field.name for field in dataclasses.fields(Recipe) if field.name not in ("options", "augmentation")]
    factors = [field.name for field in dataclasses.fields(Augmentation)]
    options = model_options(model)
    group, _, name = key.rpartition(".")
    if group == "augmentation" and name in factors:
        old = changed.get("augmentation", recipe.augmentation)
        changed["augmentation"] = dataclasses.replace(old, **{name: value})
    elif group == "" and key in fields:
        changed[key] = value
        if key == "model" and value in models.MODELS:
            changed["options"] = {k: v for k, v in old_options.items() if k in model_options(value)}
    elif group in ("", "options") and name in options:
        changed["options"] = {**old_options, name: value}
    else:
        known = [*fields, *(f"options.{name}" for name in options), *(f"augmentation.{name}" for name in factors)]
        raise UserError(f"--set: unknown key {key!r}; known are {', '.join(known)}")
