"""The last stage of preparing: a TFDS builder writes, and the finished data set takes its place in one rename."""

import contextlib
import errno
import fcntl
import io
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from edram_fer.errors import FolderInUseError
from edram_fer.preprocessing import quiet

MEMORY = 128 << 20  # bytes of examples that TFDS may hold before it sorts them on disk; by itself a gigabyte


def is_prepared(opened) -> bool:
    """Whether a TFDS builder's data set lies complete in its place."""
    # TFDS alone would warn that nothing is there, which is the usual case before preparing.
    return (Path(opened.data_dir) / "dataset_info.json").exists() and opened.is_prepared()


@contextlib.contextmanager
def exclusive_lock(folder: Path, doing: str = "preparing") -> Iterator[None]:
    """`folder`, made where it is missing, for this process alone; a killed process leaves it free.

    Raises BlockingIOError where another process has it, and is `doing` something there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUseError(f"another process is {doing} in {folder}") from None
        yield


@contextlib.contextmanager
def describe_write_errors(name: str, data_dir: Path, kept: str) -> Iterator[None]:
    """A failure to write in `data_dir` becomes an OSError that names data set and place, and what of it was kept."""
    try:
        yield
    except Exception as error:
        number = _write_error(error, data_dir)
        if number is None:
            raise
        raise OSError(number, f"cannot write data set {name} to {data_dir}, {kept}: {error}") from error


def _write_error(error: BaseException | None, data_dir: Path) -> int | None:
    """The errno of a failure to write in `data_dir`, found in `error` or what caused it; None for any other error."""
    tensorflow = sys.modules.get("tensorflow")  # where it is not loaded, none of its errors can be there
    of_tensorflow = (tensorflow.errors.OpError,) if tensorflow else ()
    while error is not None and not isinstance(error, (OSError, *of_tensorflow)):
        error = error.__cause__  # TFDS wraps what TensorFlow raises
    if isinstance(error, of_tensorflow):
        return errno.ENOSPC if isinstance(error, tensorflow.errors.ResourceExhaustedError) else errno.EIO
    if error is None or isinstance(error, (FileNotFoundError, BlockingIOError, ChildProcessError)):
        return None
    elsewhere = error.filename is not None and data_dir not in (Path(error.filename), *Path(error.filename).parents)
    return None if elsewhere else error.errno or errno.EIO


def download_and_prepare(made) -> None:
    """Let a TFDS builder write its data set, without its own words about where. The same examples give the same bytes."""
    quiet.import_module("tensorflow")
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import example_serializer, shuffle

    if not sys.stderr.isatty():
        tfds.disable_progress_bar()  # in a log its bars would be pages of control characters
    shuffle.MAX_MEM_BUFFER_SIZE = MEMORY
    example_serializer.ExampleSerializer.serialize_example = _serialized
    # GCS would be asked for a ready-made copy of data that must not be handed around.
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS would name the temporary folder as the place of the data
        made.download_and_prepare(download_config=config)


def _serialized(self, example: dict) -> bytes:
    """TFDS's own serialization, with the features in the order of their names.

    By itself Protobuf writes them in an order that differs from process to process.
    """
    return self.get_tf_example(example).SerializeToString(deterministic=True)


def move(folder: Path, made: Path, target: Path) -> None:
    """The finished data set to its place, in one rename; an older one leaves with the temporary folder."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "old", ignore_errors=True)  # of a process that was killed here
    if target.exists():
        target.rename(folder / "old")
    made.rename(target)
