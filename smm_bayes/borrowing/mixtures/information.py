"""Effective sample sizes: how many patients or events a prior is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from smm_bayes.borrowing.mixtures.beta import BetaMixture
from smm_bayes.borrowing.mixtures.gamma import GammaMixture
from smm_bayes.borrowing.mixtures.normal import NormalMixture
from smm_bayes.errors import SpecificationError

if TYPE_CHECKING:
    from smm_bayes.borrowing.mixtures.mixture import Mixture

Method = Literal["elir", "morita", "moment"]
FLATTEN = 100.0  # the prior that Morita's method compares with is so many times flatter


def effective_sample_size(
    mixture: Mixture, method: Method = "elir", *, likelihood: str | None = None, sigma: float | None = None
) -> float:
    r"""Effective sample size of a prior; see :meth:`Mixture.effective_sample_size`.

    With :math:`i(p, \theta) = -\partial^2 \log p(\theta)/\partial\theta^2` and Fisher information of one patient
    :math:`i_F(\theta)`,

    .. math:: \mathrm{ELIR} = E_p\left[\frac{i(p, \theta)}{i_F(\theta)}\right],

    and Morita's is the m at which, at the mode, the prior's information equals that expected of the posterior of m
    patients (drawn from the prior predictive) under a prior centred there and worth 1/100 of a patient (for a normal
    mixture: with 100 times the variance of its widest component).

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
    share = mixture.shares(theta)
    first, second = mixture._derivatives(theta)
    return (share * first).sum(axis=-1) ** 2 - (share * (first**2 + second)).sum(axis=-1)


def _elir(mixture: Mixture, *, fisher: Any) -> float:
    theta, weights = mixture.quadrature
    return float((information(mixture, theta) / fisher(theta)) @ weights)


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
        return _elir(mixture, fisher=lambda theta: 1 / (theta * (1 - theta)))
    mode = mixture.mode
    flat = BetaMixture([1], [mode / FLATTEN], [(1 - mode) / FLATTEN])
    of_one = mean / mode**2 + (1 - mean) / (1 - mode) ** 2  # expected under the prior predictive, linear in m
    return float((information(mixture, mode) - information(flat, mode)) / of_one)


def _gamma(mixture: GammaMixture, method: Method, likelihood: str | None) -> float:
    if likelihood not in (None, "poisson", "exponential"):
        raise SpecificationError(f"a gamma mixture goes with likelihood 'poisson' or 'exponential'; got {likelihood!r}")
    mean, events = mixture.mean, likelihood == "exponential"
    if method == "moment":
        return mean**2 / mixture.variance if events else mean / mixture.variance
    if method == "elir":
        if events:
            return _elir(mixture, fisher=lambda theta: theta**-2.0)
        _from_one(mixture, "shape")
        return _elir(mixture, fisher=lambda theta: 1 / theta)
    mode = mixture.mode
    shape = 1 / FLATTEN if events else mode / FLATTEN
    flat = GammaMixture([1], [shape], [shape / mode])
    of_one = mode**-2.0 if events else mean / mode**2
    return float((information(mixture, mode) - information(flat, mode)) / of_one)


def _normal(mixture: NormalMixture, method: Method, sigma: float) -> float:
    if method == "moment":
        return sigma**2 / mixture.variance
    if method == "elir":
        return _elir(mixture, fisher=lambda theta: np.full_like(theta, sigma**-2.0))
    mode = mixture.mode
    flat = NormalMixture([1], [mode], [mixture.parameters["sd"].max() * FLATTEN**0.5])
    return float((information(mixture, mode) - information(flat, mode)) * sigma**2)
