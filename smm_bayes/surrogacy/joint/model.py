"""The PyMC part of the joint model: status at visits, the MRD effect, and the likelihood of cells and rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.inference.cells import observes_cells
from smm_bayes.inference.made_for import MADE_FOR, carry, made_for
from smm_bayes.surrogacy.joint.hazards import CONDITIONAL, HazardsOf, check_hazards_of
from smm_bayes.surrogacy.joint.priors import MISSING_MEAN, MISSING_SD, JointPriors
from smm_bayes.surrogacy.joint.shape import STATES, JointShape
from smm_bayes.surrogacy.joint.table import JointTable
from smm_bayes.survival.grid import EventTable
from smm_bayes.survival.model import add_log_hazard, coordinate_data, model_coords
from smm_bayes.survival.model_priors import GammaPrior, SurvivalPriors

if TYPE_CHECKING:
    import pymc as pm

    from smm_bayes.surrogacy.joint.factor import RelationFactor


def joint_model(
    table: JointTable, survival: SurvivalPriors | GammaPrior, priors: JointPriors, *, rough: EventTable,
    hazards_of: HazardsOf = CONDITIONAL, factor: RelationFactor | None = None,
) -> pm.Model:  # fmt: skip
    r"""Build the joint model of MRD at scheduled visits and a time to event.

    At visit k, :math:`v_k` months after enrolment, every patient without event has a status :math:`Z_k`, assessed or
    not. With :math:`x_a = 1` in the experimental arm

    .. math:: \mathrm{logit}\, P(Z_k = 1 \mid T > v_k, a, Z_{k-1}) = \alpha_k + \delta_k x_a + \kappa_k Z_{k-1}, \qquad
              \log\lambda_{ac}(t) = h_{acj} + \gamma_c Z(t)

    where :math:`Z(t)` is the status at the latest visit before t, 0 before the first, so that no month before a visit
    counts for it; :math:`h_{acj}` is the log hazard of patients who are not negative in arm a, cause c and interval
    j, with the
    effect of the arm beside MRD in it; and :math:`\gamma_c = 0` of causes that MRD does not act on. The effect may
    fade, be lost or differ by arm (:mod:`smm_bayes.surrogacy.joint.effects`).

    Patients with every status known contribute through cells, :math:`\sum d\log\lambda - \lambda E` and their
    transitions; the others singly, :math:`\log\sum_z p(z)\prod_j \lambda_{jz}^{d_j} e^{-\lambda_{jz}E_j}` over the
    paths z of the status that their results allow.

    Parameters
    ----------
    table : JointTable
        Its shape fixes the model; its numbers are data that a refit may replace (:func:`joint_data`).
    survival : SurvivalPriors or GammaPrior
        Of h.
    priors : JointPriors
    rough : EventTable
        The same patients without MRD, for the sampler's coordinates.
    hazards_of : {"not negative", "everyone"}
        Whose hazards h are (:mod:`smm_bayes.surrogacy.joint.hazards`).
    factor : RelationFactor, optional
        A relation across trials in the place of the prior of the effect (:mod:`smm_bayes.surrogacy.joint.factor`).

    Returns
    -------
    pymc.Model
        Free variables of :func:`~smm_bayes.survival.model.piecewise_exponential_model`, whose ``log_hazard`` (arm,
        cause, interval) is h; ``status_level`` and ``status_log_odds_ratio`` (visit), ``status_persistence`` (later),
        ``log_mrd_hazard_ratio`` (acting), and of options ``log_mrd_interaction``, ``log_mrd_half_life`` and
        ``log_odds_missing`` (visit).

    Raises
    ------
    SpecificationError
        When a cause has no prior, the MRD effect names a cause that is not there, or visits of each patient's own do
        not go with what is asked for (:meth:`~smm_bayes.surrogacy.joint.shape.JointShape.check`).

    References
    ----------
    Anderson JR, Cain KC, Gelber RD. J Clin Oncol 1983;1:710-9 (landmarks).

    Examples
    --------
    >>> import pandas as pd, smm_bayes as smm
    >>> rows = pd.DataFrame({"patient": list("abcd"), "arm": ["old", "old", "new", "new"],
    ...                      "time": [3.0, 14, 9, 20], "event": [1, 0, 1, 0]})
    >>> mrd = pd.DataFrame({"USUBJID": list("bcd"), "MRDTM": 6.0, "MRDTMU": "MONTH", "MRDSENS": 1e-5,
    ...                     "MRDRES": ["positive", "positive", "negative"]})
    >>> patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"}, mrd=mrd)
    >>> grid, schedule = smm.TimeGrid((12,)), smm.MrdSchedule((6,), before=1, after=1)
    >>> table = smm.JointTable.of(patients, schedule.assign(patients), grid)
    >>> survival = smm.SurvivalPriors({"event": smm.BaselinePrior(24, 96)})
    >>> priors = smm.JointPriors({"event": smm.HazardRatioPrior(0.5, 1.5)})
    >>> model = smm.joint_model(table, survival, priors, rough=grid.tabulate(patients))
    >>> "log_mrd_hazard_ratio" in model.named_vars
    True
    >>> posterior = smm.fit(model, seed=1)  # doctest: +SKIP
    """
    import pymc as pm

    priors.check(table.shape.causes)
    check_hazards_of(hazards_of)
    with pm.Model(coords=model_coords(rough) | joint_coords(table, priors)) as model:
        log_hazard = add_log_hazard(rough, survival)
        observe_joint(log_hazard, table, priors, hazards_of=hazards_of, factor=factor)
    return model


def joint_data(
    table: JointTable, survival: SurvivalPriors | GammaPrior, priors: JointPriors, *, rough: EventTable
) -> dict[str, np.ndarray]:  # fmt: skip
    """Arrays that a refit hands to a compiled model of the same shape and priors, ``missing_log_odds`` apart."""
    return {**status_data(table, priors), **coordinate_data(rough, survival)}


def joint_coords(table: JointTable, priors: JointPriors) -> dict[str, list[Any]]:
    """Labels of the dims that the joint model adds."""
    shape = table.shape
    visits = [f"{month:g}" for month in shape.months]
    return {
        "visit": visits, "later": visits[1:], "acting": [shape.causes[c] for c in priors.acting(shape.causes)],
        "state_cell": list(range(table.events.size)), "transition": list(range(table.transitions.size)),
        "row": list(range(len(table.rows))),
    }  # fmt: skip


def status_data(table: JointTable, priors: JointPriors) -> dict[str, np.ndarray]:
    """Numbers of cells, transitions and rows; arms and positions as numbers, to be packed with the others.

    Which results are missing, and the log odds ratio of that, are there where they are part of the model.
    """
    arms, causes, size, _ = table.shape.dims
    rows, visits = table.rows, len(table.shape.months)
    exposure = np.zeros((len(rows), visits, arms, size))
    exposure[np.arange(len(rows)), :, rows.arm] = rows.exposure
    visit, cause, cell = rows.event.T
    position = np.where(visit >= 0, (rows.arm * causes + cause) * size + cell, 0)
    missing = {} if priors.missing_log_odds is None else {
        "row_assessed_data": rows.assessed.astype(float), "row_missing_data": rows.missing.astype(float),
        "missing_log_odds_data": np.array(float(priors.missing_log_odds)),
    }  # fmt: skip
    return missing | made_for("status", **_built_for(table, priors)) | {
        "state_events_data": table.events.ravel(),
        "state_exposure_data": np.broadcast_to(table.exposure[:, None], table.events.shape).ravel(),
        "transition_data": table.transitions.ravel(),
        "row_arm_data": rows.arm.astype(float),
        "row_exposure_data": exposure.reshape(len(rows), visits, arms * size),
        "row_event_data": position.astype(float),
        "row_visit_data": (visit[:, None] == np.arange(visits)).astype(float),
        "row_emission_data": rows.emission,
        "row_count_data": rows.count,
    }


def _built_for(table: JointTable, priors: JointPriors) -> dict[str, Any]:
    """What the model is built for: ``missing_log_odds`` is data, but whether there is one is not."""
    shape, missing = table.shape, None if priors.missing_log_odds is None else 0.0
    return {"priors of MRD": replace(priors, missing_log_odds=missing), "intervals": shape.cells.cuts,
            "visits": shape.months, "arms": shape.arms, "causes": shape.causes}  # fmt: skip


def observe_joint(
    log_hazard: Any, table: JointTable, priors: JointPriors, *, hazards_of: HazardsOf = CONDITIONAL,
    factor: RelationFactor | None = None,
) -> None:  # fmt: skip
    """Add status, MRD effect and likelihood to the model being built, given log hazards (arm, cause, interval)."""
    import pymc as pm
    import pytensor.tensor as pt

    added = Added.to(table, priors, hazards_of, factor)
    data, hazards = added.data, added.hazards(log_hazard)
    pm.CustomDist(
        "state_events", hazards, data["state_exposure_data"],
        logp=lambda events, log_hazard, exposure: events * log_hazard - exposure * pt.exp(log_hazard),
        random=not_drawn, observed=data["state_events_data"], dims="state_cell",
    )  # fmt: skip
    rows = added.observe_status()
    pm.CustomDist("rows", rows(hazards), logp=lambda count, value: count * value, random=not_drawn,
                  observed=data["row_count_data"], dims="row")  # fmt: skip
    if factor is not None:
        factor.add(hazards, added.status, table.shape)


@dataclass(frozen=True, eq=False)
class Added:
    """Status and MRD effect that were added to the model being built, and the data of its patients.

    Attributes
    ----------
    shape : JointShape
    priors : JointPriors
    hazards_of : {"not negative", "everyone"}
    data : mapping of str to tensor
    status : tensor
        Log probabilities, flat over (arm, visit, state before, state).
    log_ratio : tensor
        Log hazard ratio of the negative, flat over (arm, cause, cell).
    """

    shape: JointShape
    priors: JointPriors
    hazards_of: HazardsOf
    data: Mapping[str, Any]
    status: Any
    log_ratio: Any

    @classmethod
    def to(
        cls, table: JointTable, priors: JointPriors, hazards_of: HazardsOf, factor: RelationFactor | None
    ) -> Added:  # fmt: skip
        """Add them."""
        import pymc as pm

        shape = table.shape
        shape.check(priors.effect.timed, hazards_of, factor is not None)
        carry("status", **_built_for(table, priors))
        observes_cells()
        data = {name: pm.Data(name, values, dims=DIMS.get(name)) for name, values in status_data(table, priors).items()
                if not name.endswith(MADE_FOR)}  # fmt: skip
        status = _add_status(shape, priors)
        return cls(shape, priors, hazards_of, data, status, _add_effect(shape, priors))

    def hazards(self, log_hazard: Any) -> Any:
        """Log hazards by status, flat over (arm, cause, cell, state)."""
        return state_hazards(log_hazard, self.status, self.log_ratio, self.shape, self.hazards_of)

    def observe_status(self) -> Callable[[Any], Any]:
        """Observe the transitions; what gives each row's log likelihood from hazards by status."""
        import pymc as pm

        transitions, missing = self.status, None
        if self.priors.missing_log_odds is not None:
            missing = _log_missing(self.data["missing_log_odds_data"], self.shape)
            _, visit, _, state = _axes(self.shape.steps)
            transitions = self.status + missing[1][visit * STATES + state]
        pm.CustomDist("status", transitions, logp=lambda count, log_share: count * log_share, random=not_drawn,
                      observed=self.data["transition_data"], dims="transition")  # fmt: skip
        return lambda hazards: _row_likelihood(hazards, self.status, missing, self.data, self.shape)


