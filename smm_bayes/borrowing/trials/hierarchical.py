"""A hierarchical piecewise-exponential model of several trials, and its NumPy twin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.borrowing.trials.cohorts import Trials
from smm_bayes.borrowing.trials.deviations import cohort_deviations, effect_deviation, hazard_deviation
from smm_bayes.borrowing.trials.membership import cell_data, observe
from smm_bayes.borrowing.trials.priors import TrialsPriors
from smm_bayes.inference.made_for import carry, made_for
from smm_bayes.survival.walk import Curve, smooth_curves, whitening

if TYPE_CHECKING:
    import pymc as pm


def hierarchical_model(trials: Trials, priors: TrialsPriors) -> pm.Model:
    r"""Build the model of earlier trials and the current one.

    In arm a of trial t, with regimen r, cause c (the first is progression) and interval j,

    .. math:: \log\lambda_{acj} = h_{cj} + \delta_{tc} + 1_{c=1}(\theta_{a} - \delta_{e(a)}) + 1_{c>1}\beta_{tc} x_a

    with h the smooth log hazards of the reference regimen (:mod:`smm_bayes.survival.walk`), :math:`\delta_{tc}` the
    deviation of the trial under the relation of ``priors`` (:mod:`smm_bayes.borrowing.trials.relations`; by default
    :math:`\tau_c z_{tc}`, :math:`z \sim N(0, 1)`, :math:`\tau_c` half-normal), :math:`\delta_e` the offset of the
    trial's definition of progression, and :math:`x_a = 1` in an experimental arm. A control or single arm has the sum
    of the contrasts that lead to its regimen, :math:`\theta_a = \theta_r`; an experimental arm has
    :math:`\theta_a = \theta_r + u_t`, the trial's own hazard ratio, which deviates under the same relation.
    A series of events counts the sum of the hazards of its causes. Where a trial may deviate in two ways, which one
    is summed out of its likelihood.

    Parameters
    ----------
    trials : Trials
        Their shape fixes the model; events and exposure are data that a refit may replace.
    priors : TrialsPriors

    Returns
    -------
    pymc.Model
        Free variables ``log_baseline``, ``smoothness``, ``log_contrast`` (contrast), ``other_effect`` (randomised,
        other), ``endpoint_offset`` (endpoint) and those of the relation: ``between_hazard``, ``between_effect``,
        ``trial_hazard`` (trial, cause), ``trial_effect`` (randomised); with two ways these and ``apart_hazard``,
        ``apart_effect`` are deterministic functions of ``hazard_coordinate`` and ``effect_coordinate``
        (:mod:`smm_bayes.borrowing.trials.membership`).
        Deterministic ``level`` and, of the current trial, ``log_hazard`` (arm, cause, interval) per month and
        ``log_hazard_ratio`` (cause); with two ways ``first_layer_probability`` (trial), that it deviates in the first
        given everything else, and ``first_layer`` (trial), a draw of it.

    Raises
    ------
    SpecificationError
        When a regimen or an endpoint has no prior.

    References
    ----------
    Neuenschwander B et al. Clinical Trials 2010;7:5-18, doi:10.1177/1740774509356002.
    """
    import pymc as pm

    priors.check(trials)
    index = Index(trials, priors)
    others = [priors.survival.for_cause(cause)[1] for cause in trials.causes[1:]]
    with pm.Model(coords=_coords(trials, priors)) as model:
        carry("trials", **_built_for(trials, priors))
        baseline = smooth_curves("log_baseline", _curves(trials, priors), priors.survival.smoothness, trials.grid,
                                 dim="cause", step="smoothness")  # fmt: skip
        pm.Deterministic("level", baseline.mean(axis=-1), dims="cause")
        log_hazard = baseline.ravel()[index.baseline]
        layers = priors.relation.layers(priors.between)
        only = layers[0] if len(layers) == 1 else None
        if only:
            log_hazard = log_hazard + hazard_deviation(only, trials, priors, index)
        if priors.contrasts:
            sizes = [c.prior.mean for c in priors.contrasts], [c.prior.sd for c in priors.contrasts]
            contrast = pm.Normal("log_contrast", *sizes, dims="contrast")
            regimens = (priors.paths() * contrast).sum(axis=1)
            log_hazard = log_hazard + regimens[index.regimen] * index.progression
        if trials.randomised and only:
            log_hazard = log_hazard + effect_deviation(only, trials, priors, index)
        if trials.randomised and others:
            sizes = [p.mean for p in others], [p.sd for p in others]
            other = pm.Normal("other_effect", *sizes, dims=("randomised", "other"))
            log_hazard = log_hazard + other.ravel()[index.other] * index.experimental * (1 - index.progression)
        if priors.endpoints:
            sizes = [p.mean for p in priors.endpoints.values()], [p.sd for p in priors.endpoints.values()]
            offset = pm.Normal("endpoint_offset", *sizes, dims="endpoint")
            log_hazard = log_hazard - offset[index.endpoint] * index.offset * index.progression
        mine = observe(trials, priors, log_hazard, index)
        arms = len(model.coords["arm"])
        shaped = mine[index.current].reshape((arms, len(trials.causes), len(trials.grid)))
        shaped = pm.Deterministic("log_hazard", shaped, dims=("arm", "cause", "interval"))
        if arms > 1:
            pm.Deterministic("log_hazard_ratio", shaped[1, :, 0] - shaped[0, :, 0], dims="cause")
    return model


def trials_data(trials: Trials, priors: TrialsPriors) -> dict[str, np.ndarray]:
    """Arrays that a refit hands to a compiled model of the same trials and priors; powers are in the data."""
    coordinates = whitening(_curves(trials, priors), trials.grid)
    return {**cell_data(trials, priors), **coordinates, **made_for("trials", **_built_for(trials, priors))}


def _built_for(trials: Trials, priors: TrialsPriors) -> dict[str, Any]:
    relation = priors.relation
    how = (relation.layers(priors.between), relation.first, relation.around_current, relation.interval_by_interval)
    causes = [priors.survival.for_cause(cause) for cause in trials.causes]
    stated = causes, priors.survival.smoothness, priors.contrasts, priors.endpoints, priors.reference, how
    arms = [(c.trial, c.regimen, c.role, c.series, c.endpoint) for c in trials.cohorts]
    return {"priors": stated, "intervals": trials.grid.cuts, "causes": trials.causes, "arms": arms}


def _curves(trials: Trials, priors: TrialsPriors) -> list[Curve]:
    """All arms as one, for the coordinates of the baseline."""
    table = trials.pooled()
    levels = [priors.survival.for_cause(cause)[0] for cause in trials.causes]
    return [Curve.of_hazard(level, table.events[0, c], table.exposure[0]) for c, level in enumerate(levels)]


def cohort_log_hazard(
    parameters: Mapping[str, np.ndarray], trials: Trials, priors: TrialsPriors, *, layer: int | None = None
) -> np.ndarray:
    """Log hazards of every arm from parameters with draws first, shape (draw, cohort, cause, interval), in NumPy.

    Twin of the model's linear predictor, written arm by arm. With two ways to deviate, each trial has the one that
    ``first_layer`` says, or all have the one asked for.
    """
    paths = priors.paths()
    found = []
    for cohort in trials.cohorts:
        rows = parameters["log_baseline"].copy()
        if priors.contrasts:
            rows[:, 0] += (parameters["log_contrast"] @ paths[priors.regimens.index(cohort.regimen)])[:, None]
        if cohort.role == "experimental" and rows.shape[1] > 1:
            at = trials.randomised.index(cohort.trial)
            rows[:, 1:] += parameters["other_effect"][:, at, :, None]
        if cohort.endpoint:
            rows[:, 0] -= parameters["endpoint_offset"][:, list(priors.endpoints).index(cohort.endpoint), None]
        found.append(rows)
    log_hazard = np.stack(found, axis=1)
    layers = priors.relation.layers(priors.between)
    if not layers:
        return log_hazard
    added = [cohort_deviations(one, parameters, trials, priors) for one in layers]
    if len(layers) == 1 or layer is not None:
        return log_hazard + added[layer or 0]
    which = parameters["first_layer"][:, [trials.names.index(cohort.trial) for cohort in trials.cohorts]]
    return log_hazard + np.where(which[..., None, None] > 0.5, *added)


def log_likelihood(parameters: Mapping[str, np.ndarray], trials: Trials, priors: TrialsPriors) -> np.ndarray:
    """Log likelihood of every trial, shape (draw, trial), in NumPy, given the way in which it deviates."""
    cells = cell_log_likelihood(cohort_log_hazard(parameters, trials, priors), trials)
    of_trial = np.array([trials.names.index(trials.cohorts[a].trial) for a, _, _ in trials.rows])
    power = [1.0 if name == trials.current else priors.relation.power(name) for name in trials.names]
    return np.stack([p * cells[:, of_trial == t].sum(axis=1) for t, p in enumerate(power)], axis=1)


def cell_log_likelihood(log_hazard: np.ndarray, trials: Trials) -> np.ndarray:
    """Log likelihood of every observed cell from log hazards (draw, cohort, cause, interval), in NumPy."""
    found = []
    for a, s, j in trials.rows:
        cohort = trials.cohorts[a]
        causes = [trials.causes.index(cause) for cause in cohort.series[s]]
        hazard = np.exp(log_hazard[:, a, causes, j]).sum(axis=-1)
        found.append(cohort.events[s, j] * np.log(hazard) - cohort.exposure[j] * hazard)
    return np.stack(found, axis=-1)


def simulate_counts(log_hazard: np.ndarray, trials: Trials, *, rng: np.random.Generator) -> Trials:
    """Draw every cohort's events from log hazards (cohort, cause, interval), Poisson given its exposure."""
    drawn = []
    for cohort, rows in zip(trials.cohorts, np.exp(log_hazard), strict=True):
        expected = [cohort.exposure * rows[[trials.causes.index(cause) for cause in causes]].sum(axis=0)
                    for causes in cohort.series]  # fmt: skip
        drawn.append(replace(cohort, events=rng.poisson(expected).astype(float)))
    return replace(trials, cohorts=tuple(drawn))


