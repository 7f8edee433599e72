"""The README.md of a prepared data set: source, settings of the face crops, report."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from edram_fer.preprocessing.face_settings import FaceSettings

_TEMPLATE = """# {name}

Faces cropped from annotated photos by edram-fer ({layout}). `rows.parquet` lists every row of the annotations with box,
square, detector and status; `faces.png` and `failures.png` show examples of faces and of images without one.

## Settings

{published}

| setting | value | default |
|---|---|---|
{settings}

`edram_fer.preprocessing.face_settings.FaceSettings` explains the settings. The default of `detectors` depends on the
data set.

## Report

{report}
"""


def readme(metadata: Mapping[str, Any]) -> str:
    """The README in Markdown.

    Args:
        metadata: "name", "layout", "published", "settings" (all fields of `FaceSettings` except `models`) and
            "report" of the data set.
    """
    published = metadata["published"]
    return _TEMPLATE.format(
        name=metadata["name"],
        layout=metadata["layout"],
        published=(
            f"Faces as published: `{published}`, changed by any further options. docs/fidelity.md of edram-fer lists "
            "every point in which they differ from the defaults."
            if published
            else "Faces with the defaults of edram-fer, changed by any options."
        ),
        settings="\n".join(_row(field, metadata["settings"]) for field in _fields()),
        report="\n".join(f"- {line}" for line in metadata["report"]),
    )


def _fields() -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(FaceSettings) if field.name != "models"]


def _row(field: dataclasses.Field[Any], settings: Mapping[str, Any]) -> str:
    default = "–" if field.name == "detectors" else _text(field.default)
    return f"| `{field.name}` | {_text(settings[field.name])} | {default} |"


def _text(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return ", ".join(value)
    return {True: "yes", False: "no", None: "none"}[value] if isinstance(value, bool) or value is None else str(value)
