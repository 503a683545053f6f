r"""Contrasts of the experimental arm (E) with control (C), draw by draw: hazard ratios, differences, ratios.

Arms are found by their labels ``control`` and ``experimental``, not by their places. A hazard ratio below 1 and a
difference of survival or restricted mean above 0 favour E; a difference of incidence or time lost above 0 favours C.
Symbols are those of :mod:`smm_bayes.survival.curves`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.survival import curves
from smm_bayes.survival.curves import Causes
from smm_bayes.survival.grid import TimeGrid

if TYPE_CHECKING:
    import xarray as xr

ARMS = ("control", "experimental")


def has_both_arms(draws: xr.DataArray) -> bool:
    """Whether there are arms to compare."""
    return set(ARMS) <= {str(arm) for arm in draws["arm"].values}


def _pair(draws: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Experimental and control."""
    if not has_both_arms(draws):
        raise SpecificationError(
            f"a contrast needs the arms {' and '.join(ARMS)}; got {', '.join(str(a) for a in draws['arm'].values)}. "
            "Name them with log_hazard.assign_coords(arm=[...])"
        )
    return draws.sel(arm="experimental", drop=True), draws.sel(arm="control", drop=True)


def difference(draws: xr.DataArray, name: str) -> xr.DataArray:
    """Experimental less control."""
    experimental, control = _pair(draws)
    return (experimental - control).rename(name)


def _log_hazard_ratio(log_hazard: xr.DataArray, causes: Causes) -> xr.DataArray:
    return difference(curves.log_total(log_hazard, causes), "log_hazard_ratio")


def _geometric_mean(log_ratio: xr.DataArray, weights: np.ndarray) -> xr.DataArray:
    weight = np.asarray(weights, dtype=float)
    size = log_ratio.sizes["interval"]
    if weight.shape != (size,) or not np.all(np.isfinite(weight)) or np.any(weight < 0) or not weight.sum() > 0:
        raise SpecificationError(f"weights must be {size}, one an interval, not negative and not all 0; got {weights}")
    coords = {name: log_ratio[name].values for name in ("chain", "draw")}
    return curves.labelled(np.exp(np.average(log_ratio.values, axis=-1, weights=weight)), coords, "hazard_ratio")


def hazard_ratio_curve(log_hazard: xr.DataArray, grid: TimeGrid, causes: Causes = None) -> xr.DataArray:
    r"""Hazard ratio of the summed hazards in each interval, (chain, draw, interval).

    :math:`\mathrm{HR}_j = \sum_{c \in C} \lambda_{Ecj} / \sum_{c \in C} \lambda_{Ccj}`. Even where each cause has
    proportional hazards, that of their sum may change with time.

    Parameters
    ----------
    log_hazard : xarray.DataArray
        (chain, draw, arm, cause, interval) with arms ``control`` and ``experimental``, per month.
    grid : TimeGrid
        Names the intervals.
    causes : tuple of str, optional
        Causes that count; all by default.

    Raises
    ------
    SpecificationError
        When an arm is missing, a cause is unknown, or the grid has another number of intervals.

    Notes
    -----
    A hazard ratio by time compares those still event-free, whom treatment has selected: Hernán MA. Epidemiology
    2010;21:13-5, doi:10.1097/EDE.0b013e3181c1ea43.
    """
    log_ratio = _log_hazard_ratio(log_hazard, causes)
    if log_ratio.sizes["interval"] != len(grid):
        raise SpecificationError(f"log_hazard has {log_ratio.sizes['interval']} intervals and the grid {len(grid)}")
    coords = {name: log_ratio[name].values for name in ("chain", "draw")}
    return curves.labelled(np.exp(log_ratio.values), {**coords, "interval": list(grid.labels)}, "hazard_ratio")


def average_hazard_ratio(log_hazard: xr.DataArray, weights: np.ndarray, causes: Causes = None) -> xr.DataArray:
    r"""Hazard ratio of the summed hazards, experimental over control, as a weighted geometric mean over intervals.

    :math:`\exp\left(\sum_j v_j \log \mathrm{HR}_j / \sum_j v_j\right)`, (chain, draw). With events as weights it is
    near to what a Cox model estimates.

    Parameters
    ----------
    log_hazard : xarray.DataArray
        (chain, draw, arm, cause, interval) with arms ``control`` and ``experimental``.
    weights : numpy.ndarray, shape (interval,)
        v, for example the events in each interval; with one cause and proportional hazards they do not matter.
    causes : tuple of str, optional
        Causes that count; all by default.

    Raises
    ------
    SpecificationError
        When an arm is missing, a cause is unknown, or the weights do not fit, are negative or all 0.

    References
    ----------
    Schemper M, Wakounig S, Heinze G. Statistics in Medicine 2009;28:2473-89, doi:10.1002/sim.3623 (average hazard
    ratios, and what their weights mean).
    """
    return _geometric_mean(_log_hazard_ratio(log_hazard, causes), weights)


