"""Figures as for a paper: pure functions from arrays to Matplotlib figures, one file for each kind.

`style` holds what they share, `run` draws all figures of an evaluated run.
"""

from pathlib import Path

# The figures of a run by name: those of each split lie in figures/SPLIT/, the others in figures/.
OF_A_SPLIT = (
    *("heatmaps.png", "heatmaps_predicted.png", "scan_paths.png"),  # these and the samples need the pictures
    *("samples_right.png", "samples_wrong.png"),
    "crops.png",  # of a model that weighs its windows
    *("differences_classes.png", "differences_steps.png", "differences_labels.png"),
    *("region_preference.svg", "region_steps.svg"),
    *("by_glimpse.svg", "early_exit.svg", "confusion.svg"),
)
OF_THE_RUN = ("curves.svg",)
# Drawn by the commands looking, agreement, saliency, robustness and region-weights; an evaluation leaves them.
OF_STUDIES = (
    *("looking.svg", "agreement.svg", "saliency_samples.png", "saliency_occlusion.png", "saliency_bubbles.png"),
    *("robustness.svg", "region_weights.svg"),
)
DPI = 200  # of the pictures among them: two pixels of the file for one of a page


def clear(folder):
    """Remove the figures of a run that lie in `folder`, at any depth: they show an evaluation that is replaced."""
    outdated = {Path(name).stem for name in (*OF_A_SPLIT, *OF_THE_RUN)}
    for path in Path(folder).rglob("*"):
        if path.stem in outdated and path.is_file():
            path.unlink()
    for split in Path(folder).glob("*/"):
        if not any(split.iterdir()):
            split.rmdir()
