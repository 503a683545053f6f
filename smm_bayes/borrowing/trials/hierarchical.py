"""A hierarchical piecewise-exponential model of several trials, and its NumPy twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.borrowing.trials.cohorts import Cohort, Trials
from smm_bayes.borrowing.trials.deviations import cohort_deviations, effect_deviation, hazard_deviation
from smm_bayes.borrowing.trials.membership import Elsewhere, cell_data, observe
from smm_bayes.borrowing.trials.over_time import Change, OverTime, change_of
from smm_bayes.borrowing.trials.priors import TrialsPriors
from smm_bayes.inference.made_for import carry, made_for
from smm_bayes.priors.clinical import HazardRatioPrior
from smm_bayes.survival.effects import Proportional, Varying
from smm_bayes.survival.walk import Curve, smooth_curves, whitening

if TYPE_CHECKING:
    import pymc as pm


def hierarchical_model(trials: Trials, priors: TrialsPriors, *, elsewhere: Elsewhere | None = None) -> pm.Model:
    r"""Build the model of earlier trials and the current one.

    In arm a of trial t, with regimen r, cause c (the first is progression) and interval j,

    .. math:: \log\lambda_{acj} = h_{cj} + \delta_{tc} + 1_{c=1}(\theta_{a} - \delta_{e(a)} - \delta_{p(t)})
              + 1_{c>1}\beta_{tc} x_a

    with h the smooth log hazards of the reference regimen (:mod:`smm_bayes.survival.walk`), :math:`\delta_{tc}` the
    deviation of the trial under the relation of ``priors`` (:mod:`smm_bayes.borrowing.trials.relations`; by default
    :math:`\tau_c z_{tc}`, :math:`z \sim N(0, 1)`, :math:`\tau_c` half-normal), :math:`\delta_e` the offset of the arm's
    definition of progression, :math:`\delta_p` that of the trial's population, and :math:`x_a = 1` in an experimental
    arm. A control or single arm has the sum of the contrasts that lead to its regimen, :math:`\theta_a = \theta_r`; an
    experimental arm has :math:`\theta_a = \theta_r + u_t`, the trial's own hazard ratio, which deviates under the same
    relation. A series of events counts the sum of the hazards of its causes. Where a trial may deviate in two ways,
    which one is summed out of its likelihood.

    So it is where effects are proportional. For others (:mod:`smm_bayes.borrowing.trials.over_time`), let :math:`K_a`
    be the contrasts that lead to the regimen of arm a, D those by which the current trial's arms differ, and
    :math:`d_t = 1` in a trial whose arms differ by one of them, else 0. A waning effect has, with the share :math:`w_j`
    that is left in interval j,

    .. math:: \theta_{rj} = \sum_{k \in K_a \setminus D} \theta_k + w_j \sum_{k \in K_a \cap D} \theta_k, \quad
              u_{tj} = \{1 - d_t (1 - w_j)\}\,u_t, \quad \beta_{tcj} = \{1 - d_t (1 - w_j)\}\,\beta_{tc}

    for :math:`\theta_r, u_t, \beta_{tc}`; a varying one, with :math:`\ell` the last of D and walks :math:`v_c` whose
    mean over the intervals is 0,

    .. math:: \theta_{rj} = \theta_r + 1_{\ell \in K_a} v_{1j}, \quad \beta_{tcj} = \beta_{tc} + d_t v_{cj};

    and with separate arms h is another walk in every arm with the experimental regimen, which has no contrasts and
    no :math:`\beta`.

    Parameters
    ----------
    trials : Trials
        Their shape fixes the model; events and exposure are data that a refit may replace.
    priors : TrialsPriors
    elsewhere : Elsewhere, optional
        What the current trial observed, where that is not in its cells; these are silent then.

    Returns
    -------
    pymc.Model
        Free variables ``log_baseline``, ``smoothness``, ``log_contrast`` (contrast), ``other_effect`` (randomised,
        other), ``endpoint_offset`` (endpoint), where there are populations ``population_offset`` (population), and
        those of the relation: ``between_hazard``, ``between_effect``, ``trial_hazard`` (trial, cause), ``trial_effect``
        (randomised); with two ways these and ``apart_hazard``, ``apart_effect`` are deterministic functions of
        ``hazard_coordinate`` and ``effect_coordinate`` (:mod:`smm_bayes.borrowing.trials.membership`).
        Deterministic ``level`` and, of the current trial, ``log_hazard`` (arm, cause, interval) per month and
        ``log_hazard_ratio`` (cause); with two ways ``first_layer_probability`` (trial), that it deviates in the first
        given everything else, and ``first_layer`` (trial), a draw of it. An effect that wanes adds ``log_half_life``;
        ``log_hazard_ratio`` is that before it wanes. One that varies adds ``ratio_smoothness`` (cause), ``ratio_step``
        (cause, step) and ``log_hazard_ratio_curve`` (cause, interval), of which it is the mean. With separate arms
        ``log_baseline`` and ``smoothness`` are along curve, ``other_effect`` is along compared, and there is none.

    Raises
    ------
    SpecificationError
        When a regimen, an endpoint or a population has no prior.

    References
    ----------
    Neuenschwander B et al. Clinical Trials 2010;7:5-18, doi:10.1177/1740774509356002.
    """
    import pymc as pm

    priors.check(trials)
    index = Index(trials, priors)
    with pm.Model(coords=_coords(trials, priors)) as model:
        carry("trials", **_built_for(trials, priors))
        log_hazard = _add_baseline(trials, priors, index)
        change = Change.add(index.over, trials)
        if change.weights is not None:
            index.left = 1 - index.within * (1 - change.weights[index.interval])
        layers = priors.relation.layers(priors.between)
        only = layers[0] if len(layers) == 1 else None
        if only:
            log_hazard = log_hazard + hazard_deviation(only, trials, priors, index)
        if priors.contrasts:
            log_hazard = log_hazard + _add_contrasts(change, priors, index)
        if trials.randomised and only:
            log_hazard = log_hazard + effect_deviation(only, trials, priors, index)
        if len(trials.causes) > 1 and index.over.compared(trials):
            log_hazard = log_hazard + _add_other_effects(trials, priors, index)
        for kind, stated in priors.offsets.items():
            if stated:
                offset = _normals(f"{kind}_offset", list(stated.values()), kind)
                place, has = index.offset(kind, list(stated))
                log_hazard = log_hazard - offset[place] * has * index.progression
        if change.walk is not None:
            log_hazard = log_hazard + change.walk.ravel()[index.cell] * index.walk
        mine = observe(trials, priors, log_hazard, index, elsewhere)
        arms = len(model.coords["arm"])
        shaped = mine[index.current].reshape((arms, len(trials.causes), len(trials.grid)))
        shaped = pm.Deterministic("log_hazard", shaped, dims=("arm", "cause", "interval"))
        if arms > 1 and not index.over.own:
            _add_log_hazard_ratio(shaped, change)
    return model


def _add_baseline(trials: Trials, priors: TrialsPriors, index: Index) -> Any:
    """Add the smooth log hazards to the model being built; what they are in every cohort, cause and interval (flat)."""
    import pymc as pm

    dim, causes = "curve" if index.over.own else "cause", len(trials.causes)
    baseline = smooth_curves("log_baseline", _curves(trials, priors), priors.survival.smoothness, trials.grid,
                             dim=dim, step="smoothness")  # fmt: skip
    level = baseline.mean(axis=-1)
    pm.Deterministic("level", level[:causes] if index.over.own else level, dims="cause")
    return baseline.ravel()[index.baseline]


def _add_contrasts(change: Change, priors: TrialsPriors, index: Index) -> Any:
    """Add the contrasts; what they add to every log hazard (flat)."""
    contrast, paths = _normals("log_contrast", [c.prior for c in priors.contrasts], "contrast"), priors.paths()
    if change.weights is None:
        return (paths * contrast).sum(axis=1)[index.regimen] * index.progression
    waning = index.over.changes
    constant, wanes = ((paths * kept * contrast).sum(axis=1)[index.regimen] for kept in (1 - waning, waning))
    return (constant + wanes * change.weights[index.interval]) * index.progression


def _add_other_effects(trials: Trials, priors: TrialsPriors, index: Index) -> Any:
    """Add the effects on causes other than the first; what they add to every log hazard (flat)."""
    others = [priors.survival.for_cause(cause)[1] for cause in trials.causes[1:]]
    of_trial = "compared" if index.over.own else "randomised"
    effect = _normals("other_effect", others, of_trial, "other")
    found = effect.ravel()[index.other] * index.compared * (1 - index.progression)
    return found if index.left is None else found * index.left


def _add_log_hazard_ratio(log_hazard: Any, change: Change) -> None:
    """Add what the current trial's hazard ratio is, from its log hazards (arm, cause, interval)."""
    import pymc as pm

    if change.weights is None and change.walk is None:
        pm.Deterministic("log_hazard_ratio", log_hazard[1, :, 0] - log_hazard[0, :, 0], dims="cause")
        return
    apart = log_hazard[1] - log_hazard[0]
    if change.walk is not None:
        pm.Deterministic("log_hazard_ratio_curve", apart, dims=("cause", "interval"))
    pm.Deterministic("log_hazard_ratio", change.average(apart), dims="cause")


