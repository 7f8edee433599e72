"""The import of libraries without the notes that they write past Python to the screen, as TensorFlow's do."""

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator


def import_module(name: str):
    """The module `name`, imported silently. Where that fails, what was written is shown before the error."""
    # Errors of TensorFlow's kernels come as Python exceptions, too; what is left at this level says nothing to a user.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _silenced():
        return importlib.import_module(name)


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """File descriptor 2 goes into a file meanwhile; an exception brings it to the screen."""
    sys.stderr.flush()
    screen = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(screen, kept.read())
            raise
        finally:
            os.dup2(screen, 2)
            os.close(screen)
