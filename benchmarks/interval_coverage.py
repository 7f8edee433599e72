"""How often 95 % intervals cover the true value: python -m benchmarks.interval_coverage

Simulations with known truth, for each kind of interval in `edram_fer.intervals` and for what it replaces:

- accuracies of images of few subjects, who differ: the bootstrap by subject;
- accuracies of few images: Wilson's interval and the bootstrap;
- means over images and people, or images and seeds, both of which differ: `intervals.crossed` and a bootstrap that
  resamples the images alone;
- two equally good models and images of few subjects: how often each test says that they differ (5 % would be right).

Results are in docs/results.md.
"""

import argparse

import numpy as np
from tqdm.auto import tqdm

from edram_fer import intervals
from edram_fer.evaluation import scores


def subjects(count: int, random: np.random.Generator, images: int = 10) -> bool:
    """Whether the interval covers the mean accuracy, 0.7, of people whose own accuracies are from 0.45 to 0.95."""
    accuracies = random.uniform(0.45, 0.95, count)
    correct = (random.random((count, images)) < accuracies[:, None]).ravel()
    names = np.repeat([f"s{number}" for number in range(count)], images)
    ends = intervals.bootstrap(
        lambda rows: {"a": correct[rows].mean()}, len(correct), subjects=names, repeats=400, shares=("a",)
    )["a"]
    return bool(ends[0] <= 0.7 <= ends[1])


def few_images(count: int, random: np.random.Generator, wilson: bool, accuracy: float = 0.95) -> bool:
    """Whether the interval of an accuracy over `count` images covers it."""
    correct = random.random(count) < accuracy
    ends = intervals.bootstrap(
        lambda rows: {"a": correct[rows].mean()}, count, repeats=400, shares=("a",) if wilson else ()
    )["a"]
    return bool(ends[0] <= accuracy <= ends[1])


def crossed(rows: int, columns: int, random: np.random.Generator, both: bool) -> bool:
    """Whether the interval of the mean over images and people covers 0; people differ by half as much as images."""
    values = random.normal(0, 1, (rows, 1)) + random.normal(0, 0.5, columns) + random.normal(0, 1, (rows, columns))
    if both:
        ends = intervals.crossed(values)
    else:
        means = values.mean(axis=1)
        ends = intervals.bootstrap(lambda chosen: {"a": means[chosen].mean()}, rows, repeats=400)["a"]
    return bool(ends[0] <= 0 <= ends[1])


def rejects(count: int, random: np.random.Generator, by_subject: bool, images: int = 20) -> bool:
    """Whether two equally good models differ significantly; the accuracies of both differ from person to person."""
    correct = [(random.random((count, images)) < random.beta(1.4, 0.6, (count, 1))).ravel() for _ in range(2)]
    names = np.repeat([f"s{number}" for number in range(count)], images)
    return scores.p_value(*correct, names if by_subject else None) < 0.05


def main() -> None:
    """Print the share of covered true values, or of rejected true null hypotheses, for each simulation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=500)
    repeats = parser.parse_args().repeats
    jobs = {f"accuracy, {count} subjects": (subjects, count) for count in (118, 20, 10, 5, 2)}
    for wilson in (False, True):
        jobs |= {
            f"accuracy, {n} images, {'with' if wilson else 'no'} Wilson": (few_images, n, wilson) for n in (16, 50)
        }
    for both in (False, True):
        name = "images and people" if both else "images alone"
        jobs |= {f"119 images, {people} people, {name}": (crossed, 119, people, both) for people in (20, 6, 3)}
    for by_subject in (False, True):
        name = "by subject" if by_subject else "ignoring subjects"
        jobs |= {f"test, {count} subjects, {name}, rejects": (rejects, count, by_subject) for count in (50, 10)}
    for name, (function, count, *arguments) in tqdm(jobs.items(), disable=None):
        random = np.random.default_rng(0)
        if function is crossed:
            hits = [crossed(count, arguments[0], random, arguments[1]) for _ in range(repeats)]
        else:
            hits = [function(count, random, *arguments) for _ in range(repeats)]
        tqdm.write(f"{name:45} {np.mean(hits):6.1%}")


if __name__ == "__main__":
    main()
