r"""The prior that earlier trials give of one arm's log hazards, without sampling: a normal mixture.

Arm k of the earlier trials has log hazards :math:`h_j + \delta_{kj}`, this one :math:`h_j + \delta_j`, with the
deviations of a relation (:mod:`smm_bayes.borrowing.trials.relations`). Given the standard deviations and which way each
trial deviates, everything is normal but the Poisson likelihood, of which Laplace's approximation is taken; standard
deviations are summed over nodes of their prior, and ways over all combinations. Every node and combination is one
component, weighted by its evidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from smm_bayes.borrowing.mixtures import MultivariateNormalMixture
from smm_bayes.borrowing.trials.cohorts import Trials
from smm_bayes.borrowing.trials.priors import BetweenTrials
from smm_bayes.borrowing.trials.relations import POOLED, Layer, Relation
from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.priors import BaselinePrior, SpreadPrior
from smm_bayes.survival.walk import spacing

NODES = 8  # of each standard deviation between trials
LARGEST = 20_000  # components
NEGLIGIBLE = 1e-6  # weight of a component that is left out


@dataclass(frozen=True, eq=False)
class ArmHistory:
    """What earlier trials saw of one regimen.

    Attributes
    ----------
    grid : TimeGrid
    names : tuple of str
        Of the trials.
    events, exposure : numpy.ndarray, shape (trial, interval)
    """

    grid: TimeGrid
    names: tuple[str, ...]
    events: np.ndarray
    exposure: np.ndarray

    def __post_init__(self) -> None:
        """Refuse what no trials could give."""
        problems = Problems("earlier trials of one arm", SpecificationError)
        shape = (len(self.names), len(self.grid))
        for name, values in (("events", self.events), ("exposure", self.exposure)):
            if np.shape(values) != shape:
                problems.add(f"{name} must have shape (trial, interval) {shape}, on the grid of the current trial; "
                             f"got {np.shape(values)}")  # fmt: skip
            elif not np.all(np.isfinite(values)) or np.any(np.asarray(values) < 0):
                problems.add(f"{name} must be finite and not negative")
        problems.raise_if_any()
        if np.any((self.events > 0) & (self.exposure == 0)):
            raise SpecificationError("earlier trials of one arm: events without exposure; correct the interval")

    @classmethod
    def of(cls, trials: Trials, regimen: str) -> ArmHistory:
        """Gather the earlier arms that were given ``regimen``: events of the first cause.

        Raises
        ------
        SpecificationError
            When there is no such arm.
        """
        arms = [c for c in trials.cohorts if c.trial != trials.current and c.regimen == regimen]
        if not arms:
            raise SpecificationError(f"no earlier trial gave {regimen}; there are {', '.join(trials.regimens)}")
        return cls(trials.grid, tuple(c.trial for c in arms), np.array([c.events[0] for c in arms], float),
                   np.array([c.exposure for c in arms], float))  # fmt: skip


def smooth_initial(baseline: BaselinePrior, yearly_sd: float, grid: TimeGrid) -> MultivariateNormalMixture:
    """Prior of log hazards before any data: a level, and a random walk with a known SD of the change in a year."""
    size = len(grid)
    steps = np.tril(np.ones((size, size)), -1)[:, : size - 1] * np.sqrt(spacing(grid)) if size > 1 else np.zeros((1, 0))
    steps = steps - steps.mean(axis=0)
    covariance = baseline.sd**2 * np.ones((size, size)) + yearly_sd**2 * steps @ steps.T + 1e-9 * np.eye(size)
    return MultivariateNormalMixture([1.0], np.full((1, size), baseline.mean), covariance[None], grid.labels)


@dataclass(frozen=True, eq=False)
class ArmPrior:
    """Prior of one arm's log hazards, and what it says of the earlier trials.

    Attributes
    ----------
    mixture : MultivariateNormalMixture
        Of the log hazards per month in the intervals.
    relation : Relation
    names : tuple of str
        Of the earlier trials, and last the current one.
    first : numpy.ndarray, shape (component, trial)
        1 where a trial deviates in the first way (under normalised powers, its power).
    """

    mixture: MultivariateNormalMixture
    relation: Relation
    names: tuple[str, ...]
    first: np.ndarray

    def first_probability(self, weights: np.ndarray | None = None) -> dict[str, float]:
        """Probability that each trial deviates in the first way, under the mixture's weights or updated ones."""
        shares = (self.mixture.weights if weights is None else weights) @ self.first
        return dict(zip(self.names, shares.tolist(), strict=True))

    def __repr__(self) -> str:
        return f"{type(self.relation).__name__} prior from {', '.join(self.names[:-1])}: {self.mixture!r}"


