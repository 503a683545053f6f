"""PyMC models of piecewise-constant hazards, made by one function that returns a plain ``pm.Model``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.inference.cells import observes_cells
from smm_bayes.inference.made_for import carry, made_for
from smm_bayes.survival.effects import Varying, Waning
from smm_bayes.survival.grid import EventTable
from smm_bayes.survival.model_priors import GammaPrior, SurvivalPriors
from smm_bayes.survival.walk import Curve, smooth_curves, whitening

if TYPE_CHECKING:
    import pymc as pm

HAZARDS = "hazards"


def piecewise_exponential_model(table: EventTable, priors: SurvivalPriors | GammaPrior) -> pm.Model:
    r"""Build a piecewise-exponential model by arm and by cause of event.

    With events :math:`d_{acj}` and exposure :math:`E_{aj}` in arm a, cause c and interval j, the log likelihood is
    :math:`\sum d_{acj} \log\lambda_{acj} - \lambda_{acj} E_{aj}`, and with :class:`SurvivalPriors`

    .. math:: \log\lambda_{acj} = h_{cj} + \theta_{cj} x_a, \quad
              h_{c,j+1} - h_{cj} \sim N(0, w_j \sigma_c^2),\ \bar h_c = \mu_c \sim N(m_c, s_c^2),

    a first-order random walk whose mean :math:`\mu_c` is the mean log hazard of the control arm, steps weighted by the
    distance of the intervals' middles, and :math:`x_a = 1` for the experimental arm. The effect :math:`\theta_{cj}` is
    constant, varies or wanes (:mod:`smm_bayes.survival.effects`); where arms are separate each has its own h with the
    same prior. With :class:`GammaPrior` the hazards are independent Gamma.

    Parameters
    ----------
    table : EventTable
        Its shape fixes the model; events and exposure are data that a refit may replace.
    priors : SurvivalPriors or GammaPrior

    Returns
    -------
    pymc.Model
        Free variables ``log_baseline`` (cause, interval), ``smoothness`` and ``log_hazard_ratio`` (cause); of a varying
        effect ``log_hazard_ratio_curve`` (cause, interval) and ``ratio_smoothness`` (cause) instead of the last, which
        is then their mean; of a waning one ``log_half_life`` too. With separate arms ``log_baseline`` (curve,
        interval) and ``smoothness`` (curve); of Gamma priors ``hazard``. Deterministic ``level`` (cause) and
        ``log_hazard`` (arm, cause, interval), per month; data ``events_data`` and ``exposure_data`` (cell), and the
        sampler's coordinates (:func:`~smm_bayes.survival.walk.whitening`).

    Notes
    -----
    Cells are flat and products with a matrix are summed over the last axis: this compiles twice as fast as
    broadcasting over three dims or a matrix product.
    """
    import pymc as pm

    with pm.Model(coords=model_coords(table)) as model:
        observe_events(add_log_hazard(table, priors).ravel(), table)
    return model


def model_coords(table: EventTable) -> dict[str, list[Any]]:
    """Labels of the model's dims."""
    return {
        "arm": list(table.arms),
        "cause": list(table.causes),
        "curve": [f"{arm}:{cause}" for arm in table.arms for cause in table.causes],
        "interval": list(table.grid.labels),
        "cell": list(range(table.events.size)),
    }


def add_log_hazard(table: EventTable, priors: SurvivalPriors | GammaPrior) -> Any:
    """Add parameters and ``log_hazard`` (arm, cause, interval) to the model being built.

    Of ``table`` only the shape counts, and what its events and exposure do to the sampler's coordinates.
    """
    import pymc as pm

    carry(HAZARDS, **hazards_for(table, priors))
    if isinstance(priors, GammaPrior):
        hazard = pm.Gamma("hazard", alpha=priors.shape, beta=priors.rate, dims=("arm", "cause", "interval"))
        log_hazard = pm.math.log(hazard).ravel()
    else:
        log_hazard = smooth_log_hazard(table, priors)
    shaped = log_hazard.reshape(table.events.shape)
    return pm.Deterministic("log_hazard", shaped, dims=("arm", "cause", "interval"))


def model_data(table: EventTable, priors: SurvivalPriors | GammaPrior) -> dict[str, np.ndarray]:
    """Arrays that a refit hands to a compiled model of the same shape and priors; with others it is refused."""
    return {**cell_data(table), **coordinate_data(table, priors)}


