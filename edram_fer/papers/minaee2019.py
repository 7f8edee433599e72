"""Minaee and Abdolrashidi 2019: Deep-Emotion on four data sets."""

from edram_fer.papers import access
from edram_fer.papers.paper import Experiment, Figure, Paper, Value

SHARED = {
    "figures": (
        Figure("confusion matrix", "test/confusion.svg"),
        Figure("regions whose covering changes the prediction, by emotion", "saliency_occlusion.png"),
    ),
    "studies": ("saliency",),
    "quick": ("epochs=1",),
}


def _fer2013(variant: str, reading: str) -> Experiment:
    return Experiment(
        f"fer2013_{variant}",
        f"FER2013, if {reading} is transformed",
        recipe="deep_emotion_published",
        data="fer2013",
        access=access.FER2013,
        settings=(f"variant={variant}",),
        values=(Value(0.7002),),
        differences=("Batch size, weight decay, dropout and augmentation are not published (docs/fidelity.md).",),
        **SHARED,
    )


def _random_split(name: str, title: str, how: str, published: float, shared: str) -> Experiment:
    """An experiment on the paper's random split of a data set; `shared` is what all splits have in common."""
    return Experiment(
        name,
        title,
        recipe=f"deep_emotion_{name}",
        data=f"{name}/grey48-published",
        access=how,
        values=(Value(published),),
        differences=(
            'Hyper-parameters are "similar" on all data sets; ours are those of deep_emotion_fer2013.',
            "Which images are in which split is not published; here a digest of the name decides.",
            f"{shared} are in all splits, as in the paper.",
        ),
        preparation={"size": 48},
        reader={"split": "published"},
        **SHARED,
    )


PAPER = Paper(
    "minaee2019",
    "Minaee, Abdolrashidi: Deep-Emotion. 2019 (arXiv 1902.01019); Sensors 21(9):3046, 2021",
    (
        _fer2013("paper", "the feature map"),
        _fer2013("image", "the image"),
        _random_split("ferg", "FERG: seven expressions of six drawn characters", access.FERG, 0.993, "All characters"),
        _random_split("jaffe", "JAFFE: seven expressions of ten women", access.JAFFE, 0.928, "All women"),
        _random_split(
            "ck_plus", "CK+: eight expressions of 118 people", access.CK_PLUS, 0.98, "Frames of one sequence"
        ),
    ),
)
