"""Run by every kernel of the build: a shell command has no terminal, so it draws no progress bars and no colours, and
its failure is an error."""

import subprocess

from IPython import get_ipython


def _system(command: str) -> None:
    shell = get_ipython()
    done = subprocess.run(
        shell.var_expand(command, depth=1), shell=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    print(done.stdout, end="")
    if done.returncode:
        raise RuntimeError(f"exit status {done.returncode}: {command}")


get_ipython().system = _system
