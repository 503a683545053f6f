"""The PyMC model of cohorts that may borrow from each other; its NumPy twin is :class:`~.baskets.Baskets`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.borrowing.meta_analysis.baskets import Baskets
from smm_bayes.borrowing.meta_analysis.kinds import Responses
from smm_bayes.borrowing.meta_analysis.model import log_binomial, summaries_data
from smm_bayes.inference.made_for import carry, made_for

if TYPE_CHECKING:
    import pymc as pm


def exchangeable_nonexchangeable_model(baskets: Baskets) -> pm.Model:
    r"""Build the EXNEX model with memberships summed out.

    .. math:: p(r_k) = \sum_h \pi_{kh}\, p(r_k \mid \mu_h + \tau_h z_{hk}) + \pi_{k0}\, p(r_k \mid m_k + s_k u_k)

    Parameters
    ----------
    baskets : Baskets
        Responders and patients are what a refit replaces (:func:`exchangeable_nonexchangeable_data`).

    Returns
    -------
    pymc.Model
        Free variables ``mean`` (distribution), ``between_cohort_sd`` (distribution; deterministic where the priors
        differ), ``deviation`` (distribution, cohort) and ``own_deviation`` (cohort); deterministic ``membership``
        (member, cohort), its probabilities, and ``response_rate`` (cohort), averaged over them.

    References
    ----------
    Neuenschwander B, Wandel S, Roychoudhury S, Bailey S. Pharmaceutical Statistics 2016;15:123-134,
    doi:10.1002/pst.1730.
    """
    import pymc as pm
    import pytensor.tensor as pt

    size = len(baskets.mean_priors)
    labels = [f"exchangeable {h + 1}" for h in range(size)]
    coords = {"cohort": list(baskets.summaries.names), "distribution": labels, "member": [*labels, "own"]}
    centre, width = baskets.own
    with pm.Model(coords=coords) as model:
        carry("baskets", **_built_for(baskets))
        means = baskets.mean_priors
        mean = pm.Normal("mean", [p.mean for p in means], [p.sd for p in means], dims="distribution")
        sd = _between(baskets)
        deviation = pm.Normal("deviation", 0.0, 1.0, dims=("distribution", "cohort"))
        own = pm.Normal("own_deviation", 0.0, 1.0, dims="cohort")
        theta = pt.concatenate([mean[:, None] + sd[:, None] * deviation, (centre + width * own)[None]], axis=0)
        first, second = (pm.Data(name, values, dims="cohort") for name, values in _data(baskets).items())
        each = baskets.log_weights + log_binomial(first, theta, second)
        member = pm.Deterministic("membership", pt.exp(each - pt.logsumexp(each, axis=0)), dims=("member", "cohort"))
        pm.Deterministic("response_rate", (member * pm.math.invlogit(theta)).sum(axis=0), dims="cohort")
        pm.CustomDist("responders", theta, second, baskets.log_weights, logp=_log_likelihood, random=_draw,
                      observed=first, dims="cohort", signature="(m,k),(k),(m,k)->(k)")  # fmt: skip
    return model


def exchangeable_nonexchangeable_data(baskets: Baskets) -> dict[str, np.ndarray]:
    """Arrays that a refit hands to the compiled model of as many cohorts with the same priors."""
    return {**_data(baskets), **made_for("baskets", **_built_for(baskets))}


def _built_for(baskets: Baskets) -> dict[str, Any]:
    priors = baskets.mean_priors, baskets.sd_priors, baskets.own_priors
    return {"priors": priors, "probabilities": baskets.probability}


def _data(baskets: Baskets) -> dict[str, np.ndarray]:
    return summaries_data(baskets.summaries)


def _between(baskets: Baskets) -> Any:
    import pymc as pm
    import pytensor.tensor as pt

    priors = baskets.sd_priors
    if all(prior == priors[0] for prior in priors):
        return priors[0].variable("between_cohort_sd", dims="distribution")
    each = [prior.variable(f"between_cohort_sd_{h}") for h, prior in enumerate(priors)]
    return pm.Deterministic("between_cohort_sd", pt.stack(each), dims="distribution")


def _log_likelihood(value: Any, theta: Any, patients: Any, log_weights: Any) -> Any:
    import pytensor.tensor as pt

    return pt.logsumexp(log_weights + log_binomial(value, theta, patients), axis=0)


def _draw(theta: Any, patients: Any, log_weights: Any, rng: Any = None, size: Any = None) -> np.ndarray:
    chosen = np.argmax(log_weights + rng.gumbel(size=theta.shape), axis=0)
    at = np.take_along_axis(theta, chosen[None], axis=0)[0]
    return rng.binomial(np.asarray(patients).astype(int), Responses.respond(at)).astype(float)