class Index:
    """Flat index vectors of cohort x cause x interval into the parameter vectors: they compile fastest."""

    def __init__(self, trials: Trials, priors: TrialsPriors) -> None:
        causes, size = len(trials.causes), len(trials.grid)
        shape = (len(trials.cohorts), causes, size)
        arm, cause, interval = (axis.ravel() for axis in np.indices(shape))
        cohorts = trials.cohorts

        def of_arm(values: list[int]) -> np.ndarray:
            return np.array(values)[arm]

        trial = of_arm([trials.names.index(cohort.trial) for cohort in cohorts])
        ends = list(priors.endpoints)
        self.trial, self.cause, self.baseline = trial, cause, cause * size + interval
        self.trial_hazard = trial * causes + cause
        self.interval, self.size = interval, size
        self.regimen = of_arm([priors.regimens.index(cohort.regimen) for cohort in cohorts])
        randomised = [trials.randomised.index(c.trial) if c.trial in trials.randomised else 0 for c in cohorts]
        self.randomised = of_arm(randomised)
        self.other = self.randomised * (causes - 1) + np.maximum(cause - 1, 0)
        self.endpoint = of_arm([ends.index(cohort.endpoint) if cohort.endpoint else 0 for cohort in cohorts])
        self.progression = (cause == 0).astype(float)
        self.experimental = of_arm([int(cohort.role == "experimental") for cohort in cohorts]).astype(float)
        self.offset = of_arm([int(bool(cohort.endpoint)) for cohort in cohorts]).astype(float)
        self.is_current = of_arm([int(cohort.trial == trials.current) for cohort in cohorts]).astype(float)
        self.current = np.flatnonzero(self.is_current)
        flat = np.arange(arm.size).reshape(shape)
        self.cells = [np.array([flat[a, c, j] for a, _, j in trials.rows]) for c in range(causes)]


    def step(self, by_interval: bool) -> np.ndarray:
        """Flat positions in (trial, cause) or (trial, cause, interval)."""
        return self.trial_hazard * self.size + self.interval if by_interval else self.trial_hazard


def _coords(trials: Trials, priors: TrialsPriors) -> dict[str, list[Any]]:
    roles = [cohort.role for cohort in trials.cohorts if cohort.trial == trials.current]
    return {
        "arm": roles if len(roles) > 1 else ["experimental"],
        "cause": list(trials.causes), "other": list(trials.causes[1:]), "interval": list(trials.grid.labels),
        "trial": list(trials.names), "randomised": list(trials.randomised), "endpoint": list(priors.endpoints),
        "contrast": [f"{c.regimen} v {c.versus}" for c in priors.contrasts], "cell": list(range(len(trials.rows))),
    }  # fmt: skip
