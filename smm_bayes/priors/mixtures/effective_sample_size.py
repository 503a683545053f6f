"""Effective sample sizes: how many patients or events a prior is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.mixtures.beta import BetaMixture
from smm_bayes.priors.mixtures.gamma import GammaMixture
from smm_bayes.priors.mixtures.line import quadrature
from smm_bayes.priors.mixtures.normal import NormalMixture

if TYPE_CHECKING:
    from smm_bayes.priors.mixtures.mixture import Mixture

Method = Literal["elir", "morita", "moment"]
FLATTEN = 100.0  # the prior that Morita's method compares with is so many times flatter


def effective_sample_size(
    mixture: Mixture, method: Method = "elir", *, likelihood: str | None = None, sigma: float | None = None
) -> float:
    r"""Effective sample size of a prior; see :meth:`Mixture.effective_sample_size`.

    With :math:`i(p, \theta) = -\partial^2 \log p(\theta)/\partial\theta^2` and Fisher information of one patient
    :math:`i_F(\theta)`,

    .. math:: \mathrm{ELIR} = E_p\left[\frac{i(p, \theta)}{i_F(\theta)}\right]
        = \int \frac{p'(\theta)^2}{p(\theta)\,i_F(\theta)}\,d\theta - \int \frac{p''(\theta)}{i_F(\theta)}\,d\theta,

    of which the second integral is known in closed form (for a beta mixture with parameters above 1 it is -2) and the
    first is positive and is taken by quadrature. Morita's is the m at which, at the mode, the prior's information
    equals that expected of the posterior of m patients (drawn from the prior predictive) under a prior centred there
    and worth 1/100 of a patient (for a normal mixture: with 100 times the variance of its widest component).

    Raises
    ------
    SpecificationError
        When the method or the likelihood is unknown, or the expectation does not exist (a beta or gamma component
        with a parameter below 1 has no finite ELIR).
    """
    if method not in ("elir", "morita", "moment"):
        raise SpecificationError(f"method must be elir, morita or moment; got {method!r}")
    if isinstance(mixture, BetaMixture):
        return _beta(mixture, method, likelihood)
    if isinstance(mixture, GammaMixture):
        return _gamma(mixture, method, likelihood)
    if isinstance(mixture, NormalMixture):
        if likelihood not in (None, "normal"):
            raise SpecificationError(f"a normal mixture goes with likelihood 'normal'; got {likelihood!r}")
        return _normal(mixture, method, mixture.require_sigma(sigma))
    raise SpecificationError(f"no effective sample size of a {type(mixture).__name__}")


def information(mixture: Mixture, theta: Any) -> np.ndarray:
    """Information of the prior at ``theta``: minus the second derivative of its log density."""
    theta = np.asarray(theta, float)
    with np.errstate(over="ignore"):
        return _scaled(mixture, theta) * np.exp(-2 * mixture._log_slope(mixture._to_line(theta)))


def _scaled(mixture: Mixture, theta: Any) -> np.ndarray:
    """Information times the square of the slope of the real line's transform: finite at the ends of the range."""
    theta = np.asarray(theta, float)
    share = mixture.shares(theta)
    first, second = mixture._scores(mixture._to_line(mixture._from_line(mixture._to_line(theta))))
    return (share * first).sum(axis=-1) ** 2 - (share * (first**2 + second)).sum(axis=-1)


def _slopes(mixture: Mixture, points: np.ndarray, power: float) -> float:
    r"""Integral of :math:`(p'/p)^2\,p\,s^{2 - power}` over theta, with s the slope of the real line's transform.

    Taken on the line with logarithms, as far out as ``points`` go, where theta itself would be 0 or 1.
    """
    from scipy.special import logsumexp

    nodes = quadrature(mixture, points)
    with np.errstate(divide="ignore"):
        joint = nodes.log_density + np.log(mixture.weights)
    whole = logsumexp(joint, axis=-1)
    slope = (np.exp(joint - whole[:, None]) * mixture._scores(nodes.line)[0]).sum(axis=-1)
    return float((slope**2 * np.exp(whole - power * mixture._log_slope(nodes.line))) @ nodes.step)


def _reaching(mixture: Mixture, lower: Mixture) -> np.ndarray:
    """Cuts of a mixture, and those of one with heavier tails that an integrand over the slope has."""
    return np.union1d(mixture._cuts, lower._cuts)


def _tail(values: np.ndarray) -> np.ndarray:
    """Exponents of the tails of the integrand, for exponents of the density's from 1 on."""
    above = values[values > 1]
    least = 2 * min(1.0, above.min() - 1) if len(above) else 1.0
    return np.where(values > 1, values - 1, least)


def _from_one(mixture: Mixture, *names: str) -> None:
    low = min(mixture.parameters[name][mixture.weights > 0].min() for name in names)
    if low < 1:
        raise SpecificationError(
            f"elir needs {' and '.join(names)} of 1 or more in every component; the smallest is {low:.3g}. Use moment, "
            "or leave out the component"
        )


def _beta(mixture: BetaMixture, method: Method, likelihood: str | None) -> float:
    if likelihood not in (None, "binomial"):
        raise SpecificationError(f"a beta mixture goes with likelihood 'binomial'; got {likelihood!r}")
    mean = mixture.mean
    if method == "moment":
        return mean * (1 - mean) / mixture.variance - 1
    if method == "elir":
        _from_one(mixture, "a", "b")
        w, a, b = mixture.weights, mixture.parameters["a"], mixture.parameters["b"]
        used = w > 0
        heavy = BetaMixture(w[used] / w[used].sum(), _tail(a[used]), _tail(b[used]))
        return _slopes(mixture, _reaching(mixture, heavy), 1) + 2 - float(w @ (b * (a == 1) + a * (b == 1)))
    x = mixture.mode
    of_flat = (1 - x / FLATTEN) * (1 - x) ** 2 + (1 - (1 - x) / FLATTEN) * x**2
    of_one = mean * (1 - x) ** 2 + (1 - mean) * x**2  # expected under the prior predictive, linear in m
    return float((_scaled(mixture, x) + of_flat) / of_one)


def _gamma(mixture: GammaMixture, method: Method, likelihood: str | None) -> float:
    if likelihood not in (None, "poisson", "exponential"):
        raise SpecificationError(f"a gamma mixture goes with likelihood 'poisson' or 'exponential'; got {likelihood!r}")
    mean, events = mixture.mean, likelihood == "exponential"
    if method == "moment":
        return mean**2 / mixture.variance if events else mean / mixture.variance
    if method == "elir":
        if events:
            return _slopes(mixture, mixture._cuts, 0) - 2
        _from_one(mixture, "shape")
        w, shape, rate = mixture.weights, mixture.parameters["shape"], mixture.parameters["rate"]
        used = w > 0
        heavy = GammaMixture(w[used] / w[used].sum(), _tail(shape[used]), rate[used])
        return _slopes(mixture, _reaching(mixture, heavy), 1) - float(w @ (rate * (shape == 1)))
    of_flat = 1 - 1 / FLATTEN if events else 1 - mixture.mode / FLATTEN
    of_one = 1.0 if events else mean  # expected under the prior predictive, linear in m
    return float((_scaled(mixture, mixture.mode) + of_flat) / of_one)


def _normal(mixture: NormalMixture, method: Method, sigma: float) -> float:
    if method == "moment":
        return sigma**2 / mixture.variance
    if method == "elir":
        return _slopes(mixture, mixture._cuts, 0) * sigma**2
    widest = mixture.parameters["sd"][mixture.weights > 0].max()
    return float((information(mixture, mixture.mode) - widest**-2 / FLATTEN) * sigma**2)
