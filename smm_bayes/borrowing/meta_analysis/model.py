"""The PyMC model of a meta-analysis; its NumPy twin is :class:`~.analysis.MetaAnalysis`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.borrowing.meta_analysis.analysis import MetaAnalysis
from smm_bayes.borrowing.meta_analysis.kinds import Counts, Estimates, Responses
from smm_bayes.borrowing.meta_analysis.summaries import Summaries
from smm_bayes.inference.made_for import carry, made_for

if TYPE_CHECKING:
    import pymc as pm


def meta_analytic_model(analysis: MetaAnalysis) -> pm.Model:
    r"""Build the model, with the trials' parameters as deviations.

    .. math:: \theta_j = \mu + x_j^\top\beta + \tau_{s(j)} z_j, \quad z_j \sim N(0, 1)

    Parameters
    ----------
    analysis : MetaAnalysis
        Its two columns of data are what a refit replaces (:func:`meta_analytic_data`).

    Returns
    -------
    pymc.Model
        Free variables ``mean``, ``coefficient`` (covariate), ``between_trial_sd`` (stratum; deterministic where its
        priors differ by stratum) and ``deviation`` (trial); deterministic ``trial_parameter`` (trial).

    References
    ----------
    Neuenschwander B et al. Clinical Trials 2010;7:5-18, doi:10.1177/1740774509356002.
    """
    import pymc as pm

    coords = {"trial": list(analysis.summaries.names), "stratum": list(analysis.stratum_names),
              "covariate": list(analysis.covariates)}  # fmt: skip
    with pm.Model(coords=coords) as model:
        carry("meta_analysis", **_built_for(analysis))
        theta = analysis.mean_prior.variable("mean")
        sd = _between(analysis)
        if analysis.covariates:
            slopes = analysis.covariate_priors.values()
            coefficient = pm.Normal("coefficient", [p.mean for p in slopes], [p.sd for p in slopes], dims="covariate")
            theta = theta + (analysis.matrix * coefficient).sum(axis=1)
        deviation = pm.Normal("deviation", 0.0, 1.0, dims="trial")
        theta = theta + sd[analysis.stratum_index] * deviation
        theta = pm.Deterministic("trial_parameter", theta, dims="trial")
        observe(analysis.summaries, theta, "trial")
    return model


def meta_analytic_data(analysis: MetaAnalysis) -> dict[str, np.ndarray]:
    """Arrays that a refit hands to the compiled model of an analysis of the same shape."""
    return {**summaries_data(analysis.summaries), **made_for("meta_analysis", **_built_for(analysis))}


def _built_for(analysis: MetaAnalysis) -> dict[str, Any]:
    priors = analysis.mean_prior, analysis.sd_priors, analysis.covariate_priors
    return {"priors": priors, "strata": analysis.strata, "covariates": analysis.covariates}


def summaries_data(summaries: Summaries) -> dict[str, np.ndarray]:
    """Columns of data by the names they have in a model."""
    columns = zip(summaries.COLUMNS, (summaries.first, summaries.second), strict=True)
    return {f"{name}_data": values for name, values in columns}


def observe(summaries: Summaries, theta: Any, dim: str) -> Any:
    """Observe the summaries, inside a model, given their parameters."""
    import pymc as pm

    first, second = (pm.Data(name, values, dims=dim) for name, values in summaries_data(summaries).items())
    logp, random = LIKELIHOODS[type(summaries)]
    return pm.CustomDist(summaries.COLUMNS[0], theta, second, logp=logp, random=random, observed=first, dims=dim)


def _between(analysis: MetaAnalysis) -> Any:
    import pymc as pm
    import pytensor.tensor as pt

    priors = list(analysis.sd_priors.values())
    if all(prior == priors[0] for prior in priors):
        return priors[0].variable("between_trial_sd", dims="stratum")
    each = [prior.variable(f"between_trial_sd_{k}") for k, prior in enumerate(priors)]
    return pm.Deterministic("between_trial_sd", pt.stack(each), dims="stratum")


def log_binomial(value: Any, theta: Any, patients: Any) -> Any:
    """Binomial log likelihood of responders, in PyTensor."""
    import pytensor.tensor as pt

    constant = pt.gammaln(patients + 1) - pt.gammaln(value + 1) - pt.gammaln(patients - value + 1)
    return value * theta - patients * pt.softplus(theta) + constant


def _log_poisson(value: Any, theta: Any, exposure: Any) -> Any:
    import pytensor.tensor as pt

    return value * (theta + pt.log(exposure)) - exposure * pt.exp(theta) - pt.gammaln(value + 1)


def _log_normal(value: Any, theta: Any, error: Any) -> Any:
    import pytensor.tensor as pt

    return -0.5 * ((value - theta) / error) ** 2 - pt.log(error) - 0.5 * np.log(2 * np.pi)


def _draw_responders(theta: Any, patients: Any, rng: Any = None, size: Any = None) -> np.ndarray:
    return rng.binomial(np.asarray(patients).astype(int), Responses.respond(theta), size=size).astype(float)


def _draw_events(theta: Any, exposure: Any, rng: Any = None, size: Any = None) -> np.ndarray:
    return rng.poisson(exposure * np.exp(theta), size=size).astype(float)


def _draw_estimates(theta: Any, error: Any, rng: Any = None, size: Any = None) -> np.ndarray:
    return rng.normal(theta, error, size=size)


LIKELIHOODS: dict[type[Summaries], tuple[Any, Any]] = {
    Responses: (log_binomial, _draw_responders), Counts: (_log_poisson, _draw_events),
    Estimates: (_log_normal, _draw_estimates),
}  # fmt: skip
