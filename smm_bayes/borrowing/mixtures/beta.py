"""Mixtures of beta distributions."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from smm_bayes.borrowing.mixtures.mixture import Mixture, above_zero
from smm_bayes.borrowing.mixtures.predictive import CountPredictive
from smm_bayes.errors import Problems, SpecificationError


class BetaMixture(Mixture):
    """Prior of a response rate.

    Parameters
    ----------
    weights : array_like
    a, b : array_like
        Of the components, worth a responders and b others.

    Raises
    ------
    SpecificationError
        When weights are not within [0, 1] or do not sum to 1, or a or b is not above 0.
    """

    FAMILY = "Beta"
    _end = 1.0

    def __init__(self, weights: Any, a: Any, b: Any) -> None:
        super().__init__(weights, a=a, b=b)

    @staticmethod
    def _check(name: str, values: np.ndarray, problems: Problems) -> None:
        above_zero(name, values, problems)

    def _components(self) -> Any:
        from scipy import stats

        return stats.beta(self.parameters["a"], self.parameters["b"])

    def _derivatives(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        a, b, x = self.parameters["a"], self.parameters["b"], theta[..., None]
        return (a - 1) / x - (b - 1) / (1 - x), -(a - 1) / x**2 - (b - 1) / (1 - x) ** 2

    @staticmethod
    def _to_line(theta: np.ndarray) -> np.ndarray:
        from scipy.special import logit

        return logit(theta)

    @staticmethod
    def _from_line(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        from scipy.special import expit

        return expit(eta), expit(eta) * expit(-eta)

    @staticmethod
    def _inside(theta: np.ndarray) -> np.ndarray:
        return np.clip(theta, 1e-150, 1 - 1e-16)

    def _with(self, weights: np.ndarray, parameters: dict[str, np.ndarray]) -> Self:
        return type(self)(weights, **parameters)

    @staticmethod
    def _draw(parameters: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        return rng.beta(parameters["a"], parameters["b"])

    def update(self, responders: float, patients: float) -> Self:
        """Posterior after ``responders`` of ``patients``.

        Raises
        ------
        SpecificationError
            When there are fewer than 0 or more responders than patients.
        """
        from scipy.special import betaln

        if not (0 <= responders <= patients < np.inf):
            raise SpecificationError(f"need 0 <= responders <= patients; got {responders} of {patients}")
        a, b = self.parameters["a"], self.parameters["b"]
        new = {"a": a + responders, "b": b + patients - responders}
        return self._with(self.update_weights(betaln(new["a"], new["b"]) - betaln(a, b)), new)

    def predictive(self, patients: int) -> CountPredictive:
        """Distribution of the number of responders among ``patients`` to come."""
        from scipy import stats

        if patients < 0 or patients != int(patients):
            raise SpecificationError(f"patients must be a whole number from 0; got {patients}")
        each = stats.betabinom(int(patients), self.parameters["a"], self.parameters["b"])
        return CountPredictive(self.weights, each, int(patients), f"responders among {int(patients)} patients")

    def robustify(self, weight: float, *, mean: float = 0.5, patients: float = 2.0) -> Self:
        """Add a vague component with ``weight``.

        Parameters
        ----------
        weight : float
        mean : float
            Of the vague component.
        patients : float
            What it is worth; with mean 0.5 and 2 patients it is uniform.

        Raises
        ------
        SpecificationError
            When the weight is outside [0, 1].
        """
        return self._with_component(weight, a=mean * patients, b=(1 - mean) * patients)
