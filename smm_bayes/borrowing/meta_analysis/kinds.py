"""The three kinds of summary: responders of patients, events in an exposure, estimates with standard errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from smm_bayes.borrowing.meta_analysis.summaries import Summaries, refuse
from smm_bayes.errors import Problems, SpecificationError


class Responses(Summaries):
    r"""Responders among patients, :math:`r_j \sim \mathrm{Binomial}(n_j, \mathrm{logit}^{-1}\theta_j)`."""

    KIND, COLUMNS, PARAMETER, LINE = "binomial", ("responders", "patients"), "response rate", "log odds"

    @classmethod
    def _check(cls, first: np.ndarray, second: np.ndarray, problems: Problems) -> None:
        refuse("patients", second, (second < 1) | (second != np.floor(second)), "whole numbers from 1", problems)
        refuse("responders", first, (first < 0) | (first != np.floor(first)), "whole numbers from 0", problems)
        refuse("responders", first, first > second, "at most the patients of the trial", problems,
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
        refuse("events", first, (first < 0) | (first != np.floor(first)), "whole numbers from 0", problems)
        refuse("exposure", second, second <= 0, "above 0", problems)

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
        refuse("standard_errors", second, second <= 0, "above 0", problems)

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
    first, second = found[0]
    read = KINDS[found[0]].read(columns[first], columns[second], names, problems)
    problems.raise_if_any()
    return read
