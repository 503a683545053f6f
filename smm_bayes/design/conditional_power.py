"""Conditional and predictive power of a group-sequential trial, and how the first varies over a posterior."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.design.group_sequential import GroupSequential
from smm_bayes.design.recursion import REACH, crossing_probabilities
from smm_bayes.errors import SpecificationError
from smm_bayes.numerics.adaptive import pieces

if TYPE_CHECKING:
    from smm_bayes.priors.mixtures import NormalMixture

STEP = 1.0  # half the width of a panel of effects, in their standard deviations or in standard errors still to come


def conditional_power(design: GroupSequential, *, look: int, z: float, theta: Any) -> Any:
    r"""Probability of success at a later look, given the statistic at this one and the effect.

    Given :math:`Z_k = z`, :math:`(Z_j\sqrt{I_j} - z\sqrt{I_k})/\sqrt{I_j - I_k}` at looks j > k is a trial of its own,
    whose bounds follow from the design's. Lower bounds are obeyed, binding or not; those of two-sided designs too, and
    success is crossing the upper one.

    Parameters
    ----------
    design : GroupSequential
    look : int
        k, from 1 to one less than the number of looks; 0 for the power before the trial.
    z : float
        At that look (nothing before the trial).
    theta : array_like
        Effects: any assumed one, :math:`z/\sqrt{I_k}` for the one seen, or draws from a posterior.

    Returns
    -------
    float or numpy.ndarray, of the shape of ``theta``

    Raises
    ------
    SpecificationError
        When there is no such look, or none after it.

    References
    ----------
    Lan KKG, Wittes J. Biometrics 1988;44:579-585.

    Examples
    --------
    >>> from smm_bayes.design.group_sequential import spending_design
    >>> round(conditional_power(spending_design([0.5, 1.0]), look=1, z=1.5, theta=3.0), 4)
    0.7988
    """
    information, lower, upper = _remaining(design, look, z)
    found = crossing_probabilities(information, lower, upper, theta).upper.sum(axis=-1)
    return float(found) if np.ndim(found) == 0 else found


def _remaining(design: GroupSequential, look: int, z: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Looks still to come as those of a trial that starts now."""
    count = len(design.information)
    if not (isinstance(look, int | np.integer) and 0 <= look < count):
        raise SpecificationError(f"look must be a whole number from 0 to {count - 1}, with a look after it; got {look}")
    if look and not math.isfinite(z):
        raise SpecificationError(f"z must be a finite number; got {z}")
    whole, low, high = (np.array(x)[look:] for x in (design.information, design.lower, design.upper))
    seen = design.information[look - 1] if look else 0.0
    score = z * math.sqrt(seen) if look else 0.0
    ahead = whole - seen
    return ahead, *((bound * np.sqrt(whole) - score) / np.sqrt(ahead) for bound in (low, high))  # type: ignore[return-value]


def posterior_effect(
    design: GroupSequential, *, look: int, z: float, prior: NormalMixture | None = None
) -> NormalMixture:
    """Posterior of the effect at a look; with a flat prior unless one is given.

    Raises
    ------
    SpecificationError
        When there is no such look, or neither data nor a prior.
    """
    from smm_bayes.priors.mixtures import NormalMixture

    _remaining(design, look, z)
    if not look:
        if prior is None:
            raise SpecificationError(
                "before the first look a prior is needed; give one, or an effect to conditional_power"
            )
        return prior
    error = 1 / math.sqrt(design.information[look - 1])
    return NormalMixture([1.0], [z * error], [error]) if prior is None else prior.update(z * error, error)


