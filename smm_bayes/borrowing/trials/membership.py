r"""The observed cells of several trials, and which of two ways each trial deviates summed out.

A trial deviates in way k with prior probability :math:`p_k`, and then by :math:`\delta \sim N(0, \tau_k^2)`. A sampler
that kept a deviation for each way would find the other way only by chance, for the one that is not in use wanders over
its prior. So both ways share one coordinate y, standard normal if a trial's events were normal: with a the events that
bear on :math:`\delta` and r the logarithm of events over those expected without deviation,

.. math:: z_k = \frac{\tau_k a r}{1 + a\tau_k^2} + \frac{y}{\sqrt{1 + a\tau_k^2}}, \quad \delta_k = \tau_k z_k

and the density of the trial is :math:`\sum_k p_k L(\delta_k) \phi(z_k)\,\frac{dz_k}{dy}`: exact whatever a and r are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.borrowing.trials.deviations import Spread, added, effect_sd, hazard_sd
from smm_bayes.inference.cells import observes_cells

if TYPE_CHECKING:
    from smm_bayes.borrowing.trials.cohorts import Trials
    from smm_bayes.borrowing.trials.hierarchical import Index
    from smm_bayes.borrowing.trials.priors import TrialsPriors

TINY = 1e-12


def cell_data(trials: Trials, priors: TrialsPriors) -> dict[str, np.ndarray]:
    """Events and exposure of every observed cell; under a power prior both are multiplied by the power.

    The likelihood is linear in them, so that weights them and needs no model of its own.
    """
    events, exposure = trials.cells()
    names = [trials.cohorts[a].trial for a, _, _ in trials.rows]
    weight = np.array([1.0 if name == trials.current else priors.relation.power(name) for name in names])
    return {"events_data": events * weight, "exposure_data": exposure * weight}


@dataclass(frozen=True, eq=False)
class Elsewhere:
    """What the current trial observed, where that is not in its cells, such as MRD and events together.

    Attributes
    ----------
    events, exposure : numpy.ndarray, shape (cell,)
        Of all cells, 0 but for the current trial's: they make the sampler's coordinates, unseen by the posterior.
    observe : callable
        Adds it to the model being built, given the current trial's log hazards in each way that it may deviate (flat),
        and for each the log of its weight: prior probability times what coordinates need. Gives the log likelihood
        in each way.
    """

    events: np.ndarray
    exposure: np.ndarray
    observe: Callable[[list[Any], list[Any]], Sequence[Any]]

    @staticmethod
    def arrays(events: np.ndarray, exposure: np.ndarray) -> dict[str, np.ndarray]:
        """Arrays that a refit replaces."""
        return {"current_events_data": events, "current_exposure_data": exposure}

    def add_to(self, events: Any, exposure: Any) -> tuple[Any, Any]:
        """Events and exposure of all cells, the current trial's among them."""
        import pymc as pm

        arrays = self.arrays(self.events, self.exposure).items()
        more_events, more_exposure = (pm.Data(name, values, dims="cell") for name, values in arrays)
        return events + more_events, exposure + more_exposure


def observe(
    trials: Trials, priors: TrialsPriors, log_hazard: Any, index: Index, elsewhere: Elsewhere | None = None
) -> Any:  # fmt: skip
    """Observe the cells, given log hazards of every cohort, cause and interval (flat).

    Where trials deviate in two ways these are log hazards without deviation, and the deviations are made here; only
    then the current trial may be observed ``elsewhere``.

    Returns
    -------
    tensor
        The log hazards with deviation, in the way that each trial has.
    """
    import pymc as pm
    import pytensor.tensor as pt

    observes_cells()
    data = {name: pm.Data(name, values, dims="cell") for name, values in cell_data(trials, priors).items()}
    events, exposure = data["events_data"], data["exposure_data"]
    layers = priors.relation.layers(priors.between)
    if len(layers) < 2:  # what trials deviate by is in the log hazards
        pm.CustomDist("events", _counted(log_hazard, trials, index), exposure, logp=_log_likelihood,
                      random=_draw_events, observed=events, dims="cell")  # fmt: skip
        return log_hazard
    cells = _Cells.of(trials, priors, index)
    seen, exposed = (events, exposure) if elsewhere is None else elsewhere.add_to(events, exposure)
    deviated, corrections = _deviate(cells, trials, priors, log_hazard, index, seen, exposed)
    hazards = [_counted(one, trials, index) for one in deviated]
    here = np.array([float(name != trials.current) for name in trials.names])
    told = corrections if elsewhere is None else [correction * here for correction in corrections]
    spread_out = [cells.of_trial.T @ correction for correction in told]
    pm.CustomDist("events", *hazards, *spread_out, exposure, logp=cells.log_likelihood, random=cells.draw,
                  observed=events, dims="cell")  # fmt: skip
    odds = cells.of_trial @ (_log_likelihood(events, hazards[0], exposure)
                             - _log_likelihood(events, hazards[1], exposure))  # fmt: skip
    odds = odds + corrections[0] - corrections[1] + cells.prior_odds
    if elsewhere is not None:
        odds = odds + (1 - here) * _observe_elsewhere(elsewhere, priors, [log_hazard, *deviated], corrections, index)
    share = pm.Deterministic("first_layer_probability", pt.sigmoid(odds), dims="trial")
    uniform = pm.Uniform("draw_layer", dims="trial")  # takes no part in the likelihood
    which = pm.Deterministic("first_layer", (uniform < share).astype("float64"), dims="trial")
    return pt.where(which[index.trial] > 0.5, *deviated)