def window_hazard_ratio(
    log_hazard: xr.DataArray, grid: TimeGrid, start: float, end: float, causes: Causes = None
) -> xr.DataArray:
    r"""Average hazard ratio over the window (start, end], every month with the same weight, (chain, draw).

    .. math:: \exp\left(\frac{\sum_j w_j \log \mathrm{HR}_j}{\sum_j w_j}\right)
              = \exp\left(\frac{1}{t_2 - t_1} \int_{t_1}^{t_2} \log \mathrm{HR}(t)\, dt\right), \quad
              w_j = |(\tau_{j-1}, \tau_j] \cap (t_1, t_2]|.

    An interval partly inside counts by that part. Unlike :func:`average_hazard_ratio` with events as weights it does
    not depend on enrolment or censoring, so trials with other follow-up are comparable; but late months, where few
    patients are at risk, count in full.

    Parameters
    ----------
    log_hazard : xarray.DataArray
        (chain, draw, arm, cause, interval) with arms ``control`` and ``experimental``, per month.
    grid : TimeGrid
    start, end : float
        t₁ and t₂, in months.
    causes : tuple of str, optional
        Causes that count; all by default.

    Raises
    ------
    SpecificationError
        When the window is empty, negative or not finite, an arm is missing, or a cause is unknown.
    """
    first, last = curves.month(start, "start"), curves.month(end, "end")
    if not first < last:
        raise SpecificationError(f"a window must end after it starts; got ({start:g}, {end:g}]")
    weights = grid.exposure(np.asarray(last), entry=first)
    return _geometric_mean(_log_hazard_ratio(log_hazard, causes), weights).rename("window_hazard_ratio")


def milestone_difference(log_hazard: xr.DataArray, grid: TimeGrid, time: float, causes: Causes = None) -> xr.DataArray:
    """Difference of survival at one time, S_E(t) − S_C(t), (chain, draw).

    Parameters
    ----------
    log_hazard : xarray.DataArray
        (chain, draw, arm, cause, interval) with arms ``control`` and ``experimental``, per month.
    grid : TimeGrid
    time : float
        Months.
    causes : tuple of str, optional
        Causes that count; all by default.

    Raises
    ------
    SpecificationError
        When the time is negative or not finite, an arm is missing, or a cause is unknown.

    References
    ----------
    Uno H, et al. Journal of Clinical Oncology 2014;32:2380-5, doi:10.1200/JCO.2014.55.2208.
    """
    return difference(curves.milestone_survival(log_hazard, grid, time, causes), "milestone_difference")


def cumulative_incidence_difference(log_hazard: xr.DataArray, grid: TimeGrid, time: float) -> xr.DataArray:
    """Difference of the probability of each cause by one time when causes compete, F_Ec(t) − F_Cc(t).

    Parameters
    ----------
    log_hazard : xarray.DataArray
        (chain, draw, arm, cause, interval) with arms ``control`` and ``experimental``, per month.
    grid : TimeGrid
    time : float
        Months.

    Returns
    -------
    xarray.DataArray
        (chain, draw, cause).

    Raises
    ------
    SpecificationError
        When the time is negative or not finite, or an arm is missing.
    """
    found = curves.cumulative_incidence_curve(log_hazard, grid, curves.month(time)).isel(time=0, drop=True)
    return difference(found, "cumulative_incidence_difference")


def rmst_difference(log_hazard: xr.DataArray, grid: TimeGrid, horizon: float, causes: Causes = None) -> xr.DataArray:
    """Difference of restricted means in months, rmst_E(h) − rmst_C(h), (chain, draw).

    Parameters
    ----------
    log_hazard : xarray.DataArray
        (chain, draw, arm, cause, interval) with arms ``control`` and ``experimental``, per month.
    grid : TimeGrid
    horizon : float
        h, in months.
    causes : tuple of str, optional
        Causes that count; all by default.

    Raises
    ------
    SpecificationError
        When the horizon is negative or not finite, an arm is missing, or a cause is unknown.

    References
    ----------
    Royston P, Parmar MKB. BMC Medical Research Methodology 2013;13:152, doi:10.1186/1471-2288-13-152.
    """
    return difference(curves.rmst(log_hazard, grid, horizon, causes), "rmst_difference")


def rmst_ratio(log_hazard: xr.DataArray, grid: TimeGrid, horizon: float, causes: Causes = None) -> xr.DataArray:
    """Ratio of restricted means, rmst_E(h) / rmst_C(h), (chain, draw); as :func:`rmst_difference`, h above 0."""
    if not horizon > 0:
        raise SpecificationError(f"a ratio of restricted means needs a horizon above 0 months; got {horizon}")
    experimental, control = _pair(curves.rmst(log_hazard, grid, horizon, causes))
    return (experimental / control).rename("rmst_ratio")


def restricted_time_lost_difference(log_hazard: xr.DataArray, grid: TimeGrid, horizon: float) -> xr.DataArray:
    """Difference of the time lost to each cause in months, L_Ec(h) − L_Cc(h), (chain, draw, cause).

    Over all causes it sums to minus the difference of restricted means. Arguments, errors and source as
    :func:`~smm_bayes.survival.curves.restricted_time_lost`.
    """
    return difference(curves.restricted_time_lost(log_hazard, grid, horizon), "restricted_time_lost_difference")
