"""Everything that a comparison contains, computed once for the page, the figures and the CSV files."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from edram_fer import files
from edram_fer.attention.fixations import Fixations, read_for_images
from edram_fer.attention.maps import mean_face
from edram_fer.comparison import agreement_tables, attention_tables, saliency, score_tables
from edram_fer.comparison.runs import Runs
from edram_fer.data import face_landmarks


@dataclasses.dataclass(frozen=True)
class Study:
    """Tables and maps of a comparison.

    Attributes:
        runs: the compared runs.
        images: uint8 [n, H, W, C], in the order of the rows.
        tables: {name: rows (dicts)}.
        faces: {emotion or "all": mean face [H, W, C] in [0, 1]}.
        maps: from `attention_tables.maps`.
        differences: from `attention_tables.differences`; {} with fewer than two runs that have windows.
        exits: from `score_tables.early_exits`.
        regions: from `attention_tables.region_shares`.
        note: the source of the landmarks, or the reason why there are none.
        occlusion: from `saliency.maps`.
        samples: from `agreement_tables.samples`.
        fixations: human fixations, or None.
    """

    runs: Runs
    images: np.ndarray
    tables: dict[str, list[dict[str, Any]]]
    faces: dict[str, np.ndarray]
    maps: dict[str, dict[str, np.ndarray]]
    differences: dict[str, dict[str, dict[str, Any]]]
    exits: dict[str, dict[str, Any]]
    regions: dict[str, dict[str, Any]]
    note: str
    occlusion: dict[str, saliency.Occlusion]
    samples: dict[str, np.ndarray]
    fixations: Fixations | None

    @property
    def names(self) -> list[str]:
        """Names of the runs."""
        return [run.name for run in self.runs.runs]


def study(
    runs: Runs,
    features: dict[str, Any],
    *,
    find_landmarks: bool = False,
    fixations: Path | str | None = None,
    outside: str = "raise",
    repeats: int = 1000,
    seed: int = 0,
) -> Study:
    """Compare runs.

    Args:
        runs: the runs, from `comparison.runs.read`.
        features: features of their images, from `Runs.features`.
        find_landmarks: find landmarks with dlib if the data set has none.
        fixations: CSV file of human fixations on these images, see `attention.fixations`.
        outside: what to do with fixations outside their image, see `attention.fixations.read`.
        repeats: bootstrap repetitions of all intervals.
        seed: seed of the intervals and of the samples.
    """
    images, options = np.asarray(features["image"]), {"repeats": repeats, "seed": seed}
    shape = images.shape[1:3]
    landmarks, note = None, "No run has windows of its own."
    if any(run.has_windows for run in runs.runs):
        landmarks, note = face_landmarks.get_landmarks(features, find=find_landmarks)
    human = None
    if fixations is not None:
        human = read_for_images(fixations, runs.runs[0].predictions["id"], shape, outside=outside)
    faces = {attention_tables.ALL: mean_face(images)}
    faces |= {name: mean_face(images[runs.truth == name]) for name in runs.present}
    maps, occlusion = attention_tables.maps(runs, shape), saliency.maps(runs, shape)
    samples = agreement_tables.samples(runs, seed=seed)
    jobs = {
        "scores": lambda: score_tables.score_rows(runs),
        "splits": lambda: score_tables.split_rows(runs),
        "robustness": lambda: score_tables.robustness_rows(runs),
        "pairs": lambda: score_tables.pair_rows(runs, **options),
        "groups": lambda: score_tables.group_rows(runs),
        "recalls": lambda: score_tables.recall_rows(runs, **options),
        "accuracy_after_glimpse": lambda: score_tables.glimpse_accuracy_rows(runs),
        "window_ablation": lambda: score_tables.window_ablation_rows(runs),
        "settings": lambda: score_tables.setting_rows(runs),
        "samples": lambda: agreement_tables.sample_rows(runs, samples),
        "glimpses": lambda: attention_tables.glimpse_rows(runs),
        "map_agreement": lambda: agreement_tables.map_agreement_rows(maps),
        "image_agreement": lambda: agreement_tables.image_agreement_rows(runs, shape, **options),
        "saliency": lambda: saliency.map_rows(occlusion, runs.present),
        "saliency_agreement": lambda: saliency.agreement_rows(occlusion, runs.present),
        "saliency_regions": lambda: saliency.region_rows(occlusion, runs, landmarks, shape),
    }
    if human:
        jobs["human_agreement"] = lambda: agreement_tables.human_agreement_rows(
            runs, human, shape, landmarks=landmarks, seed=seed
        )
    tables = {"human_agreement": []}
    with tqdm(total=len(jobs) + 2, desc="compare", disable=None) as bar:
        for name, job in jobs.items():
            bar.set_postfix_str(name)
            tables[name] = job()
            bar.update()
        bar.set_postfix_str("early exit")
        exits = score_tables.early_exits(runs, **options)
        bar.update()
        bar.set_postfix_str("regions")
        regions = attention_tables.region_shares(runs, landmarks, shape, **options)
        bar.update()
    tables |= {"early_exit": score_tables.early_exit_rows(exits), "regions": attention_tables.region_rows(regions)}
    return Study(
        runs=runs,
        images=images,
        tables=tables,
        faces=faces,
        maps=maps,
        differences=attention_tables.differences(maps) if len(maps) > 1 else {},
        exits=exits,
        regions=regions,
        note=note,
        occlusion=occlusion,
        samples=samples,
        fixations=human,
    )


def write_tables(study: Study, folder: Path) -> list[Path]:
    """Save each non-empty table as CSV in `folder`; return the paths."""
    paths = [folder / f"{name}.csv" for name, rows in study.tables.items() if rows]
    for path in paths:
        files.write_csv(path, study.tables[path.stem])
    return paths
