"""Running chunks of work on any executor, in order, with bounded memory; and one piece of work beside another."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from itertools import starmap
from typing import Any


def run_chunks(
    function: Callable[..., Any], chunks: Sequence[tuple[Any, ...]], executor: Executor | None, window: int = 8
) -> Iterator[Any]:
    """Yield ``function(*chunk)`` for every chunk, in the order of the chunks.

    At most ``window`` chunks are under way or waiting to be taken. What a worker that died held is done again in
    this process, so the answer never depends on the executor.

    Parameters
    ----------
    function : callable
        Importable by name, for processes and clusters.
    chunks : sequence of tuple
    executor : concurrent.futures.Executor or None
        Threads, processes, or a cluster's; None for this thread.
    window : int
    """
    if executor is None:
        yield from starmap(function, chunks)
        return
    waiting: deque[tuple[tuple[Any, ...], Future[Any] | None]] = deque()
    broken = False

    def submit(chunk: tuple[Any, ...]) -> Future[Any] | None:
        nonlocal broken
        if broken:
            return None
        try:
            return executor.submit(function, *chunk)
        except (BrokenExecutor, RuntimeError):
            broken = True
            return None

    queue = iter(chunks)
    try:
        for chunk in queue:
            waiting.append((chunk, submit(chunk)))
            if len(waiting) < window:
                continue
            yield _take(function, *waiting.popleft())
        while waiting:
            yield _take(function, *waiting.popleft())
    finally:
        for _, future in waiting:
            if future is not None:
                future.cancel()


def _take(function: Callable[..., Any], chunk: tuple[Any, ...], future: Future[Any] | None) -> Any:
    if future is None:
        return function(*chunk)
    try:
        return future.result()
    except BrokenExecutor:
        return function(*chunk)


class Beside[T]:
    """A call that runs in a thread of its own, while the caller does something else that leaves it room.

    Whoever stops the program does not wait for it.

    Parameters
    ----------
    function : callable
    """

    def __init__(self, function: Callable[[], T]) -> None:
        self._future: Future[T] = Future()
        self._thread = threading.Thread(target=self._run, args=(function,), daemon=True)
        self._thread.start()

    def _run(self, function: Callable[[], T]) -> None:
        try:
            self._future.set_result(function())
        except BaseException as error:
            self._future.set_exception(error)

    def result(self) -> T:
        """Wait for it, and give what it gave or raise what it raised."""
        return self._future.result()
