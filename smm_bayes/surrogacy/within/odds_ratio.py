"""From shares and survival by MRD status to their odds ratio, and from one global odds ratio back to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.surrogacy.within.plackett import plackett_below
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.piecewise import PiecewiseExponential


def implied_odds_ratio(share: np.ndarray, later: np.ndarray, negative: Sequence[bool] = (False, True)) -> np.ndarray:
    r"""Odds ratio of being MRD-negative and being event-free at t, by arm, among those event-free at the landmark.

    With :math:`p_{1} = \sum_{m \in N} \pi_m \psi_m` and :math:`q_1 = \sum_{m \in N} \pi_m (1 - \psi_m)` over the
    statuses that count as negative, :math:`p_0` and :math:`q_0` over the others,

    .. math:: \Theta(t) = \frac{p_1 q_0}{q_1 p_0}.

    With two statuses the shares cancel. A copula with one global odds ratio supposes that it is the same at every t.

    Parameters
    ----------
    share, later : numpy.ndarray, shape (..., arm, status)
        As in :class:`~smm_bayes.surrogacy.within.association.MilestoneEffects`.
    negative : sequence of bool
        Which statuses count as negative.

    Returns
    -------
    numpy.ndarray, shape (..., arm)

    Raises
    ------
    SpecificationError
        When shapes do not fit, or in a draw a cell has no probability, so that there is no odds ratio.
    """
    share, later, counts = np.asarray(share), np.asarray(later), np.asarray(negative, dtype=bool)
    if share.shape != later.shape or share.shape[-1:] != counts.shape:
        raise SpecificationError(f"share and later must end with {len(counts)} statuses, as negative has; got shapes "
                                 f"{share.shape} and {later.shape}")  # fmt: skip
    cells = [(share * alive)[..., of].sum(axis=-1) for alive in (later, 1 - later) for of in (counts, ~counts)]
    if not all(np.all(cell > 0) for cell in cells):
        raise SpecificationError("in some draws a cell of MRD status by survival has no probability, so there is no "
                                 "odds ratio; choose another month, or statuses that both occur")  # fmt: skip
    free_negative, free_other, event_negative, event_other = cells
    return free_negative * event_other / (event_negative * free_other)


def survival_by_status(
    parameters: Mapping[str, np.ndarray], grid: TimeGrid, time: float
) -> tuple[np.ndarray, np.ndarray]:
    r"""Share of each MRD status, and survival of its patients ``time`` months after the landmark.

    :math:`P(T > t \mid M = 1) = C_\Theta(\pi, S(t)) / \pi`: what
    :class:`~smm_bayes.surrogacy.within.association.MilestoneEffects` takes as ``share`` and ``later``.

    Parameters
    ----------
    parameters : mapping of str to numpy.ndarray
        As in :func:`~smm_bayes.surrogacy.within.global_odds.global_odds_ratio_log_likelihood`.
    grid : TimeGrid
    time : float
        Months from the landmark.

    Returns
    -------
    share, later : numpy.ndarray, shape (..., arm, status)
        Status 0 not MRD-negative, 1 negative.
    """
    total = np.log(np.exp(np.asarray(parameters["log_hazard"])).sum(axis=-2))
    alive = PiecewiseExponential(total, grid).survival(time)[..., 0]
    negative = np.asarray(parameters["negative"])
    theta = np.broadcast_to(np.exp(parameters["log_global_odds_ratio"]), negative.shape)
    share = np.stack([1 - negative, negative], axis=-1)
    ratio = np.stack([1 / theta, theta], axis=-1)
    return share, alive[..., None] * plackett_below(share, alive[..., None], ratio) / share
