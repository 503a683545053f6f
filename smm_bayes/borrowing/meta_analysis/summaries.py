"""What a meta-analysis is made from: one summary a trial, with its likelihood."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from smm_bayes.errors import Problems


@dataclass(frozen=True, eq=False)
class Summaries(ABC):
    r"""Summaries of trials, each informing a parameter :math:`\theta_j` on the line.

    Attributes
    ----------
    names : tuple of str
    first, second : numpy.ndarray, shape (trial,)
        The summary: responders and patients, events and exposure, or estimate and standard error.
    """

    names: tuple[str, ...]
    first: np.ndarray
    second: np.ndarray

    KIND: ClassVar[str]
    COLUMNS: ClassVar[tuple[str, str]]
    PARAMETER: ClassVar[str]  # on the scale of the response
    LINE: ClassVar[str]  # on the line

    def __len__(self) -> int:
        return len(self.first)

    @classmethod
    def read(cls, first: Any, second: Any, names: Sequence[str] | None, problems: Problems) -> Self:
        """Check two columns, noting every problem with the positions (from 1) it is in."""
        first, second = _column(cls.COLUMNS[0], first, problems), _column(cls.COLUMNS[1], second, problems)
        problems.raise_if_any()
        if len(first) != len(second):
            lengths = f"{cls.COLUMNS[0]} has {len(first)} values and {cls.COLUMNS[1]} {len(second)}"
            problems.add(f"{lengths}; give one of each a trial")
            problems.raise_if_any()
        cls._check(first, second, problems)
        said = tuple(f"trial {j + 1}" for j in range(len(first))) if names is None else tuple(map(str, names))
        if len(said) != len(first):
            problems.add(f"there are {len(said)} names for {len(first)} trials; give one a trial")
        elif len(set(said)) < len(said):
            twice = sorted({name for name in said if said.count(name) > 1})
            problems.add(f"names must differ; found twice: {', '.join(twice)}")
        return cls(said, first, second)

    @classmethod
    @abstractmethod
    def _check(cls, first: np.ndarray, second: np.ndarray, problems: Problems) -> None:
        """Note values that no trial can have."""

    @abstractmethod
    def log_likelihood(self, theta: np.ndarray) -> np.ndarray:
        r"""Log likelihood of :math:`\theta` (..., trial), with its constant."""

    @abstractmethod
    def slopes(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First derivative of the log likelihood, and minus the second."""

    @abstractmethod
    def rough(self) -> tuple[np.ndarray, np.ndarray]:
        """Estimates that are finite whatever the data, and their information, shape (trial,)."""

    @staticmethod
    @abstractmethod
    def respond(theta: np.ndarray) -> np.ndarray:
        """Parameter on the scale of the response."""

    @staticmethod
    @abstractmethod
    def to_line(value: np.ndarray) -> np.ndarray:
        """Invert :meth:`respond`."""

    @staticmethod
    @abstractmethod
    def response_slope(theta: np.ndarray) -> np.ndarray:
        """Derivative of :meth:`respond`."""

    @property
    @abstractmethod
    def bounded(self) -> np.ndarray:
        """Whether a trial's likelihood falls on both sides; without responders, or without others, it does not."""

    @abstractmethod
    def simulate(self, theta: np.ndarray, *, rng: np.random.Generator) -> Self:
        """Draw the first column anew, given parameters (trial,)."""

    @abstractmethod
    def describe(self, at: int) -> str:
        """Say one trial's data."""

    def take(self, rows: Sequence[int] | np.ndarray) -> Self:
        """Give some of the trials."""
        return type(self)(tuple(self.names[row] for row in rows), self.first[rows], self.second[rows])

    def joined(self, other: Self) -> Self:
        """Add trials at the end."""
        return type(self)((*self.names, *other.names), np.append(self.first, other.first),
                          np.append(self.second, other.second))  # fmt: skip

    @property
    def constant(self) -> np.ndarray:
        """What the log likelihood has that does not depend on the parameter."""
        return np.zeros(len(self))

    def total(self) -> str:
        """Say what all trials hold together."""
        return f"{len(self)} trial{'s' if len(self) != 1 else ''}"


def _column(name: str, values: Any, problems: Problems) -> np.ndarray:
    try:
        found = np.atleast_1d(np.array(values, float))
    except (TypeError, ValueError):
        problems.add(f"{name} must be numbers; got {values!r}")
        return np.zeros(0)
    if found.ndim != 1 or not len(found):
        problems.add(f"{name} must be a list with one number a trial; got shape {found.shape}")
    else:
        refuse(name, found, ~np.isfinite(found), "finite numbers", problems)
    return found


def refuse(
    name: str, values: np.ndarray, bad: np.ndarray, rule: str, problems: Problems, said: Sequence[str] | None = None
) -> None:
    """Note values that break a rule, with their positions from 1."""
    if np.any(bad):
        shown = said or [f"{value:g}" for value in values]
        where = ", ".join(f"{shown[at]} in position {at + 1}" for at in np.flatnonzero(bad)[:8])
        more = f" and {int(bad.sum()) - 8} more" if bad.sum() > 8 else ""
        problems.add(f"{name} must be {rule}; got {where}{more}")
