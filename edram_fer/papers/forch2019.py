"""Forch et al. 2019: the zoom experiment on AffectNet, and the same at FER2013's size."""

from edram_fer.papers import access
from edram_fer.papers.paper import Experiment, Figure, Paper, Value

LIMITS = ("none", "0.5", "0.3")
PUBLISHED = dict(zip(LIMITS, (0.604, 0.578, 0.418), strict=True))
FIGURES = (
    Figure("where the glimpses lie, by emotion and step, on the mean face of each emotion", "test/heatmaps.png"),
    Figure("sample faces with the glimpses and the labels after each step", "test/samples_correct.png"),
    Figure("how the paths of the glimpses differ between faces of an emotion", "test/scan_paths.png"),
    Figure("differences between the maps of the emotions", "test/differences_classes.png"),
    Figure(
        "accuracy with the windows of the face, of other faces, and their mean", "window_ablation.svg", published=False
    ),
)
SMALL = (
    "epochs=1",
    "batch_size=16",
    "glimpses=2",
    "glimpse_filters=(4,4,8,8,8,8)",
    "glimpse_units=32",
    "head_units=32",
)

PAPER = Paper(
    "forch2019",
    "Forch, Vitay, Hamker: Recurrent Spatial Attention for Facial Emotion Recognition. 2019",
    (
        Experiment(
            "affectnet",
            "AffectNet, seven classes: glimpses without a limit, and of at most .50 and .30 of the side",
            recipe="forch2019",
            data="affectnet/grey100-seven-forch2019",
            access=access.AFFECTNET,
            vary={"zoom_limit": LIMITS},
            values=tuple(
                Value(PUBLISHED[limit], combination=f"zoom_limit={limit}", score="mean_class_accuracy")
                for limit in LIMITS
            ),
            figures=FIGURES,
            studies=("window_ablation",),
            people=True,
            differences=(
                "The epoch is chosen on 1.2 % of the training split; AffectNet's validation split is the test.",
            ),
            preparation={"published": "forch2019", "classes": "seven", "validation": 0.0122},
            quick=(*SMALL, "classification_units=16", "location_units=512"),
        ),
        Experiment(
            "fer2013",
            "The same experiment at FER2013's size, which the paper does not have",
            recipe="forch2019_fer2013",
            data="fer2013",
            access=access.FER2013,
            vary={"zoom_limit": LIMITS},
            values=tuple(
                Value(None, combination=f"zoom_limit={limit}", score="mean_class_accuracy") for limit in LIMITS
            ),
            figures=FIGURES,
            studies=("window_ablation",),
            people=True,
            differences=("48x48 instead of 100x100 pixels, four instead of six glimpses, a smaller model.",),
            quick=(*SMALL, "classification_units=16"),
        ),
    ),
)
