"""The table of subgroups: who is in each, and the hazard ratio there, shrunk as the model shrinks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.survival.patterns import PatternTable
from smm_bayes.survival.regression import subgroup_log_hazard_ratios
from smm_bayes.survival.summary import labelled, monte_carlo_error, summarise

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


def subgroup_hazard_ratios(posterior: xr.Dataset, table: PatternTable, cause: str) -> xr.DataArray:
    """Hazard ratio of one cause in every subgroup, (chain, draw, level); the first level is all patients.

    Of a subgroup see :func:`~smm_bayes.survival.regression.subgroup_log_hazard_ratios`; that of all patients is the
    geometric mean over them.

    Raises
    ------
    SpecificationError
        When there is one arm.
    """
    names = ("predictive_effect", "log_hazard_ratio_curve")
    draws = {name: posterior[name].transpose("chain", "draw", ...).values for name in names}
    flat = {name: values.reshape(-1, *values.shape[2:]) for name, values in draws.items()}
    by_level = subgroup_log_hazard_ratios(flat, table, (cause,))[:, 0]
    sizes = [table.patients[table.level_index[:, 0] == k].sum() for k in range(len(table.factors[0].levels))]
    everybody = np.average(by_level[:, : len(sizes)], axis=1, weights=sizes)
    shape = posterior.sizes["chain"], posterior.sizes["draw"], -1
    values = np.exp(np.column_stack([everybody, by_level])).reshape(shape)
    coords = {"chain": posterior["chain"].values, "draw": posterior["draw"].values,
              "level": ["all patients", *table.level_names]}  # fmt: skip
    return labelled(values, coords, "hazard_ratio")


def subgroup_table(posterior: xr.Dataset, table: PatternTable, cause: str, probability: float = 0.95) -> pd.DataFrame:
    """Patients and events by arm, and the hazard ratio, of all patients and of every subgroup.

    Parameters
    ----------
    posterior : xarray.Dataset
        Of :func:`~smm_bayes.survival.regression.regression_model`.
    table : PatternTable
        With subgroups and two arms.
    cause : str
    probability : float
        Probability inside the credible intervals.

    Returns
    -------
    pandas.DataFrame
        One row a subgroup: ``patients`` and ``events`` of ``control`` and ``experimental``, ``median``, ``lower``,
        ``upper`` and ``mcse`` of the hazard ratio, ``probability`` that it is below 1 with ``probability_mcse``.
    """
    ratios = subgroup_hazard_ratios(posterior, table, cause)
    found = summarise(ratios, probability)
    below = (ratios < 1).astype(float)
    found["probability"] = below.mean(("chain", "draw")).values
    error = monte_carlo_error(below, "mean")
    found["probability_mcse"] = np.nan_to_num(error.values)
    inside = [np.ones(len(table), bool)]
    inside += [(table.level_index == k).any(axis=1) for k in range(len(table.level_names))]
    events = table.events[:, table.causes.index(cause)].sum(axis=1)
    for index, arm in enumerate(table.arms):
        mine = table.arm == index
        found[f"patients_{arm}"] = [int(table.patients[rows & mine].sum()) for rows in inside]
        found[f"events_{arm}"] = [int(events[rows & mine].sum()) for rows in inside]
    return found
