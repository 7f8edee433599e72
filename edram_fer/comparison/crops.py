"""The crops of the same faces, in the order of the weights that one run or several give them, as a figure."""

from pathlib import Path

import numpy as np

from edram_fer import attention
from edram_fer.comparison.runs import read
from edram_fer.errors import UserError

FORMATS = (".png", ".svg", ".pdf")


def crops(folders, out, *, split=None, image_ids=None, titles=None, data=None, data_dir=None, seed=0):
    """Draw `figures.crops.crops` of evaluated runs, such as one with and one without the region-biased loss.

    Args:
        folders: one or more run folders.
        out: the file; its suffix .png, .svg or .pdf decides the format.
        split: None: the first that all were evaluated on.
        image_ids: ids of the faces; None: of each class one that the first run names right and one that it names wrong,
            drawn at random by the `seed`.
        titles: of the runs; None: the ends of their paths.
        data, data_dir: as of `EvaluatedRun.features`.

    Returns: path of the file.

    Raises FileNotFoundError and ValueError as `comparison.runs.read` and `EvaluatedRun.features`, and ValueError for
    another format, another number of titles than of runs, an unknown image, and a run that does not weigh several
    windows, by name.
    """
    from edram_fer.figures.crops import WeightedFaces, one_per_class  # Matplotlib only where something is drawn
    from edram_fer.figures.crops import crops as draw
    from edram_fer.figures.style import save

    out = Path(out)
    if out.suffix not in FORMATS:
        raise UserError(f"out: expected a file that ends in {', '.join(FORMATS)}, got {out}")
    if titles is not None and len(titles) != len(folders):
        raise UserError(f"titles: expected one for each of {len(folders)} runs, got {len(titles)}")
    runs = read(folders, split, fewest=1)
    for run in runs.runs:
        attention.require_weighted_windows(run.evaluated.folder, run.predictions["windows"], run.recurrent)
    if image_ids is None:
        rows = one_per_class(runs.truth, runs.runs[0].predictions["prediction"], runs.emotions, seed)
    else:
        rows = _places(runs.runs[0].predictions["id"], image_ids, runs.split)
    weighed = [
        WeightedFaces(
            title,
            *(run.predictions[name][rows] for name in ("windows", "weights", "prediction")),
            run.predictions["probabilities"][rows, -1].max(axis=-1),
        )
        for title, run in zip(titles or [run.name for run in runs.runs], runs.runs, strict=True)
    ]
    images = np.asarray(runs.features(data=data, data_dir=data_dir)["image"])[rows]
    return save(draw(images, runs.truth[rows], weighed), out)


def _places(ids, wanted, split):
    """Rows of the `wanted` among the `ids`."""
    place = {str(name): row for row, name in enumerate(ids)}
    for name in wanted:
        if name not in place:
            raise UserError(f"image: {name!r} is not among the {len(ids)} of split {split}, such as {ids[0]!r}")
    return [place[name] for name in wanted]