def arm_prior(
    history: ArmHistory, relation: Relation, between: BetweenTrials, initial: MultivariateNormalMixture,
    *, nodes: int = NODES,
) -> ArmPrior:  # fmt: skip
    """Prior of the current arm's log hazards from earlier arms of the same regimen.

    Parameters
    ----------
    history : ArmHistory
    relation : Relation
    between : BetweenTrials
        The half-normal prior of the SD of log hazards between trials counts.
    initial : MultivariateNormalMixture
        Of the typical trial's log hazards (or of the current arm's, if deviations are around it), one component.
    nodes : int
        Of each standard deviation.

    Raises
    ------
    SpecificationError
        When the prior has more than one component or another number of intervals, or there would be too many
        components.
    """
    _check_initial(history, initial)
    settings = list(_settings(history, relation, between, nodes))
    powers = np.array([relation.power(name) for name in history.names])
    found = [_given(history, powers, sds, relation, initial) for _, sds, _ in settings]
    log_weight = np.array([np.log(weight) for weight, _, _ in settings]) + [evidence for *_, evidence in found]
    weights = np.exp(log_weight - log_weight.max())
    kept = weights / weights.sum() > NEGLIGIBLE
    means, covariances = (np.stack([part[i] for part in found])[kept] for i in (0, 1))
    mixture = MultivariateNormalMixture(weights[kept] / weights[kept].sum(), means, covariances, history.grid.labels)
    return ArmPrior(mixture, relation, (*history.names, "current"), np.stack([s for *_, s in settings])[kept])


def _settings(
    history: ArmHistory, relation: Relation, between: BetweenTrials, nodes: int
) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """Weight, SD of every trial's deviation (the current one last), and whether it deviates in the first way."""
    layers, size = relation.layers(between), len(history.names) + 1
    ones = np.ones(size)
    if not layers:
        yield 1.0, np.zeros(size), ones
        return
    if not layers[0].shared:  # each has its own
        _check_number(nodes ** (size - 1))
        for parts in product(_nodes(layers[0], nodes), repeat=size - 1):
            yield float(np.prod([w for w, _ in parts])), np.array([*(sd for _, sd in parts), 0.0]), ones
        return
    ways = list(product((1.0, 0.0), repeat=size)) if len(layers) == 2 else [(1.0,) * size]
    if relation.around_current:
        ways = [way for way in ways if way[-1] == 1.0]
    _check_number(len(ways) * nodes)
    apart = _nodes(layers[1], 1)[0][1] if len(layers) == 2 else 0.0
    for weight, sd in _nodes(layers[0], nodes):
        for way in ways:
            first = np.array(way)
            sds = np.where(first == 1, sd, apart)
            moving = first[:-1] if relation.around_current else first
            chance = np.prod(np.where(moving == 1, relation.first, 1 - relation.first)) if len(layers) == 2 else 1.0
            if relation.around_current:
                sds[-1] = 0.0
            yield float(weight * chance), sds, first


def _check_initial(history: ArmHistory, initial: MultivariateNormalMixture) -> None:
    if len(initial) != 1 or initial.dim != len(history.grid):
        raise SpecificationError(
            f"the initial prior must be one component of {len(history.grid)} log hazards; got {len(initial)} of "
            f"{initial.dim}. Give smooth_initial(…) on the same grid"
        )


def _check_number(count: int) -> None:
    if count > LARGEST:
        raise SpecificationError(f"{count} components would be needed, more than {LARGEST}; use fewer trials or nodes")


def _nodes(layer: Layer, nodes: int) -> list[tuple[float, float]]:
    """Weights and values of a standard deviation: Gauss-Legendre in its half-normal distribution function."""
    from scipy.special import ndtri

    if not isinstance(layer.hazard, SpreadPrior):
        return [(1.0, float(layer.hazard))]
    x, w = np.polynomial.legendre.leggauss(nodes)
    return [(float(weight / 2), float(layer.hazard.scale * ndtri(0.5 + (at + 1) / 4)))
            for at, weight in zip(x, w, strict=True)]  # fmt: skip