def coordinate_data(table: EventTable, priors: SurvivalPriors | GammaPrior) -> dict[str, np.ndarray]:
    """Coordinates of the sampler, made from events and exposure, and what they were made for.

    The posterior does not depend on the coordinates.
    """
    said = made_for(HAZARDS, **hazards_for(table, priors))
    if not isinstance(priors, SurvivalPriors):
        return said
    return {**whitening(curves_of(table, priors), table.grid), **effect_data(table, priors), **said}


def hazards_for(table: EventTable, priors: SurvivalPriors | GammaPrior) -> dict[str, Any]:
    """What a model of hazards by arm and cause is built for beside its data."""
    stated: Any = priors
    if isinstance(priors, SurvivalPriors):
        stated = [priors.for_cause(cause) for cause in table.causes], priors.smoothness, priors.effect
    return {"priors": stated, "intervals": table.grid.cuts, "arms": table.arms, "causes": table.causes}


def effect_data(table: EventTable, priors: SurvivalPriors) -> dict[str, np.ndarray]:
    """Give the sampler's coordinates of an effect that varies."""
    return whitening(ratio_curves_of(table, priors), table.grid, "effect") if _varies(table, priors) else {}


def cell_data(table: EventTable) -> dict[str, np.ndarray]:
    """Events and exposure of every cell."""
    return {"events_data": table.events.ravel(), "exposure_data": table.cell_exposure.ravel()}


def observe_events(log_hazard: Any, table: EventTable) -> None:
    """Add the events of every cell to the model, given flat log hazards."""
    import pymc as pm
    import pytensor.tensor as pt

    observes_cells()
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
    if not priors.separate:
        exposure = table.exposure.sum(axis=0)
        return [Curve.of_hazard(level, table.events[:, c].sum(axis=0), exposure) for c, level in enumerate(levels)]
    return [Curve.of_hazard(level, table.events[a, c], table.exposure[a])
            for a in range(len(table.arms)) for c, level in enumerate(levels)]  # fmt: skip


def ratio_curves_of(table: EventTable, priors: SurvivalPriors) -> list[Curve]:
    """Log hazard ratios that vary over time, one a cause."""
    pairs = [priors.for_cause(cause) for cause in table.causes]
    return [Curve.of_ratio(ratio, baseline, table.events[:, c], table.exposure)
            for c, (baseline, ratio) in enumerate(pairs)]  # fmt: skip


def _varies(table: EventTable, priors: SurvivalPriors) -> bool:
    return isinstance(priors.effect, Varying) and len(table.arms) > 1 and len(table.grid) > 1


def smooth_log_hazard(table: EventTable, priors: SurvivalPriors) -> Any:
    """Add smooth baselines and effects to the model being built; give the flat log hazard of every cell."""
    import pymc as pm

    arm, cause, interval = (index.ravel() for index in np.indices(table.events.shape))
    causes, size = len(table.causes), len(table.grid)
    curves, dim = curves_of(table, priors), "curve" if priors.separate else "cause"
    baseline = smooth_curves("log_baseline", curves, priors.smoothness, table.grid, dim=dim, step="smoothness")
    pm.Deterministic("level", baseline.mean(axis=-1)[:causes], dims="cause")
    if priors.separate:
        return baseline.ravel()
    cell = cause * size + interval
    if len(table.arms) == 1:
        return baseline.ravel()[cell]
    return baseline.ravel()[cell] + log_hazard_ratios(table, priors).ravel()[cell] * arm.astype(float)


def log_hazard_ratios(table: EventTable, priors: SurvivalPriors) -> Any:
    """Add the effect of treatment to the model being built; the log hazard ratios (cause, interval)."""
    import pymc as pm
    import pytensor.tensor as pt

    effect, size = priors.effect, len(table.grid)
    if isinstance(effect, Varying) and _varies(table, priors):
        curve = smooth_curves("log_hazard_ratio_curve", ratio_curves_of(table, priors), effect.smoothness, table.grid,
                              dim="cause", step="ratio_smoothness", coordinates="effect")  # fmt: skip
        pm.Deterministic("log_hazard_ratio", curve.mean(axis=-1), dims="cause")
        return curve
    ratios = [priors.for_cause(name)[1] for name in table.causes]
    ratio = pm.Normal("log_hazard_ratio", [r.mean for r in ratios], [r.sd for r in ratios], dims="cause")
    if isinstance(effect, Waning):
        half_life = pm.Normal("log_half_life", effect.mean, effect.sd)
        return ratio[:, None] * effect.weights(half_life[None], table.grid, pt.exp)[None, :]
    return ratio[:, None] * np.ones(size)
