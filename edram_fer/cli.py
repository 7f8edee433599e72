"""The command line: all commands, and errors as one sentence."""

import contextlib
import io
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from edram_fer import installation
from edram_fer.commands.backbone import backbone
from edram_fer.commands.compare import compare, crops
from edram_fer.commands.evaluate import calibrate, evaluate, figures, report
from edram_fer.commands.export import export
from edram_fer.commands.gaze import fixations
from edram_fer.commands.perturb import region_weights, robustness, saliency
from edram_fer.commands.predict import predict
from edram_fer.commands.prepare import export_data, prepare
from edram_fer.commands.reproduce import reproduce
from edram_fer.commands.show import doctor, inspect
from edram_fer.commands.study import agreement, window_ablation, window_gradients
from edram_fer.commands.train import launch, sweep, train
from edram_fer.commands.web import web
from edram_fer.commands.weights import weights
from edram_fer.errors import Stopped, UserError

REPORT = (
    "this is a bug in edram-fer. Please report it with the lines above and the output of `edram-fer doctor` "
    "(CONTRIBUTING.md says where)"
)

_INTERRUPTED = 128 + signal.SIGINT  # exit status

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text: an error ends with a sentence, not with a drawn box
    help="Train and compare FER models that choose where to look, and study what they look at.",
)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"edram-fer {installation.version()}")
        raise typer.Exit


for command in (
    *(prepare, export_data, backbone, train, launch, sweep, reproduce, calibrate, evaluate, figures, report, compare),
    *(crops, predict, web, export, window_ablation, window_gradients, fixations, agreement),
    *(saliency, robustness, region_weights),
    *(weights, inspect, doctor),
):
    app.command()(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command.

    A UserError, an error of the operating system and a package that is not installed end in one sentence and status 1;
    EDRAM_FER_TRACEBACK=1 shows the traceback, too. Any other error is a bug in edram-fer: its traceback is shown, and
    the last line asks for a report. Ctrl-C and SIGTERM end in one sentence and the status 128 + number of the signal.

    Args:
        arguments: The command and its arguments; None: the arguments of the process.
    """
    # A notebook's shell inherits the notebook's backend, which Matplotlib rejects if its package is not installed.
    os.environ["MPLBACKEND"] = "agg"
    for stream in (sys.stdout, sys.stderr):  # any file name can be printed, on any console
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("absl").setLevel(logging.ERROR)
    logging.getLogger("jax").setLevel(logging.WARNING)  # at lower levels it logs every missing kind of device
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # at lower levels it logs every letter of a PDF
    received: list[int] = []
    try:
        with _terminated_like_interrupted(received):
            app(arguments, prog_name="edram-fer")
    except SystemExit as ending:  # Typer ends an interrupted command like this, without a word
        if ending.code == _INTERRUPTED:
            print("Stopped. The same command starts again, or resumes.", file=sys.stderr)
            sys.exit(128 + received[0] if received else _INTERRUPTED)
        raise
    except Stopped as stop:
        print(stop, file=sys.stderr)
        sys.exit(128 + stop.signal)
    except Exception as error:
        message = _message(error)
        if message is None or os.environ.get("EDRAM_FER_TRACEBACK"):
            traceback.print_exc()
        sys.exit(f"error: {REPORT if message is None else message}")


@contextlib.contextmanager
def _terminated_like_interrupted(received):
    """Raise KeyboardInterrupt at SIGTERM, too, so that temporary files are removed, and add the signal to a list."""

    def interrupt(number, frame):
        received.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only that one may handle signals
        yield
        return
    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _message(error):
    """One sentence for an error that a user can resolve, None for a bug in the package."""
    if isinstance(error, UserError):
        return _printable(str(error))
    if isinstance(error, OSError) and error.strerror is not None:  # raised by the operating system
        return _printable(error.strerror if error.filename is None else f"{error.filename}: {error.strerror}")
    if isinstance(error, ModuleNotFoundError) and (hint := installation.hint(error.name or "")):
        return f"{error}{hint}"
    return None


def _printable(text):
    """A text with escapes instead of control characters, which could change the terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text)


if __name__ == "__main__":
    main()