def predictive_power(
    design: GroupSequential, *, look: int, z: float, prior: NormalMixture | None = None,
    belief: NormalMixture | None = None,
) -> float:  # fmt: skip
    r"""Conditional power averaged over the posterior of the effect; before the trial, assurance.

    Parameters
    ----------
    design : GroupSequential
    look, z
        As for :func:`conditional_power`.
    prior : NormalMixture, optional
        Updated with the data; flat unless given.
    belief : NormalMixture, optional
        The posterior itself, where it is known: nothing is updated.

    Returns
    -------
    float
        To about ten digits.

    Raises
    ------
    SpecificationError
        As for :func:`conditional_power` and :func:`posterior_effect`.

    References
    ----------
    Spiegelhalter DJ, Freedman LS, Blackburn PR. Controlled Clinical Trials 1986;7:8-17. O'Hagan A, Stevens JW, Campbell
    MJ. Pharmaceutical Statistics 2005;4:187-201 (assurance).

    Examples
    --------
    >>> from smm_bayes.design.group_sequential import spending_design
    >>> round(predictive_power(spending_design([0.5, 1.0]), look=1, z=1.5), 4)
    0.5607
    """
    if belief is None:
        belief = posterior_effect(design, look=look, z=z, prior=prior)
    information, *bounds = _remaining(design, look, z)
    farthest = np.abs(np.concatenate(bounds))
    farthest = farthest[np.isfinite(farthest)].max(initial=0.0)
    sure = (farthest + REACH) / math.sqrt(information[0])  # effects beyond it fail or succeed for certain
    total = 0.0
    for weight, centre, spread in zip(belief.weights, *belief.parameters.values(), strict=True):
        low, high = max(-REACH, (-sure - centre) / spread), min(REACH, (sure - centre) / spread)
        total += weight * 0.5 * math.erfc(max(high, -REACH) / math.sqrt(2))
        if low < high:
            x, mass = _standard_normal(low, high, 2 * STEP * min(1.0, 1 / (spread * math.sqrt(information[-1]))))
            total += weight * float(mass @ conditional_power(design, look=look, z=z, theta=centre + spread * x))
    return float(total)


def _standard_normal(low: float, high: float, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Points of a standard normal variable between two limits, and their probabilities."""
    edges = np.linspace(low, high, 1 + math.ceil((high - low) / width))
    x, weight = (each.ravel() for each in pieces(edges[:-1], edges[1:]))
    return x, weight * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


@dataclass(frozen=True)
class ConditionalPowerSpread:
    """How conditional power is distributed over a posterior of the effect.

    Attributes
    ----------
    mean : float
        Predictive power.
    levels, quantiles : tuple of float
        Probabilities, and the conditional power that is not exceeded with each.
    at_estimate : float
        Conditional power at the mean of the posterior.
    """

    mean: float
    levels: tuple[float, ...]
    quantiles: tuple[float, ...]
    at_estimate: float

    def __repr__(self) -> str:
        shown = ", ".join(f"{p:.3g}: {q:.3f}" for p, q in zip(self.levels, self.quantiles, strict=True))
        head = f"mean {self.mean:.4f} (predictive power), {self.at_estimate:.4f} at the estimate"
        return f"ConditionalPowerSpread: {head}; {shown}"


def conditional_power_spread(
    design: GroupSequential, *, look: int, z: float, prior: NormalMixture | None = None,
    belief: NormalMixture | None = None, levels: tuple[float, ...] = (0.025, 0.25, 0.5, 0.75, 0.975),
) -> ConditionalPowerSpread:  # fmt: skip
    """Distribution of conditional power over the posterior of the effect.

    Conditional power increases with the effect, so that its quantiles are those of the effect, mapped; a predictive
    power of 0.5 may be a conditional power of about a half whatever the effect, or one near 0 or 1 that is not known.

    Parameters
    ----------
    design, look, z, prior, belief
        As for :func:`predictive_power`.
    levels : tuple of float

    Raises
    ------
    SpecificationError
        As for :func:`predictive_power`.

    Examples
    --------
    >>> from smm_bayes.design.group_sequential import spending_design
    >>> spread = conditional_power_spread(spending_design([0.5, 1.0]), look=1, z=1.5, levels=(0.1, 0.9))
    >>> [round(q, 3) for q in spread.quantiles]
    [0.143, 0.933]
    """
    if belief is None:
        belief = posterior_effect(design, look=look, z=z, prior=prior)
    effects = np.atleast_1d(belief.quantile(np.array(levels)))
    found = conditional_power(design, look=look, z=z, theta=effects)
    centre = conditional_power(design, look=look, z=z, theta=float(belief.mean))
    mean = predictive_power(design, look=look, z=z, belief=belief)
    return ConditionalPowerSpread(mean, tuple(levels), tuple(found.tolist()), centre)
