"""Distributions made of others: one that more is known of, and mixtures of several."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from smm_bayes.borrowing.meta_analysis.distribution import Distribution


class Wrapped(Distribution):
    """A distribution that something more is known of.

    Attributes
    ----------
    distribution : Distribution
        The distribution itself.
    """

    distribution: Any

    @property
    def mean(self) -> float:
        return self.distribution.mean

    @property
    def sd(self) -> float:
        return self.distribution.sd

    def cdf(self, value: Any) -> np.ndarray:
        return self.distribution.cdf(value)

    def pdf(self, value: Any) -> np.ndarray:
        return self.distribution.pdf(value)

    def _quantile(self, p: np.ndarray) -> np.ndarray:
        return self.distribution.quantile(p)


@dataclass(frozen=True, eq=False, repr=False)
class Blend(Distribution):
    """Mixture of distributions.

    Attributes
    ----------
    weights : numpy.ndarray, shape (part,)
    parts : tuple of Distribution
    """

    weights: np.ndarray
    parts: tuple[Distribution, ...]

    @cached_property
    def mean(self) -> float:
        return float(self.weights @ [part.mean for part in self.parts])

    @cached_property
    def sd(self) -> float:
        return float(np.sqrt(self.weights @ [part.sd**2 + (part.mean - self.mean) ** 2 for part in self.parts]))

    def cdf(self, value: Any) -> np.ndarray:
        return np.tensordot(self.weights, [part.cdf(value) for part in self.parts], 1)

    def pdf(self, value: Any) -> np.ndarray:
        return np.tensordot(self.weights, [part.pdf(value) for part in self.parts], 1)

    def _quantile(self, p: np.ndarray) -> np.ndarray:
        each = np.array([part.quantile(p) for part in self.parts])
        low, high = each.min(axis=0), each.max(axis=0)
        for _ in range(60):
            middle = (low + high) / 2
            below = self.cdf(middle) < p
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return (low + high) / 2
