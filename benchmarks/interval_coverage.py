"""How often 95 % intervals cover the true value: python -m benchmarks.interval_coverage

Simulations with known truth, for each kind of interval in `edram_fer.intervals` and for what it replaces:

- accuracies of images of few subjects, who differ: the bootstrap by subject;
- accuracies of few images: Wilson's interval and the bootstrap;
- means over images and people, or images and seeds, both of which differ: `intervals.crossed` and a bootstrap that
  resamples the images alone;
- two equally good models and images of few subjects: how often each test says that they differ (5 % would be right).

Results are in docs/measurements.md.
"""

import argparse
import functools
from collections.abc import Callable

import numpy as np

from edram_fer import intervals
from edram_fer.evaluation import scores


def subjects(count: int, random: np.random.Generator, *, images: int = 10) -> bool:
    """Whether the interval covers the mean accuracy, 0.7, of people whose own accuracies are from 0.45 to 0.95."""
    accuracies = random.uniform(0.45, 0.95, count)
    correct = (random.random((count, images)) < accuracies[:, None]).ravel()
    names = np.repeat([f"s{number}" for number in range(count)], images)
    ends = intervals.bootstrap(
        lambda rows: {"a": correct[rows].mean()}, len(correct), subjects=names, repeats=400, shares=("a",)
    )["a"]
    return bool(ends[0] <= 0.7 <= ends[1])


def few_images(count: int, wilson: bool, random: np.random.Generator, *, accuracy: float = 0.95) -> bool:
    """Whether the interval of an accuracy over `count` images covers it."""
    correct = random.random(count) < accuracy
    ends = intervals.bootstrap(
        lambda rows: {"a": correct[rows].mean()}, count, repeats=400, shares=("a",) if wilson else ()
    )["a"]
    return bool(ends[0] <= accuracy <= ends[1])


def crossed(columns: int, both: bool, random: np.random.Generator, *, rows: int = 119) -> bool:
    """Whether the interval of the mean over images and people covers 0; people differ by half as much as images."""
    values = random.normal(0, 1, (rows, 1)) + random.normal(0, 0.5, columns) + random.normal(0, 1, (rows, columns))
    if both:
        ends = intervals.crossed(values)
    else:
        means = values.mean(axis=1)
        ends = intervals.bootstrap(lambda chosen: {"a": means[chosen].mean()}, rows, repeats=400)["a"]
    return bool(ends[0] <= 0 <= ends[1])


def rejects(count: int, by_subject: bool, random: np.random.Generator, *, images: int = 20) -> bool:
    """Whether two equally good models differ significantly; the accuracies of both differ from person to person."""
    correct = [(random.random((count, images)) < random.beta(1.4, 0.6, (count, 1))).ravel() for _ in range(2)]
    names = np.repeat([f"s{number}" for number in range(count)], images)
    return scores.p_value(*correct, names if by_subject else None) < 0.05


def main() -> None:
    """Print the share of covered true values, or of rejected true null hypotheses, for each simulation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=500)
    repeats = parser.parse_args().repeats
    jobs: dict[str, Callable[[np.random.Generator], bool]] = {}
    for count in (118, 20, 10, 5, 2):
        jobs[f"accuracy, {count} subjects"] = functools.partial(subjects, count)
    for wilson in (False, True):
        for count in (16, 50):
            name = f"accuracy, {count} images, {'with' if wilson else 'no'} Wilson"
            jobs[name] = functools.partial(few_images, count, wilson)
    for both in (False, True):
        for people in (20, 6, 3):
            name = f"119 images, {people} people, images {'and people' if both else 'alone'}"
            jobs[name] = functools.partial(crossed, people, both)
    for by_subject in (False, True):
        for count in (50, 10):
            name = f"test, {count} subjects, {'by' if by_subject else 'ignoring'} subject, rejects"
            jobs[name] = functools.partial(rejects, count, by_subject)
    for name, job in jobs.items():
        random = np.random.default_rng(0)
        print(f"{name:45} {np.mean([job(random) for _ in range(repeats)]):6.1%}", flush=True)


if __name__ == "__main__":
    main()
