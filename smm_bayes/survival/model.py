"""PyMC models of piecewise-constant hazards, made by one function that returns a plain ``pm.Model``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.survival.grid import EventTable
from smm_bayes.survival.priors import GammaPrior, SurvivalPriors
from smm_bayes.survival.walk import Curve, smooth_baseline, whitening

if TYPE_CHECKING:
    import pymc as pm


def piecewise_exponential_model(table: EventTable, priors: SurvivalPriors | GammaPrior) -> pm.Model:
    r"""Build a piecewise-exponential model by arm and by cause of event.

    With events :math:`d_{acj}` and exposure :math:`E_{aj}` in arm a, cause c and interval j, the log likelihood is
    :math:`\sum d_{acj} \log\lambda_{acj} - \lambda_{acj} E_{aj}`, and with :class:`SurvivalPriors`

    .. math:: \log\lambda_{acj} = h_{cj} + \beta_c x_a, \quad
              h_{c,j+1} - h_{cj} \sim N(0, \sigma_c^2),\ \bar h_c = \mu_c \sim N(m_c, s_c^2),

    a first-order random walk whose mean :math:`\mu_c` is the mean log hazard of the control arm, and :math:`x_a = 1`
    for the experimental arm. Where ``priors.arms`` is ``separate`` each arm has its own h with the same prior, and no
    hazard ratio. With :class:`GammaPrior` the hazards are independent Gamma.

    Parameters
    ----------
    table : EventTable
        Its shape fixes the model; events and exposure are data that a refit may replace.
    priors : SurvivalPriors or GammaPrior

    Returns
    -------
    pymc.Model
        Free variables ``log_baseline`` (cause, interval), ``smoothness`` and ``log_hazard_ratio`` (cause), or with
        separate arms ``log_baseline`` (curve, interval) and ``smoothness`` (curve), or ``hazard``; deterministic
        ``level`` (cause) and ``log_hazard`` (arm, cause, interval), per month; data ``events_data`` and
        ``exposure_data`` (cell), and the sampler's coordinates (:func:`~smm_bayes.survival.walk.whitening`).

    Notes
    -----
    Cells are flat and products with a matrix are summed over the last axis: this compiles twice as fast as
    broadcasting over three dims or a matrix product.
    """
    import pymc as pm

    coords = {
        "arm": list(table.arms),
        "cause": list(table.causes),
        "curve": [f"{arm}:{cause}" for arm in table.arms for cause in table.causes],
        "interval": list(table.grid.labels),
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


def model_data(table: EventTable, priors: SurvivalPriors | GammaPrior) -> dict[str, np.ndarray]:
    """Arrays that a refit hands to a compiled model of the same shape and priors."""
    coordinates = whitening(curves_of(table, priors)) if isinstance(priors, SurvivalPriors) else {}
    return {**cell_data(table), **coordinates}


def cell_data(table: EventTable) -> dict[str, np.ndarray]:
    """Events and exposure of every cell."""
    return {"events_data": table.events.ravel(), "exposure_data": table.cell_exposure.ravel()}


def observe_events(log_hazard: Any, table: EventTable) -> None:
    """Add the events of every cell to the model, given flat log hazards."""
    import pymc as pm
    import pytensor.tensor as pt

    data = {name: pm.Data(name, values, dims="cell") for name, values in cell_data(table).items()}
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


def curves_of(table: EventTable, priors: SurvivalPriors) -> list[Curve]:
    """Smooth log hazards of the model: one a cause, or where arms are separate one an arm and cause."""
    levels = [priors.for_cause(cause)[0] for cause in table.causes]
    if priors.arms == "proportional":
        exposure = table.exposure.sum(axis=0)
        return [Curve(level, table.events[:, c].sum(axis=0), exposure) for c, level in enumerate(levels)]
    return [Curve(level, table.events[a, c], table.exposure[a])
            for a in range(len(table.arms)) for c, level in enumerate(levels)]  # fmt: skip


def _smooth(table: EventTable, priors: SurvivalPriors) -> Any:
    import pymc as pm

    arm, cause, interval = (index.ravel() for index in np.indices(table.events.shape))
    causes, size = len(table.causes), len(table.grid)
    separate = priors.arms == "separate"
    baseline = smooth_baseline(curves_of(table, priors), priors.smoothness, "curve" if separate else "cause")
    pm.Deterministic("level", baseline.mean(axis=-1)[:causes], dims="cause")
    if separate:
        return baseline.ravel()
    log_hazard = baseline.ravel()[cause * size + interval]
    if len(table.arms) > 1:
        ratios = [priors.for_cause(name)[1] for name in table.causes]
        ratio = pm.Normal("log_hazard_ratio", [r.mean for r in ratios], [r.sd for r in ratios], dims="cause")
        log_hazard = log_hazard + ratio[cause] * arm.astype(float)
    return log_hazard
