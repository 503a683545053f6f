"""What a meta-analysis is made from: one summary a trial, with its likelihood."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from smm_bayes.errors import Problems, SpecificationError


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
        columns = [_column(name, values, problems) for name, values in zip(cls.COLUMNS, (first, second), strict=True)]
        problems.raise_if_any()
        if len(columns[0]) != len(columns[1]):
            problems.add(f"{cls.COLUMNS[0]} has {len(columns[0])} values and {cls.COLUMNS[1]} {len(columns[1])}; give "
                         "one of each a trial")  # fmt: skip
            problems.raise_if_any()
        cls._check(*columns, problems)
        said = tuple(f"trial {j + 1}" for j in range(len(columns[0]))) if names is None else tuple(map(str, names))
        if len(said) != len(columns[0]):
            problems.add(f"there are {len(said)} names for {len(columns[0])} trials; give one a trial")
        elif len(set(said)) < len(said):
            twice = sorted({name for name in said if said.count(name) > 1})
            problems.add(f"names must differ; found twice: {', '.join(twice)}")
        return cls(said, *columns)

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


class Responses(Summaries):
    r"""Responders among patients, :math:`r_j \sim \mathrm{Binomial}(n_j, \mathrm{logit}^{-1}\theta_j)`."""

    KIND, COLUMNS, PARAMETER, LINE = "binomial", ("responders", "patients"), "response rate", "log odds"

    @classmethod
    def _check(cls, first: np.ndarray, second: np.ndarray, problems: Problems) -> None:
        _refuse("patients", second, (second < 1) | (second != np.floor(second)), "whole numbers from 1", problems)
        _refuse("responders", first, (first < 0) | (first != np.floor(first)), "whole numbers from 0", problems)
        _refuse("responders", first, first > second, "at most the patients of the trial", problems,
                said=[f"{r:g} of {n:g}" for r, n in zip(first, second, strict=True)])  # fmt: skip

    @property
    def constant(self) -> np.ndarray:
        from scipy.special import gammaln

        r, n = self.first, self.second
        return gammaln(n + 1) - gammaln(r + 1) - gammaln(n - r + 1)

    def log_likelihood(self, theta: np.ndarray) -> np.ndarray:
        # responders * log π + others * log(1 - π), with log(1 - π) = -log(1 + e^θ) computed without overflow
        softplus = np.maximum(theta, 0) + np.log1p(np.exp(-np.abs(theta)))
        return self.first * theta - self.second * softplus + self.constant

    def slopes(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        from scipy.special import expit

        rate = expit(theta)
        return self.first - self.second * rate, self.second * rate * expit(-theta)

    def rough(self) -> tuple[np.ndarray, np.ndarray]:
        yes, no = self.first + 0.5, self.second - self.first + 0.5
        return np.log(yes / no), yes * no / (yes + no)

    @staticmethod
    def respond(theta: np.ndarray) -> np.ndarray:
        from scipy.special import expit

        return expit(theta)

    @staticmethod
    def to_line(value: np.ndarray) -> np.ndarray:
        from scipy.special import logit

        return logit(value)

    @staticmethod
    def response_slope(theta: np.ndarray) -> np.ndarray:
        from scipy.special import expit

        return expit(theta) * expit(-theta)

    @property
    def bounded(self) -> np.ndarray:
        return (self.first > 0) & (self.first < self.second)

    def simulate(self, theta: np.ndarray, *, rng: np.random.Generator) -> Self:
        drawn = rng.binomial(self.second.astype(int), self.respond(theta)).astype(float)
        return type(self)(self.names, drawn, self.second)

    def describe(self, at: int) -> str:
        return f"{self.first[at]:g} of {self.second[at]:g}"

    def total(self) -> str:
        return f"{super().total()}, {self.first.sum():g} responders of {self.second.sum():g} patients"


class Counts(Summaries):
    r"""Events in an exposure, :math:`d_j \sim \mathrm{Poisson}(E_j e^{\theta_j})`."""

    KIND, COLUMNS, PARAMETER, LINE = "poisson", ("events", "exposure"), "rate", "log rate"

    @classmethod
    def _check(cls, first: np.ndarray, second: np.ndarray, problems: Problems) -> None:
        _refuse("events", first, (first < 0) | (first != np.floor(first)), "whole numbers from 0", problems)
        _refuse("exposure", second, second <= 0, "above 0", problems)

    @property
    def constant(self) -> np.ndarray:
        from scipy.special import gammaln

        return self.first * np.log(self.second) - gammaln(self.first + 1)

    def log_likelihood(self, theta: np.ndarray) -> np.ndarray:
        return self.first * theta - self.second * np.exp(np.minimum(theta, 700)) + self.constant

    def slopes(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        expected = self.second * np.exp(np.minimum(theta, 700))
        return self.first - expected, expected

    def rough(self) -> tuple[np.ndarray, np.ndarray]:
        return np.log((self.first + 0.5) / self.second), self.first + 0.5

    @staticmethod
    def respond(theta: np.ndarray) -> np.ndarray:
        return np.exp(np.minimum(theta, 700))

    @staticmethod
    def to_line(value: np.ndarray) -> np.ndarray:
        return np.log(value)

    @staticmethod
    def response_slope(theta: np.ndarray) -> np.ndarray:
        return np.exp(np.minimum(theta, 700))

    @property
    def bounded(self) -> np.ndarray:
        return self.first > 0

    def simulate(self, theta: np.ndarray, *, rng: np.random.Generator) -> Self:
        drawn = rng.poisson(self.second * self.respond(theta)).astype(float)
        return type(self)(self.names, drawn, self.second)

    def describe(self, at: int) -> str:
        return f"{self.first[at]:g} in {self.second[at]:g}"

    def total(self) -> str:
        return f"{super().total()}, {self.first.sum():g} events in an exposure of {self.second.sum():g}"


class Estimates(Summaries):
    r"""Estimates with standard errors, :math:`y_j \sim N(\theta_j, s_j^2)`."""

    KIND, COLUMNS, PARAMETER, LINE = "normal", ("estimates", "standard_errors"), "parameter", "parameter"

    @classmethod
    def _check(cls, first: np.ndarray, second: np.ndarray, problems: Problems) -> None:
        _refuse("standard_errors", second, second <= 0, "above 0", problems)

    @property
    def constant(self) -> np.ndarray:
        return -np.log(self.second) - 0.5 * np.log(2 * np.pi)

    def log_likelihood(self, theta: np.ndarray) -> np.ndarray:
        return -0.5 * ((self.first - theta) / self.second) ** 2 + self.constant

    def slopes(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        information = np.broadcast_to(self.second**-2.0, np.shape(theta))
        return (self.first - theta) * information, information

    def rough(self) -> tuple[np.ndarray, np.ndarray]:
        return self.first, self.second**-2.0

    @staticmethod
    def respond(theta: np.ndarray) -> np.ndarray:
        return theta

    @staticmethod
    def to_line(value: np.ndarray) -> np.ndarray:
        return value

    @staticmethod
    def response_slope(theta: np.ndarray) -> np.ndarray:
        return np.ones(np.shape(theta))

    @property
    def bounded(self) -> np.ndarray:
        return np.ones(len(self), bool)

    def simulate(self, theta: np.ndarray, *, rng: np.random.Generator) -> Self:
        return type(self)(self.names, rng.normal(theta, self.second), self.second)

    def describe(self, at: int) -> str:
        return f"{self.first[at]:.3g} (SE {self.second[at]:.3g})"


KINDS: dict[tuple[str, str], type[Summaries]] = {kind.COLUMNS: kind for kind in (Responses, Counts, Estimates)}


def read_summaries(columns: Mapping[str, Any], names: Sequence[str] | None, subject: str) -> Summaries:
    """Find which kind of summary was given, and check it.

    Raises
    ------
    SpecificationError
        When not exactly one kind is given, naming what was; or with every impossible value.
    """
    given = {name for name, values in columns.items() if values is not None}
    found = [pair for pair in KINDS if given == set(pair)]
    if not found:
        pairs = "; ".join(" and ".join(pair) for pair in KINDS)
        raise SpecificationError(
            f"{subject}: give exactly one kind of summary ({pairs}); got "
            f"{', '.join(name for name in columns if name in given) or 'none'}"
        )
    problems = Problems(subject, SpecificationError)
    read = KINDS[found[0]].read(*(columns[name] for name in found[0]), names, problems)
    problems.raise_if_any()
    return read


def _column(name: str, values: Any, problems: Problems) -> np.ndarray:
    try:
        found = np.atleast_1d(np.array(values, float))
    except (TypeError, ValueError):
        problems.add(f"{name} must be numbers; got {values!r}")
        return np.zeros(0)
    if found.ndim != 1 or not len(found):
        problems.add(f"{name} must be a list with one number a trial; got shape {found.shape}")
    else:
        _refuse(name, found, ~np.isfinite(found), "finite numbers", problems)
    return found


def _refuse(
    name: str, values: np.ndarray, bad: np.ndarray, rule: str, problems: Problems, said: Sequence[str] | None = None
) -> None:
    if np.any(bad):
        shown = said or [f"{value:g}" for value in values]
        where = ", ".join(f"{shown[at]} in position {at + 1}" for at in np.flatnonzero(bad)[:8])
        more = f" and {int(bad.sum()) - 8} more" if bad.sum() > 8 else ""
        problems.add(f"{name} must be {rule}; got {where}{more}")
