"""Commands that perturb images: which parts of a face a model needs, and how robust its predictions are."""

from typing import Annotated

import typer

from edram_fer import startup
from edram_fer.commands.options import DataDir, Images, Out, Run, Seed, Source, Split, interval, print_note
from edram_fer.run import layout

Sides = Annotated[
    list[float] | None,
    typer.Option("--side", help="Side of the square, as a share of the image's side; may be repeated."),
]


def saliency(
    run: Run,
    method: Annotated[
        str,
        typer.Option("--method", help="occlusion, bubbles, integrated-gradients, smoothgrad, grad-cam or rise."),
    ] = "occlusion",
    split: Split = "test",
    source: Source = None,
    data_dir: DataDir = None,
    out: Out = None,
    images: Annotated[int, typer.Option(min=1, help="Number of images, balanced over the classes.")] = 140,
    seed: Seed = 0,
    window: Annotated[
        int | None,
        typer.Option(help="Occlusion: side of the square in pixels [default: a sixth of the image's side]."),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(help="Occlusion: pixels from one square to the next [default: a quarter of the square's side]."),
    ] = None,
    sigma: Annotated[
        float | None,
        typer.Option(help="Bubbles: width of a bubble in pixels [default: a sixteenth of the image's side]."),
    ] = None,
    bubbles: Annotated[
        int | None,
        typer.Option(help="Bubbles: mean number per trial [default: the smallest that reaches --accuracy]."),
    ] = None,
    accuracy: Annotated[
        float | None,
        typer.Option(
            help="Bubbles: accuracy to reach [default: halfway between chance and the accuracy on the original images]."
        ),
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Bubbles: number of trials [default: 14000].")] = None,
    noise: Annotated[
        float | None,
        typer.Option(
            help="SmoothGrad: standard deviation of the noise, as a share of the image's range [default: 0.15]."
        ),
    ] = None,
    samples: Annotated[int | None, typer.Option(help="SmoothGrad: noisy images of each image [default: 32].")] = None,
    masks: Annotated[int | None, typer.Option(help="RISE: masks of each image [default: 1000].")] = None,
    cells: Annotated[int | None, typer.Option(help="RISE: cells of a mask along each side [default: 7].")] = None,
    fill: Annotated[
        str | None,
        typer.Option(help="Grey level of covered pixels, 0 to 255, or mean [default: mean; for occlusion: 0]."),
    ] = None,
    tolerance: Annotated[float, typer.Option(min=0, help="Tolerance of the pointing game, in pixels.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Start again and replace existing maps.")] = False,
) -> None:
    """Map which parts of the face the predictions depend on. The same command resumes an interrupted calculation."""
    options = {
        "occlusion": {"window": window, "stride": stride},
        "bubbles": {"sigma": sigma, "bubbles": bubbles, "accuracy": accuracy, "trials": trials},
        "integrated-gradients": {},
        "smoothgrad": {"noise": noise, "samples": samples},
        "grad-cam": {},
        "rise": {"masks": masks, "cells": cells},
    }
    if method not in options:
        raise typer.BadParameter(f"--method: expected one of {', '.join(options)}, got {method!r}")
    for other in options.keys() - {method}:
        for name, value in options[other].items():
            if value is not None:
                raise typer.BadParameter(f"--{name} belongs to --method {other}, not to {method}")
    if bubbles is not None and accuracy is not None:
        raise typer.BadParameter(
            "--bubbles and --accuracy cannot be combined: --accuracy determines the number of bubbles"
        )
    startup.load_keras_alone()
    from edram_fer.studies.observer import Observer
    from edram_fer.studies.saliency import METHODS

    chosen = {name: value for name, value in {**options[method], "fill": fill}.items() if value is not None}
    observer = Observer(run, split=split, count=images, seed=seed, data=source, data_dir=data_dir, out=out)
    result = METHODS[method](observer, **chosen, tolerance=tolerance, restart=force)
    typer.echo(f"{result['images']} images of {split}, {result['accuracy_original']:.1%} of them classified correctly")
    if method == "bubbles":
        typer.echo(f"{result['trials']} trials with {result['bubbles']} bubbles: {result['accuracy']:.1%} correct")
    for name, areas in result.get("curves", {}).items():
        values = ", ".join(f"{kind} {_with_interval(score)}" for kind, score in areas.items())
        typer.echo(f"area under the curves, {name.replace('_', ' ')}: {values}")
    _print_mask_scores(result["mask_scores"], split)
    if result["mask_scores"] or "curves" in result:
        print_note(result)
    maps_file = {"occlusion": layout.OCCLUSION_MAPS, "bubbles": layout.BUBBLES_MAPS}.get(
        method, layout.attribution_files(method)[1]
    )
    typer.echo(f"Maps and figures: {observer.run / maps_file}, {observer.run / layout.FIGURES}")


def _print_mask_scores(result, split):
    """Print the scores of the maps against the masks, one line each, or a note that there are no masks."""
    if result is None:
        typer.echo(f"Not scored: no image of {split} has a map and a mask of the pixels that the expression changed.")
        return
    typer.echo(f"{'against masks':30}{'pointing':>24}{'AUC':>24}   ({result['images']} images)")
    for name, scores in result["scores"].items():
        cells = map(_with_interval, scores.values())
        typer.echo(f"{name.replace('_', ' '):30}" + "".join(f"{cell:>24}" for cell in cells))


def _with_interval(score):
    """A value with its interval, as far as they are defined."""
    return "–" if score["value"] is None else f"{score['value']:.3f}{interval(score['interval'])}"


def robustness(
    run: Run,
    split: Split = "test",
    source: Source = None,
    data_dir: DataDir = None,
    out: Out = None,
    images: Images = None,
    seed: Seed = 0,
    side: Sides = None,
    angle: Annotated[list[float] | None, typer.Option("--angle", help="In degrees; may be repeated.")] = None,
) -> None:
    """Measure the accuracy under a growing black square and under growing rotation."""
    startup.load_keras_alone()
    from edram_fer.studies import robustness as study
    from edram_fer.studies.observer import Observer

    observer = Observer(run, split=split, count=images, seed=seed, data=source, data_dir=data_dir, out=out)
    result = study.robustness(observer, sides=side or study.SIDES, angles=angle or study.ANGLES)
    for perturbation, unit in (("occlusion", "side {:.0%}"), ("rotation", "{:g} degrees")):
        for row in result[perturbation]:
            name = f"{perturbation}, {unit.format(row['level'])}"
            typer.echo(f"{name:28}{row['accuracy']:7.2%}  {interval(row['accuracy_interval'], '.2%')}")
    print_note(result)
    typer.echo(f"Figure: {observer.run / layout.FIGURES / layout.ROBUSTNESS_FIGURE}")


def region_weights(
    run: Run,
    split: Split = "test",
    source: Source = None,
    data_dir: DataDir = None,
    out: Out = None,
    images: Images = None,
    seed: Seed = 0,
    box: Annotated[
        list[str] | None,
        typer.Option(
            "--box",
            metavar="NAME=X0,Y0,X1,Y1",
            help="Box to cover, from -1 to 1; may be repeated [default: the halves, eyes and mouth of a face that "
            "fills the image].",
        ),
    ] = None,
    side: Sides = None,
    fill: Annotated[str, typer.Option(help="Grey level of covered pixels, 0 to 255, or mean.")] = "0",
) -> None:
    """Measure the weight of each crop of a face, and how the weights change when a part of the face is covered."""
    boxes = dict(map(_parse_box, box)) if box else None
    startup.load_keras_alone()
    from edram_fer.studies import region_weights as study
    from edram_fer.studies.observer import Observer

    observer = Observer(run, split=split, count=images, seed=seed, data=source, data_dir=data_dir, out=out)
    _print_weights(study.region_weights(observer, boxes=boxes, sides=side or study.SIDES, fill=fill))
    typer.echo(f"Figure: {observer.run / layout.FIGURES / layout.REGION_WEIGHTS_FIGURE}")


def _print_weights(result):
    """Print the mean weights on the original images and their changes under each occluder, one line each."""
    from edram_fer.intervals import excludes_zero

    widths = [max(len(name), 9) + 2 for name in result["windows"]]

    def line(name, cells, accuracy):
        row = "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        typer.echo(f"{name:16}{row}{accuracy:>11}")

    original = result["original"]
    line("mean weight", result["windows"], "accuracy")
    line("original", [f"{weight:.4f} " for weight in original["weight"]], f"{original['accuracy']:.2%}")
    for occluder in result["occluders"]:
        changes = zip(occluder["weight_change"], occluder["weight_change_interval"], strict=True)
        cells = [f"{value:+.4f}{'*' if excludes_zero(ends) else ' '}" for value, ends in changes]
        line(occluder["name"], cells, f"{occluder['accuracy']:.2%}")
    typer.echo("With an occluder: the change of the weight; * its 95 % interval excludes 0.")
    print_note(result)


def _parse_box(text):
    """(name, (x0, y0, x1, y1)) of a box "NAME=X0,Y0,X1,Y1"."""
    name, _, numbers = text.partition("=")
    try:
        return name, tuple(float(number) for number in numbers.split(","))
    except ValueError:
        raise typer.BadParameter(f"--box: expected NAME=X0,Y0,X1,Y1, got {text!r}") from None
