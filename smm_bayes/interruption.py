"""Ctrl-C, SIGTERM and a closed terminal: one and the same interruption, heard at every stage and never half way."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from types import FrameType
from typing import Any

from smm_bayes.errors import IncompleteError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EXIT_CODE = 130
AGAIN = 0.01  # seconds until an interruption is sent anew
AT_ONCE = 2.0  # seconds within which further signals are the same interruption: Ctrl-C twice, SIGTERM after SIGHUP


class Interruption:
    """Handler of the signals that end a command: raises ``KeyboardInterrupt``, unless held back.

    Attributes
    ----------
    heard : bool
        Whether one came.
    held : bool
        Whether what is being done must be finished first.
    since : float
        When it was last raised, in seconds of the monotonic clock.
    words : str
        What is true of the results, were the command interrupted now.
    """

    def __init__(self) -> None:
        self.heard = False
        self.held = False
        self.since = -float("inf")
        self.words = "Interrupted; nothing was written."

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.heard, again, now = True, self.heard, time.monotonic()
        if self.held or (again and now - self.since < AT_ONCE):
            return
        self.since = now
        raise KeyboardInterrupt

    @classmethod
    def current(cls) -> Interruption | None:
        """Give the handler in force, if it is one of these."""
        found = signal.getsignal(signal.SIGTERM)
        return found if isinstance(found, cls) else None


@contextmanager
def listening() -> Iterator[Interruption]:
    """Heed the signals in a ``with`` block; a signal that was ignored (as by nohup) stays ignored."""
    handler, before = Interruption(), {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in SIGNALS}
        before = {number: was for number, was in before.items() if was != signal.SIG_IGN and was is not None}
    hook = sys.unraisablehook
    try:
        for number in before:
            signal.signal(number, handler)
        sys.unraisablehook = partial(_raised_again, handler, hook)
        yield handler
    finally:
        sys.unraisablehook = hook
        for number, was in before.items():
            signal.signal(number, was)


def _raised_again(handler: Interruption, otherwise: Callable[[Any], Any], swallowed: Any) -> None:
    """Send an interruption anew that came where Python swallows what is raised: in ``__del__`` or a weak reference."""
    if swallowed.exc_type is not KeyboardInterrupt or not handler.heard:
        otherwise(swallowed)
        return
    handler.since = -float("inf")
    threading.Timer(AGAIN, os.kill, (os.getpid(), signal.SIGTERM)).start()


@contextmanager
def uninterrupted() -> Iterator[Interruption | None]:
    """Finish a ``with`` block before an interruption is heeded."""
    handler = Interruption.current()
    if handler is None or handler.held:
        yield handler
        return
    before = handler.heard
    handler.held = True
    try:
        yield handler
    finally:
        handler.held = False
    if handler.heard and not before:
        raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[None]:
    """Heed interruptions in a ``with`` block inside an :func:`uninterrupted` one; one heard before ends it."""
    handler = Interruption.current()
    if handler is None:
        yield
        return
    before, handler.held = handler.held, False
    try:
        if handler.heard:
            raise KeyboardInterrupt
        yield
    finally:
        handler.held = before
    if handler.heard:
        raise KeyboardInterrupt


class Interrupted(KeyboardInterrupt):
    """An interruption, said in one sentence: notebooks show that and no frame."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def in_one_sentence[**P, T](words: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function that is interrupted end with :class:`Interrupted`, its many frames left out.

    The command line says the sentence of its own handler, and is told of the interruption as it came.

    Parameters
    ----------
    words : str
        What is true of the results then.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return function(*args, **kwargs)
            except (KeyboardInterrupt, IncompleteError):
                if Interruption.current() is not None:
                    raise
            raise Interrupted(words)

        return call

    return decorate
