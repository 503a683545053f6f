r"""The probability of success under a posterior with a further factor, and differences, on the same completed trials.

Let draws :math:`\theta_1, \dots, \theta_S` be from the posterior :math:`p(\theta)`, and :math:`s_d` the share of the
trials completed from draw d that succeed. Under :math:`\tilde p(\theta) \propto p(\theta)\, f(\theta)` the
probability of success is the ratio of means

.. math:: \tilde P = \frac{\sum_d r_d s_d}{\sum_d r_d}, \qquad r_d = f(\theta_d),

the largest :math:`r_d` being replaced by quantiles of a generalised Pareto distribution fitted to them (PSIS). With
:math:`r_d` scaled to mean 1, the Monte Carlo error is that of the mean of the influence values
:math:`r_d (s_d - \tilde P)`, a series over the draws whose autocorrelation counts; that of the difference from the
unweighted :math:`P` is the same for :math:`r_d (s_d - \tilde P) - (s_d - P)`. Where the draws come from several equally
likely data sets, how much these differ counts too (:mod:`smm_bayes.inference.monte_carlo`).

References
----------
Vehtari A et al. Pareto smoothed importance sampling. J Mach Learn Res 2024;25(72):1-58.
Owen AB. Monte Carlo theory, methods and examples, chapter 9 (self-normalized importance sampling). 2013.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smm_bayes.errors import ConvergenceError, Problems, SpecificationError
from smm_bayes.prediction.monte_carlo import mean_error, proportion_error

RELIABLE_UP_TO = 0.7  # Pareto k of weights that can be trusted


@dataclass(frozen=True)
class Reweighted:
    """Probability of success under a posterior with a further factor, from trials completed without it.

    Attributes
    ----------
    probability, mcse : float
        Probability of success and its Monte Carlo standard error.
    difference, difference_mcse : float
        From the unweighted probability, and its Monte Carlo standard error on the same trials.
    pareto_k : float
        Shape of the tail of the weights; 0 where the largest are all alike; NaN where the draws are too few to see it.
    effective_draws : float
        1 / sum of the squared normalised weights: draws of the new posterior that these are worth, at most, had they
        been independent.
    draws : int
        Draws used, all chains together.
    name : str
        What the factor is.
    """

    probability: float
    mcse: float
    difference: float
    difference_mcse: float
    pareto_k: float
    effective_draws: float
    draws: int
    name: str = ""

    @property
    def reliable(self) -> bool:
        """Whether the largest weights leave the numbers above their meaning: ``pareto_k`` of 0.7 or less."""
        return self.pareto_k <= RELIABLE_UP_TO

    def require_reliable(self) -> Reweighted:
        """Give itself back.

        Raises
        ------
        ConvergenceError
            When a few draws carry the answer.
        """
        if not self.reliable:
            raise ConvergenceError(
                f"re-weighting by {self.name or 'the factor'} is not reliable: Pareto k must be {RELIABLE_UP_TO} or "
                f"less, it is {self.pareto_k:.2f} ({self.draws} draws are worth {self.effective_draws:.0f}); put the "
                "factor into the model and fit again"
            )
        return self

    def __repr__(self) -> str:
        doubt = "" if self.reliable else "; NOT RELIABLE"
        return (f"Reweighted{f' by {self.name}' if self.name else ''}: probability of success {self.probability:.3f} "
                f"± {self.mcse:.2g}, difference {self.difference:+.3f} ± {self.difference_mcse:.2g}; Pareto k "
                f"{self.pareto_k:.2f}, {self.effective_draws:.0f} effective draws of {self.draws}{doubt}")  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """Difference between two probabilities of success on common random numbers.

    Attributes
    ----------
    difference, mcse : float
        First less second, and its Monte Carlo standard error: of the posterior draws of both, of the trials completed
        from them and of the data sets that both were fitted to. Draws of two fits are independent, and only the
        random numbers of the completed trials are shared; predictions from the same draws share both.
    discordant : float
        Share of the simulated trials that succeed in one only.
    """

    difference: float
    mcse: float
    discordant: float

    def __repr__(self) -> str:
        return (f"Difference: {self.difference:+.3f} ± {self.mcse:.2g}; "
                f"{self.discordant:.1%} of the simulated trials succeed in one only")  # fmt: skip


def paired_difference(first: np.ndarray, second: np.ndarray, data_sets: int = 1) -> Difference:
    """Difference of two shares of success, trial by trial.

    The error is that of the mean over (chain, draw) of the difference averaged by draw, with its autocorrelation, never
    below that of as many independent pairs, half a discordant pair more than seen.

    Parameters
    ----------
    first, second : numpy.ndarray of bool, shape (chain, draw, repeat)
    data_sets : int
        That the chains of both come from, the same ones in the same order.
    """
    values = first.astype(float) - second
    mean, discordant = float(values.mean()), float((values != 0).mean())
    floor = np.sqrt(max((discordant * values.size + 0.5) / (values.size + 1) - mean**2, 0.0) / values.size)
    return Difference(mean, max(mean_error(values.mean(axis=2), data_sets), float(floor)), discordant)


def reweight(
    success: np.ndarray, log_weight: np.ndarray, name: str = "", data_sets: int = 1, base: np.ndarray | None = None
) -> Reweighted:
    """Weight the trials of every draw by a factor of the posterior, with its Monte Carlo error.

    Parameters
    ----------
    success : numpy.ndarray of bool, shape (chain, draw, repeat)
    log_weight : numpy.ndarray, shape (chain, draw)
        Log of the factor, up to a constant; minus infinity for a draw that it rules out.
    name : str
        What the factor is.
    data_sets : int
        That the chains come from.
    base : numpy.ndarray of bool, shape (chain, draw, repeat), optional
        What the difference is from: trials completed otherwise from the same draws; ``success`` by default.

    Returns
    -------
    Reweighted
        Equal log weights give the unweighted probability, difference 0 and error of the difference 0, exactly.

    Raises
    ------
    SpecificationError
        When shapes differ, a log weight is NaN or +inf, or none is finite.
    """
    _check(success, log_weight)
    smoothed, pareto_k = _smoothed(log_weight)
    ratio = np.exp(smoothed - smoothed.max())
    ratio /= ratio.mean()
    before = success if base is None else base
    plain = float(before.mean())
    mean = min(float((ratio[..., None] * success).mean()), 1.0)
    share = success.mean(axis=2)
    effective = ratio.size / float(np.mean(ratio**2))
    floor = proportion_error(mean, effective * success.shape[2])
    influence = ratio * (share - mean)
    moved = influence - (before.mean(axis=2) - plain)
    error, change = max(mean_error(influence, data_sets), floor), mean_error(moved, data_sets)
    if np.ptp(ratio) > 0 and np.ptp(share) == 0:  # all succeed or none does: what would differ was not seen
        change = floor
    return Reweighted(mean, error, mean - plain, change, pareto_k, effective, ratio.size, name)


def _check(success: np.ndarray, log_weight: np.ndarray) -> None:
    with Problems("re-weighting", SpecificationError).collecting() as problems:
        if log_weight.shape != success.shape[:2]:
            problems.add(f"log_weight must have shape (chain, draw) = {success.shape[:2]}; got {log_weight.shape}")
        if np.isnan(log_weight).any() or np.isposinf(log_weight).any():
            problems.add("log_weight has values that are NaN or +inf; give finite logs, -inf for what is ruled out")
        elif not np.isfinite(log_weight).any():
            problems.add("log_weight rules out every draw used; the factor contradicts the posterior, so refit with it")


def _smoothed(log_weight: np.ndarray) -> tuple[np.ndarray, float]:
    """Log weights with their right tail smoothed, and the tail's Pareto k."""
    from arviz_stats.base import array_stats

    possible = np.isfinite(log_weight)
    values, size = log_weight[possible], log_weight.size
    if np.ptp(values) == 0:
        return log_weight, 0.0
    weight = np.exp(log_weight - values.max())
    relative = 1.0
    if log_weight.shape[1] >= 4:
        relative = min(float(array_stats.ess(weight, chain_axis=0, draw_axis=1, method="mean")) / size, 1.0)
    try:
        found, pareto_k = array_stats.psislw(-values, r_eff=relative)
    except ValueError:  # fewer than five draws in the tail, or all of them alike
        alike = values.size >= 5 and np.ptp(np.partition(values, -5)[-5:]) == 0
        return log_weight, 0.0 if alike else float("nan")
    smoothed = log_weight.copy()
    smoothed[possible] = found
    return smoothed, float(pareto_k)
