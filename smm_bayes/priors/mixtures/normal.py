"""Mixtures of normal distributions."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.mixtures.components import above_zero
from smm_bayes.priors.mixtures.mixture import Mixture


class NormalMixture(Mixture):
    """Prior of a mean, a log odds or a log hazard ratio.

    Parameters
    ----------
    weights : array_like
    mean, sd : array_like
        Of the components; the attributes ``mean`` and ``sd`` are those of the whole mixture.
    sigma : float, optional
        Standard deviation of one observation (or of one event, for a log hazard ratio), where effective sample sizes
        and unit-information components are wanted.

    Raises
    ------
    SpecificationError
        When weights are not within [0, 1] or do not sum to 1, or a standard deviation is not above 0.

    Examples
    --------
    >>> import smm_bayes as smm
    >>> prior = smm.NormalMixture([1], [-0.3], [0.4], sigma=2.0)
    >>> print(prior.summary())
    mean -0.3, SD 0.4, 95 % between -1.08 and 0.484
    >>> round(prior.effective_sample_size("moment"))  # observations, each with standard deviation sigma
    25
    """

    FAMILY = "Normal"
    _range = (-np.inf, np.inf)
    _line_range = (-np.inf, np.inf)

    def __init__(self, weights: Any, mean: Any, sd: Any, *, sigma: float | None = None) -> None:
        super().__init__(weights, mean=mean, sd=sd)
        if sigma is not None and not 0 < sigma < np.inf:
            raise SpecificationError(f"NormalMixture: sigma must be above 0 and finite; got {sigma}")
        object.__setattr__(self, "sigma", sigma)

    sigma: float | None

    @staticmethod
    def _check(name: str, values: np.ndarray, problems: Problems) -> None:
        if name == "sd":
            above_zero(name, values, problems)

    def _standard(self, theta: np.ndarray) -> np.ndarray:
        return (theta[..., None] - self._parameters["mean"]) / self._parameters["sd"]

    def _log_densities(self, theta: np.ndarray) -> np.ndarray:
        return -0.5 * self._standard(theta) ** 2 - np.log(self._parameters["sd"]) - 0.5 * np.log(2 * np.pi)

    def _cdfs(self, theta: np.ndarray) -> np.ndarray:
        from scipy.special import ndtr

        return ndtr(self._standard(theta))

    def _sfs(self, theta: np.ndarray) -> np.ndarray:
        from scipy.special import ndtr

        return ndtr(-self._standard(theta))

    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        return self._parameters["mean"], self._parameters["sd"] ** 2

    @staticmethod
    def _to_line(theta: np.ndarray) -> np.ndarray:
        return theta

    @staticmethod
    def _from_line(eta: np.ndarray) -> np.ndarray:
        return eta

    @staticmethod
    def _log_slope(eta: np.ndarray) -> np.ndarray:
        return np.zeros_like(eta)

    def _peak(self) -> tuple[np.ndarray, np.ndarray]:
        return self._parameters["mean"], self._parameters["sd"]

    def _height(self, eta: np.ndarray) -> np.ndarray:
        return -0.5 * ((eta - self._parameters["mean"]) / self._parameters["sd"]) ** 2

    def _scores(self, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sd = self._parameters["sd"]
        return -self._standard(eta) / sd, np.broadcast_to(-(sd**-2.0), (*np.shape(eta), len(self)))

    def _with(self, weights: np.ndarray, parameters: dict[str, np.ndarray]) -> Self:
        return type(self)(weights, **parameters, sigma=self.sigma)

    @staticmethod
    def _draw(parameters: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        return rng.normal(parameters["mean"], parameters["sd"])

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) and self.sigma == other.sigma  # type: ignore[attr-defined]

    __hash__ = Mixture.__hash__

    def with_sigma(self, sigma: float) -> Self:
        """Give the same mixture with the standard deviation of one observation."""
        return type(self)(self.weights, **self.parameters, sigma=sigma)

    def require_sigma(self, sigma: float | None = None) -> float:
        """Give ``sigma``, or the mixture's own; refuse when there is neither."""
        found = self.sigma if sigma is None else sigma
        if found is None or not 0 < found < np.inf:
            raise SpecificationError(
                f"a normal mixture needs sigma above 0, the standard deviation of one observation; got {found}. "
                "Give sigma=… here or when the mixture is made"
            )
        return float(found)

    def update(
        self, mean: float, standard_error: float | None = None, *, patients: float | None = None,
        sigma: float | None = None,
    ) -> Self:  # fmt: skip
        """Posterior after an estimate.

        Parameters
        ----------
        mean : float
            Estimate.
        standard_error : float, optional
            Its standard error; or
        patients, sigma : float, optional
            from so many observations with standard deviation ``sigma`` (the mixture's own unless given).

        Raises
        ------
        SpecificationError
        """
        error = self.standard_error(standard_error, patients, sigma)
        if not np.isfinite(mean):
            raise SpecificationError(f"the estimate must be a finite number; got {mean}")
        prior_mean, prior_sd = self._parameters["mean"], self._parameters["sd"]
        total = np.hypot(prior_sd, error)
        log_evidence = -0.5 * ((mean - prior_mean) / total) ** 2 - np.log(total)
        precision = prior_sd**-2 + error**-2
        found = {"mean": (prior_mean * prior_sd**-2 + mean * error**-2) / precision, "sd": precision**-0.5}
        return self._with(self.update_weights(log_evidence), found)

    def standard_error(self, standard_error: float | None, patients: float | None, sigma: float | None) -> float:
        """Standard error as given, or from a number of observations."""
        if (standard_error is None) == (patients is None):
            raise SpecificationError("give standard_error, or patients (with sigma), and not both")
        if patients is not None and not 0 < patients < np.inf:
            raise SpecificationError(f"patients must be above 0; got {patients}")
        error = standard_error if patients is None else self.require_sigma(sigma) / np.sqrt(patients)
        if error is None or not 0 < error < np.inf:
            raise SpecificationError(f"the standard error must be above 0; got {error}")
        return float(error)

    def predictive(
        self, standard_error: float | None = None, *, patients: float | None = None, sigma: float | None = None
    ) -> NormalMixture:
        """Distribution of an estimate to come, of given standard error or number of observations."""
        error = self.standard_error(standard_error, patients, sigma)
        return NormalMixture(self.weights, self._parameters["mean"], np.hypot(self._parameters["sd"], error),
                             sigma=self.sigma)  # fmt: skip

    def robustify(
        self, weight: float, *, mean: float | None = None, sd: float | None = None, sigma: float | None = None
    ) -> Self:
        """Add a vague component with ``weight``.

        Parameters
        ----------
        weight : float
        mean : float, optional
            Of the vague component; that of the mixture unless given.
        sd : float, optional
            Its standard deviation; unless given ``sigma``, worth one observation.
        sigma : float, optional

        Raises
        ------
        SpecificationError
            When the weight is outside [0, 1], or neither ``sd`` nor ``sigma`` is known.
        """
        width = self.require_sigma(sigma) if sd is None else sd
        return self._with_component(weight, mean=self.mean if mean is None else mean, sd=width)
