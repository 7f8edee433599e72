"""The command that makes backbones of others, such as for face recognition, usable as initial weights."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from edram_fer import files, startup
from edram_fer.commands.options import DataDir

NAMED = 6  # arrays that are named one by one


def backbone(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="Weights of PyTorch (.pth), safetensors or ONNX.")],
    name: Annotated[str, typer.Option("--as", help="resnet18, iresnet18, iresnet34, iresnet50, iresnet100 or vgg16.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="The .keras file to write [default: FILE.keras, in this folder].")
    ] = None,
    signed_input: Annotated[
        bool | None,
        typer.Option(
            "--signed-input/--unsigned-input",
            help="Whether it was trained with images from -1 to 1, or from 0 to 1 [default: IResNets with the former].",
        ),
    ] = None,
    faces: Annotated[
        str | None,
        typer.Option(
            "--faces",
            metavar="DATA",
            help="Prepared data set whose training faces give the scales of the batch normalisations that an ONNX file "
            "lacks.",
        ),
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Check a pre-trained backbone and write it as a file for the setting initial_weights; no code in it is run."""
    startup.load_keras_alone()
    from edram_fer import data
    from edram_fer.foreign import backbones

    out = out or Path(f"{source.stem}.keras")
    files.check_target(out)
    images = None if faces is None else data.load_split(faces, "train", data_dir=data_dir)["image"]
    done = backbones.convert(source, out, name, signed_input=signed_input, faces=images)
    arguments = done.backbone.arguments
    scale = "-1 to 1" if arguments["signed_input"] else "0 to 1"
    ending = ", with the ending for face recognition" if arguments["embedding"] else ""
    typer.echo(f"{out}: {name}{ending}, {done.backbone.count_params():,} numbers, for RGB faces from {scale}")
    if done.unused:
        more = f" and {len(done.unused) - NAMED} more" if len(done.unused) > NAMED else ""
        typer.echo(f"Left out: {', '.join(done.unused[:NAMED])}{more}")
    if done.folded and images is None:
        typer.echo(
            f"{done.folded} batch normalisations are folded into convolutions. Outputs are the same, but training "
            "begins as another network: --faces DATA estimates their scales"
        )
    settings = [f"initial_weights={out}", f"backbone={name}", f"crop_size={backbones.published_side(name)}"]
    settings += ["signed_input=true"] if arguments["signed_input"] else []
    words = [word for setting in settings for word in ("--set", setting)]
    typer.echo(f"Next: {shlex.join(['edram-fer', 'train', 'ran_ferplus', *words])}")
