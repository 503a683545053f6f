"""Assurance of a confirmatory trial from an earlier one, with what differs between trials."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.numerics.adaptive import pieces

if TYPE_CHECKING:
    from smm_bayes.priors.mixtures import NormalMixture

QUARTILE = 0.6744897501960817  # upper quartile of the standard normal: the median of a half-normal of scale 1
REACH = 9.0


def enthusiastic_and_sceptical(target: float, *, weight: float = 0.5, doubt: float = 0.01) -> NormalMixture:
    r"""Give the prior of an effect that is the target one or none, with a weight of the first.

    :math:`\omega\,N(\delta, \sigma^2) + (1 - \omega)\,N(0, \sigma^2)` with :math:`\sigma` such that the first
    component has no effect, and the second the target one, with probability ``doubt``.

    Parameters
    ----------
    target : float
        :math:`\delta`, such as a log hazard ratio; not 0.
    weight : float
        :math:`\omega`.
    doubt : float

    Raises
    ------
    SpecificationError
        When the target is 0, or a probability is out of range.

    References
    ----------
    Spiegelhalter DJ, Freedman LS, Parmar MKB. J R Stat Soc A 1994;157:357-416.
    """
    from scipy.special import ndtri

    from smm_bayes.priors.mixtures import NormalMixture

    if not (math.isfinite(target) and target != 0 and 0 <= weight <= 1 and 0 < doubt < 0.5):
        raise SpecificationError(
            "need a target other than 0, a weight within [0, 1] and doubt above 0 and below 0.5; got "
            f"{target}, {weight} and {doubt}"
        )
    sd = abs(target / float(ndtri(doubt)))
    return NormalMixture([weight, 1 - weight], [target, 0.0], [sd, sd])


def assurance_after(
    prior: NormalMixture, *, estimate: float, standard_error: float, between: tuple[float, float],
    final_errors: Any, bounds: Any,
) -> np.ndarray:  # fmt: skip
    r"""Probability that the estimate of a trial to come is below a bound, given an earlier trial's.

    .. math:: \mu \sim \text{prior}, \quad \theta_k \sim N(\mu, \tau_k^2), \quad \hat\theta_k \sim N(\theta_k, s_k^2)

    for the earlier trial, k = 2, and the one to come, k = 3, with half-normal :math:`\tau_k`. Given the two standard
    deviations everything is a mixture of normals; over them it is integrated.

    Parameters
    ----------
    prior : NormalMixture
        Of :math:`\mu`, such as a log hazard ratio.
    estimate, standard_error : float
        :math:`\hat\theta_2` and :math:`s_2`.
    between : tuple of float
        Medians of :math:`\tau_2` and :math:`\tau_3`; 0 for none.
    final_errors, bounds : array_like
        :math:`s_3`, such as :math:`2/\sqrt{d}` for d events of two equal arms, and the bound of
        :math:`\hat\theta_3`; one or several analyses.

    Returns
    -------
    numpy.ndarray
        Of the shape of ``bounds``.

    Raises
    ------
    SpecificationError
        When a standard error is not above 0, or a median is negative.

    Examples
    --------
    >>> prior = enthusiastic_and_sceptical(np.log(0.7))
    >>> assurance_after(prior, estimate=np.log(0.53), standard_error=0.275, between=(2 / 32, 2 / 64),
    ...                 final_errors=2 / np.sqrt([370, 468]), bounds=np.log([0.779, 0.8204])).round(3)
    array([0.728, 0.805])
    """
    from scipy.special import ndtr

    s3, bound = np.broadcast_arrays(np.asarray(final_errors, float), np.asarray(bounds, float))
    with Problems("assurance", SpecificationError).collecting() as problems:
        if not (0 < standard_error < math.inf and np.all((s3 > 0) & (s3 < np.inf))):
            problems.add(f"standard errors must be finite and above 0; got {standard_error} and {final_errors}")
        if not all(0 <= median < math.inf for median in between):
            problems.add(f"medians of standard deviations between trials must be finite and from 0; got {between}")
    (tau2, weight2), (tau3, weight3) = (_half_normal(median / QUARTILE) for median in between)
    mean, sd = (x[:, None] for x in prior.parameters.values())
    seen = np.sqrt(standard_error**2 + tau2**2)
    total = np.hypot(sd, seen)
    density = prior.weights[:, None] * weight2 * np.exp(-(((estimate - mean) / total) ** 2) / 2) / total
    weight = density / density.sum()  # of component and tau2, given the estimate
    shrink = sd**2 / total**2
    centre, spread = mean + shrink * (estimate - mean), sd**2 * (1 - shrink)
    ahead = spread[..., None] + tau3**2  # component, tau2, tau3
    chance = ndtr((bound.ravel()[:, None, None, None] - centre[..., None])
                  / np.sqrt(ahead + s3.ravel()[:, None, None, None] ** 2))  # fmt: skip
    return np.einsum("ij,k,bijk->b", weight, weight3, chance).reshape(bound.shape)


def _half_normal(scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of a half-normal distribution, and their probabilities."""
    if scale == 0:
        return np.zeros(1), np.ones(1)
    edges = np.linspace(0.0, REACH, 7)
    x, weight = (each.ravel() for each in pieces(edges[:-1], edges[1:]))
    mass = weight * np.exp(-(x**2) / 2)
    return scale * x, mass / mass.sum()
