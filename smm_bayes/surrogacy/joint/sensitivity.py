"""The joint model again under fixed errors of the assay and fixed departures from results missing at random."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.inference.sampling import fit
from smm_bayes.surrogacy.joint.law import JointLaw
from smm_bayes.surrogacy.joint.model import joint_data, joint_model
from smm_bayes.surrogacy.joint.priors import JointPriors
from smm_bayes.surrogacy.joint.table import AssayError, JointTable
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.model_priors import GammaPrior, SurvivalPriors
from smm_bayes.survival.summary import labelled, summarise

if TYPE_CHECKING:
    import pandas as pd
    import pymc as pm
    import xarray as xr

    from smm_bayes.surrogacy.joint.shape import JointShape
    from smm_bayes.surrogacy.visits.status import MrdStatus
    from smm_bayes.trial.patients import Patients

EXACT, AT_RANDOM = AssayError(), 0.0


def joint_sensitivity(
    patients: Patients, status: MrdStatus, grid: TimeGrid, survival: SurvivalPriors | GammaPrior, priors: JointPriors,
    *, seed: int, errors: Sequence[AssayError] = (), missing_log_odds: Sequence[float] = (), crossed: bool = False,
    horizon: float | None = None, model: pm.Model | None = None, probability: float = 0.95, **sampling: Any,
) -> pd.DataFrame:  # fmt: skip
    r"""Fit the joint model under each setting of what the data cannot tell.

    With results :math:`Y_k` of statuses :math:`Z_k`, an assay error fixes :math:`P(Y_k = 1 \mid Z_k = 0)` and
    :math:`P(Y_k = 0 \mid Z_k = 1)`; a log odds ratio :math:`\rho` fixes
    :math:`\mathrm{logit}\, P(\text{missing} \mid Z_k) = \mu_k + \rho Z_k`. The model is compiled once, with a row for
    every patient, and refitted.

    Parameters
    ----------
    patients, status, grid
        As in :meth:`JointTable.of`.
    survival, priors
        As in :func:`joint_model`; ``missing_log_odds`` of the priors is replaced.
    seed : int
        Of every fit.
    errors : sequence of AssayError
        Each with results missing at random.
    missing_log_odds : sequence of float
        Each with an exact assay; above 0 the negative are missing more often.
    crossed : bool
        Every error with every log odds ratio instead, an exact assay and missing at random among them.
    horizon : float, optional
        Months from enrolment at which to give the difference in being event-free, experimental less control, and its
        residual part beside MRD at the last visit; left out without one.
    model : pymc.Model, optional
        Of the same shape and priors, with ``missing_log_odds`` a number and rows enough for all patients at risk at
        the first visit, to save compiling. Afterwards it holds the data of the last setting.
    probability : float
        Probability inside the credible intervals.
    **sampling
        Further settings of :func:`~smm_bayes.inference.sampling.fit`.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``setting``, ``quantity`` and ``of``, the setting without error and missing at random first:
        ``median``, ``lower``, ``upper``, ``mcse`` of the median.

    Raises
    ------
    SpecificationError
        When nothing is to be varied, a log odds ratio is not finite, or ``model`` is of another shape.
    ConvergenceError
        When a fit may not be used.
    """
    import pandas as pd

    settings = _settings(errors, missing_log_odds, crossed)
    rough, priors = grid.tabulate(patients), replace(priors, missing_log_odds=AT_RANDOM)
    if model is None:
        table = JointTable.of(patients, status, grid, assay=EXACT)
        model = joint_model(table, survival, priors, rough=rough)
    rows, tables = len(model.coords["row"]), {}
    for error, log_odds in settings:
        table = JointTable.of(patients, status, grid, rows=rows, assay=error)
        data = joint_data(table, survival, replace(priors, missing_log_odds=log_odds), rough=rough)
        found = fit(model, data=data, seed=seed, log_densities=False, **sampling).require_convergence()
        drawn = _estimands(found.posterior, table.shape, priors, horizon)
        tables[_said(error, log_odds)] = pd.concat([_summary(name, draws, probability) for name, draws in drawn])
    return pd.concat(tables, names=["setting", "quantity", "of"])


def _settings(
    errors: Sequence[AssayError], missing: Sequence[float], crossed: bool
) -> list[tuple[AssayError, float]]:  # fmt: skip
    with Problems("sensitivity of the joint model", SpecificationError).collecting() as problems:
        if not errors and not missing:
            problems.add("nothing is to be varied; give errors of the assay, log odds of missing results, or both")
        wrong = [value for value in missing if not math.isfinite(value)]
        if wrong:
            problems.add(f"missing_log_odds must be finite numbers; got {', '.join(map(str, wrong))}")
    if crossed:
        found = list(product((EXACT, *errors), (AT_RANDOM, *missing)))
    else:
        found = [(EXACT, AT_RANDOM), *((error, AT_RANDOM) for error in errors), *((EXACT, value) for value in missing)]
    return list(dict.fromkeys(found))


def _said(error: AssayError, log_odds: float) -> str:
    words = []
    if error != EXACT:
        words.append(f"disease missed {error.missed:g}, false positive {error.false_positive:g}")
    if log_odds:
        words.append(f"odds of missing {math.exp(log_odds):.2g} times as large if negative")
    return "; ".join(words) or "exact assay, missing at random"


def _estimands(
    posterior: xr.Dataset, shape: JointShape, priors: JointPriors, horizon: float | None
) -> list[tuple[str, xr.DataArray]]:
    """Name the draws of what is shown under every setting."""
    ratio = posterior["log_mrd_hazard_ratio"]
    found = [("hazard ratio, MRD-negative over not", ratio.copy(data=np.exp(ratio.values)))]
    law = JointLaw.of_posterior(posterior, shape, priors)
    chains = {name: ratio[name].values for name in ("chain", "draw")}
    for visit, month in enumerate(shape.months):
        share = labelled(law.negative(visit), {**chains, "arm": list(shape.arms)}, "negative")
        found.append((f"share negative at {month:g} months", share))
    if horizon is not None and len(shape.arms) > 1:
        from smm_bayes.surrogacy.within.association import MilestoneEffects

        parts = MilestoneEffects(*law.milestone(horizon), landmark=shape.months[-1], time=horizon, delta_min=0.0)
        for name, values in (("difference", parts.difference), ("residual part", parts.residual)):
            found.append((f"{name} at {horizon:g} months", labelled(values, chains, "")))
    return found


def _summary(name: str, draws: xr.DataArray, probability: float) -> pd.DataFrame:
    shown = summarise(draws, probability)
    shown.index = shown.index.map(str) if draws.ndim > 2 else [""]
    return shown.assign(quantity=name, of=shown.index).set_index(["quantity", "of"])
