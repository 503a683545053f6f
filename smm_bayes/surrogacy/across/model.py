"""The PyMC model of a regression across trials; its twin is :class:`~.posterior.AcrossTrials`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.inference.made_for import carry, made_for
from smm_bayes.surrogacy.across.posterior import AcrossTrials

if TYPE_CHECKING:
    import pymc as pm


def across_model(analysis: AcrossTrials) -> pm.Model:
    r"""Build the model, with the trials' own effects as free variables.

    .. math::
        \theta_{Mi} = \mu + \tau z_i \text{ or } \hat\theta_{Mi} + s_{Mi} f_i, \quad
        \theta_{Pi} = a + b\theta_{Mi} + \psi e_i

    with :math:`z_i, e_i \sim N(0, 1)` and :math:`f_i` flat (Daniels-Hughes).

    Parameters
    ----------
    analysis : AcrossTrials
        Its columns and its correlation are what a refit replaces (:func:`across_data`).

    Returns
    -------
    pymc.Model
        Free ``intercept``, ``slope``, ``residual_sd``, ``residual`` (trial), and ``mean``, ``spread`` and ``deviation``
        (trial), or ``error`` (trial); deterministic ``log_odds_ratio`` and ``log_hazard_ratio`` (trial).
    """
    import pymc as pm

    priors = analysis.priors
    with pm.Model(coords={"trial": list(analysis.pairs.trials)}) as model:
        carry("across", priors=priors, form=analysis.form)
        data = {name: pm.Data(name, values, dims="trial" if values.ndim else None)
                for name, values in _pair_data(analysis).items()}  # fmt: skip
        intercept, slope = priors.intercept.variable("intercept"), priors.slope.variable("slope")
        residual_sd = priors.residual_sd.variable("residual_sd")
        if analysis.is_bivariate:
            mean, spread = priors.mean.variable("mean"), priors.spread.variable("spread")
            odds = mean + spread * pm.Normal("deviation", 0.0, 1.0, dims="trial")
        else:
            odds = data["odds_ratio_data"] + data["odds_ratio_se"] * pm.Flat("error", dims="trial")
        odds = pm.Deterministic("log_odds_ratio", odds, dims="trial")
        hazard = intercept + slope * odds + residual_sd * pm.Normal("residual", 0.0, 1.0, dims="trial")
        hazard = pm.Deterministic("log_hazard_ratio", hazard, dims="trial")
        pm.CustomDist(
            "hazard_ratio_estimate", odds, hazard, data["odds_ratio_data"], data["odds_ratio_se"],
            data["hazard_ratio_se"], data["correlation"], logp=_log_density, random=_draw,
            observed=data["hazard_ratio_data"], dims="trial",
        )  # fmt: skip
    return model


def across_data(analysis: AcrossTrials) -> dict[str, np.ndarray]:
    """Arrays that a refit hands to the compiled model of as many trials, with the same priors and form."""
    return {**_pair_data(analysis), **made_for("across", priors=analysis.priors, form=analysis.form)}


def _pair_data(analysis: AcrossTrials) -> dict[str, np.ndarray]:
    pairs = analysis.pairs
    return {"odds_ratio_data": pairs.log_odds_ratio, "odds_ratio_se": pairs.odds_ratio_se,
            "hazard_ratio_data": pairs.log_hazard_ratio, "hazard_ratio_se": pairs.hazard_ratio_se,
            "correlation": np.asarray(analysis.correlation, float)}  # fmt: skip


def _log_density(value: Any, odds: Any, hazard: Any, seen: Any, first: Any, second: Any, correlation: Any) -> Any:
    """Log density of both estimates of a trial: bivariate normal."""
    import pytensor.tensor as pt

    left = 1 - correlation**2
    x, y = (seen - odds) / first, (value - hazard) / second
    form = (x**2 - 2 * correlation * x * y + y**2) / left
    return -0.5 * form - pt.log(first * second) - 0.5 * pt.log(left) - np.log(2 * np.pi)


def _draw(
    odds: Any, hazard: Any, seen: Any, first: Any, second: Any, correlation: Any, rng: Any = None, size: Any = None
) -> np.ndarray:
    """Draw an estimate of the log hazard ratio given that of the log odds ratio."""
    mean = hazard + correlation * second / first * (seen - odds)
    return rng.normal(mean, second * np.sqrt(1 - correlation**2), size=size)
