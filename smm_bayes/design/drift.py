"""What borrowing does as the truth drifts from history: pull, gain, errors and power, and errors of stopping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.design.methods import Methods, RatioPosterior, RatioPrior, control_posterior, ratio_posterior
from smm_bayes.design.two_arm import TwoArmDesign, TwoArmTrials
from smm_bayes.errors import SpecificationError

if TYPE_CHECKING:
    import pandas as pd

NONE = "no borrowing"


def conflict_table(
    methods: Methods, log_hazard: np.ndarray, events: Sequence[float], *, ratio: float = 3.0
) -> pd.DataFrame:
    r"""How far each method pulls towards history in conflict, and what it gains in agreement.

    The current arm has d events, as many in every interval, in the exposure in which they are expected.

    Parameters
    ----------
    methods : mapping of str to Method
        With "no borrowing" among them.
    log_hazard : numpy.ndarray, shape (interval,)
        Where history is.
    events : sequence of float
        Numbers of current events.
    ratio : float
        Current hazard over history's in the conflict.

    Returns
    -------
    pandas.DataFrame
        Columns method, events, ``pull`` (shift of the posterior mean of the log hazard towards history, as a share of
        log ``ratio``) and ``effective_events`` (one over the posterior variance, less that without borrowing, where
        the current hazard is history's).

    Raises
    ------
    SpecificationError
        When there is no method without borrowing.
    """
    import pandas as pd

    if NONE not in methods:
        raise SpecificationError(f"the methods must include '{NONE}', which others are compared with")
    counts = np.asarray(events, float)
    spread = np.repeat(counts[:, None] / len(log_hazard), len(log_hazard), axis=1)
    agree, conflict = (spread / (np.exp(log_hazard) * scale) for scale in (1.0, ratio))
    alone = control_posterior(methods[NONE], spread, agree)[1], control_posterior(methods[NONE], spread, conflict)[0]
    found = []
    for name, method in methods.items():
        sd, mean = control_posterior(method, spread, agree)[1], control_posterior(method, spread, conflict)[0]
        found.append(pd.DataFrame({"method": name, "events": counts, "pull": (alone[1] - mean) / np.log(ratio),
                                   "effective_events": sd**-2 - alone[0] ** -2}))  # fmt: skip
    return pd.concat(found, ignore_index=True)


def operating_characteristics(
    methods: Methods, design: TwoArmDesign, *, drifts: Sequence[float], hazard_ratios: Sequence[float],
    rng: np.random.Generator, replicates: int = 10_000, probability: float = 0.975, ratio: RatioPrior | None = None,
) -> pd.DataFrame:  # fmt: skip
    """How often the final analysis of a rule that borrows succeeds, as the control arm drifts from history.

    Success is a posterior probability above ``probability`` that the hazard ratio is below 1. All methods see the
    same simulated trials.

    Parameters
    ----------
    methods : mapping of str to Method
    design : TwoArmDesign
        ``log_hazard`` where history is.
    drifts : sequence of float
        Current control hazard over history's.
    hazard_ratios : sequence of float
        True ones; 1 for the type I error.
    rng : numpy.random.Generator
    replicates : int
        Simulated trials each.
    probability : float
    ratio : RatioPrior, optional

    Returns
    -------
    pandas.DataFrame
        Columns method, drift, hazard_ratio, success, mcse (of success), bias and rmse of the posterior mean of the
        log hazard ratio.
    """
    import pandas as pd

    found = []
    for drift in drifts:
        for hazard_ratio in hazard_ratios:
            trials = design.simulate(np.log(drift), np.log(hazard_ratio), replicates, rng=rng)
            counts = trials.counts(trials.date(design.final))
            for name, method in methods.items():
                posterior = ratio_posterior(method, *counts, ratio)
                share = float(np.mean(posterior.below() > probability))
                error = posterior.mean - np.log(hazard_ratio)
                found.append({"method": name, "drift": drift, "hazard_ratio": hazard_ratio, "success": share,
                              "mcse": _mcse(share, replicates), "bias": float(error.mean()),
                              "rmse": float(np.sqrt(np.mean(error**2)))})  # fmt: skip
    return pd.DataFrame(found)


def stopping_errors(
    methods: Methods, design: TwoArmDesign, *, drifts: Sequence[float], hazard_ratios: Sequence[float],
    rng: np.random.Generator, replicates: int = 10_000, futility: float = 0.1, alpha: float = 0.05,
    ratio: RatioPrior | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Errors of stopping for futility at the interim, where the final test is a log-rank and borrows nothing.

    The trial stops when the probability of success (:func:`log_rank_success`) is below ``futility``.

    Parameters
    ----------
    methods, design, drifts, hazard_ratios, rng, replicates, ratio
        As in :func:`operating_characteristics`.
    futility : float
    alpha : float
        One-sided level of the final test.

    Returns
    -------
    pandas.DataFrame
        Columns method, drift, hazard_ratio, ``stops`` (share stopped), ``stopped_wrongly`` (share of all trials that
        are stopped though their final test would have succeeded), ``success`` (share that goes on and succeeds),
        ``success_without_stopping``, and ``mcse`` of stops.
    """
    import pandas as pd

    found = []
    for drift in drifts:
        for hazard_ratio in hazard_ratios:
            trials = design.simulate(np.log(drift), np.log(hazard_ratio), replicates, rng=rng)
            score, variance = trials.log_rank(trials.date(design.final))
            success = score / np.sqrt(variance) < _z(alpha)
            for name, chance in interim_success(methods, trials, alpha=alpha, ratio=ratio).items():
                stops = chance < futility
                share = float(stops.mean())
                found.append({"method": name, "drift": drift, "hazard_ratio": hazard_ratio, "stops": share,
                              "stopped_wrongly": float((stops & success).mean()),
                              "success": float((~stops & success).mean()),
                              "success_without_stopping": float(success.mean()), "mcse": _mcse(share, replicates)})
    return pd.DataFrame(found)


def interim_success(
    methods: Methods, trials: TwoArmTrials, *, alpha: float, ratio: RatioPrior | None = None
) -> dict[str, np.ndarray]:
    """Probability of success of every trial at its interim analysis, by method, shape (replicate,)."""
    design, date = trials.design, trials.date(trials.design.interim)
    counts, (score, variance) = trials.counts(date), trials.log_rank(date)
    return {
        name: log_rank_success(ratio_posterior(method, *counts, ratio), score, variance,
                               final_variance=variance * design.final / design.interim, alpha=alpha)
        for name, method in methods.items()
    }  # fmt: skip


def log_rank_success(
    posterior: RatioPosterior, score: np.ndarray, variance: np.ndarray, *, final_variance: np.ndarray, alpha: float
) -> np.ndarray:
    r"""Probability that the final log-rank test succeeds, given a normal mixture posterior of the log hazard ratio.

    Observed minus expected events O − E at the final analysis are those of the interim plus an increment
    :math:`N(I\theta, I)`, with I the variance still to come; averaged over :math:`\theta \sim \sum_k w_k N(m_k, s_k^2)`

    .. math:: P = \sum_k w_k \Phi\left(\frac{z_\alpha\sqrt{V} - (O - E) - I m_k}{\sqrt{I + I^2 s_k^2}}\right).

    Parameters
    ----------
    posterior : RatioPosterior
        :math:`w_k, m_k, s_k` of every replicate.
    score, variance : numpy.ndarray, shape (replicate,)
        O − E of the experimental arm and its variance at the interim.
    final_variance : numpy.ndarray, shape (replicate,)
        V.
    alpha : float
        One-sided.
    """
    from scipy.special import ndtr

    ahead = np.maximum(final_variance - variance, 1e-12)[:, None]
    limit = _z(alpha) * np.sqrt(final_variance) - score
    spread = np.sqrt(ahead + (ahead * posterior.sds) ** 2)
    return (posterior.weights * ndtr((limit[:, None] - ahead * posterior.means) / spread)).sum(axis=1)


def _mcse(share: float, replicates: int) -> float:
    """Monte Carlo error of a share; of none or all, that of one."""
    return float(np.sqrt(max(share * (1 - share), 1 / replicates) / replicates))


def _z(alpha: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(alpha)