def _normals(name: str, priors: list[HazardRatioPrior], *dims: str) -> Any:
    import pymc as pm

    return pm.Normal(name, [p.mean for p in priors], [p.sd for p in priors], dims=dims)


def trials_data(trials: Trials, priors: TrialsPriors) -> dict[str, np.ndarray]:
    """Arrays that a refit hands to a compiled model of the same trials and priors; powers are in the data."""
    coordinates = whitening(_curves(trials, priors), trials.grid)
    return {**cell_data(trials, priors), **coordinates, **made_for("trials", **_built_for(trials, priors))}


def _built_for(trials: Trials, priors: TrialsPriors) -> dict[str, Any]:
    relation = priors.relation
    how = (relation.layers(priors.between), relation.first, relation.around_current, relation.interval_by_interval)
    causes = [priors.survival.for_cause(cause) for cause in trials.causes]
    effect = priors.survival.effect
    more = [effect] * (not isinstance(effect, Proportional)) + [priors.populations] * bool(priors.populations)
    stated = causes, priors.survival.smoothness, priors.contrasts, priors.endpoints, priors.reference, how, *more
    arms = [(c.trial, c.regimen, c.role, c.series, c.endpoint, *filter(None, [c.population])) for c in trials.cohorts]
    return {"priors": stated, "intervals": trials.grid.cuts, "causes": trials.causes, "arms": arms}


