"""Errors that users can resolve. The message names the file, row or argument, the expected value and the actual one.
The command line shows it as one sentence; any other error is a bug in the package and keeps its traceback."""

LONGEST = 4000  # characters of a message; what it quotes may come from a file of any content
LONGEST_REASON = 150  # characters of the message of another exception in it
UNEXPECTED = "unexpected "  # begins the status of a row that raised an exception nobody foresaw


class UserError(ValueError):
    """An argument, a setting or the content of a file is unusable.

    >>> import edram_fer
    >>> try:
    ...     edram_fer.build("edram", glimpses=0)
    ... except UserError as error:
    ...     print(error)
    glimpses: expected a whole number of at least 1, got 0
    """

    def __str__(self) -> str:
        return shorten(super().__str__(), LONGEST)


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


class Stopped(Exception):
    """A command was stopped by a signal; the message is one sentence that says how to continue.

    Args:
        message: the sentence.
        signal: the number of the signal.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


def at_path(error: OSError, path: object) -> OSError:
    """The same error of the system, of this file or folder.

    >>> str(at_path(OSError(28, "No space left on device"), "run/model.keras"))
    "[Errno 28] No space left on device: 'run/model.keras'"
    """
    return OSError(error.errno, error.strerror or str(error), str(path))


def shorten(text: str, most: int) -> str:
    """The text; of a longer one the beginning and the end.

    >>> shorten("abcdefghijkl", 9)
    'abc...jkl'
    """
    part = (most - 3) // 2
    return text if len(text) <= most else f"{text[:part]}...{text[-part:]}"


def reason(error: BaseException) -> str:
    """What an exception says, in one short line: its message, or its type if it has none.

    >>> reason(OSError("disk\\nfull")), reason(EOFError())
    ('disk full', 'EOFError')
    """
    return shorten(" ".join(str(error).split()), LONGEST_REASON) or type(error).__name__


def as_status(error: Exception) -> str:
    """The status of a row that raised an exception: its message, and its type unless it was made for users.

    >>> as_status(UserError("empty file")), as_status(TypeError("not a number")), as_status(MemoryError())
    ('empty file', 'unexpected TypeError: not a number', 'unexpected MemoryError')
    """
    if isinstance(error, UserError):
        return shorten(" ".join(utf8(str(error)).split()), 2 * LONGEST_REASON)
    name, message = type(error).__name__, utf8(reason(error))
    return f"{UNEXPECTED}{name}" + ("" if message == name else f": {message}")


def utf8(text: str) -> str:
    """A text with escapes such as \\udce4 instead of bytes of a file name that are not UTF-8.

    >>> utf8("f\\udce4ce.png") == "f\\\\udce4ce.png"
    True
    """
    return text.encode("utf-8", "backslashreplace").decode()
