"""The posterior of independent Gamma hazards as a fit, from independent draws: nothing is compiled or sampled."""

from __future__ import annotations

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.inference.convergence import diagnose
from smm_bayes.inference.fingerprint import hash_arrays, machine
from smm_bayes.inference.fitted import POSTERIOR, Fit, described, joined
from smm_bayes.survival.gamma import GammaHazards
from smm_bayes.survival.model_priors import GammaPrior
from smm_bayes.survival.one_trial import DIMS, OneTrial


def exact_fit(model: OneTrial, seed: int, *, draws: int = 1000, chains: int = 4) -> Fit:
    """Draw the posterior of a trial by itself under a Gamma prior, which is known in closed form.

    Hazards of arm a, cause c and interval j are independent, Gamma(shape + d, rate + E) with d events in E
    patient-months.

    Parameters
    ----------
    model : OneTrial
        With a :class:`~smm_bayes.survival.model_priors.GammaPrior`.
    seed : int
        The same seed gives the same draws.
    draws : int
        Of each chain.
    chains : int
        All draws are independent; chains are for what asks for several.

    Returns
    -------
    Fit
        With ``log_hazard`` and ``hazard`` (chain, draw, arm, cause, interval), per month.

    Raises
    ------
    SpecificationError
        For another prior, whose posterior has no closed form.

    Examples
    --------
    >>> import pandas as pd, smm_bayes as smm
    >>> from smm_bayes.survival import exact_fit
    >>> rows = pd.DataFrame({"patient": list("abcd"), "arm": ["old", "old", "new", "new"],
    ...                      "time": [3.0, 14, 9, 20], "event": [1, 0, 1, 0]})
    >>> patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"})
    >>> posterior = exact_fit(smm.OneTrial.of(patients, smm.TimeGrid((12,)), smm.GammaPrior(0.5, 50)), seed=1)
    >>> posterior.convergence.passed
    True
    """
    if not isinstance(model.priors, GammaPrior):
        raise SpecificationError("the posterior is known in closed form under a GammaPrior only; use fit(model, seed)")
    import xarray as xr

    table, priors = model.table, model.priors
    exact = GammaHazards.prior(table, priors.shape, priors.rate).update(table)
    drawn = exact.sample(chains * draws, rng=np.random.default_rng(seed))
    log_hazard = drawn.reshape(chains, draws, *drawn.shape[1:])
    coords = {"chain": np.arange(chains), "draw": np.arange(draws), "arm": list(table.arms),
              "cause": list(table.causes), "interval": list(table.grid.labels)}  # fmt: skip
    posterior = xr.Dataset({"log_hazard": (DIMS, log_hazard), "hazard": (DIMS, np.exp(log_hazard))}, coords=coords)
    fingerprint = hash_arrays({"log_hazard": log_hazard}, repr(priors), table.grid.cuts, seed, machine())
    return Fit(
        data=joined({POSTERIOR: posterior}), convergence=diagnose(posterior, 0), attempts=(), seed=seed,
        fingerprint=fingerprint, model=model, description=described(model),
    )  # fmt: skip
