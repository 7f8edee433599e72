"""Write a table of predictions as predictions.csv, and draw its faces and glimpses into the images."""

from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from edram_fer import attention, files
from edram_fer.preprocessing import photos
from edram_fer.preprocessing.records import OK

TABLE, IMAGES = "predictions.csv", "images"


def write(table: pd.DataFrame, out: Path, *, draw: bool = True) -> None:
    """Write the table that `edram_fer.predict` returned for image files.

    Args:
        table: its sources are paths.
        out: folder to write into, created if missing. It receives predictions.csv, with four columns for the box
            ("left", "top", "width", "height") and "image", the name of the drawn image, and images/.
        draw: whether to draw the images.
    """
    names = _image_names(table.source[table.status == OK]) if draw else {}
    box = pd.DataFrame(
        [box or (None,) * 4 for box in table.box], columns=["left", "top", "width", "height"], dtype="Int64"
    )
    flat = pd.concat([table[["source", "face", "status", "detector", "score"]], box], axis=1)
    flat["image"] = table.source.map(names)
    flat = pd.concat([flat, table.loc[:, "emotion":].drop(columns="windows")], axis=1)
    with files.replace(out / TABLE) as temporary:
        flat.to_csv(temporary, index=False)
    if names:
        _draw(table, names, out / IMAGES)


def _image_names(sources: pd.Series) -> dict[str, str]:
    """{source: name of the drawn image}, numbered, because images in different folders may have the same name."""
    different = list(dict.fromkeys(sources))
    digits = len(str(len(different)))
    return {source: f"{number:0{digits}d}_{Path(source).stem}.png" for number, source in enumerate(different, 1)}


def _draw(table: pd.DataFrame, names: dict[str, str], folder: Path) -> None:
    from edram_fer.figures.photo import annotate  # imports Matplotlib
    from edram_fer.figures.style import save

    usable = table[table.status == OK]
    attends = any(attention.has_windows(windows) for windows in usable.windows)
    for source, rows in tqdm(usable.groupby("source", sort=False), desc="images", disable=None):
        faces = []
        for row in rows.to_dict("records"):
            left, top, side, _ = row["box"]
            windows = row["windows"] if attends else ()
            face = {"left": left, "top": top, "side": side, "windows": windows}
            faces.append({**face, "emotion": row["emotion"], "probability": row["confidence"]})
        save(annotate(photos.read(str(source)), faces), folder / names[str(source)])
