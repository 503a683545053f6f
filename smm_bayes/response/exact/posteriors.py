"""Posteriors of one arm at many outcomes at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from smm_bayes.priors.mixtures.mixture import Mixture


@dataclass(frozen=True, eq=False)
class Posteriors:
    """Mixtures of one family, one for each outcome.

    Attributes
    ----------
    family : str
        "Beta", "Gamma" or "Normal".
    weights : numpy.ndarray, shape (..., component)
    first, second : numpy.ndarray, shape (..., component)
        The components' parameters in the order of the mixture's constructor: a and b, shape and rate, mean and SD.
    consecutive : bool
        Whether the outcomes are the counts 0, 1, 2, ... in this order, of which each adds 1 to ``first``.
    """

    family: str
    weights: np.ndarray
    first: np.ndarray
    second: np.ndarray
    consecutive: bool = False

    @classmethod
    def of(cls, mixture: Mixture) -> Posteriors:
        """One mixture, as at a single outcome."""
        first, second = mixture.parameters.values()
        return cls(mixture.FAMILY, mixture.weights[None], first[None], second[None])

    def above(self, threshold: float) -> np.ndarray:
        """Probability of more than ``threshold`` at each outcome."""
        from scipy import special

        if self.family == "Normal":
            each = special.ndtr((self.first - threshold) / self.second)
        elif self.family == "Gamma":
            each = special.gammaincc(self.first, self.second * max(threshold, 0.0))
        else:
            each = special.betaincc(self.first, self.second, min(max(threshold, 0.0), 1.0))
        return (self.weights * each).sum(axis=-1)


def posterior_weights(prior: np.ndarray, log_evidence: np.ndarray) -> np.ndarray:
    """Weights of the components after data, from the log marginal likelihood of the data under each."""
    from scipy.special import softmax

    with np.errstate(divide="ignore"):
        return softmax(np.log(prior) + log_evidence, axis=-1)
