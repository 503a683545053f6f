"""What is asked of facts: one thing or several, and how they are named in a sentence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def as_tuple(value: Any) -> tuple[Any, ...]:
    """Take one value as a tuple of it, and several as they are."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        return (value,)
    return tuple(value)


def first_names(names: Iterable[str], most: int = 12) -> str:
    """Name the first ones, and say how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
