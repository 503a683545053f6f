r"""Factors of a prior, and the ratio of two priors of one model at draws of its posterior.

A posterior :math:`p(\theta \mid y) \propto L(\theta) \prod_k f_k(\theta_k)` becomes that under the priors :math:`g_k`
by weights :math:`\prod_k g_k(\theta_k) / f_k(\theta_k)`: the likelihood, and every factor that is in both, cancel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.normal import Normal
from smm_bayes.priors.spread import HalfNormal


class NotByWeightsError(SpecificationError):
    """A change of a model that is no change of its prior's factors: it needs a fit of its own."""


@dataclass(frozen=True)
class GammaDensity:
    """Gamma prior of a hazard by shape and rate."""

    shape: float
    rate: float

    def log_pdf(self, value: np.ndarray) -> np.ndarray:
        """Logarithm of the density."""
        from scipy import stats

        return stats.gamma.logpdf(value, self.shape, scale=1 / self.rate)


@dataclass(frozen=True)
class Factor:
    """The prior of one parameter, or of several that are alike.

    Attributes
    ----------
    variable : str
        Its name in the posterior.
    at : tuple of int or slice
        Which of its values, behind the draws; all by default.
    density : Normal, HalfNormal or GammaDensity
    of_mean : bool
        Whether it is of the mean over the last dim: the level of a curve.
    """

    variable: str
    at: tuple[int | slice, ...]
    density: Normal | HalfNormal | GammaDensity
    of_mean: bool = False

    def log_density(self, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        """Log density at parameters with draws first, shape (draw,)."""
        values = parameters[self.variable][(slice(None), *self.at)]
        values = values.mean(axis=-1) if self.of_mean else values
        return self.density.log_pdf(values).reshape(len(values), -1).sum(axis=1)


def log_ratio(
    old: Sequence[Factor], new: Sequence[Factor], parameters: Mapping[str, np.ndarray], draws: int
) -> np.ndarray:
    """Log of the new prior over the old one at parameters with draws first, shape (draw,); exactly 0 where they agree.

    Raises
    ------
    NotByWeightsError
        When the factors are not of the same parameters.
    """
    if [(one.variable, one.at) for one in old] != [(one.variable, one.at) for one in new]:
        raise NotByWeightsError("the model itself is another, not its priors alone")
    found = np.zeros(draws)
    for before, after in zip(old, new, strict=True):
        if before != after:
            found += after.log_density(parameters) - before.log_density(parameters)
    return found
