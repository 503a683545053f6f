"""Mixtures of gamma distributions."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np

from smm_bayes.borrowing.mixtures.mixture import Mixture, above_zero
from smm_bayes.borrowing.mixtures.predictive import CountPredictive
from smm_bayes.errors import Problems, SpecificationError


class GammaMixture(Mixture):
    """Prior of a rate or a hazard.

    Parameters
    ----------
    weights : array_like
    shape, rate : array_like
        Of the components, worth ``shape`` events in an exposure of ``rate``.

    Raises
    ------
    SpecificationError
        When weights are not within [0, 1] or do not sum to 1, or a shape or a rate is not above 0.
    """

    FAMILY = "Gamma"

    def __init__(self, weights: Any, shape: Any, rate: Any) -> None:
        super().__init__(weights, shape=shape, rate=rate)

    @staticmethod
    def _check(name: str, values: np.ndarray, problems: Problems) -> None:
        above_zero(name, values, problems)

    def _components(self) -> Any:
        from scipy import stats

        return stats.gamma(self.parameters["shape"], scale=1 / self.parameters["rate"])

    def _derivatives(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shape, rate, x = self.parameters["shape"], self.parameters["rate"], theta[..., None]
        return (shape - 1) / x - rate, -(shape - 1) / x**2

    @staticmethod
    def _to_line(theta: np.ndarray) -> np.ndarray:
        return np.log(theta)

    @staticmethod
    def _from_line(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.exp(eta), np.exp(eta)

    @staticmethod
    def _inside(theta: np.ndarray) -> np.ndarray:
        return np.maximum(theta, 1e-150)

    def _with(self, weights: np.ndarray, parameters: dict[str, np.ndarray]) -> Self:
        return type(self)(weights, **parameters)

    @staticmethod
    def _draw(parameters: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        return rng.gamma(parameters["shape"], 1 / parameters["rate"])

    def update(self, events: float, exposure: float) -> Self:
        """Posterior after ``events`` in ``exposure``, Poisson counts and exponential times alike.

        Raises
        ------
        SpecificationError
            When either is negative, or there are events without exposure.
        """
        from scipy.special import gammaln

        if not (0 <= events < np.inf and 0 <= exposure < np.inf) or (events > 0 and exposure == 0):
            raise SpecificationError(
                f"need events and exposure from 0, and exposure where there are events; got {events} in {exposure}"
            )
        shape, rate = self.parameters["shape"], self.parameters["rate"]
        new = {"shape": shape + events, "rate": rate + exposure}
        log_evidence = (gammaln(new["shape"]) - new["shape"] * np.log(new["rate"])
                        - gammaln(shape) + shape * np.log(rate))  # fmt: skip
        return self._with(self.update_weights(log_evidence), new)

    def predictive(self, exposure: float) -> CountPredictive:
        """Distribution of the number of events in an ``exposure`` to come."""
        from scipy import stats

        if not 0 < exposure < np.inf:
            raise SpecificationError(f"exposure must be above 0; got {exposure}")
        shape, rate = self.parameters["shape"], self.parameters["rate"]
        each = stats.nbinom(shape, rate / (rate + exposure))
        return CountPredictive(self.weights, each, None, f"events in an exposure of {exposure:g}")

    def robustify(
        self, weight: float, *, mean: float | None = None, patients: float = 1.0,
        likelihood: Literal["poisson", "exponential"] = "poisson",
    ) -> Self:  # fmt: skip
        """Add a vague component with ``weight``.

        Parameters
        ----------
        weight : float
        mean : float, optional
            Of the vague component; that of the mixture unless given.
        patients : float
            What it is worth: units of exposure, or events when the likelihood is exponential.
        likelihood : {"poisson", "exponential"}

        Raises
        ------
        SpecificationError
            When the weight is outside [0, 1].
        """
        mean = self.mean if mean is None else mean
        if likelihood not in ("poisson", "exponential"):
            raise SpecificationError(f"likelihood must be poisson or exponential; got {likelihood!r}")
        shape = mean * patients if likelihood == "poisson" else patients
        return self._with_component(weight, shape=shape, rate=shape / mean)
