"""Mixtures of beta distributions."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.mixtures.components import above_zero
from smm_bayes.priors.mixtures.mixture import Mixture
from smm_bayes.priors.mixtures.predictive import CountPredictive


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

    Examples
    --------
    >>> import smm_bayes as smm
    >>> prior = smm.BetaMixture([0.8, 0.2], [11, 1], [30, 1])
    >>> prior.update(responders=5, patients=20).table().round(2)
       weight     a     b
    0    0.93  16.0  45.0
    1    0.07   6.0  16.0
    >>> round(prior.effective_sample_size("elir"), 1)
    26.5
    """

    FAMILY = "Beta"
    _range = (0.0, 1.0)
    _line_range = (-690.0, 36.0)

    def __init__(self, weights: Any, a: Any, b: Any) -> None:
        super().__init__(weights, a=a, b=b)

    @staticmethod
    def _check(name: str, values: np.ndarray, problems: Problems) -> None:
        above_zero(name, values, problems)

    def _log_densities(self, theta: np.ndarray) -> np.ndarray:
        from scipy.special import betaln, xlog1py, xlogy

        a, b = self._parameters["a"], self._parameters["b"]
        x = np.clip(theta, 0, 1)[..., None]
        found = xlogy(a - 1, x) + xlog1py(b - 1, -x) - betaln(a, b)
        return np.where((theta < 0)[..., None] | (theta > 1)[..., None], -np.inf, found)

    def _cdfs(self, theta: np.ndarray) -> np.ndarray:
        from scipy.special import betainc

        return betainc(self._parameters["a"], self._parameters["b"], np.clip(theta, 0, 1)[..., None])

    def _sfs(self, theta: np.ndarray) -> np.ndarray:
        from scipy.special import betaincc

        return betaincc(self._parameters["a"], self._parameters["b"], np.clip(theta, 0, 1)[..., None])

    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        a, b = self._parameters["a"], self._parameters["b"]
        return a / (a + b), a / (a + b) * b / (a + b) / (a + b + 1)

    @staticmethod
    def _to_line(theta: np.ndarray) -> np.ndarray:
        from scipy.special import logit

        return logit(np.clip(theta, 0, 1))

    @staticmethod
    def _from_line(eta: np.ndarray) -> np.ndarray:
        from scipy.special import expit

        return np.clip(expit(eta), 1e-300, 1 - 2.0**-53)

    @staticmethod
    def _log_slope(eta: np.ndarray) -> np.ndarray:
        from scipy.special import log_expit

        return log_expit(eta) + log_expit(-eta)

    def _peak(self) -> tuple[np.ndarray, np.ndarray]:
        a, b = self._parameters["a"], self._parameters["b"]
        return np.log(a) - np.log(b), np.sqrt(1 / a + 1 / b)

    def _height(self, eta: np.ndarray) -> np.ndarray:
        from scipy.special import log_expit

        a, b, peak = self._parameters["a"], self._parameters["b"], self._peak()[0]
        return a * (log_expit(eta) - log_expit(peak)) + b * (log_expit(-eta) - log_expit(-peak))

    def _scores(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        from scipy.special import expit

        a, b, x, y = self._parameters["a"], self._parameters["b"], expit(eta)[..., None], expit(-eta)[..., None]
        return (a - 1) * y - (b - 1) * x, -(a - 1) * y**2 - (b - 1) * x**2

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
        a, b = self._parameters["a"], self._parameters["b"]
        new = {"a": a + responders, "b": b + patients - responders}
        return self._with(self.update_weights(betaln(new["a"], new["b"]) - betaln(a, b)), new)

    def predictive(self, patients: int) -> CountPredictive:
        """Distribution of the number of responders among ``patients`` to come."""
        from scipy import stats

        if not 0 <= patients < np.inf or patients != int(patients):
            raise SpecificationError(f"patients must be a whole number from 0; got {patients}")
        each = stats.betabinom(int(patients), self._parameters["a"], self._parameters["b"])
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
            When the weight is outside [0, 1], the mean is not between 0 and 1, or patients is not above 0.
        """
        if not (0 < mean < 1 and 0 < patients < np.inf):
            raise SpecificationError(f"need a mean between 0 and 1 and patients above 0; got {mean} and {patients}")
        return self._with_component(weight, a=mean * patients, b=(1 - mean) * patients)
