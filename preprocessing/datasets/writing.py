"""The last stage of a preparation: a TFDS builder writes the data set, and one rename moves it into place."""

import contextlib
import errno
import importlib.metadata
import io
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edram_fer.errors import MissingPackageError
from edram_fer.preprocessing import quiet, work_folder

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

SORT_BUFFER = 128 << 20  # bytes of examples in memory before TFDS sorts them on disk; its default is a gigabyte
TFDS_VERSIONS = ">=4.9.10,<4.10"  # as in setup.cfg: the versions whose internals `_replaced_internals` supports


def make_builder(kind: Callable[..., Any], **options: Any) -> Any:
    """A TFDS builder. TFDS would look for its data set in a bucket of Google's, and leave an empty temporary folder."""
    import tensorflow_datasets as tfds

    with _replace(tfds.core.DatasetInfo, "initialize_from_bucket", lambda info: None):
        return kind(**options)


def is_prepared(builder: "tfds.core.DatasetBuilder") -> bool:
    """Whether the data set of a TFDS builder is complete on disk."""
    # TFDS warns if the data set does not exist, which is normal before the preparation.
    return (Path(builder.data_dir) / "dataset_info.json").exists() and builder.is_prepared()


@contextlib.contextmanager
def describe_write_errors(name: str, data_dir: Path, consequence: str) -> Generator[None, None, None]:
    """Turn a failure to write in `data_dir` into an OSError that names the data set and the folder.

    Args:
        name: the data set.
        data_dir: the folder that is written to; errors elsewhere are not changed.
        consequence: what was kept, or what to do next, for the message.
    """
    try:
        yield
    except Exception as error:
        number = _write_error_number(error, data_dir)
        if number is None:
            raise
        raise OSError(number, f"cannot write data set {name} to {data_dir}, {consequence}: {error}") from error


def _write_error_number(error: BaseException | None, data_dir: Path) -> int | None:
    """The errno if `error`, or an error that caused it, is a failure to write in `data_dir`; otherwise None."""
    tensorflow = sys.modules.get("tensorflow")  # if it is not loaded, its errors cannot occur
    while error is not None:
        if tensorflow is not None and isinstance(error, tensorflow.errors.OpError):
            return errno.ENOSPC if isinstance(error, tensorflow.errors.ResourceExhaustedError) else errno.EIO
        if isinstance(error, (FileNotFoundError, BlockingIOError, ChildProcessError)):
            return None
        if isinstance(error, OSError):
            elsewhere = error.filename is not None and not Path(error.filename).is_relative_to(data_dir)
            return None if elsewhere else error.errno or errno.EIO
        error = error.__cause__  # TFDS wraps TensorFlow's exceptions
    return None


def download_and_prepare(builder: "tfds.core.DatasetBuilder") -> None:
    """Let a TFDS builder write its data set; the same examples give the same bytes.

    Raises:
        MissingPackageError: the installed TFDS is not one of TFDS_VERSIONS and lacks an attribute to replace.
    """
    quiet.import_module("tensorflow")
    import tensorflow_datasets as tfds

    # Do not ask Google Cloud Storage for a copy of data that may not be redistributed.
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    with _replaced_internals(), contextlib.redirect_stdout(io.StringIO()):  # TFDS prints the temporary folder
        builder.download_and_prepare(download_config=config)


@contextlib.contextmanager
def _replaced_internals() -> Generator[None, None, None]:
    """Replace internals for which TFDS has no options: sort buffer, order of features, progress bar."""
    from tensorflow_datasets.core import example_serializer, shuffle
    from tensorflow_datasets.core.utils import tqdm_utils

    serializer = getattr(example_serializer, "ExampleSerializer", None)
    _require(serializer, "get_tf_example")  # called by _serialize_sorted
    with contextlib.ExitStack() as stack:
        stack.enter_context(_replace(shuffle, "MAX_MEM_BUFFER_SIZE", SORT_BUFFER))
        stack.enter_context(_replace(serializer, "serialize_example", _serialize_sorted))
        if not sys.stderr.isatty():  # in a log, progress bars would be pages of control characters
            stack.enter_context(_replace(tqdm_utils, "_active", False))
        yield


@contextlib.contextmanager
def _replace(owner: object, name: str, value: object) -> Generator[None, None, None]:
    """Replace the value of an attribute of TFDS inside this block."""
    _require(owner, name)
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


def _require(owner: object, name: str) -> None:
    if not hasattr(owner, name):
        version = importlib.metadata.version("tensorflow-datasets")
        raise MissingPackageError(
            f"tensorflow-datasets {version} has no {name}, which preparing a data set relies on; "
            f"pip install 'tensorflow-datasets{TFDS_VERSIONS}'"
        )


def _serialize_sorted(serializer: Any, example: dict[str, Any]) -> bytes:
    """Serialise an example as TFDS does, but with its features in the order of their names.

    Protobuf's default order differs between processes.
    """
    return serializer.get_tf_example(example).SerializeToString(deterministic=True)


def move_into_place(finished: Path, target: Path, work: Path) -> None:
    """Move a finished data set to `target` with one rename; an older data set moves to `work`/old.

    Raises:
        UserError: the older one holds a file that no preparation has written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        work_folder.check_replaceable(target)
        target.rename(work / "old")
    finished.rename(target)
