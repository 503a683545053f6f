"""How far long work is, shown where somebody looks: one line on a terminal, one bar in a notebook, else nothing.

Nothing is shown where nobody can answer: in another process or thread than the main one, where standard error is no
terminal, and in a notebook that a program executes, whose output may not vary from run to run.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from smm_bayes import markup

Tell = Callable[[int, int | None, str], None]  # done, wanted (None: not known), what is being done
EVERY = 0.2  # seconds between two looks of a notebook's bar
EARLY = 2.0  # seconds before which the time left is a guess

_HELD: ContextVar[bool] = ContextVar("held", default=False)


@contextmanager
def silent() -> Iterator[None]:
    """Show nothing in a ``with`` block, such as where a caller shows progress of its own."""
    token = _HELD.set(True)
    try:
        yield
    finally:
        _HELD.reset(token)


@contextmanager
def live() -> Iterator[Tell | None]:
    """Show progress while a ``with`` block runs, and take it away at its end; None where nobody looks.

    Bars are never nested: within another's block there is none.
    """
    make = None if _HELD.get() else _screen()
    if make is None:
        yield None
        return
    with silent(), make() as tell:
        yield tell


@contextmanager
def counting(progress: Callable[[int, int], None] | bool | None, words: str) -> Iterator[Callable[[int, int], None]]:
    """Tell how much is done and wanted as asked: to a caller that asks, by a bar (None), or not at all (False).

    Parameters
    ----------
    progress : callable, bool or None
    words : str
        What is being done.
    """
    if progress is not None and not isinstance(progress, bool):
        yield progress
        return
    with contextlib.nullcontext() if progress is False else live() as show:
        yield lambda done, total: show(done, total, words) if show is not None else None


def _screen() -> Callable[[], contextlib.AbstractContextManager[Tell]] | None:
    """Say how to show progress to whoever looks, if anybody does."""
    main = threading.current_thread() is threading.main_thread() and multiprocessing.parent_process() is None
    if not main:
        return None
    kernel = _kernel()
    if kernel is not None:  # who executes a notebook without looking at it answers no question
        return _notebook if getattr(kernel, "_allow_stdin", False) else None
    return _terminal if getattr(sys.stderr, "isatty", lambda: False)() else None


def _kernel() -> Any:
    """Give the notebook's kernel, if this is one."""
    shell = sys.modules.get("IPython")
    return None if shell is None else getattr(shell.get_ipython(), "kernel", None)


@contextmanager
def _terminal() -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("left"),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, words: bar.update(task, description=words, completed=done, total=total)


@contextmanager
def _notebook() -> Iterator[Tell]:
    from IPython.display import display

    state = _State()
    handle: Any = display(state, display_id=True)

    def tell(done: int, total: int | None, words: str) -> None:
        now = time.monotonic()
        if state.told(done, total, words, now) or now - state.shown >= EVERY:
            state.shown = now
            handle.update(state)

    try:
        yield tell
    finally:
        state.words = ""
        handle.update(state)


class _State:
    """A bar of a notebook, by itself in any front end: as HTML, or in words where there is none."""

    def __init__(self) -> None:
        self.words, self.done, self.shown, self.since = "", 0, 0.0, 0.0
        self.total: int | None = None

    def told(self, done: int, total: int | None, words: str, now: float) -> bool:
        """Note what is told; whether something else is being done than before."""
        other = total != self.total
        if other:
            self.since = now
        self.done, self.total, self.words = done, total, words
        return other

    def left(self, now: float) -> str:
        """Say how much time is left, as far as it can be known."""
        elapsed = now - self.since
        if not self.total or not self.done or elapsed < EARLY:
            return ""
        return f"{in_words(elapsed * (self.total - self.done) / self.done)} left"

    def __repr__(self) -> str:
        if not self.words:
            return ""
        share = f" {100 * self.done // self.total} %" if self.total else ""
        return ", ".join(filter(None, [f"{self.words}{share}", self.left(time.monotonic())]))

    def _repr_html_(self) -> str:
        if not self.words:
            return "<span></span>"
        value = f' value="{self.done}" max="{self.total}"' if self.total else ""
        return f"<div><progress{value}></progress> {markup.text(self)}</div>"


def in_words(seconds: float) -> str:
    """Say a time in minutes and seconds.

    >>> in_words(75.2)
    '1 min 15 s'
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
