"""Estimands, draw by draw, with named dims: transform first, summarise after.

The functions take draws of ``log_hazard``, a grid and times, and know of no horizon. :class:`Estimands` is made once
with the horizon that the data reach, offers the same by method, and refuses later times unless asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.survival import curves
from smm_bayes.survival.contrasts import (
    average_hazard_ratio,
    cumulative_incidence_difference,
    hazard_ratio_curve,
    milestone_difference,
    restricted_time_lost_difference,
    rmst_difference,
    rmst_ratio,
    window_hazard_ratio,
)
from smm_bayes.survival.curves import (
    Causes,
    cumulative_hazard_curve,
    cumulative_incidence_curve,
    hazard_curve,
    median_survival,
    milestone_survival,
    restricted_time_lost,
    rmst,
    survival_curve,
)
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.summary import summarise, summarise_median

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from smm_bayes.trial.patients import Patients


__all__ = [
    "Estimands", "average_hazard_ratio", "cumulative_hazard_curve", "cumulative_incidence_curve",
    "cumulative_incidence_difference", "follow_up_horizon", "hazard_curve", "hazard_ratio_curve", "median_survival",
    "milestone_difference", "milestone_survival", "restricted_time_lost", "restricted_time_lost_difference", "rmst",
    "rmst_difference", "rmst_ratio", "summarise", "summarise_median", "survival_curve", "window_hazard_ratio",
]  # fmt: skip


def follow_up_horizon(patients: Patients) -> float:
    """Give the longest follow-up of the arm where it is shortest, in months: the default horizon of estimands.

    After its longest follow-up, to an event or to censoring, an arm adds no exposure to the likelihood: its hazard
    there is the prior's, or what the model carries over from earlier months or from the other arm. Up to the smallest
    of these times both arms, and so every contrast, have patients to rest on. Near it they are few. Where a
    protocol names an earlier horizon, or one while enough are at risk, use that.

    Parameters
    ----------
    patients : Patients

    Returns
    -------
    float

    Raises
    ------
    DataError
        When an arm has no patients.

    References
    ----------
    Tian L, et al. Biometrics 2020;76:1157-66, doi:10.1111/biom.13237 (restricted means up to the largest follow-up).
    """
    longest = []
    for index, role in enumerate(patients.arms):
        mine = patients.time[patients.arm == index]
        if not mine.size:
            raise DataError(f"arm {role!r} has no patient, so no follow-up; give a horizon yourself")
        longest.append(float(mine.max()))
    return min(longest)


def within_horizon[T: np.ndarray | float](time: T, horizon: float | None, extrapolate: bool) -> T:
    """Give the times back, or refuse those beyond the stated horizon unless ``extrapolate``.

    Raises
    ------
    SpecificationError
        When a time is later.
    """
    last = np.max(time, initial=0.0)
    if horizon is not None and not extrapolate and last > horizon:
        raise SpecificationError(
            f"month {last:g} is beyond the horizon of {horizon:g} months; ask for times up to it, or set "
            "extrapolate=True to rest on the model alone"
        )
    return time


@dataclass(frozen=True, eq=False)
class Estimands:
    r"""Every estimand of one posterior, up to a stated horizon.

    Parameters
    ----------
    log_hazard : xarray.DataArray
        Draws (chain, draw, arm, cause, interval), per month, finite; arms ``control`` and ``experimental``, or one.
    grid : TimeGrid
    horizon : float, optional
        Last month that may be asked for, for example :func:`follow_up_horizon`. Needed unless ``extrapolate``.
    causes : tuple of str, optional
        Causes that count as the event; all by default. Where some are left out, hazards and hazard ratios are
        cause-specific, and survival, restricted means and medians are net of the others. Incidence and time lost
        always let all causes compete.
    extrapolate : bool
        Allow times beyond the horizon, where hazards rest on the prior and the model, and the last goes on for ever.
        The table notes them.

    Raises
    ------
    SpecificationError
        When draws and grid do not fit, a log hazard is not finite, a cause is unknown, or no horizon is stated. A
        method raises it for a time beyond the horizon.

    Notes
    -----
    Where ``rmst``, ``restricted_time_lost`` and ``median_survival`` are given no horizon they take the stated one. The
    functions of this module, with the same names, define every estimand.

    References
    ----------
    Uno H, et al. Journal of Clinical Oncology 2014;32:2380-5, doi:10.1200/JCO.2014.55.2208 (measures beside the hazard
    ratio).
    """

    log_hazard: xr.DataArray
    grid: TimeGrid
    _: KW_ONLY
    horizon: float | None = None
    causes: Causes = None
    extrapolate: bool = False

    def __post_init__(self) -> None:
        """Refuse what would give no estimand."""
        if not np.all(np.isfinite(self.log_hazard.values)):
            raise SpecificationError("log_hazard must be finite in every draw; look at the fit")
        size = curves.log_total(self.log_hazard, self.causes).sizes["interval"]
        if size != len(self.grid):
            raise SpecificationError(f"log_hazard has {size} intervals and the grid {len(self.grid)}; give its grid")
        if self.horizon is None and not self.extrapolate:
            raise SpecificationError(
                "state a horizon in months, such as follow_up_horizon(patients), or set extrapolate=True"
            )
        if self.horizon is not None and not 0 < self.horizon < np.inf:
            raise SpecificationError(f"horizon must be finite months above 0; got {self.horizon}")

    def _within[T: np.ndarray | float](self, time: T) -> T:
        """Refuse times beyond the horizon."""
        return within_horizon(time, self.horizon, self.extrapolate)

    def _until(self, horizon: float | None) -> float:
        """Give the horizon asked for, or the stated one."""
        end = self.horizon if horizon is None else horizon
        if end is None:
            raise SpecificationError("give a horizon in months; none was stated")
        return self._within(end)

    def hazard_curve(self, time: np.ndarray | float) -> xr.DataArray:
        """Hazard, (chain, draw, arm, time)."""
        return hazard_curve(self.log_hazard, self.grid, self._within(time), self.causes)

    def cumulative_hazard_curve(self, time: np.ndarray | float) -> xr.DataArray:
        """Cumulative hazard, (chain, draw, arm, time)."""
        return cumulative_hazard_curve(self.log_hazard, self.grid, self._within(time), self.causes)

    def survival_curve(self, time: np.ndarray | float) -> xr.DataArray:
        """Survival, (chain, draw, arm, time)."""
        return survival_curve(self.log_hazard, self.grid, self._within(time), self.causes)

    def cumulative_incidence_curve(self, time: np.ndarray | float) -> xr.DataArray:
        """Probability of each cause by each time when all compete, (chain, draw, arm, cause, time)."""
        return cumulative_incidence_curve(self.log_hazard, self.grid, self._within(time))

    def cumulative_incidence_difference(self, time: float) -> xr.DataArray:
        """Difference of the probability of each cause by one time, (chain, draw, cause)."""
        return cumulative_incidence_difference(self.log_hazard, self.grid, self._within(time))

    def milestone_survival(self, time: float) -> xr.DataArray:
        """Survival at one time, (chain, draw, arm)."""
        return milestone_survival(self.log_hazard, self.grid, self._within(time), self.causes)

    def milestone_difference(self, time: float) -> xr.DataArray:
        """Difference of survival at one time, (chain, draw)."""
        return milestone_difference(self.log_hazard, self.grid, self._within(time), self.causes)

    def hazard_ratio_curve(self) -> xr.DataArray:
        """Hazard ratio in each interval that begins before the horizon, (chain, draw, interval)."""
        found = hazard_ratio_curve(self.log_hazard, self.grid, self.causes)
        return found.isel(interval=~self._later)

    def average_hazard_ratio(self, weights: np.ndarray) -> xr.DataArray:
        """Weighted average hazard ratio, (chain, draw); intervals beyond the horizon must weigh 0."""
        weight = np.asarray(weights, dtype=float)
        if weight.shape == (len(self.grid),) and np.any(weight[self._later] != 0):
            raise SpecificationError(
                f"intervals that begin at or after the horizon of {self.horizon:g} months must weigh 0; got "
                f"{weight.tolist()}. Set extrapolate=True to count them"
            )
        return average_hazard_ratio(self.log_hazard, weight, self.causes)

    def window_hazard_ratio(self, start: float, end: float) -> xr.DataArray:
        """Hazard ratio averaged over the months of (start, end], (chain, draw)."""
        self._within(end)
        return window_hazard_ratio(self.log_hazard, self.grid, start, end, self.causes)

    def rmst(self, horizon: float | None = None) -> xr.DataArray:
        """Restricted mean survival time, (chain, draw, arm)."""
        return rmst(self.log_hazard, self.grid, self._until(horizon), self.causes)

    def rmst_difference(self, horizon: float | None = None) -> xr.DataArray:
        """Difference of restricted means, (chain, draw)."""
        return rmst_difference(self.log_hazard, self.grid, self._until(horizon), self.causes)

    def rmst_ratio(self, horizon: float | None = None) -> xr.DataArray:
        """Ratio of restricted means, (chain, draw)."""
        return rmst_ratio(self.log_hazard, self.grid, self._until(horizon), self.causes)

    def restricted_time_lost(self, horizon: float | None = None) -> xr.DataArray:
        """Mean time lost to each cause when all compete, (chain, draw, arm, cause)."""
        return restricted_time_lost(self.log_hazard, self.grid, self._until(horizon))

    def restricted_time_lost_difference(self, horizon: float | None = None) -> xr.DataArray:
        """Difference of the time lost to each cause, (chain, draw, cause)."""
        return restricted_time_lost_difference(self.log_hazard, self.grid, self._until(horizon))

    def median_survival(self, horizon: float | None = None) -> xr.DataArray:
        """Median survival, +inf where it is beyond the horizon, (chain, draw, arm)."""
        return median_survival(self.log_hazard, self.grid, self._until(horizon), self.causes)

    @property
    def _later(self) -> np.ndarray:
        """Intervals beyond the horizon that are refused."""
        last = np.inf if self.extrapolate or self.horizon is None else self.horizon
        return self.grid.starts >= last

    def table(self, times: Sequence[float] = (12, 24, 36), level: float = 0.95) -> pd.DataFrame:
        """Every estimand at the given times, and the medians, one row an estimand, arm or contrast, cause and time.

        Parameters
        ----------
        times : sequence of float
            Months, above 0 and increasing. A restricted mean or hazard ratio is that of (0, time].
        level : float
            Probability inside the equal-tailed credible intervals.

        Returns
        -------
        pandas.DataFrame
            ``estimand``, ``arm`` (or the contrast), ``cause``, ``time``, ``median``, ``lower``,
            ``upper``, ``mcse`` of the median (ArviZ), ``probability_of`` (what), ``probability``,
            ``probability_mcse`` (0 where all draws agree), ``note``. Contrasts are there where there are two arms,
            causes by themselves where there are several. A median not reached by the horizon is inf, its mcse is NaN
            where any draw is, and the note says so.

        Raises
        ------
        SpecificationError
            When a time is beyond the horizon, 0 or not increasing, or ``level`` is not between 0 and 1.
        """
        from smm_bayes.survival.estimand_table import estimand_table

        return estimand_table(self, times, level)

    @property
    def event(self) -> str:
        """What counts as the event, in words."""
        return " or ".join(str(name) for name in (self.causes or self.log_hazard["cause"].values))

    def __repr__(self) -> str:
        sizes = self.log_hazard.sizes
        arms = ", ".join(str(arm) for arm in self.log_hazard["arm"].values)
        causes = ", ".join(str(cause) for cause in self.log_hazard["cause"].values)
        horizon = "none stated" if self.horizon is None else f"{self.horizon:g} months"
        beyond = "extrapolation beyond it allowed" if self.extrapolate else "nothing beyond it"
        return (f"Estimands: {sizes['chain']} x {sizes['draw']} draws (chain, draw); arms {arms}; causes {causes}; "
                f"event {self.event}; {sizes['interval']} intervals; horizon {horizon}, {beyond}")  # fmt: skip