def _given(
    history: ArmHistory, powers: np.ndarray, sds: np.ndarray, relation: Relation, initial: MultivariateNormalMixture
) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean and covariance of the current log hazards given standard deviations, and the log evidence of history."""
    trials, size = len(history.names), len(history.grid)
    moves = np.eye(size) if relation.interval_by_interval else np.ones((size, 1))
    each = moves.shape[1]
    covariance = np.zeros((size + trials * each,) * 2)
    covariance[:size, :size] = initial.covariances[0]
    deviation = np.arange(size, len(covariance))
    covariance[deviation, deviation] = np.repeat(np.maximum(sds[:-1], 1e-6) ** 2, each)
    design = np.zeros((trials, size, len(covariance)))
    for k in range(trials):
        design[k, :, :size] = np.eye(size)
        design[k, :, size + k * each : size + (k + 1) * each] = moves
    mean = np.concatenate([initial.means[0], np.zeros(trials * each)])
    weights = powers[:, None]
    peak, found, evidence = linear_laplace(
        mean, covariance, design.reshape(trials * size, -1), (history.events * weights).ravel(),
        (history.exposure * weights).ravel(),
    )  # fmt: skip
    return peak[:size], found[:size, :size] + sds[-1] ** 2 * moves @ moves.T, evidence


def normalised_power_arm_prior(
    history: ArmHistory, initial: MultivariateNormalMixture, *, a: float = 1.0, b: float = 1.0, nodes: int = NODES
) -> ArmPrior:
    r"""Prior of the current arm's log hazards under normalised power priors, :math:`a_k \sim \mathrm{Beta}(a, b)`.

    Given its powers the prior is normalised, so a component's weight is that of its powers: history alone says nothing
    of them, the current data do.

    Parameters
    ----------
    history : ArmHistory
    initial : MultivariateNormalMixture
        As for :func:`arm_prior`.
    a, b : float
    nodes : int
        Of each power, Gauss-Legendre in its distribution function.

    Raises
    ------
    SpecificationError
        As for :func:`arm_prior`.
    """
    from scipy.special import betaincinv

    _check_initial(history, initial)
    _check_number(nodes ** len(history.names))
    x, w = np.polynomial.legendre.leggauss(nodes)
    of_one = list(zip(betaincinv(a, b, (x + 1) / 2), w / 2, strict=True))
    combinations = list(product(of_one, repeat=len(history.names)))
    powers = np.array([[power for power, _ in one] for one in combinations])
    weights = np.array([np.prod([weight for _, weight in one]) for one in combinations])
    nothing = np.zeros(len(history.names) + 1)
    found = [_given(history, one, nothing, POOLED, initial) for one in powers]
    mixture = MultivariateNormalMixture(weights / weights.sum(), np.stack([part[0] for part in found]),
                                        np.stack([part[1] for part in found]), history.grid.labels)  # fmt: skip
    # a trial's power stands where other relations have whether it deviates in the first way
    return ArmPrior(mixture, POOLED, (*history.names, "current"), np.column_stack([powers, np.ones(len(powers))]))


def linear_laplace(
    mean: np.ndarray, covariance: np.ndarray, design: np.ndarray, events: np.ndarray, exposure: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    r"""Laplace's approximation of :math:`x \sim N(m, S)` after Poisson counts with log hazards :math:`Zx`.

    The mean is corrected from the peak by the first term of its expansion.

    Returns
    -------
    mean, covariance : numpy.ndarray
    log_evidence : float
        Up to a constant of the data.
    """
    precision = np.linalg.inv(covariance)
    x = np.array(mean)

    def height(at: np.ndarray) -> float:
        eta = design @ at
        return float((events * eta - exposure * np.exp(eta)).sum() - 0.5 * (at - mean) @ precision @ (at - mean))

    here = height(x)
    for _ in range(200):
        expected = exposure * np.exp(design @ x)
        slope = design.T @ (events - expected) - precision @ (x - mean)
        curvature = precision + (design * expected[:, None]).T @ design
        step = np.linalg.solve(curvature, slope)
        if slope @ step < 1e-14 * (1 + abs(here)):
            break
        share = 1.0
        with np.errstate(over="ignore"):
            while height(x + share * step) < here and share > 1e-12:
                share /= 2
        x = x + share * step
        here = height(x)
    found = np.linalg.inv(curvature)
    lean = expected * np.einsum("ij,jk,ik->i", design, found, design)
    evidence = here - 0.5 * (np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(curvature)[1])
    return x - 0.5 * found @ design.T @ lean, found, float(evidence)
