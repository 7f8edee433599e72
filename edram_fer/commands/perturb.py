"""What in an image a run's answers rest on, and how much change of it they bear."""

from typing import Annotated

import typer

from edram_fer import startup
from edram_fer.commands.options import DataDir, Run
from edram_fer.run import layout

Split = Annotated[str, typer.Option("--split")]
Source = Annotated[str | None, typer.Option("--data", help="Another data set than the run's own.")]
Images = Annotated[int | None, typer.Option(min=1, help="How many, balanced [default: all].")]
Sides = Annotated[
    list[float] | None, typer.Option("--side", help="Of a square, as a share of the image's; may be repeated.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of the choice of images and of all chance.")]


def saliency(
    run: Run,
    method: Annotated[str, typer.Option("--method", help="occlusion or bubbles.")] = "occlusion",
    split: Split = "test",
    source: Source = None,
    data_dir: DataDir = None,
    images: Annotated[int, typer.Option(min=1, help="How many, balanced over the classes.")] = 140,
    seed: Seed = 0,
    window: Annotated[int | None, typer.Option(help="Side of the square in pixels [default: a sixth].")] = None,
    stride: Annotated[int | None, typer.Option(help="From square to square [default: a quarter of it].")] = None,
    sigma: Annotated[float | None, typer.Option(help="Of a bubble, in pixels [default: a sixteenth].")] = None,
    bubbles: Annotated[int | None, typer.Option(help="In each trial [default: as --accuracy asks for].")] = None,
    accuracy: Annotated[
        float | None, typer.Option(help="To hold by the number of bubbles [default: half way to the whole image].")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Of bubbles [default: 14000].")] = None,
    fill: Annotated[
        str | None, typer.Option(help="Of what is covered: 0 to 255, or mean [default: 0; bubbles: mean].")
    ] = None,
    tolerance: Annotated[float, typer.Option(help="Of the pointing game, in pixels.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Begin again in place of what is there.")] = False,
):
    """Which parts of the face the answers rest on; a calculation that was stopped is resumed."""
    own = {
        "occlusion": {"window": window, "stride": stride},
        "bubbles": {"sigma": sigma, "number": bubbles, "accuracy": accuracy, "trials": trials},
    }
    if method not in own:
        raise typer.BadParameter(f"--method: expected one of {', '.join(own)}, got {method!r}")
    for other in own.keys() - {method}:
        for name, value in own[other].items():
            if value is not None:
                flag = "bubbles" if name == "number" else name
                raise typer.BadParameter(f"--{flag} belongs to --method {other}, not to {method}")
    if bubbles is not None and accuracy is not None:
        raise typer.BadParameter("--bubbles sets the number that --accuracy would find: expected one of them")
    startup.load_keras()
    from edram_fer.studies import saliency as maps
    from edram_fer.studies.observer import Observer

    options = {name: value for name, value in {**own[method], "fill": fill}.items() if value is not None}
    observer = Observer(run, split=split, count=images, seed=seed, data=source, data_dir=data_dir)
    result = getattr(maps, method)(observer, **options, tolerance=tolerance, restart=force)
    typer.echo(f"{result['images']} images of {split}, {result['accuracy_original']:.1%} of them classified correctly")
    if method == "bubbles":
        typer.echo(f"{result['trials']} trials with {result['bubbles']} bubbles: {result['accuracy']:.1%} right")
    _print_mask_scores(result["mask_scores"], split)
    maps_file = {"occlusion": layout.OCCLUSION_MAPS, "bubbles": layout.BUBBLES_MAPS}[method]
    typer.echo(f"Maps and figures: {run / maps_file}, {run / layout.FIGURES}")


def _print_mask_scores(result, split):
    """Print the scores of the maps against the masks, a line for each; or that there are no masks."""
    if result is None:
        typer.echo(f"Not scored: split {split} has no masks of the pixels that the expression changed.")
        return
    typer.echo(f"{'against masks':30}{'pointing':>24}{'AUC':>24}   ({result['images']} images)")
    for name, scores in result["scores"].items():
        cells = (
            f"{found['value']:.3f} ({found['interval'][0]:.3f} to {found['interval'][1]:.3f})"
            for found in scores.values()
        )
        typer.echo(f"{name.replace('_', ' '):30}" + "".join(f"{cell:>24}" for cell in cells))


def robustness(
    run: Run,
    split: Split = "test",
    source: Source = None,
    data_dir: DataDir = None,
    images: Images = None,
    seed: Seed = 0,
    side: Sides = None,
    angle: Annotated[list[float] | None, typer.Option("--angle", help="Degrees; may be repeated.")] = None,
):
    """How the accuracy falls under a growing black square at a random place, and under a growing turn."""
    startup.load_keras()
    from edram_fer.studies import robustness as study
    from edram_fer.studies.observer import Observer

    levels = {name: tuple(given) for name, given in (("sides", side), ("angles", angle)) if given}
    observer = Observer(run, split=split, count=images, seed=seed, data=source, data_dir=data_dir)
    result = study.robustness(observer, **levels)
    for kind, unit in (("occlusion", "side {:.0%}"), ("rotation", "{:g} degrees")):
        for row in result[kind]:
            low, high = row["accuracy_interval"]
            name = f"{kind}, {unit.format(row['level'])}"
            typer.echo(f"{name:28}{row['accuracy']:7.2%}   ({low:.2%} to {high:.2%})")
    typer.echo(f"Figure: {run / layout.FIGURES / layout.ROBUSTNESS_FIGURE}")


def region_weights(
    run: Run,
    split: Split = "test",
    source: Source = None,
    data_dir: DataDir = None,
    images: Images = None,
    seed: Seed = 0,
    box: Annotated[
        list[str] | None,
        typer.Option(
            "--box",
            metavar="NAME=X0,Y0,X1,Y1",
            help="To cover, from -1 to 1; may be repeated [default: halves, eyes and mouth of a face that fills it].",
        ),
    ] = None,
    side: Sides = None,
    fill: Annotated[str, typer.Option(help="Of what is covered: 0 to 255, or mean.")] = "0",
):
    """How much each crop of a face weighs, and how that changes when a part of the face is covered."""
    given = {} if not box else {"boxes": dict(map(_box, box))}
    startup.load_keras()
    from edram_fer.studies import region_weights as study
    from edram_fer.studies.observer import Observer

    given |= {"sides": tuple(side)} if side else {}
    observer = Observer(run, split=split, count=images, seed=seed, data=source, data_dir=data_dir)
    result = study.region_weights(observer, **given, fill=fill)
    widths = [max(len(name), 9) + 2 for name in result["windows"]]

    def line(name, cells, accuracy):
        row = "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        typer.echo(f"{name:16}{row}{accuracy:>11}")

    line("mean weight", result["windows"], "accuracy")
    line(
        "original",
        [f"{weight:.4f} " for weight in result["original"]["weight"]],
        f"{result['original']['accuracy']:.2%}",
    )
    for cover in result["occluders"]:
        ends = zip(cover["weight_change"], cover["weight_change_interval"], strict=True)
        cells = [f"{value:+.4f}{' ' if low <= 0 <= high else '*'}" for value, (low, high) in ends]
        line(cover["name"], cells, f"{cover['accuracy']:.2%}")
    typer.echo("Under a cover: the change; * its 95 % interval is without 0.")
    typer.echo(f"Figure: {run / layout.FIGURES / layout.REGION_WEIGHTS_FIGURE}")


def _box(text):
    """(name, (x0, y0, x1, y1)) of a box "NAME=X0,Y0,X1,Y1"."""
    name, _, numbers = text.partition("=")
    try:
        return name, tuple(float(number) for number in numbers.split(","))
    except ValueError:
        raise typer.BadParameter(f"--box: expected NAME=X0,Y0,X1,Y1, got {text!r}") from None
