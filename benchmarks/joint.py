"""A joint model of MRD and events for 120 patients: this package's, and the same written patient by patient."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

SIZE, MISSING, VISITS = 120, 0.3, (3.7, 8.3)
CAUSES = ("progression", "death")
MRD = ("log_mrd_hazard_ratio", "status_level", "status_log_odds_ratio", "status_persistence", "log_hazard_ratio")


@cache
def parts() -> dict[str, Any]:
    """Priors, visits and a truth."""
    from smm_bayes.surrogacy import JointLaw, JointPriors, JointShape, MrdSchedule
    from smm_bayes.survival import BaselinePrior, HazardRatioPrior, SurvivalPriors, TimeGrid

    grid, schedule = TimeGrid((6, 12, 24, 36)), MrdSchedule(VISITS, 0.5, 0.5)
    survival = SurvivalPriors({"progression": BaselinePrior(40, 160), "death": BaselinePrior(400, 1600)})
    priors = JointPriors({"progression": HazardRatioPrior(0.5, 1.6)})
    rates = np.log([[[0.024], [0.0015]], [[0.018], [0.0015]]]) + np.zeros(len(grid))
    truth = {"log_hazard": rates, "log_mrd_hazard_ratio": np.log([0.4]), "status_level": np.array([-2.0, -1.5]),
             "status_log_odds_ratio": np.array([1.5, 1.0]), "status_persistence": np.array([3.0])}  # fmt: skip
    shape = JointShape.of(grid, schedule.months, CAUSES)
    law = JointLaw.of(truth, shape, priors)
    return {"grid": grid, "schedule": schedule, "survival": survival, "priors": priors, "law": law, "shape": shape}


def trial(seed: int) -> tuple[Any, Any]:
    """Simulated patients and their status."""
    from smm_bayes.surrogacy import simulate_joint

    found = parts()
    arm = (np.arange(SIZE) % 3 > 0).astype(int)
    return simulate_joint(found["law"], found["schedule"], arm, rng=np.random.default_rng(seed),
                          enrolled=np.linspace(0, 24, SIZE), cutoff=48.0, missing=MISSING)  # fmt: skip


def model(seed: int) -> tuple[Any, Any]:
    """This package's model, with room for the rows of another trial, and the data of one."""
    from smm_bayes.surrogacy import joint_model

    found = parts()
    table, rough = tables(seed)
    return joint_model(table, found["survival"], found["priors"], rough=rough), data(seed)


def tables(seed: int) -> tuple[Any, Any]:
    from smm_bayes.surrogacy import JointTable

    patients, status = trial(seed)
    grid = parts()["grid"]
    return JointTable.of(patients, status, grid, rows=70), grid.tabulate(patients)


def data(seed: int) -> dict[str, np.ndarray]:
    """What a refit needs."""
    from smm_bayes.surrogacy import joint_data

    found = parts()
    table, rough = tables(seed)
    return joint_data(table, found["survival"], found["priors"], rough=rough)


def plain_model(seed: int) -> Any:
    """The same posterior as one would write it: every patient, every path, a non-centred walk."""
    import pymc as pm
    import pytensor.tensor as pt

    from smm_bayes.survival.walk import spacing

    found = parts()
    patients, status = trial(seed)
    grid, shape, survival, priors = (found[name] for name in ("grid", "shape", "survival", "priors"))
    cells, states = shape.cells, shape.states
    negative = np.column_stack([np.zeros(len(states), int), states])[:, shape.period]  # (path, cell)
    code = status.code[:, None, :]
    allowed = ((code < 0) | (code == states) | ~status.at_risk[:, None, :]).all(axis=-1)
    exposure, place = cells.exposure(patients.time), cells.index(patients.time)
    baseline = [survival.baseline[cause] for cause in CAUSES]
    with pm.Model() as plain:
        level = pm.Normal("level", [b.mean for b in baseline], [b.sd for b in baseline])
        step = pm.HalfNormal("smoothness", survival.smoothness.scale, shape=2)
        moves = pm.Normal("moves", 0, 1, shape=(2, len(grid) - 1)) * step[:, None] * np.sqrt(spacing(grid))
        walk = pt.concatenate([pt.zeros((2, 1)), pt.cumsum(moves, axis=1)], axis=1)
        curve = level[:, None] + walk - walk.mean(axis=1, keepdims=True)
        ratio = pm.Normal("log_hazard_ratio", 0, survival.for_cause("death")[1].sd, shape=2)
        effect = pm.Normal("log_mrd_hazard_ratio", priors.hazard_ratio["progression"].mean,
                           priors.hazard_ratio["progression"].sd, shape=1)  # fmt: skip
        said = priors.status
        alpha = pm.Normal("status_level", said.share.mean, said.share.sd, shape=2)
        delta = pm.Normal("status_log_odds_ratio", said.odds_ratio.mean, said.odds_ratio.sd, shape=2)
        kappa = pm.Normal("status_persistence", said.persistence.mean, said.persistence.sd, shape=1)
        arm = patients.arm.astype(float)
        log_hazard = curve[None, None, :, shape.interval] + (ratio[None, :] * arm[:, None])[:, None, :, None]
        acts = effect[0] * negative[None, :, None, :] * np.array([1.0, 0.0])[None, None, :, None]
        log_hazard = log_hazard + acts  # (patient, path, cause, cell)
        before = np.column_stack([np.zeros(len(states)), states[:, :-1]])
        stays = pt.concatenate([pt.zeros(1), kappa])
        odds = alpha + delta * arm[:, None, None] + stays * before  # (patient, path, visit)
        log_path = -pt.softplus(pt.where(states[None] == 1, -odds, odds)).sum(axis=-1)
        spent = (pt.exp(log_hazard) * exposure[:, None, None, :]).sum(axis=(2, 3))
        rows = np.arange(len(patients))
        event = log_hazard[rows, :, np.maximum(patients.cause, 0), place] * patients.event[:, None]
        total = log_path + event - spent + np.where(allowed, 0.0, -1e6)
        pm.Potential("patients", pt.logsumexp(total, axis=1).sum())
    return plain
