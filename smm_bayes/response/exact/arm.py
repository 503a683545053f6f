"""What the kinds of arm share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from smm_bayes.errors import Problems, SpecificationError

if TYPE_CHECKING:
    from smm_bayes.priors.mixtures.mixture import Mixture
    from smm_bayes.response.exact.posteriors import Posteriors


class Law(Protocol):
    """Distribution of an outcome; its parameters, if many, broadcast against the outcomes."""

    def cdf(self, outcome: Any) -> np.ndarray:
        """Probability of at most ``outcome``."""

    def sf(self, outcome: Any) -> np.ndarray:
        """Probability of more."""


class Nothing:
    """Law of an arm without data: the outcome is called 0, whatever the true values."""

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        self.ones = np.ones(shape)

    def cdf(self, outcome: Any) -> np.ndarray:
        return self.ones * (np.asarray(outcome) >= 0)

    def sf(self, outcome: Any) -> np.ndarray:
        return self.ones * (np.asarray(outcome) < 0)

    def pmf(self, outcome: Any) -> np.ndarray:
        return self.ones * (np.asarray(outcome) == 0)


class Arm(ABC):
    """The prior in the analysis, and how much data will come."""

    FAMILY: ClassVar[type[Mixture]]
    prior: Any

    @property
    @abstractmethod
    def largest(self) -> float:
        """Largest possible outcome; 0 when no data will come."""

    @property
    def empty(self) -> bool:
        """Whether no data will come."""
        return self.largest == 0

    def last_count(self, law: Any) -> int:
        """Count that is exceeded with negligible probability under every true value."""
        return int(self.largest)

    @abstractmethod
    def posteriors(self, outcome: np.ndarray, *, consecutive: bool = False) -> Posteriors:
        """Posteriors at many outcomes."""

    @abstractmethod
    def given(self, theta: Any) -> Law:
        """Law of the outcome at true values, which broadcast against the outcomes."""

    @abstractmethod
    def predictive(self, belief: Any) -> Law:
        """Law of the outcome averaged over a distribution of the parameter."""

    def _check_prior(self, problems: Problems) -> None:
        if not isinstance(self.prior, self.FAMILY):
            problems.add(f"prior must be a {self.FAMILY.__name__}; got {type(self.prior).__name__}")

    def _require(self, belief: Any) -> None:
        if not isinstance(belief, self.FAMILY):
            raise SpecificationError(
                f"{type(self).__name__} needs a {self.FAMILY.__name__} to average over; got {type(belief).__name__}"
            )


def true_values(theta: Any, low: float, high: float, what: str) -> np.ndarray:
    """Give true values as an array, or refuse what is out of range."""
    found = np.asarray(theta, float)
    if not np.all((found >= low) & (found <= high) & np.isfinite(found)):
        raise SpecificationError(f"a true {what} must be finite and within [{low:g}, {high:g}]; got {theta}")
    return found
