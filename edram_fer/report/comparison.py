"""comparison.html: two or more evaluated runs beside each other, in one file that needs nothing else."""

from pathlib import Path

from edram_fer import files
from edram_fer.comparison.runs import read
from edram_fer.comparison.study import study, write_tables
from edram_fer.figures.comparison import CONTRASTS, TITLES, draw
from edram_fer.report.explorer import explorer
from edram_fer.report.pictures import embedded
from edram_fer.report.template import template

PAGE = "comparison.html"


def compare(folders, out, *, split=None, data=None, data_dir=None, find_landmarks=False, fixations=None,
            outside="raise", repeats=1000, seed=0):
    """Compare runs: write comparison.html, the tables as CSV, and figures/ (also as PDF) into a folder.

    Args:
        folders: of two or more evaluated runs; the first is the one that the others are held against.
        out: folder to write into.
        split: None: the first that all were evaluated on.
        data, data_dir: where the pictures are, as in `evaluation.evaluate`.
        find_landmarks: let dlib find them where the data set has none.
        fixations, outside: people's, see `comparison.study.study`.
        repeats, seed: of the intervals; the seed also chooses the samples.

    Returns: path of the page.

    Raises ValueError and FileNotFoundError as `comparison.runs.read` and `Evaluated.pictures`.
    """
    out, runs = Path(out), read(folders, split)
    features = runs.pictures(data=data, data_dir=data_dir)
    people = {"fixations": fixations, "outside": outside}
    found = study(runs, features, find_landmarks=find_landmarks, **people, repeats=repeats, seed=seed)
    write_tables(found, out)
    figures = {name: embedded(path) for name, path in draw(found, out / "figures").items()}
    page = template("comparison.html").render(**_context(found, figures, repeats, seed))
    with files.replace(out / PAGE) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return out / PAGE


def _context(found, figures, repeats, seed):
    runs = found.runs
    return {
        "data": runs.data,
        "split": runs.split,
        "pictures": len(runs.truth),
        "emotions": runs.present,
        "runs": runs.runs,
        "names": found.names,
        "blind": [run.name for run in runs.runs if not run.looks],
        "scores": TITLES,
        "tables": found.tables,
        "contrasts": CONTRASTS,
        "figures": figures,
        "samples": list(found.samples),
        "maps": explorer(found) if found.maps else None,
        "agreement": [row for row in found.tables["map_agreement"] if row["emotion"] == "all"],
        "people": found.people,
        "note": found.note,
        "without_landmarks": next((told["left_out"] for told in found.regions.values()), None),
        "repeats": repeats,
        "seed": seed,
    }
