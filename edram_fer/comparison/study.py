"""All that a comparison tells, made once for the page, the figures and the CSV files."""

import dataclasses

import numpy as np
from tqdm.auto import tqdm

from edram_fer import files
from edram_fer.attention.fixations import Fixations, read_of
from edram_fer.attention.maps import mean_face
from edram_fer.comparison import alike, looks, numbers, saliency
from edram_fer.comparison.runs import Runs
from edram_fer.data import face_landmarks


@dataclasses.dataclass(frozen=True)
class Study:
    """Numbers and maps of a comparison.

    Attributes:
        runs: Runs; images: uint8 [n, H, W, C], the pictures in the order of the rows.
        tables: {name: rows (dicts)}.
        faces: {emotion or "all": mean face [H, W, C] in [0, 1]}.
        maps: of `looks.maps`; differences: of `looks.differences`, {} with fewer than two runs that look.
        exits: of `numbers.early_exits`; regions: of `looks.region_shares`; note: on the landmarks.
        occlusion: of `saliency.maps`; samples: of `alike.samples`; people: their fixations, where they were given.
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
        runs: Runs; features: of their pictures (`Runs.pictures`).
        find_landmarks: let dlib find them where the data set has none.
        fixations: CSV of people's fixations on these pictures, see `attention.fixations`; outside: as of its `read`.
        repeats, seed: of all intervals; the seed also chooses the samples.

    Returns: Study.
    """
    images, options = np.asarray(features["image"]), {"repeats": repeats, "seed": seed}
    shape, chosen = images.shape[1:3], alike.samples(runs, seed=seed)
    points, note = None, "No run has windows of its own."
    if any(run.looks for run in runs.runs):
        points, note = face_landmarks.of(features, find=find_landmarks)
    people = None if fixations is None else read_of(fixations, runs.runs[0].found["id"], shape, outside=outside)
    faces = {looks.ALL: mean_face(images), **{name: mean_face(images[runs.truth == name]) for name in runs.present}}
    jobs = {
        "scores": lambda: numbers.score_rows(runs),
        "splits": lambda: numbers.split_rows(runs),
        "robustness": lambda: numbers.robustness_rows(runs),
        "pairs": lambda: numbers.pair_rows(runs, **options),
        "recalls": lambda: numbers.recall_rows(runs),
        "accuracy_after_glimpse": lambda: numbers.glimpse_accuracy_rows(runs),
        "looking": lambda: numbers.looking_rows(runs),
        "settings": lambda: numbers.setting_rows(runs),
        "samples": lambda: alike.sample_rows(runs, chosen),
        "glimpses": lambda: looks.glimpse_rows(runs),
        "map_agreement": lambda: alike.map_agreement_rows(maps),
        "picture_agreement": lambda: alike.picture_agreement_rows(runs, shape, **options),
        "saliency": lambda: saliency.map_rows(occlusion, runs.present),
        "saliency_agreement": lambda: saliency.agreement_rows(occlusion, runs.present),
        "saliency_regions": lambda: saliency.region_rows(occlusion, runs, points, shape),
        "people": lambda: alike.people_rows(runs, people, shape, landmarks=points, **options) if people else [],
    }
    maps, occlusion, found = looks.maps(runs, shape), saliency.maps(runs, shape), {}
    with tqdm(total=len(jobs) + 2, desc="compare", disable=None) as bar:
        for name, job in jobs.items():
            bar.set_postfix_str(name)
            found[name] = job()
            bar.update()
        bar.set_postfix_str("early exit")
        exits = numbers.early_exits(runs, **options)
        bar.update()
        bar.set_postfix_str("regions")
        regions = looks.region_shares(runs, points, shape, **options)
        bar.update()
    found |= {"early_exit": numbers.early_exit_rows(exits), "regions": looks.region_rows(regions)}
    differences = looks.differences(maps) if len(maps) > 1 else {}
    return Study(runs, images, found, faces, maps, differences, exits, regions, note, occlusion, chosen, people)


def write_tables(found, folder):
    """Save each table of a Study that has rows as CSV in `folder`. Returns the paths."""
    paths = [folder / f"{name}.csv" for name, rows in found.tables.items() if rows]
    for path in paths:
        files.write_csv(path, found.tables[path.stem])
    return paths
