"""A figure of the crops of some faces, sorted by their weights in one or several runs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edram_fer import attention, files
from edram_fer.comparison.runs import read
from edram_fer.errors import UserError

FORMATS = (".png", ".svg", ".pdf")


def crops(
    folders: Sequence[Path | str],
    out: Path | str,
    *,
    split: str | None = None,
    image_ids: Sequence[str] | None = None,
    titles: Sequence[str] | None = None,
    data: str | None = None,
    data_dir: Path | str | None = None,
    seed: int = 0,
) -> Path:
    """Draw `figures.crops.crops` of evaluated runs, such as one with and one without the region-biased loss.

    Args:
        folders: one or more run folders.
        out: the file to write; its suffix (.png, .svg or .pdf) selects the format.
        split: split to show; None: test, or the first that all were evaluated on.
        image_ids: ids of the faces; None: for each class one face that the first run classifies correctly and one that
            it misclassifies, chosen at random with `seed`.
        titles: titles of the runs; None: the last parts of their paths.
        data, data_dir: where the images are, see `EvaluatedRun.features`.
        seed: seed of the choice of faces.

    Returns:
        Path of the file.

    Raises:
        UserError: see `comparison.runs.read` and `EvaluatedRun.features`; also for an unknown format, a wrong number of
            titles, an unknown image id, and a run that does not weight several windows.
        OSError: `out` cannot be written.
    """
    from edram_fer.figures.crops import WeightedFaces, one_per_class  # imports Matplotlib
    from edram_fer.figures.crops import crops as draw
    from edram_fer.figures.style import save

    out = Path(out)
    if out.suffix not in FORMATS:
        raise UserError(f"out: expected a file that ends in {', '.join(FORMATS)}, got {out}")
    if titles is not None and len(titles) != len(folders):
        raise UserError(f"titles: expected one for each of {len(folders)} runs, got {len(titles)}")
    runs = read(folders, split, minimum=1)
    files.check_target(out)
    for run in runs.runs:
        attention.require_weighted_windows(run.evaluated.folder, run.predictions["windows"], run.recurrent)
    if image_ids is None:
        rows = one_per_class(runs.truth, runs.runs[0].predictions["prediction"], runs.emotions, seed)
    else:
        rows = _indices(runs.runs[0].predictions["id"], image_ids, runs.split)
    faces = [
        WeightedFaces(
            title,
            windows=run.predictions["windows"][rows],
            weights=run.predictions["weights"][rows],
            labels=run.predictions["prediction"][rows],
            probabilities=run.predictions["probabilities"][rows, -1].max(axis=-1),
        )
        for title, run in zip(titles or [run.name for run in runs.runs], runs.runs, strict=True)
    ]
    images = np.asarray(runs.features(data=data, data_dir=data_dir)["image"])[rows]
    return save(draw(images, runs.truth[rows], faces), out)


def _indices(ids: Sequence[str], selected: Sequence[str], split: str) -> list[int]:
    """Indices of the `selected` ids among `ids`."""
    index = {str(name): row for row, name in enumerate(ids)}
    for name in selected:
        if name not in index:
            raise UserError(f"image: {name!r} is not among the {len(ids)} of split {split}, such as {ids[0]!r}")
    return [index[name] for name in selected]
