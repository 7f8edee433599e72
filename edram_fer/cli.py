"""The command line: every command, and errors that end in one sentence."""

import logging
import os
import sys
import traceback

import typer

from edram_fer import installation
from edram_fer.commands.compare import compare, crops
from edram_fer.commands.evaluate import evaluate, figures, report
from edram_fer.commands.perturb import region_weights, robustness, saliency
from edram_fer.commands.predict import predict
from edram_fer.commands.prepare import export, prepare
from edram_fer.commands.show import doctor, inspect
from edram_fer.commands.study import agreement, window_ablation
from edram_fer.commands.train import sweep, train
from edram_fer.errors import UserError

REPORT = (
    "this is a fault of edram-fer. Please report it with the lines above and the output of `edram-fer doctor` "
    "(CONTRIBUTING.md says where)"
)

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text: an error ends in a sentence, not in the rim of a box
    help="Train and compare FER models that choose where to look, and study what they look at.",
)
for command in (
    *(prepare, export, train, sweep, evaluate, figures, report, compare, crops, predict),
    *(window_ablation, agreement, saliency, robustness, region_weights, inspect, doctor),
):
    app.command()(command)


def main(arguments=None):
    """Run a command.

    An error that is meant for the user, one of the operating system, or a package that is not installed ends in one
    sentence and status 1; EDRAM_FER_TRACEBACK=1 shows the traceback, too. Any other error is a fault of edram-fer: it
    keeps its traceback, and the last line asks for a report.
    """
    # The shell of a notebook passes on its backend, which Matplotlib rejects where that package is not installed.
    os.environ["MPLBACKEND"] = "agg"
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("absl").setLevel(logging.ERROR)
    logging.getLogger("jax").setLevel(logging.WARNING)  # it reports each kind of device that it does not find
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it reports each letter of a PDF
    try:
        app(arguments, prog_name="edram-fer")
    except KeyboardInterrupt:
        sys.exit("stopped")
    except Exception as error:
        message = _message(error)
        if message is None or os.environ.get("EDRAM_FER_TRACEBACK"):
            traceback.print_exc()
        sys.exit(f"error: {REPORT if message is None else message}")


def _message(error):
    """One sentence for an error that a user can do something about, None for a fault of the package."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.strerror is not None:  # the operating system's own
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    if isinstance(error, ModuleNotFoundError) and (hint := installation.hint(error.name or "")):
        return f"{error}{hint}"
    return None
