"""Options of `FaceSettings` that crop faces as papers did; docs/fidelity.md lists every point.

Source of "forch2019": the code of Forch, Vitay, Hamker, "Recurrent Spatial Attention for Facial Emotion Recognition",
2019. Only options that differ from the defaults are listed; each can also be set alone.
"""

from typing import Any

from edram_fer.errors import UserError

PUBLISHED: dict[str, dict[str, Any]] = {
    "forch2019": {
        "detectors": ("ssd", "dlib"),
        "annotated": False,
        "retry": "clahe,histogram",
        "faces": "surest,largest",
        "smallest_photo": 300,
        "smallest_inside": 0.9,
        "smallest_square": 100,
        "rounding": "down",
        "landmarks": True,
        "landmark_image": "face",
        "interpolation": "linear",
    },
}


def settings(name: str) -> dict[str, Any]:
    """The options of `FaceSettings` in which a paper differs from the defaults.

    Args:
        name: a key of PUBLISHED.

    Raises:
        UserError: unknown name.

    >>> settings("forch2019")["smallest_square"]
    100
    """
    if name not in PUBLISHED:
        raise UserError(f"published: expected one of {', '.join(PUBLISHED)}, got {name!r}")
    return dict(PUBLISHED[name])