DIMS: Mapping[str, Any] = {
    "state_events_data": "state_cell", "state_exposure_data": "state_cell", "transition_data": "transition",
    "row_arm_data": "row", "row_event_data": "row", "row_count_data": "row",
}  # fmt: skip


def _axes(shape: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """Positions along every axis of a flattened array: index vectors compile fastest."""
    return tuple(axis.ravel() for axis in np.indices(shape))


def _add_status(shape: JointShape, priors: JointPriors) -> Any:
    """Add the status model; log probabilities, flat over (arm, visit, state before, state)."""
    import pymc as pm
    import pytensor.tensor as pt

    status = priors.status
    arm, visit, before, state = _axes(shape.steps)
    odds = pm.Normal("status_level", status.share.mean, status.share.sd, dims="visit")[visit]
    if len(shape.arms) > 1:
        ratio = pm.Normal("status_log_odds_ratio", status.odds_ratio.mean, status.odds_ratio.sd, dims="visit")
        odds = odds + ratio[visit] * arm.astype(float)
    if len(shape.months) > 1:
        stays = pm.Normal("status_persistence", status.persistence.mean, status.persistence.sd, dims="later")
        odds = odds + stays[np.maximum(visit - 1, 0)] * (before * (visit > 0)).astype(float)
    return -pt.softplus(odds * (1.0 - 2.0 * state))


def _add_effect(shape: JointShape, priors: JointPriors) -> Any:
    """Add the MRD effect; log hazard ratio of the negative, flat over (arm, cause, cell), 0 where no visit was."""
    import pymc as pm
    import pytensor.tensor as pt

    effect, acting = priors.effect, priors.acting(shape.causes)
    arm, cause, cell = _axes(shape.dims[:3])
    ratios = [priors.hazard_ratio[shape.causes[c]] for c in acting]
    ratio = pm.Normal("log_mrd_hazard_ratio", [r.mean for r in ratios], [r.sd for r in ratios], dims="acting")
    size = ratio[np.array([acting.index(c) if c in acting else 0 for c in range(len(shape.causes))])[cause]]
    if effect.interaction is not None and len(shape.arms) > 1:
        differs = pm.Normal("log_mrd_interaction", effect.interaction.mean, effect.interaction.sd)
        size = size + differs * arm.astype(float)
    log_time = None
    if effect.timed:
        log_time = pm.Normal("log_mrd_half_life", effect.mean, effect.sd)  # type: ignore[attr-defined]
    since, until = shape.since
    acts = np.isin(cause, acting) * shape.acts[cell]
    return effect.log_ratio(size, log_time, since[cell], until[cell], xp=pt) * acts.astype(float)


def state_hazards(
    log_hazard: Any, status: Any, log_ratio: Any, shape: JointShape, hazards_of: HazardsOf
) -> Any:
    """Log hazards by status from those of ``hazards_of``, flat over (arm, cause, cell, state), in PyTensor."""
    _, causes, size, _ = shape.dims
    arm, cause, cell, state = _axes(shape.dims)
    base = log_hazard.ravel()[(arm * causes + cause) * len(shape.grid) + shape.interval[cell]]
    log = base + log_ratio[(arm * causes + cause) * size + cell] * state.astype(float)
    if hazards_of == CONDITIONAL:
        return log
    shift = _mean_log_ratio(log, status, log_ratio, shape)
    return log - shift[(arm * causes + cause) * size + cell]


def _mean_log_ratio(log: Any, status: Any, log_ratio: Any, shape: JointShape) -> Any:
    """Log of the mean hazard ratio over the event-free at the start of each cell, flat over (arm, cause, interval)."""
    import pytensor.tensor as pt

    arms, causes, size, _ = shape.dims
    widths, visits = np.diff(shape.cells.starts), len(shape.months)
    arm, cause = _axes((arms, causes))
    each = np.arange(arms)
    negative: Any = np.zeros(arms)  # share negative among patients still event-free
    shifts = []
    for cell, period in enumerate(shape.period):
        if not period:
            shifts.append(np.zeros(arms * causes))
            continue
        if shape.period[cell - 1] < period:
            at = ((each * visits + period - 1) * STATES) * STATES + 1
            fresh, stays = pt.exp(status[at]), pt.exp(status[at + STATES])
            negative = fresh + negative * (stays - fresh)
        ratio = log_ratio[(arm * causes + cause) * size + cell]
        shifts.append(pt.log1p(negative[arm] * pt.expm1(ratio)))
        if cell < len(widths):
            here = ((arm * causes + cause) * size + cell) * STATES
            less = pt.exp(log[here + 1] - shifts[-1]) - pt.exp(log[here] - shifts[-1])
            odds = pt.exp(-widths[cell] * less.reshape((arms, causes)).sum(axis=1))
            negative = negative * odds / (1 - negative + negative * odds)
    return pt.stack(shifts, axis=1).ravel()


def _log_missing(log_odds_ratio: Any, shape: JointShape) -> Any:
    """Log probability of a result being missing, and of not: a pair, flat over (visit, state)."""
    import pymc as pm
    import pytensor.tensor as pt

    level = pm.Normal("log_odds_missing", MISSING_MEAN, MISSING_SD, dims="visit")
    visit, state = _axes((len(shape.months), STATES))
    odds = level[visit] + log_odds_ratio * state.astype(float)
    return -pt.softplus(-odds), -pt.softplus(odds)


def _row_likelihood(log: Any, status: Any, missing: Any, data: Mapping[str, Any], shape: JointShape) -> Any:
    """Log likelihood of each row: its paths are summed visit by visit."""
    import pytensor.tensor as pt

    arms, causes, size, _ = shape.dims
    visits = len(shape.months)
    arm, cell = _axes((arms, size))
    of_row = pt.cast(data["row_arm_data"], "int64") * (visits * STATES * STATES)
    place = pt.cast(data["row_event_data"], "int64") * STATES
    lived = []  # by state: (row, visit)
    for state in range(STATES):
        total = sum(pt.exp(log[((arm * causes + cause) * size + cell) * STATES + state]) for cause in range(causes))
        spent = (data["row_exposure_data"] * total).sum(axis=-1)
        event = log[place + state][:, None] * data["row_visit_data"]
        lived.append(event - spent + data["row_emission_data"][:, :, state])
    forward: list[Any] = []
    for visit in range(visits):
        step = [[status[of_row + (visit * STATES + before) * STATES + state] for state in range(STATES)]
                for before in range(STATES if visit else 1)]  # fmt: skip
        now = []
        for state in range(STATES):
            reached = step[0][state]
            if visit:
                reached = pt.logaddexp(forward[0] + step[0][state], forward[1] + step[1][state])
            value = reached + lived[state][:, visit]
            if missing is not None:
                value = value + data["row_missing_data"][:, visit] * missing[0][visit * STATES + state]
                value = value + data["row_assessed_data"][:, visit] * missing[1][visit * STATES + state]
            now.append(value)
        forward = now
    return pt.logaddexp(*forward)


def not_drawn(*_: Any, **__: Any) -> np.ndarray:
    """Refuse to draw what is observed.

    Raises
    ------
    NotImplementedError
    """
    raise NotImplementedError(
        "new counts cannot be drawn given the exposure, because it depends on which patients are negative; simulate "
        "patients with JointLaw.sample"
    )
