"""Work on several threads, in order, with bounded memory."""

import collections
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

AHEAD = 16  # items that are taken before their results are needed
MOST_PIXELS = 100_000_000  # of these items together, as far as they are in memory
A = TypeVar("A")  # on lines of their own: type checkers do not recognise them in a tuple
B = TypeVar("B")


def ordered_map(
    function: Callable[[A], B], items: Iterable[A], workers: int, area: Callable[[A], int] = lambda item: 0
) -> Iterator[B]:
    """`map` on several threads, in order, that takes at most AHEAD items, or two per thread, ahead of the results.

    Large items are fewer: no further one is taken while those ahead have more than MOST_PIXELS.

    Decoding, OpenCV and ONNX Runtime release Python's lock, so threads use all cores without copying images.

    Args:
        function: called with each item.
        items: taken from the calling thread.
        workers: number of threads; 1: the calling thread, and no item is taken ahead.
        area: the number of pixels that an item holds in memory.
    """
    if workers == 1:
        yield from map(function, items)
        return
    pool = concurrent.futures.ThreadPoolExecutor(workers, "edram-fer")
    pending: collections.deque[tuple[concurrent.futures.Future[B], int]] = collections.deque()
    held = 0
    try:
        for item in items:
            pending.append((pool.submit(function, item), area(item)))
            held += pending[-1][1]
            while len(pending) >= max(AHEAD, 2 * workers) or held > MOST_PIXELS:
                first, pixels = pending.popleft()
                yield first.result()
                held -= pixels
        while pending:
            yield pending.popleft()[0].result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
