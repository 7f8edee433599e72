"""All that a comparison tells, made once for the page, the figures and the CSV files."""

import dataclasses

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
    """Numbers and maps of a comparison.

    Attributes:
        runs: Runs; images: uint8 [n, H, W, C], the images in the order of the rows.
        tables: {name: rows (dicts)}.
        faces: {emotion or "all": mean face [H, W, C] in [0, 1]}.
        maps: of `attention_tables.maps`; differences: of `attention_tables.differences`, {} with fewer than two runs that look.
        exits: of `score_tables.early_exits`; regions: of `attention_tables.region_shares`; note: on the landmarks.
        occlusion: of `saliency.maps`; samples: of `agreement_tables.samples`; people: their fixations, where they were given.
    """

    runs: Runs
    images: np.ndarray
    tables: dict
    faces: dict
    maps: dict
    differences: dict
    exits: dict
    regions: dict
    note: str
    occlusion: dict
    samples: dict
    people: Fixations | None

    @property
    def names(self):
        return [run.name for run in self.runs.runs]


def study(runs, features, *, find_landmarks=False, fixations=None, outside="raise", repeats=1000, seed=0):
    """Compare runs.

    Args:
        runs: Runs; features: of their images (`Runs.features`).
        find_landmarks: let dlib find them where the data set has none.
        fixations: CSV of people's fixations on these images, see `attention.fixations`; outside: as of its `read`.
        repeats, seed: of all intervals; the seed also chooses the samples.

    Returns: Study.
    """
    images, options = np.asarray(features["image"]), {"repeats": repeats, "seed": seed}
    shape, chosen = images.shape[1:3], agreement_tables.samples(runs, seed=seed)
    points, note = None, "No run has windows of its own."
    if any(run.has_windows for run in runs.runs):
        points, note = face_landmarks.get_landmarks(features, find=find_landmarks)
    people = (
        None
        if fixations is None
        else read_for_images(fixations, runs.runs[0].predictions["id"], shape, outside=outside)
    )
    faces = {
        attention_tables.ALL: mean_face(images),
        **{name: mean_face(images[runs.truth == name]) for name in runs.present},
    }
    jobs = {
        "scores": lambda: score_tables.score_rows(runs),
        "splits": lambda: score_tables.split_rows(runs),
        "robustness": lambda: score_tables.robustness_rows(runs),
        "pairs": lambda: score_tables.pair_rows(runs, **options),
        "recalls": lambda: score_tables.recall_rows(runs),
        "accuracy_after_glimpse": lambda: score_tables.glimpse_accuracy_rows(runs),
        "window_ablation": lambda: score_tables.window_ablation_rows(runs),
        "settings": lambda: score_tables.setting_rows(runs),
        "samples": lambda: agreement_tables.sample_rows(runs, chosen),
        "glimpses": lambda: attention_tables.glimpse_rows(runs),
        "map_agreement": lambda: agreement_tables.map_agreement_rows(maps),
        "image_agreement": lambda: agreement_tables.image_agreement_rows(runs, shape, **options),
        "saliency": lambda: saliency.map_rows(occlusion, runs.present),
        "saliency_agreement": lambda: saliency.agreement_rows(occlusion, runs.present),
        "saliency_regions": lambda: saliency.region_rows(occlusion, runs, points, shape),
        "human_agreement": lambda: (
            agreement_tables.human_agreement_rows(runs, people, shape, landmarks=points, **options) if people else []
        ),
    }
    maps, occlusion, found = attention_tables.maps(runs, shape), saliency.maps(runs, shape), {}
    with tqdm(total=len(jobs) + 2, desc="compare", disable=None) as bar:
        for name, job in jobs.items():
            bar.set_postfix_str(name)
            found[name] = job()
            bar.update()
        bar.set_postfix_str("early exit")
        exits = score_tables.early_exits(runs, **options)
        bar.update()
        bar.set_postfix_str("regions")
        regions = attention_tables.region_shares(runs, points, shape, **options)
        bar.update()
    found |= {"early_exit": score_tables.early_exit_rows(exits), "regions": attention_tables.region_rows(regions)}
    differences = attention_tables.differences(maps) if len(maps) > 1 else {}
    return Study(runs, images, found, faces, maps, differences, exits, regions, note, occlusion, chosen, people)


def write_tables(found, folder):
    """Save each table of a Study that has rows as CSV in `folder`. Returns the paths."""
    paths = [folder / f"{name}.csv" for name, rows in found.tables.items() if rows]
    for path in paths:
        files.write_csv(path, found.tables[path.stem])
    return paths