def _curves(trials: Trials, priors: TrialsPriors) -> list[Curve]:
    """All arms as one, for the coordinates of the baseline; those with hazards of their own apart."""
    over = OverTime.of(trials, priors)
    levels = [priors.survival.for_cause(cause)[0] for cause in trials.causes]
    tables = [trials.pooled()]
    if over.own:
        tables = [trials.pooled([c for c in trials.cohorts if over.is_own(c) == own]) for own in (False, True)]
    return [Curve.of_hazard(level, table.events[0, c], table.exposure[0])
            for table in tables for c, level in enumerate(levels)]  # fmt: skip


def cohort_log_hazard(
    parameters: Mapping[str, np.ndarray], trials: Trials, priors: TrialsPriors, *, layer: int | None = None
) -> np.ndarray:
    """Log hazards of every arm from parameters with draws first, shape (draw, cohort, cause, interval), in NumPy.

    Twin of the model's linear predictor, written arm by arm. With two ways to deviate, each trial has the one that
    ``first_layer`` says, or all have the one asked for.
    """
    log_hazard = np.stack([_typical(cohort, parameters, trials, priors) for cohort in trials.cohorts], axis=1)
    layers = priors.relation.layers(priors.between)
    if not layers:
        return log_hazard
    added = [cohort_deviations(one, parameters, trials, priors) for one in layers]
    if len(layers) == 1 or layer is not None:
        return log_hazard + added[layer or 0]
    which = parameters["first_layer"][:, [trials.names.index(cohort.trial) for cohort in trials.cohorts]]
    return log_hazard + np.where(which[..., None, None] > 0.5, *added)