def _deviate(
    cells: _Cells, trials: Trials, priors: TrialsPriors, log_hazard: Any, index: Index, events: Any, exposure: Any
) -> tuple[list[Any], list[Any]]:  # fmt: skip
    """Make the deviations of both layers; log hazards (flat) in each way, and what its coordinates need by trial."""
    import pymc as pm

    expected = exposure * _counted(log_hazard, trials, index)
    by = ("interval",) if priors.relation.interval_by_interval else ()
    coordinate = pm.Normal("hazard_coordinate", 0.0, 1.0, dims=("trial", "cause", *by)).ravel()
    effect = pm.Normal("effect_coordinate", 0.0, 1.0, dims="randomised") if trials.randomised else None
    deviated, corrections = [], []
    for layer in priors.relation.layers(priors.between):
        of_effect = effect_sd(layer) if trials.randomised else 0.0
        spread = Spread(hazard_sd(layer), of_effect, layer.shared, len(trials.causes))
        steps, effects, correction = cells.steps(spread, coordinate, effect, events, expected)
        shape = (len(trials.names), len(trials.causes), *([len(trials.grid)] if by else []))
        pm.Deterministic(f"{layer.name}_hazard", steps.reshape(shape), dims=("trial", "cause", *by))
        if effects is not None:
            pm.Deterministic(f"{layer.name}_effect", effects, dims="randomised")
        deviated.append(log_hazard + added(spread, steps, effects, trials, priors, index))
        corrections.append(correction)
    return deviated, corrections


def _observe_elsewhere(
    elsewhere: Elsewhere, priors: TrialsPriors, log_hazards: list[Any], corrections: list[Any], index: Index
) -> Any:  # fmt: skip
    """Observe the current trial, the last; its log likelihood in the first way less that in the other.

    The log hazards are those without deviation, and in each way.
    """
    undeviated, *deviated = (log_hazard[index.current] for log_hazard in log_hazards)
    if priors.relation.around_current:
        elsewhere.observe([undeviated], [0.0])
        return 0.0
    shares = math.log(priors.relation.first), math.log1p(-priors.relation.first)
    weights = [share + correction[-1] for share, correction in zip(shares, corrections, strict=True)]
    one, other = elsewhere.observe(deviated, weights)
    return one - other


