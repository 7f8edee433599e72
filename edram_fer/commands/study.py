"""Commands that test whether it matters where a model looks, and whether people look there, too."""

from pathlib import Path
from typing import Annotated, Any

import typer

from edram_fer import files, startup
from edram_fer.commands.options import DataDir, Images, KerasRun, Out, Seed, Source, Split, interval, print_note
from edram_fer.run import layout


def window_ablation(
    run: KerasRun,
    split: Split = "test",
    source: Source = None,
    data_dir: DataDir = None,
    out: Out = None,
    draws: Annotated[int, typer.Option("--draws", min=1, help="How often shuffled and random windows are drawn.")] = 10,
    seed: Seed = 0,
) -> None:
    """Measure the accuracy with the model's windows, with mean, shuffled and random windows, and the whole image."""
    startup.load_keras_alone()
    from edram_fer.run import evaluation_folder
    from edram_fer.studies.window_ablation import ablate_windows

    folder, data, folder_of_data = evaluation_folder.open_folder(run, data=source, data_dir=data_dir, out=out)
    result = ablate_windows(folder, split=split, data=data, data_dir=folder_of_data, draws=draws, seed=seed)
    for name, accuracy in {**result["accuracy"], **result["contrasts"]}.items():
        ends = interval([100 * end for end in accuracy["interval"]], ".2f")
        typer.echo(f"{name:18}{100 * accuracy['value']:7.2f} %  {ends}")
    print_note(result)
    typer.echo(f"Figure: {folder / layout.FIGURES / layout.WINDOW_ABLATION_FIGURE}")


def window_gradients(
    run: KerasRun,
    split: Split = "test",
    source: Source = None,
    data_dir: DataDir = None,
    out: Out = None,
    images: Images = None,
    seed: Seed = 0,
    noise: Annotated[
        float, typer.Option("--noise", min=0, help="Standard deviation of the windows' places, in pixels; 0: none.")
    ] = 1.0,
    samples: Annotated[int, typer.Option("--samples", min=1, help="Noisy sets of windows of each image.")] = 32,
    force: Annotated[bool, typer.Option("--force", help="Start again and replace existing gradients.")] = False,
) -> None:
    """Measure how the answer changes as each window moves, grows or turns. The same command resumes it."""
    startup.load_keras_alone()
    from edram_fer.studies.observer import Observer
    from edram_fer.studies.window_gradients import SLOPES
    from edram_fer.studies.window_gradients import window_gradients as study

    observer = Observer(run, split=split, count=images, seed=seed, data=source, data_dir=data_dir, out=out)
    result = study(observer, noise=noise, samples=samples, restart=force)
    typer.echo("Mean change of the probability of the true class, in points (* its 95 % interval excludes 0), and, in")
    typer.echo(
        "brackets, the mean size of the change: per pixel to the right and down, per tenth of the window's size,"
    )
    typer.echo("and per 10 degrees clockwise.")
    typer.echo(f"{'':10}{'window':18}" + "".join(f"{move:>18}" for move in SLOPES))
    for group in result["groups"]:
        for step, window in enumerate(result["windows"]):
            cells = (_change(group[move], step) for move in SLOPES)
            typer.echo(f"{group['name']:10}{window:18}" + "".join(f"{cell:>18}" for cell in cells))
    print_note(result)
    typer.echo(f"Figure: {observer.run / layout.FIGURES / layout.WINDOW_GRADIENTS_FIGURE}")


def _change(slope: dict[str, Any], step: int) -> str:
    from edram_fer.intervals import excludes_zero

    mark = "*" if excludes_zero(slope["interval"][step]) else " "
    return f"{100 * slope['mean'][step]:+.2f}{mark} ({100 * slope['size'][step]:.2f})"


