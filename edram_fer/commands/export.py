"""The command that writes a trained model as a file for another runtime."""

from pathlib import Path
from typing import Annotated

import typer

from edram_fer import files, startup
from edram_fer.commands.options import DataDir
from edram_fer.errors import UserError


def export(
    model: Annotated[str, typer.Argument(help="Run folder, .keras file, or the name of an included model.")],
    format: Annotated[
        str | None,
        typer.Option("--format", help="onnx, litert or saved_model [default: by the ending of --out, else onnx]."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="File to write (.onnx, .tflite), or the folder of a SavedModel [default: `model` in the run folder, "
            "or the model's name in the current folder].",
        ),
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Store weights in eight bits: a quarter of the size.")] = False,
    windows_input: Annotated[
        bool, typer.Option("--windows-input", help="The file takes windows, and uses them instead of its own.")
    ] = False,
    uint8_input: Annotated[
        bool, typer.Option("--uint8-input", help="The file takes images from 0 to 255 instead of from 0 to 1.")
    ] = False,
    data: Annotated[
        str | None, typer.Option("--data", help="Prepared data set on which to measure the accuracy of the file.")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="Its split.")] = "test",
    data_dir: DataDir = None,
) -> None:
    """Write a trained model as a file for ONNX Runtime, LiteRT or TensorFlow, and compare its outputs."""
    startup.load_keras_alone()
    from edram_fer.exporting import accuracy
    from edram_fer.exporting import export as exports
    from edram_fer.run import checkpoints

    if out is None:
        format = format or "onnx"
        out = exports.default_path(model, format, int8=int8)
    if data is not None and windows_input:
        raise UserError("--data: a file with --windows-input does not choose its own windows")
    files.check_writable(out.parent)  # before the model is loaded
    loaded = checkpoints.load(model)
    options = {"int8": int8, "windows_input": windows_input, "uint8_input": uint8_input}
    exported = exports.export(loaded, out, format=format, **options)
    differences = ", ".join(f"{name} {value:.1g}" for name, value in exported.differences.items())
    typer.echo(f"{exported.path}: {exported.bytes / 1e6:.1f} MB")
    typer.echo(f"Largest differences from the model in float32, for random images: {differences}")
    if data is not None:
        before, after = accuracy.accuracies(loaded, exported.path, data, split=split, data_dir=data_dir)
        typer.echo(f"Accuracy on {data} {split}: {after:.1%}, of the model {before:.1%}")
    elif int8:
        typer.echo("int8 changes the outputs; --data measures the accuracy")
