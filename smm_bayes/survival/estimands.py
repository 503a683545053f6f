"""Estimands, draw by draw, with named dims: transform first, summarise after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.piecewise import PiecewiseExponential
from smm_bayes.survival.piecewise import cumulative_incidence as _incidence

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Causes = tuple[str, ...] | None


def _combined(log_hazard: xr.DataArray, causes: Causes) -> tuple[np.ndarray, dict[str, object]]:
    """Log of the summed hazard of some causes, shape (chain, draw, arm, interval), and its coordinates."""
    chosen = log_hazard if causes is None else log_hazard.sel(cause=list(causes))
    ordered = chosen.transpose("chain", "draw", "arm", "cause", "interval")
    total = np.logaddexp.reduce(ordered.values, axis=3)
    return total, {name: ordered[name].values for name in ("chain", "draw", "arm")}


def survival_curve(log_hazard: xr.DataArray, grid: TimeGrid, time: np.ndarray, causes: Causes = None) -> xr.DataArray:
    """Survival S(t) = exp(−Σ_c H_c(t)) over the given causes (net of the others), (chain, draw, arm, time).

    Parameters
    ----------
    log_hazard : xarray.DataArray
        (chain, draw, arm, cause, interval), per month.
    grid : TimeGrid
    time : numpy.ndarray
        Months.
    causes : tuple of str, optional
        All causes by default, that is event-free survival.
    """
    import xarray as xr

    total, coords = _combined(log_hazard, causes)
    values = PiecewiseExponential(total, grid).survival(time)
    return xr.DataArray(values, dims=("chain", "draw", "arm", "time"), coords={**coords, "time": time}, name="survival")


def cumulative_incidence_curve(log_hazard: xr.DataArray, grid: TimeGrid, time: np.ndarray) -> xr.DataArray:
    """Probability of an event of each cause by each time when causes compete, (chain, draw, arm, cause, time)."""
    import xarray as xr

    ordered = log_hazard.transpose("chain", "draw", "arm", "cause", "interval")
    coords = {name: ordered[name].values for name in ("chain", "draw", "arm", "cause")}
    values = _incidence(ordered.values, grid, np.asarray(time))
    return xr.DataArray(values, dims=(*coords, "time"), coords={**coords, "time": time}, name="cumulative_incidence")


def rmst(log_hazard: xr.DataArray, grid: TimeGrid, horizon: float, causes: Causes = None) -> xr.DataArray:
    """Restricted mean survival time up to ``horizon`` months, (chain, draw, arm)."""
    import xarray as xr

    total, coords = _combined(log_hazard, causes)
    values = PiecewiseExponential(total, grid).rmst(horizon)
    return xr.DataArray(values, dims=("chain", "draw", "arm"), coords=coords, name="rmst")


def average_hazard_ratio(log_hazard: xr.DataArray, weights: np.ndarray, causes: Causes = None) -> xr.DataArray:
    """Hazard ratio of the summed hazards, experimental over control, as a weighted geometric mean over intervals.

    Parameters
    ----------
    log_hazard : xarray.DataArray
        (chain, draw, arm, cause, interval) with arms ``control`` and ``experimental``.
    weights : numpy.ndarray, shape (interval,)
        For example the events in each interval; with one cause and proportional hazards they do not matter.
    """
    import xarray as xr

    total, coords = _combined(log_hazard, causes)
    ratio = np.exp(np.average(total[..., 1, :] - total[..., 0, :], axis=-1, weights=weights))
    return xr.DataArray(ratio, dims=("chain", "draw"), coords={k: coords[k] for k in ("chain", "draw")},
                        name="hazard_ratio")  # fmt: skip


def summarise(draws: xr.DataArray, level: float = 0.95) -> pd.DataFrame:
    """Median, credible interval, and Monte Carlo error of the median, one row for every element."""
    import arviz as az
    import pandas as pd

    tail = (1 - level) / 2
    quantiles = draws.quantile([0.5, tail, 1 - tail], dim=("chain", "draw"))
    error = az.mcse(draws, method="median")
    error = error[draws.name] if hasattr(error, "data_vars") else error
    columns = {"median": quantiles.isel(quantile=0), "lower": quantiles.isel(quantile=1),
               "upper": quantiles.isel(quantile=2), "mcse": error}  # fmt: skip
    if draws.ndim == 2:
        return pd.DataFrame({name: [float(values)] for name, values in columns.items()}, index=[draws.name])
    return pd.DataFrame(
        {name: values.drop_vars("quantile", errors="ignore").to_series() for name, values in columns.items()}
    )