def agreement(
    runs: Annotated[list[Path], typer.Argument(help="Evaluated run folders, or names of included models.")],
    fixations: Annotated[
        Path,
        typer.Option(
            "--fixations",
            help="CSV: subject,image,start_x,start_y,duration; image is an image id. With --layout also a recording.",
        ),
    ],
    layout_of_photos: Annotated[
        str | None,
        typer.Option(
            "--layout",
            help="The fixations are on other photos than the run's: kdef, or a CSV file of their eyes, mouths and "
            "emotions. Compares by emotion in the space of the 68-point template.",
        ),
    ] = None,
    stimuli: Annotated[
        Path | None, typer.Option("--stimuli", help="With --layout: stimuli and their photos, as for fixations.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the page of several runs, or with --layout.")] = Path(
        "agreement"
    ),
    split: Annotated[
        str | None, typer.Option("--split", help="An evaluated split [default: test, or the first].")
    ] = None,
    outside: Annotated[
        str, typer.Option("--outside", help="Fixations outside their image: raise an error, or drop and count them.")
    ] = "raise",
    sigma: Annotated[
        float | None,
        typer.Option(
            "--sigma",
            help="Width of the Gaussians in the fixation maps, in pixels [default: a tenth of the side]; "
            "with --layout in distances between the eyes [default: 0.235].",
        ),
    ] = None,
    landmarks: Annotated[
        bool, typer.Option("--landmarks", help="Find the landmarks with dlib if the data set has none.")
    ] = False,
    source: Annotated[
        str | None, typer.Option("--data", help="Data set to read the images from [default: the evaluated one].")
    ] = None,
    data_dir: DataDir = None,
    seed: Seed = 0,
) -> None:
    """Compare the attention maps and scan paths of evaluated runs with people's fixations."""
    startup.load_keras_alone()
    images = {"split": split, "find_landmarks": landmarks, "data": source, "data_dir": data_dir, "seed": seed}
    if layout_of_photos is not None:
        _compare_with_people(runs, fixations, layout_of_photos, stimuli, out, sigma, images)
        return
    if len(runs) > 1:
        from edram_fer.report.people import compare_on_images

        page, _ = compare_on_images(runs, fixations, out, outside=outside, sigma=sigma, **images)
        typer.echo(f"Page: {page}")
        return
    run = runs[0]
    from rich.console import Console
    from rich.table import Column, Table

    from edram_fer.figures.agreement import CANDIDATES, MEASURES, defined_measures
    from edram_fer.run import evaluation_folder
    from edram_fer.studies.agreement import measure_agreement

    result = measure_agreement(
        run,
        fixations,
        outside=outside,
        sigma=sigma,
        **images,
    )
    typer.echo(
        f"{result['fixations_file']}: {result['fixations_note']}; {result['images_without_fixations']} images of "
        f"{result['split']} have none"
    )
    candidates = defined_measures(result)
    table = Table(Column("", no_wrap=True), *(CANDIDATES[name][0] for name in candidates))
    for measure in candidates["model"]:
        values = [measures[measure]["mean"] if measure in measures else None for measures in candidates.values()]
        table.add_row(MEASURES[measure], *("–" if value is None else f"{value:.3f}" for value in values))
    Console().print(table)
    print_note(result)
    typer.echo(f"Figure: {evaluation_folder.find(run) / layout.FIGURES / layout.AGREEMENT_FIGURE}")


def _compare_with_people(
    runs: list[Path],
    fixations: Path,
    layout_of_photos: str,
    stimuli: Path | None,
    out: Path,
    sigma: float | None,
    images: dict[str, Any],
) -> None:
    """Compare in the space of the template; write the page."""
    from rich.console import Console
    from rich.table import Column, Table

    from edram_fer.report.people import write_template_page
    from edram_fer.studies import people

    files.check_writable(out)
    width = people.DEGREE if sigma is None else sigma
    comparison = people.compare_with_people(runs, [fixations], layout_of_photos, sigma=width, stimuli=stimuli, **images)
    for note in comparison.notes:
        typer.echo(note)
    overall = comparison.tables["agreement"].query("emotion == 'all'")
    measures = ("nss", "auc_judd", "cc", "information_gain", "information_gain_emotions")
    table = Table(Column("", no_wrap=True), "NSS", "AUC", "CC", "bits over centre", "bits over other emotions")
    for candidate, rows in overall.groupby("candidate", sort=False):
        values = rows.set_index("measure")["mean"]
        table.add_row(str(candidate), *(f"{values[measure]:.3f}" for measure in measures))
    Console().print(table)
    typer.echo(f"Page: {write_template_page(comparison, out)}")
