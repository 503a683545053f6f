"""PyMC models of piecewise-constant hazards, made by one function that returns a plain ``pm.Model``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.survival.grid import EventTable
from smm_bayes.survival.priors import GammaPrior, SurvivalPriors

if TYPE_CHECKING:
    import pymc as pm


def piecewise_exponential_model(table: EventTable, priors: SurvivalPriors | GammaPrior) -> pm.Model:
    r"""Build a piecewise-exponential model by arm and by cause of event.

    With events :math:`d_{acj}` and exposure :math:`E_{aj}` in arm a, cause c and interval j, the log likelihood is
    :math:`\sum d_{acj} \log\lambda_{acj} - \lambda_{acj} E_{aj}`, and with :class:`SurvivalPriors`

    .. math:: \log\lambda_{acj} = \mu_c + \sigma_c (w_{cj} - \bar w_c) + \beta_c x_a, \quad
              w_{cj} = \sum_{k \le j} z_{ck},\ z_{ck} \sim N(0, 1),

    a first-order random walk centred on its mean, so that :math:`\mu_c` is the mean log hazard of the control arm,
    and :math:`x_a = 1` for the experimental arm. With :class:`GammaPrior` the hazards are independent Gamma.

    Parameters
    ----------
    table : EventTable
        Its shape fixes the model; events and exposure are data that a refit may replace.
    priors : SurvivalPriors or GammaPrior

    Returns
    -------
    pymc.Model
        Free variables ``level``, ``smoothness``, ``log_hazard_ratio`` (cause) and ``step`` (cause, later_interval), or
        ``hazard``; deterministic ``log_hazard`` (arm, cause, interval), per month; data ``events_data`` and
        ``exposure_data`` (cell).

    Notes
    -----
    Cells are flat and the walk is a product with a fixed matrix summed over its last axis: this compiles twice as
    fast as broadcasting over three dims or a matrix product, and samples faster than a cumulative sum.
    """
    import pymc as pm

    coords = {
        "arm": list(table.arms),
        "cause": list(table.causes),
        "interval": list(table.grid.labels),
        "later_interval": list(table.grid.labels[1:]),
        "cell": list(range(table.events.size)),
    }
    with pm.Model(coords=coords) as model:
        if isinstance(priors, GammaPrior):
            hazard = pm.Gamma("hazard", alpha=priors.shape, beta=priors.rate, dims=("arm", "cause", "interval"))
            log_hazard = pm.math.log(hazard).ravel()
        else:
            log_hazard = _smooth(table, priors)
        shaped = log_hazard.reshape(table.events.shape)
        log_hazard = pm.Deterministic("log_hazard", shaped, dims=("arm", "cause", "interval"))
        observe_events(log_hazard.ravel(), table)
    return model


def model_data(table: EventTable) -> dict[str, np.ndarray]:
    """Arrays that a refit hands to a compiled model of the same shape."""
    return {"events_data": table.events.ravel(), "exposure_data": table.cell_exposure.ravel()}


def observe_events(log_hazard: Any, table: EventTable) -> None:
    """Add the events of every cell to the model, given flat log hazards."""
    import pymc as pm
    import pytensor.tensor as pt

    data = {name: pm.Data(name, values, dims="cell") for name, values in model_data(table).items()}
    pm.CustomDist(
        "events",
        log_hazard,
        data["exposure_data"],
        logp=lambda events, log_hazard, exposure: events * log_hazard - exposure * pt.exp(log_hazard),
        random=_draw_events,
        observed=data["events_data"],
        dims="cell",
    )


def _draw_events(log_hazard: np.ndarray, exposure: np.ndarray, rng: Any = None, size: Any = None) -> np.ndarray:
    return rng.poisson(exposure * np.exp(log_hazard), size=size).astype(float)


def _smooth(table: EventTable, priors: SurvivalPriors) -> Any:
    import pymc as pm

    arms, causes, size = table.events.shape
    arm, cause, interval = (index.ravel() for index in np.indices(table.events.shape))
    pairs = [priors.for_cause(name) for name in table.causes]
    level = pm.Normal("level", [b.mean for b, _ in pairs], [b.sd for b, _ in pairs], dims="cause")
    log_hazard = level[cause]
    if size > 1:
        smoothness = pm.HalfNormal("smoothness", priors.smoothness.scale, dims="cause")
        steps = pm.Normal("step", 0.0, 1.0, dims=("cause", "later_interval")).ravel()
        walk = np.tril(np.ones((size, size)))[:, 1:]
        basis = np.kron(np.eye(causes), walk - walk.mean(axis=0))[cause * size + interval]
        log_hazard = log_hazard + smoothness[cause] * (basis * steps).sum(axis=1)
    if arms > 1:
        ratio = pm.Normal("log_hazard_ratio", [r.mean for _, r in pairs], [r.sd for _, r in pairs], dims="cause")
        log_hazard = log_hazard + ratio[cause] * arm.astype(float)
    return log_hazard
