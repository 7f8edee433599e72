"""Errors that users can resolve. The message names the file, row or argument, the expected value and the actual one.
The command line shows it as one sentence; any other error is a bug in the package and keeps its traceback."""


class UserError(ValueError):
    """An argument, a setting or the content of a file is unusable.

    >>> import edram_fer
    >>> try:
    ...     edram_fer.build("edram", glimpses=0)
    ... except UserError as error:
    ...     print(error)
    glimpses: expected a whole number of at least 1, got 0
    """


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder is missing."""


class ExistingRunError(UserError, FileExistsError):
    """A folder already holds a run, or a file has the name of the folder."""


class FolderInUseError(UserError, BlockingIOError):
    """Another process writes into the folder."""


class MissingPackageError(UserError, ImportError):
    """A package that an optional feature needs is not installed; the message says how to install it."""


class KilledWorkerError(UserError, ChildProcessError):
    """A process that this one had started was killed."""


class DivergedError(UserError, FloatingPointError):
    """A loss, weight or output became nan or infinite."""
