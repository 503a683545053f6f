r"""Curves, restricted means and medians of each arm, draw by draw, with named dims.

With hazards :math:`\lambda_{acj}` in arm a, of cause c, in interval j = :math:`(\tau_{j-1}, \tau_j]`, and
:math:`w_j(t)` the months of interval j before t,

.. math:: \lambda_a(t) = \sum_{c \in C} \lambda_{acj},\ t \in (\tau_{j-1}, \tau_j], \quad
          H_a(t) = \sum_j \sum_{c \in C} \lambda_{acj}\, w_j(t), \quad S_a(t) = e^{-H_a(t)}.

C is ``causes``: the causes that count. Where some are left out, λ is cause-specific, and S, the restricted mean and the
median are net of them: what there would be if they never happened, which supposes that the causes are independent.
Cumulative incidence and time lost take no ``causes``: there all causes compete. Hazards are per month, times in months.
Everything is in closed form, for all draws at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.piecewise import PiecewiseExponential
from smm_bayes.survival.piecewise import cumulative_incidence as _incidence

if TYPE_CHECKING:
    import xarray as xr

Causes = tuple[str, ...] | None
DIMS = ("chain", "draw", "arm", "cause", "interval")


def labelled(values: np.ndarray, coords: Mapping[str, object], name: str) -> xr.DataArray:
    """Name the dims of an array, in the order of ``coords``."""
    import xarray as xr

    return xr.DataArray(values, dims=tuple(coords), coords=dict(coords), name=name)


def in_order(log_hazard: xr.DataArray) -> xr.DataArray:
    """Put the dims in the order (chain, draw, arm, cause, interval); refuse other dims."""
    if set(log_hazard.dims) != set(DIMS):
        found = ", ".join(str(name) for name in log_hazard.dims)
        raise SpecificationError(f"log_hazard must have the dims {', '.join(DIMS)}; got {found}")
    return log_hazard.transpose(*DIMS)


def log_total(log_hazard: xr.DataArray, causes: Causes = None) -> xr.DataArray:
    """Log of the summed hazard of the causes that count, (chain, draw, arm, interval).

    Raises
    ------
    SpecificationError
        When a cause is unknown or named twice, or none is named.
    """
    ordered = in_order(log_hazard)
    if causes is not None:
        known = [str(name) for name in ordered["cause"].values]
        if not causes or len(set(causes)) < len(causes) or set(causes) - set(known):
            raise SpecificationError(f"causes must be some of {', '.join(known)}, each once; got {tuple(causes)}")
        ordered = ordered.sel(cause=list(causes))
    coords = {name: ordered[name].values for name in DIMS if name != "cause"}
    return labelled(np.logaddexp.reduce(ordered.values, axis=3), coords, "log_hazard")


def months(time: np.ndarray | float, what: str = "time") -> np.ndarray:
    """Times as a one-dimensional array; refuse what is no time after the start."""
    at = np.atleast_1d(np.asarray(time, dtype=float))
    if at.ndim != 1 or not at.size or not np.all(np.isfinite(at)) or np.any(at < 0):
        raise SpecificationError(f"{what} must be finite months, 0 or later; got {time}")
    return at


def month(time: float, what: str = "time") -> float:
    """One time; refuse several."""
    at = months(time, what)
    if at.size != 1:
        raise SpecificationError(f"{what} must be one number of months; got {time}")
    return float(at[0])


def _by_arm(law: xr.DataArray) -> dict[str, object]:
    return {name: law[name].values for name in ("chain", "draw", "arm")}


def _curve(
    of: Callable[[PiecewiseExponential, np.ndarray | float], np.ndarray],
    log_hazard: xr.DataArray, grid: TimeGrid, time: np.ndarray | float, causes: Causes,
) -> xr.DataArray:  # fmt: skip
    at, total = months(time), log_total(log_hazard, causes)
    values = of(PiecewiseExponential(total.values, grid), at)
    return labelled(values, {**_by_arm(total), "time": at}, of.__name__)


def hazard_curve(
    log_hazard: xr.DataArray, grid: TimeGrid, time: np.ndarray | float, causes: Causes = None
) -> xr.DataArray:
    r"""Hazard :math:`\lambda_a(t)` of the causes that count, per month.

    Parameters
    ----------
    log_hazard : xarray.DataArray
        (chain, draw, arm, cause, interval), per month.
    grid : TimeGrid
    time : numpy.ndarray or float
        Months. A cut point belongs to the interval that ends there, and 0 to the first.
    causes : tuple of str, optional
        Causes that count; all by default.

    Returns
    -------
    xarray.DataArray
        (chain, draw, arm, time).

    Raises
    ------
    SpecificationError
        When a time is negative or not finite, or a cause is unknown.
    """
    return _curve(PiecewiseExponential.hazard, log_hazard, grid, time, causes)


def cumulative_hazard_curve(
    log_hazard: xr.DataArray, grid: TimeGrid, time: np.ndarray | float, causes: Causes = None
) -> xr.DataArray:
    """Cumulative hazard H_a(t), (chain, draw, arm, time); arguments and errors as :func:`hazard_curve`."""
    return _curve(PiecewiseExponential.cumulative_hazard, log_hazard, grid, time, causes)


def survival_curve(
    log_hazard: xr.DataArray, grid: TimeGrid, time: np.ndarray | float, causes: Causes = None
) -> xr.DataArray:
    """Survival S(t) = exp(−Σ_c H_c(t)) over the given causes (net of the others), (chain, draw, arm, time).

    Parameters
    ----------
    log_hazard : xarray.DataArray
        (chain, draw, arm, cause, interval), per month.
    grid : TimeGrid
    time : numpy.ndarray or float
        Months.
    causes : tuple of str, optional
        All causes by default, that is event-free survival.

    Raises
    ------
    SpecificationError
        When a time is negative or not finite, or a cause is unknown.
    """
    return _curve(PiecewiseExponential.survival, log_hazard, grid, time, causes)


def milestone_survival(log_hazard: xr.DataArray, grid: TimeGrid, time: float, causes: Causes = None) -> xr.DataArray:
    """Survival of each arm at one time, (chain, draw, arm); arguments and errors as :func:`survival_curve`."""
    return survival_curve(log_hazard, grid, month(time), causes).isel(time=0, drop=True).rename("milestone_survival")


def cumulative_incidence_curve(log_hazard: xr.DataArray, grid: TimeGrid, time: np.ndarray | float) -> xr.DataArray:
    r"""Probability of an event of each cause by each time when causes compete, (chain, draw, arm, cause, time).

    :math:`F_{ac}(t) = \int_0^t \lambda_{ac}(u)\, S_a(u)\, du`, with S of all causes, so that
    :math:`S_a(t) + \sum_c F_{ac}(t) = 1`.

    Parameters
    ----------
    log_hazard : xarray.DataArray
        (chain, draw, arm, cause, interval), per month.
    grid : TimeGrid
    time : numpy.ndarray or float
        Months.

    Raises
    ------
    SpecificationError
        When a time is negative or not finite.
    """
    at, ordered = months(time), in_order(log_hazard)
    values = _incidence(ordered.values, grid, at)
    coords = {name: ordered[name].values for name in DIMS[:-1]}
    return labelled(values, {**coords, "time": at}, "cumulative_incidence")


def rmst(log_hazard: xr.DataArray, grid: TimeGrid, horizon: float, causes: Causes = None) -> xr.DataArray:
    r"""Restricted mean survival time :math:`\int_0^h S_a(t)\, dt` up to ``horizon`` months, (chain, draw, arm).

    The mean number of the first h months lived without an event.

    Parameters
    ----------
    log_hazard : xarray.DataArray
        (chain, draw, arm, cause, interval), per month.
    grid : TimeGrid
    horizon : float
        h, in months.
    causes : tuple of str, optional
        Causes that count; all by default.

    Raises
    ------
    SpecificationError
        When the horizon is negative or not finite, or a cause is unknown.

    References
    ----------
    Royston P, Parmar MKB. BMC Medical Research Methodology 2013;13:152, doi:10.1186/1471-2288-13-152.
    """
    end, total = month(horizon, "horizon"), log_total(log_hazard, causes)
    return labelled(PiecewiseExponential(total.values, grid).rmst(end), _by_arm(total), "rmst")


def restricted_time_lost(log_hazard: xr.DataArray, grid: TimeGrid, horizon: float) -> xr.DataArray:
    r"""Mean time lost to each cause before ``horizon`` when causes compete, in months, (chain, draw, arm, cause).

    :math:`L_{ac}(h) = \int_0^h F_{ac}(t)\, dt`, so that rmst and the times lost to all causes sum to h.

    Parameters
    ----------
    log_hazard : xarray.DataArray
        (chain, draw, arm, cause, interval), per month.
    grid : TimeGrid
    horizon : float
        h, in months.

    Raises
    ------
    SpecificationError
        When the horizon is negative or not finite.

    Notes
    -----
    By parts :math:`L_{ac}(h) = \int_0^h (h - t)\, \lambda_{ac}(t)\, S_a(t)\, dt`. Interval j of width w before h, total
    hazard λ and r months between its end and h gives :math:`\lambda_{acj} S_a(\tau_{j-1})` times

    .. math:: r\, \frac{1 - e^{-\lambda w}}{\lambda} + \frac{\lambda w - 1 + e^{-\lambda w}}{\lambda^2}.

    References
    ----------
    Andersen PK. Statistics in Medicine 2013;32:5278-85, doi:10.1002/sim.5903.
    """
    end, ordered = month(horizon, "horizon"), in_order(log_hazard)
    law = PiecewiseExponential(log_total(log_hazard).values, grid)
    total, width = law.hazards, grid.exposure(np.asarray(end))
    after = np.maximum(end - grid.edges[1:], 0.0)
    spent = total * width
    inside = -np.expm1(-spent) / np.maximum(total, 1e-300)
    before = np.exp(-law.cumulative_hazard(grid.starts))
    weight = before * (after * inside + width**2 * _second(spent))
    values = np.sum(np.exp(ordered.values) * weight[..., None, :], axis=-1)
    return labelled(values, {name: ordered[name].values for name in DIMS[:-1]}, "restricted_time_lost")


def _second(x: np.ndarray) -> np.ndarray:
    """Give (x − 1 + exp(−x)) / x², by its series where x is so small that the difference loses digits."""
    large = np.where(x > 1e-3, x, 1.0)
    return np.where(x > 1e-3, (large + np.expm1(-large)) / large**2, 1 / 2 - x / 6 + x**2 / 24 - x**3 / 120)


def median_survival(log_hazard: xr.DataArray, grid: TimeGrid, horizon: float, causes: Causes = None) -> xr.DataArray:
    """Median survival of each arm in months, infinite where it is beyond ``horizon``, (chain, draw, arm).

    The smallest t with S_a(t) ≤ 1/2. A draw whose median is beyond the horizon says only that, so it is +inf;
    :func:`~smm_bayes.survival.summary.summarise_median` gives P(median ≤ horizon) and quantiles that know it. Medians
    have no difference where both are infinite: compare arms by restricted means or milestones.

    Parameters
    ----------
    log_hazard : xarray.DataArray
        (chain, draw, arm, cause, interval), per month.
    grid : TimeGrid
    horizon : float
        Months; ``inf`` lets the last hazard go on for ever.
    causes : tuple of str, optional
        Causes that count; all by default.

    Raises
    ------
    SpecificationError
        When the horizon is not above 0, or a cause is unknown.
    """
    if not horizon > 0:
        raise SpecificationError(f"horizon must be above 0 months; got {horizon}")
    total = log_total(log_hazard, causes)
    median = PiecewiseExponential(total.values, grid).median()
    return labelled(np.where(median <= horizon, median, np.inf), _by_arm(total), "median_survival")