@dataclass(frozen=True, eq=False)
class _Cells:
    """Cells of trials that deviate in one of two ways.

    A cell's log likelihood is that of the trial's cells up to it less that of those before it, so that they sum to
    the trial's.

    Attributes
    ----------
    first : float
        Prior probability of the first way.
    of_trial : numpy.ndarray, shape (trial, cell)
        1 where a cell is of a trial, else 0.
    alone, joint : numpy.ndarray, shape (deviation, cell)
        1 where a cell's events bear on a trial's deviation: alone, or together with its hazard ratio.
    compared : numpy.ndarray, shape (randomised, cell)
        1 where they bear on a trial's hazard ratio.
    deviation : numpy.ndarray, shape (cell,)
        Position of the deviation of a cell.
    trial_cause, randomised : numpy.ndarray, shape (deviation,)
        Positions of the standard deviations of a deviation, and of the hazard ratio that it comes with.
    place : numpy.ndarray, shape (trial, randomised)
        1 where a hazard ratio is of a trial.
    """

    first: float
    of_trial: np.ndarray
    alone: np.ndarray
    joint: np.ndarray
    compared: np.ndarray
    deviation: np.ndarray
    trial_cause: np.ndarray
    randomised: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, trials: Trials, priors: TrialsPriors, index: Index) -> _Cells:
        relation, causes, size = priors.relation, len(trials.causes), len(trials.grid)
        cohorts = [trials.cohorts[a] for a, _, _ in trials.rows]
        names = [cohort.trial for cohort in cohorts]
        first_cause = [trials.causes.index(trials.cohorts[a].series[s][0]) for a, s, _ in trials.rows]
        step = index.step(relation.interval_by_interval).reshape(len(trials.cohorts), causes, size)
        deviation = np.array([step[a, c, j] for (a, _, j), c in zip(trials.rows, first_cause, strict=True)])
        moves = np.array([not (relation.around_current and name == trials.current) for name in names])
        ratio = np.array([c.role == "experimental" for c in cohorts]) & (np.array(first_cause) == 0)
        count = int(step.max()) + 1
        mine = (np.arange(count)[:, None] == deviation).astype(float)
        trial_cause = np.arange(count) // (size if relation.interval_by_interval else 1)
        of_trial = [trials.names[t] for t in trial_cause // causes]
        return cls(
            relation.first, _same(trials.names, names), mine * (moves & ~ratio), mine * (moves & ratio),
            _same(trials.randomised, names) * (moves & ratio), deviation, trial_cause,
            np.array([trials.randomised.index(name) if name in trials.randomised else 0 for name in of_trial]),
            _same(trials.names, trials.randomised),
        )  # fmt: skip

    @property
    def prior_odds(self) -> float:
        return math.log(self.first) - math.log1p(-self.first)

    def steps(self, spread: Spread, coordinate: Any, effect: Any, events: Any, expected: Any) -> tuple[Any, Any, Any]:
        """Deviations and hazard ratios in units of their standard deviation, and each trial's log Jacobian and prior.

        The last is less the standard normal density of the coordinates, which these have as their prior.
        """
        import pytensor.tensor as pt

        trials = len(self.of_trial)
        wide = spread.hazard(self.trial_cause)
        joint = self.joint @ events
        known, told = self.alone @ events, _told(self.alone, events, expected)
        if effect is not None:
            share = 1 / (1 + joint * spread.effect(self.randomised) ** 2)
            known, told = known + joint * share, told + _told(self.joint, events, expected) * share
        steps, correction = _step(wide, known, told, coordinate)
        per_trial = len(self.trial_cause) // trials
        total = correction.reshape((trials, per_trial)).sum(axis=1)
        if effect is None:
            return steps, None, total
        after = expected * pt.exp((wide * steps)[self.deviation])
        told = _told(self.compared, events, after)
        sd = spread.effect(np.arange(len(self.compared)))
        effects, correction = _step(sd, self.compared @ events, told, effect)
        return steps, effects, total + self.place @ correction

    def log_likelihood(self, events: Any, *parts: Any) -> Any:
        """Of every cell, given hazards and corrections of its trial in both ways, and exposure."""
        import pytensor.tensor as pt

        one, other, correction_one, correction_other, exposure = parts
        together = self.of_trial.T @ self.of_trial
        up_to, before = np.tril(together), np.eye(len(together), k=-1) * together
        sums = [up_to @ _log_likelihood(events, hazard, exposure) + correction
                for hazard, correction in ((one, correction_one), (other, correction_other))]  # fmt: skip
        total = pt.logaddexp(sums[0] + math.log(self.first), sums[1] + math.log1p(-self.first))
        return total - before @ total

    def draw(self, *parts: np.ndarray, rng: Any = None, size: Any = None) -> np.ndarray:
        """Draw events, each trial's from one set of hazards."""
        one, other, *_, exposure = parts
        which = (rng.random(len(self.of_trial)) < self.first).astype(float) @ self.of_trial
        return rng.poisson(exposure * np.where(which > 0.5, one, other), size=size).astype(float)


def _same(ones: Sequence[str], others: Sequence[str]) -> np.ndarray:
    """1 where two names are the same, shape (one, other)."""
    return np.array([[float(one == other) for other in others] for one in ones]).reshape(len(ones), len(others))


def _told(rows: np.ndarray, events: Any, expected: Any) -> Any:
    """Events times the logarithm of events over expected ones, 0 where there are none."""
    import pytensor.tensor as pt

    counted = rows @ events
    return counted * pt.log(pt.maximum(counted, 0.5) / pt.maximum(rows @ expected, TINY))


def _step(sd: Any, known: Any, told: Any, coordinate: Any) -> tuple[Any, Any]:
    """A deviation in units of its standard deviation from its coordinate, and its log prior and Jacobian."""
    import pytensor.tensor as pt

    shrink = 1 + known * sd**2
    step = sd * told / shrink + coordinate / pt.sqrt(shrink)
    return step, 0.5 * (coordinate**2 - step**2 - pt.log(shrink))


def _counted(log_hazard: Any, trials: Trials, index: Index) -> Any:
    """Hazard of what each cell counts."""
    import pytensor.tensor as pt

    hazards = pt.exp(log_hazard)
    return sum(trials.counts[:, c] * hazards[index.cells[c]] for c in range(len(trials.causes)))


def _log_likelihood(events: Any, hazard: Any, exposure: Any) -> Any:
    import pytensor.tensor as pt

    return events * pt.log(hazard) - exposure * hazard


def _draw_events(hazard: np.ndarray, exposure: np.ndarray, rng: Any = None, size: Any = None) -> np.ndarray:
    return rng.poisson(exposure * hazard, size=size).astype(float)
