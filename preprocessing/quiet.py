"""Import libraries without the messages that their native code prints, such as TensorFlow's."""

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Generator
from types import ModuleType


def import_module(name: str) -> ModuleType:
    """Import a module silently. If the import fails, the suppressed output is printed before the error."""
    # Errors of TensorFlow's kernels are also raised as Python exceptions; users do not need the other messages.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with silence():
        return importlib.import_module(name)


@contextlib.contextmanager
def silence(always: bool = False) -> Generator[None, None, None]:
    """Redirect file descriptor 2 to a temporary file, which is printed if an exception is raised, unless `always`."""
    if sys.stderr is None:  # a Windows program without a console
        yield
        return
    sys.stderr.flush()
    screen = os.dup(2)
    with tempfile.TemporaryFile() as output:
        os.dup2(output.fileno(), 2)
        try:
            yield
        except BaseException:
            if not always:
                output.seek(0)
                os.write(screen, output.read())
            raise
        finally:
            os.dup2(screen, 2)
            os.close(screen)
