"""The start of Keras and its backend, without the notes that TensorFlow's libraries write past Python to the screen."""

import contextlib
import os
import sys
import tempfile


def load_keras():
    """Import Keras and its backend silently. Where that fails, what they wrote is shown before the error."""
    # Errors of its kernels come as Python exceptions, too; what is left at this level says nothing to a user.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _silenced():
        import keras  # noqa: F401


@contextlib.contextmanager
def _silenced():
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