def _typical(
    cohort: Cohort, parameters: Mapping[str, np.ndarray], trials: Trials, priors: TrialsPriors
) -> np.ndarray:  # fmt: skip
    """Log hazards (draw, cause, interval) of an arm without the deviations of its trial."""
    over, causes = OverTime.of(trials, priors), len(trials.causes)
    change, mine = change_of(parameters, over, trials), slice(causes, None) if over.is_own(cohort) else slice(causes)
    rows, path = parameters["log_baseline"][:, mine].copy(), over.paths[cohort.regimen]
    for k in np.flatnonzero(path):
        ratio = parameters["log_contrast"][:, k, None]
        rows[:, 0] += ratio * change.weights if over.changes[k] and change.weights is not None else ratio
        if change.walk is not None:
            rows[:, 0] += over.changes[k] * change.walk[:, 0]
    if cohort.role == "experimental" and causes > 1 and cohort.trial in over.compared(trials):
        other = parameters["other_effect"][:, over.compared(trials).index(cohort.trial), :, None]
        waned = over.within(cohort) and change.weights is not None
        rows[:, 1:] += other * change.weights[:, None] if waned else other
        if change.walk is not None:
            rows[:, 1:] += over.within(cohort) * change.walk[:, 1:]
    for kind, stated in priors.offsets.items():
        if name := getattr(cohort, kind):
            rows[:, 0] -= parameters[f"{kind}_offset"][:, list(stated).index(name), None]
    return rows


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

        def part_of_arm(values: list[float]) -> np.ndarray:
            return np.array(values, float)[arm]

        self.over = over = OverTime.of(trials, priors)
        self.left: Any = None  # of what is a trial's own in its experimental arm, in the model being built; None is all
        trial = of_arm([trials.names.index(cohort.trial) for cohort in cohorts])
        compared = over.compared(trials)
        self.trial, self.cause, self.cell = trial, cause, cause * size + interval
        self.baseline = self.cell + of_arm([causes * size * over.is_own(cohort) for cohort in cohorts])
        self.trial_hazard = trial * causes + cause
        self.interval, self.size = interval, size
        known = [0 if over.is_own(cohort) else priors.regimens.index(cohort.regimen) for cohort in cohorts]
        self.regimen = of_arm(known)  # the reference has no contrasts either
        randomised = [trials.randomised.index(c.trial) if c.trial in trials.randomised else 0 for c in cohorts]
        self.randomised = of_arm(randomised)
        place = of_arm([compared.index(c.trial) if c.trial in compared else 0 for c in cohorts])
        self.other = place * (causes - 1) + np.maximum(cause - 1, 0)
        self.progression = (cause == 0).astype(float)
        self.experimental = of_arm([int(cohort.role == "experimental") for cohort in cohorts]).astype(float)
        self.compared = self.experimental * part_of_arm([float(cohort.trial in compared) for cohort in cohorts])
        self.within = part_of_arm([over.within(cohort) for cohort in cohorts])
        self.walk = np.where(cause == 0, part_of_arm([over.of_regimen(cohort) for cohort in cohorts]), self.within)
        self.is_current = of_arm([int(cohort.trial == trials.current) for cohort in cohorts]).astype(float)
        self.current = np.flatnonzero(self.is_current)
        self.arm, self.cohorts = arm, cohorts
        flat = np.arange(arm.size).reshape(shape)
        self.cells = [np.array([flat[a, c, j] for a, _, j in trials.rows]) for c in range(causes)]

    def offset(self, kind: str, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Position of every arm's offset of a kind among those named, and whether it has one, 0 or 1."""
        given = [getattr(cohort, kind) for cohort in self.cohorts]
        place = np.array([names.index(name) if name else 0 for name in given])
        return place[self.arm], np.array([float(bool(name)) for name in given])[self.arm]

    def step(self, by_interval: bool) -> np.ndarray:
        """Flat positions in (trial, cause) or (trial, cause, interval)."""
        return self.trial_hazard * self.size + self.interval if by_interval else self.trial_hazard


def _coords(trials: Trials, priors: TrialsPriors) -> dict[str, list[Any]]:
    roles = [cohort.role for cohort in trials.cohorts if cohort.trial == trials.current]
    over, labels = OverTime.of(trials, priors), list(trials.grid.labels)
    more: dict[str, list[Any]] = {}
    if over.own:
        more["curve"] = [f"{regimen}:{cause}" for regimen in (priors.reference, over.own) for cause in trials.causes]
        more["compared"] = list(over.compared(trials))
    if isinstance(over.effect, Varying):
        more["step"] = labels[1:]
    if priors.populations:
        more["population"] = list(priors.populations)
    return more | {
        "arm": roles if len(roles) > 1 else ["experimental"],
        "cause": list(trials.causes), "other": list(trials.causes[1:]), "interval": list(trials.grid.labels),
        "trial": list(trials.names), "randomised": list(trials.randomised), "endpoint": list(priors.endpoints),
        "contrast": [f"{c.regimen} v {c.versus}" for c in priors.contrasts], "cell": list(range(len(trials.rows))),
    }  # fmt: skip
