"""The command line: every command, and errors that end in one sentence."""

import logging
import os
import sys

import typer

from edram_fer import installation
from edram_fer.commands.compare import compare, crops
from edram_fer.commands.evaluate import evaluate, figures, report
from edram_fer.commands.perturb import region_weights, robustness, saliency
from edram_fer.commands.predict import predict
from edram_fer.commands.prepare import arrays, prepare
from edram_fer.commands.show import doctor, inspect
from edram_fer.commands.study import agreement, looking
from edram_fer.commands.train import sweep, train

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text: an error ends in a sentence, not in the rim of a box
    help="Train and compare FER models that choose where to look, and study what they look at.",
)
for command in (
    *(prepare, arrays, train, sweep, evaluate, figures, report, compare, crops, predict),
    *(looking, agreement, saliency, robustness, region_weights, inspect, doctor),
):
    app.command()(command)


def main(arguments=None):
    """Run a command. Errors end in one sentence and status 1; EDRAM_FER_TRACEBACK=1 shows their traceback instead."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("absl").setLevel(logging.ERROR)
    logging.getLogger("jax").setLevel(logging.WARNING)  # it tells each kind of device that it does not find
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells each letter of a PDF
    try:
        app(arguments, prog_name="edram-fer")
    except KeyboardInterrupt:
        sys.exit("stopped")
    except Exception as error:
        if os.environ.get("EDRAM_FER_TRACEBACK"):
            raise
        known = isinstance(error, (ValueError, OSError, FloatingPointError, ImportError))
        kind = "" if known else f"{type(error).__name__}: "
        hint = "" if known else " (set EDRAM_FER_TRACEBACK=1 to see where)"
        if isinstance(error, ModuleNotFoundError):
            hint = installation.hint(error.name or "")
        sys.exit(f"error: {kind}{_text(error)}{hint}")


def _text(error):
    """An OSError's own words name the place; others speak for themselves."""
    if isinstance(error, OSError) and error.strerror is not None:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return str(error)
