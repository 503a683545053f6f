"""Mixtures of gamma distributions."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.mixtures.components import above_zero
from smm_bayes.priors.mixtures.mixture import Mixture
from smm_bayes.priors.mixtures.predictive import CountPredictive


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
    _range = (0.0, np.inf)
    _line_range = (-690.0, 690.0)

    def __init__(self, weights: Any, shape: Any, rate: Any) -> None:
        super().__init__(weights, shape=shape, rate=rate)

    @staticmethod
    def _check(name: str, values: np.ndarray, problems: Problems) -> None:
        above_zero(name, values, problems)

    def _log_densities(self, theta: np.ndarray) -> np.ndarray:
        from scipy.special import gammaln, xlogy

        shape, rate = self._parameters["shape"], self._parameters["rate"]
        x = np.clip(theta, 0, 1e308)[..., None]
        with np.errstate(over="ignore"):
            found = xlogy(shape - 1, x) - rate * x + shape * np.log(rate) - gammaln(shape)
        return np.where((theta < 0)[..., None], -np.inf, found)

    def _cdfs(self, theta: np.ndarray) -> np.ndarray:
        from scipy.special import gammainc

        return gammainc(self._parameters["shape"], self._scaled(theta))

    def _sfs(self, theta: np.ndarray) -> np.ndarray:
        from scipy.special import gammaincc

        return gammaincc(self._parameters["shape"], self._scaled(theta))

    def _scaled(self, theta: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return np.maximum(theta, 0)[..., None] * self._parameters["rate"]

    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        mean = self._parameters["shape"] / self._parameters["rate"]
        return mean, mean / self._parameters["rate"]

    @staticmethod
    def _to_line(theta: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(np.maximum(theta, 0))

    @staticmethod
    def _from_line(eta: np.ndarray) -> np.ndarray:
        return np.exp(np.clip(eta, -690, 690))

    @staticmethod
    def _log_slope(eta: np.ndarray) -> np.ndarray:
        return eta

    def _peak(self) -> tuple[np.ndarray, np.ndarray]:
        shape = self._parameters["shape"]
        return np.log(shape) - np.log(self._parameters["rate"]), shape**-0.5

    def _height(self, eta: np.ndarray) -> np.ndarray:
        above = eta - self._peak()[0]
        return self._parameters["shape"] * (above - np.expm1(above))

    def _scores(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shape = self._parameters["shape"]
        return shape - 1 - self._parameters["rate"] * self._from_line(eta)[..., None], np.broadcast_to(
            1 - shape, (*np.shape(eta), len(self)))  # fmt: skip

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
        shape, rate = self._parameters["shape"], self._parameters["rate"]
        new = {"shape": shape + events, "rate": rate + exposure}
        log_evidence = (gammaln(new["shape"]) - new["shape"] * np.log(new["rate"])
                        - gammaln(shape) + shape * np.log(rate))  # fmt: skip
        return self._with(self.update_weights(log_evidence), new)

    def predictive(self, exposure: float) -> CountPredictive:
        """Distribution of the number of events in an ``exposure`` to come."""
        from scipy import stats

        if not 0 < exposure < np.inf:
            raise SpecificationError(f"exposure must be above 0; got {exposure}")
        shape, rate = self._parameters["shape"], self._parameters["rate"]
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
            When the weight is outside [0, 1], or the mean or patients is not above 0.
        """
        mean = self.mean if mean is None else mean
        if likelihood not in ("poisson", "exponential"):
            raise SpecificationError(f"likelihood must be poisson or exponential; got {likelihood!r}")
        if not (0 < mean < np.inf and 0 < patients < np.inf):
            raise SpecificationError(f"mean and patients must be above 0; got {mean} and {patients}")
        shape = mean * patients if likelihood == "poisson" else patients
        return self._with_component(weight, shape=shape, rate=shape / mean)
