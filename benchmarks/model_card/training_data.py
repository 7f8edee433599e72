"""What a model card says about the data that a model was trained on."""

from typing import NamedTuple

COMPETITION = "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge"


class TrainingData(NamedTuple):
    """A data set: its title, what it is, name and address of its licence, and what the terms mean for a model."""

    title: str
    about: str
    licence: str
    link: str
    terms: str


_FER2013_IMAGES = (
    "FER2013 was published for a research competition (ICML 2013). Neither the people in its images nor the "
    "photographers are known to have given a licence, so its terms are unclear. The images are not part of this "
    "package."
)
_MODEL = (
    "The code and, as far as the authors of this package hold rights in them, the weights are under the MIT licence. "
    "Whether a model that was trained on such images may be used commercially is not settled: take legal advice first, "
    "and prefer research and teaching."
)
DATA = {
    "fer2013": TrainingData(
        "FER2013",
        "35,887 grey faces of 48x48 pixels, collected with a search engine and labelled for a competition in 2013. "
        "About a third of the labels differ from the majority of ten later raters (FERPlus). Some images occur in both "
        "the training and the test split; `test_clean` leaves them out.",
        "fer2013-terms-unclear",
        COMPETITION,
        f"{_FER2013_IMAGES} {_MODEL}",
    ),
    "ferplus": TrainingData(
        "FERPlus",
        "The images of FER2013, each labelled by ten raters. Some images occur in both the training and the test "
        "split; `test_clean` leaves them out.",
        "fer2013-terms-unclear",
        COMPETITION,
        f"The labels of FERPlus are under the MIT licence; its images are those of FER2013. {_FER2013_IMAGES} {_MODEL}",
    ),
    "drawn_faces": TrainingData(
        "Drawn faces",
        "Faces that this package draws from facial action units.",
        "mit",
        "https://opensource.org/license/mit",
        "The faces are drawn and show nobody. Code, images and weights are under the MIT licence.",
    ),
}


def training_data(source: str) -> TrainingData:
    """The description of a prepared data set, such as "fer2013" or "ferplus/probability"."""
    name = source.split("/")[0]
    unknown = TrainingData(
        source,
        "See its page in the documentation.",
        f"terms-of-{name.replace('_', '-')}",
        "LICENSE",
        f"The terms of {source} apply to its images, which are not part of this package, and may restrict how a model "
        f"trained on them is used and passed on: read them first. {_MODEL}",
    )
    return DATA.get(name, unknown)
