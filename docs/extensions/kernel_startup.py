"""Run by every kernel of the build: how `!command` runs in a tutorial.

There is no terminal, so a command draws no progress bars and no colours, and a failure is an error of the cell.
Commands of edram-fer that need Keras run in the kernel, by the same function as on a command line: starting
TensorFlow for each would take half of the build.
"""

import contextlib
import io
import shlex
import subprocess
import warnings

import rich.console
from IPython import get_ipython

OWN_PROCESS = ("prepare", "inspect")  # they start processes, or do not need Keras
OUTPUT = io.StringIO()  # one stream for all commands, because the log keeps writing to the first one

warnings.filterwarnings("ignore", message="IProgress not found")  # tqdm asks for ipywidgets, but draws no bars here
rich.console._is_jupyter = lambda: False  # draw tables as on a terminal


def _system(command: str) -> None:
    command = get_ipython().var_expand(command, depth=1)
    arguments = shlex.split(command)
    if arguments[0] == "edram-fer" and arguments[1] not in OWN_PROCESS:
        code = _run_in_kernel(arguments[1:])
    else:
        process = subprocess.run(command, shell=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        print(process.stdout, end="")
        code = process.returncode
    if code:
        raise RuntimeError(f"exit status {code}: {command}")


def _run_in_kernel(arguments: list[str]) -> int | str:
    from edram_fer import cli

    code = 0
    with contextlib.redirect_stdout(OUTPUT), contextlib.redirect_stderr(OUTPUT):
        try:
            cli.main(arguments)
        except SystemExit as end:
            code = end.code or 0
    print(OUTPUT.getvalue(), end="")
    OUTPUT.seek(0)
    OUTPUT.truncate()
    return code


get_ipython().system = _system
