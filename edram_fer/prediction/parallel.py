"""Work on several threads, in order, with bounded memory."""

import collections
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

AHEAD = 16  # items that are taken before their results are needed
A = TypeVar("A")  # on lines of their own: type checkers do not recognise them in a tuple
B = TypeVar("B")


def ordered_map(function: Callable[[A], B], items: Iterable[A], workers: int) -> Iterator[B]:
    """`map` on several threads, in order, that takes at most AHEAD items, or two per thread, ahead of the results.

    Decoding, OpenCV and ONNX Runtime release Python's lock, so threads use all cores without copying images.

    Args:
        function: called with each item.
        items: taken from the calling thread.
        workers: number of threads; 1: the calling thread, and no item is taken ahead.
    """
    if workers == 1:
        yield from map(function, items)
        return
    pool = concurrent.futures.ThreadPoolExecutor(workers, "edram-fer")
    pending: collections.deque[concurrent.futures.Future[B]] = collections.deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= max(AHEAD, 2 * workers):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
