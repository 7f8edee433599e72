"""Errors that are meant for whoever uses the package: the message names the file, row or argument, what was expected
and what came. The command line shows them as one sentence; any other error is a fault of the package and keeps its
traceback."""


class UserError(ValueError):
    """An argument, a setting or the content of a file cannot be used."""


class MissingFileError(UserError, FileNotFoundError):
    """A file or folder that was named, or that a run should hold, is not there."""


class ExistingRunError(UserError, FileExistsError):
    """A folder already holds a run, or something stands where its folder should be made."""


class FolderInUseError(UserError, BlockingIOError):
    """Another process writes into the folder."""


class MissingPackageError(UserError, ImportError):
    """A package that an optional feature needs is not installed; the message says how to install it."""


class DivergedError(UserError, FloatingPointError):
    """A loss, weight or output became nan or infinite."""
