"""What was borrowed from whom, and is it in conflict: from the draws of a model of several trials."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from smm_bayes.borrowing.trials.cohorts import Cohort, Trials
from smm_bayes.borrowing.trials.hierarchical import cohort_log_hazard
from smm_bayes.borrowing.trials.priors import TrialsPriors
from smm_bayes.inference.monte_carlo import mean_error, reciprocal_variance_error
from smm_bayes.priors.mixtures import MultivariateNormalMixture

WHOLE = "all"  # intervals
DRAWS = 1000


@dataclass(frozen=True)
class Conflict:
    """Events of one arm in an interval, or in all, against what the other trials predict of them.

    Attributes
    ----------
    trial, regimen, counted, interval : str
        ``counted`` names the causes; ``interval`` is ``all`` for the whole follow-up.
    events : float
        Observed; with several reconstructions their mean.
    predicted, lower, upper : float
        Median and 95 % interval of the prediction.
    p_value : float
        Two-sided predictive mid-p-value; with several reconstructions their mean.
    p_value_error : float
        Its Monte Carlo standard error: of the draws, of the data sets that these were fitted to, and of the
        reconstructions compared.
    """

    trial: str
    regimen: str
    counted: str
    interval: str
    events: float
    predicted: float
    lower: float
    upper: float
    p_value: float
    p_value_error: float = 0.0


def conflicts(
    parameters: Mapping[str, np.ndarray], observed: Sequence[Trials], priors: TrialsPriors, trial: str, *,
    rng: np.random.Generator, chains: int = 1, data_sets: int = 1,
) -> list[Conflict]:  # fmt: skip
    r"""Compare one trial's events with what the others predict of them.

    With Y the events predicted in the trial's own exposure, :math:`p = 2\min(q, 1 - q)`,
    :math:`q = P(Y < y) + \tfrac12 P(Y = y)`, averaged over the draws exactly. The prediction knows that trials differ:
    a small p-value says that this one differs more than trials are thought to.

    Parameters
    ----------
    parameters : mapping of str to numpy.ndarray
        Draws first, from a fit in which ``trial`` was silent, so that what is its own is drawn from its prior.
    observed : sequence of Trials
        With what the trial saw; several reconstructions are equally likely.
    priors : TrialsPriors
    trial : str
    rng : numpy.random.Generator
    chains, data_sets : int
        Chains that the draws are from, one after the other, and data sets that these were fitted to: for the errors.

    Returns
    -------
    list of Conflict
        For every arm and series, all intervals together first; intervals without exposure are left out.
    """
    draws = len(next(iter(parameters.values()))) // chains
    each = np.linspace(0, draws - 1, min(draws, -(-DRAWS // chains))).round().astype(int)
    kept = (np.arange(chains)[:, None] * draws + each).ravel()
    thinned = {name: values[kept] for name, values in parameters.items()}
    log_hazard = cohort_log_hazard(thinned, observed[0], priors)
    causes, labels = observed[0].causes, observed[0].grid.labels
    found = []
    for index, cohort in enumerate(observed[0].cohorts):
        if cohort.trial != trial:
            continue
        arms = [trials.cohorts[index] for trials in observed]
        for row, series in enumerate(cohort.series):
            at = [causes.index(cause) for cause in series]
            hazard = np.exp(log_hazard[:, index, at]).sum(axis=1)  # (draw, interval)
            said = (cohort.trial, cohort.regimen, " or ".join(series))
            hazard = hazard.reshape(chains, -1, hazard.shape[-1])
            compare = partial(_compare, hazard=hazard, arms=arms, row=row, rng=rng, data_sets=data_sets)
            found.append(compare((*said, WHOLE), slice(None)))
            found += [compare((*said, label), slice(j, j + 1)) for j, label in enumerate(labels)
                      if any(arm.exposure[j] > 0 for arm in arms)]  # fmt: skip
    return found


def arm_conflicts(
    prior: MultivariateNormalMixture, arm: Cohort, *, rng: np.random.Generator, draws: int = 20_000
) -> list[Conflict]:
    """Compare one arm's events of its first series with what a prior of its log hazards predicts, as :func:`conflicts`.

    Parameters
    ----------
    prior : MultivariateNormalMixture
        Of the log hazards in the arm's intervals.
    arm : Cohort
    rng : numpy.random.Generator
    draws : int
        Of the prior.
    """
    hazard = np.exp(prior.sample(draws, rng=rng))[None]
    said = (arm.trial, arm.regimen, " or ".join(arm.series[0]))
    compare = partial(_compare, hazard=hazard, arms=[arm], row=0, rng=rng, data_sets=1)
    parts = [compare((*said, label), slice(j, j + 1)) for j, label in enumerate(prior.labels) if arm.exposure[j] > 0]
    return [compare((*said, WHOLE), slice(None)), *parts]


def _compare(
    said: tuple[str, str, str, str], intervals: slice, *, hazard: np.ndarray, arms: Sequence[Cohort], row: int,
    rng: np.random.Generator, data_sets: int,
) -> Conflict:  # fmt: skip
    """Compare the events of a series in some intervals with those of hazards (chain, draw, interval)."""
    from scipy.special import gammaln, pdtr, xlogy

    values, slopes, drawn, events = [], [], [], []
    for arm in arms:
        expected = hazard[..., intervals] @ arm.exposure[intervals]
        seen = float(arm.events[row, intervals].sum())
        below = pdtr(seen - 1, expected) if seen > 0 else np.zeros_like(expected)
        share = below + np.exp(xlogy(seen, expected) - expected - gammaln(seen + 1)) / 2
        whole = float(share.mean())
        values.append(2 * min(whole, 1 - whole))
        slopes.append(2 * share if whole < 0.5 else -2 * share)
        drawn.append(rng.poisson(expected).ravel())
        events.append(seen)
    lower, middle, upper = np.quantile(np.concatenate(drawn), (0.025, 0.5, 0.975))
    between = np.std(values, ddof=1) / math.sqrt(len(arms)) if len(arms) > 1 else 0.0
    error = math.hypot(mean_error(np.mean(slopes, axis=0), data_sets), between)
    predicted = (float(middle), float(lower), float(upper))
    return Conflict(*said, float(np.mean(events)), *predicted, float(np.mean(values)), error)


def information(log_hazard: np.ndarray, exposure: np.ndarray) -> np.ndarray:
    r"""Events that what is known of each arm's hazard is worth, :math:`1/\mathrm{Var}(\log \sum_j E_j\lambda_j)`.

    d events of one arm alone, under a vague prior, are worth about d.

    Parameters
    ----------
    log_hazard : numpy.ndarray, shape (draw, arm, interval)
    exposure : numpy.ndarray, shape (arm, interval)
        Of the current trial: it weighs the intervals.
    """
    expected = np.log((np.exp(log_hazard) * exposure).sum(axis=-1))
    return 1 / expected.var(axis=0)


def information_error(log_hazard: np.ndarray, exposure: np.ndarray, data_sets: int = 1) -> np.ndarray:
    """Monte Carlo standard error of :func:`information` by arm.

    Parameters
    ----------
    log_hazard : numpy.ndarray, shape (chain, draw, arm, interval)
    exposure : numpy.ndarray, shape (arm, interval)
    data_sets : int
        That the chains come from.
    """
    expected = np.log((np.exp(log_hazard) * exposure).sum(axis=-1))
    return np.array([reciprocal_variance_error(arm, data_sets) for arm in np.moveaxis(expected, -1, 0)])


@dataclass(frozen=True)
class ContrastGain:
    """What a source adds to what is known of the hazard ratio that decides.

    Attributes
    ----------
    events : float
        Events of both arms that it is worth; below 0 where it makes the hazard ratio less sure.
    shift : float
        How far it moves the mean of the log hazard ratio, in posterior standard deviations.
    events_error, shift_error : float
        Monte Carlo standard errors.
    """

    events: float
    events_error: float
    shift: float
    shift_error: float


def contrast_gain(
    with_it: np.ndarray, without: np.ndarray, share: float, *, data_sets: tuple[int, int] = (1, 1)
) -> ContrastGain:
    r"""Information on a log hazard ratio that a source adds, as events of a randomised trial.

    The log hazard ratio of d events has a variance of about :math:`1 / \{d\,\pi(1 - \pi)\}` (Schoenfeld), so a source
    is worth

    .. math:: \frac{1}{\pi(1 - \pi)}\left(\frac{1}{\mathrm{Var}(\theta \mid \text{with})}
              - \frac{1}{\mathrm{Var}(\theta \mid \text{without})}\right)

    Parameters
    ----------
    with_it, without : numpy.ndarray, shape (chain, draw)
        Posterior draws of the log hazard ratio with the source and without.
    share : float
        :math:`\pi`, patients who are given the experimental regimen, of all.
    data_sets : tuple of int
        That the chains of each come from.

    References
    ----------
    Schoenfeld D. Biometrika 1981;68:316-319, doi:10.1093/biomet/68.1.316.
    """
    both, events = (with_it, without), share * (1 - share)
    gained = (1 / with_it.var() - 1 / without.var()) / events
    error = math.hypot(*map(reciprocal_variance_error, both, data_sets)) / events
    sd = float(with_it.std())
    moved = float(with_it.mean() - without.mean()) / sd
    return ContrastGain(float(gained), error, moved, math.hypot(*map(mean_error, both, data_sets)) / sd)
