"""Minaee and Abdolrashidi 2019: Deep-Emotion on four data sets."""

from edram_fer.papers import access
from edram_fer.papers.paper import Experiment, Figure, Paper, Value

CONFUSION = Figure("confusion matrix", "test/confusion.svg")
SALIENCY = Figure("regions whose covering changes the prediction, by emotion", "saliency_occlusion.png")
QUICK = ("epochs=1",)
SCHEDULE = 'Hyper-parameters are "similar" on all data sets; ours are those of deep_emotion_fer2013.'
SELECTION = "Which images are in which split is not published; here a digest of the name decides."


def _fer2013(variant: str, reading: str) -> Experiment:
    return Experiment(
        f"fer2013_{variant}",
        f"FER2013, if {reading} is transformed",
        recipe="deep_emotion_published",
        data="fer2013",
        access=access.FER2013,
        settings=(f"variant={variant}",),
        values=(Value(0.7002),),
        figures=(CONFUSION, SALIENCY),
        studies=("saliency",),
        differences=("Batch size, weight decay, dropout and augmentation are not published (docs/fidelity.md).",),
        quick=QUICK,
    )


PAPER = Paper(
    "minaee2019",
    "Minaee, Abdolrashidi: Deep-Emotion. 2019 (arXiv 1902.01019); Sensors 21(9):3046, 2021",
    (
        _fer2013("paper", "the feature map"),
        _fer2013("image", "the image"),
        Experiment(
            "ferg",
            "FERG: seven expressions of six drawn characters",
            recipe="deep_emotion_ferg",
            data="ferg/grey48-published",
            access=access.FERG,
            values=(Value(0.993),),
            figures=(CONFUSION, SALIENCY),
            studies=("saliency",),
            differences=(SCHEDULE, SELECTION, "All characters are in all splits, as in the paper."),
            preparation={"size": 48},
            reader={"split": "published"},
            quick=QUICK,
        ),
        Experiment(
            "jaffe",
            "JAFFE: seven expressions of ten women",
            recipe="deep_emotion_jaffe",
            data="jaffe/grey48-published",
            access=access.JAFFE,
            values=(Value(0.928),),
            figures=(CONFUSION, SALIENCY),
            studies=("saliency",),
            differences=(SCHEDULE, SELECTION, "All women are in all splits, as in the paper."),
            preparation={"size": 48},
            reader={"split": "published"},
            quick=QUICK,
        ),
        Experiment(
            "ck_plus",
            "CK+: eight expressions of 118 people",
            recipe="deep_emotion_ck_plus",
            data="ck_plus/grey48-published",
            access=access.CK_PLUS,
            values=(Value(0.98),),
            figures=(CONFUSION, SALIENCY),
            studies=("saliency",),
            differences=(SCHEDULE, SELECTION, "Frames of one sequence are in all splits, as in the paper."),
            preparation={"size": 48},
            reader={"split": "published"},
            quick=QUICK,
        ),
    ),
)
