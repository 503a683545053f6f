r"""Estimands of one posterior, draw by draw, with named dims: transform first, summarise after.

Contrasts are of the experimental arm (E) with control (C). A hazard ratio below 1 and a difference of survival or
restricted mean above 0 favour E; a difference of incidence or time lost above 0 favours C. Each estimand is defined by
the method of :class:`~smm_bayes.survival.law.Law` with its name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.results import Result, literal, new_axes, tails
from smm_bayes.survival.estimands_table import tabulated
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.law import Causes, Law
from smm_bayes.survival.summary import SAMPLE, labelled, month, months, summarise

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes

    from smm_bayes.inference.fitted import Fit
    from smm_bayes.trial.patients import Patients

ARMS = ("control", "experimental")
USUAL = (12.0, 24.0, 36.0)  # months of a table


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
class Estimands(Result):
    r"""Every estimand of one posterior, up to a stated horizon.

    Parameters
    ----------
    law : Law
        With the leading dims (chain, draw). :meth:`of` takes that of a fit.
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
        When the law has other leading dims, a cause is unknown, or no horizon is stated. A method raises it for a time
        beyond the horizon, and for a contrast where an arm is missing.

    Notes
    -----
    Where ``rmst``, ``restricted_time_lost`` and ``median_survival`` are given no horizon they take the stated one.

    References
    ----------
    Uno H, et al. Journal of Clinical Oncology 2014;32:2380-5, doi:10.1200/JCO.2014.55.2208 (measures beside the hazard
    ratio). Royston P, Parmar MKB. BMC Medical Research Methodology 2013;13:152, doi:10.1186/1471-2288-13-152.

    Examples
    --------
    >>> import pandas as pd, smm_bayes as smm
    >>> from smm_bayes.survival import exact_fit
    >>> rows = pd.DataFrame({"patient": range(40), "arm": ["old", "new"] * 20, "event": 1,
    ...                      "time": [(10.0 + 7 * i) % 37 + 1 + 6 * (i % 2) for i in range(40)]})
    >>> patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"})
    >>> posterior = exact_fit(smm.OneTrial.of(patients, smm.TimeGrid((12, 24)), smm.GammaPrior(0.5, 50)), seed=1)
    >>> found = smm.Estimands.of(posterior, horizon=24)
    >>> found.table((24,), probability=0.8).shape
    (10, 12)
    >>> found.milestone_survival(24).dims
    ('chain', 'draw', 'arm')
    """

    law: Law
    _: KW_ONLY
    horizon: float | None = None
    causes: Causes = None
    extrapolate: bool = False

    def __post_init__(self) -> None:
        """Refuse what would give no estimand."""
        if len(self.law.lead) != 2:
            raise SpecificationError(f"the law of a posterior has the leading dims (chain, draw); got {self.law.lead}")
        self.law.counted(self.causes)
        if self.horizon is None and not self.extrapolate:
            raise SpecificationError(
                "state a horizon in months, such as follow_up_horizon(patients), or set extrapolate=True"
            )
        if self.horizon is not None and not 0 < self.horizon < np.inf:
            raise SpecificationError(f"horizon must be finite months above 0; got {self.horizon}")

    @classmethod
    def of(
        cls, fit: Fit, *, horizon: float | None = None, causes: Causes = None, extrapolate: bool = False
    ) -> Estimands:
        """Give the estimands of a fit of a model of survival.

        Parameters
        ----------
        fit : Fit
            Of a model value, such as :class:`~smm_bayes.survival.one_trial.OneTrial`.
        horizon : float, optional
            :func:`follow_up_horizon` of the model's patients by default, unless ``extrapolate``.
        causes, extrapolate
            As of the class.

        Raises
        ------
        SpecificationError
            When the fit does not know a model with a law, or no horizon is known.
        """
        model: Any = fit.model
        if not hasattr(model, "law"):
            raise SpecificationError("the fit does not know its model of survival; fit a value, such as OneTrial, or "
                                     "give Estimands(Law.of_draws(fit.posterior['log_hazard'], grid))")  # fmt: skip
        patients = getattr(model, "patients", None)
        if horizon is None and patients is not None and not extrapolate:
            horizon = follow_up_horizon(patients)
        return cls(model.law(fit.posterior), horizon=horizon, causes=causes, extrapolate=extrapolate)

    @property
    def grid(self) -> TimeGrid:
        """Intervals of the law."""
        return self.law.grid

    @property
    def event(self) -> str:
        """What counts as the event, in words."""
        return " or ".join(self.causes or self.law.causes)

    @property
    def two_arms(self) -> bool:
        """Whether there are arms to compare."""
        return set(ARMS) <= set(self.law.arms)

    def hazard_curve(self, time: np.ndarray | float) -> xr.DataArray:
        """Hazard of the causes that count among patients who are event-free, per month, (chain, draw, arm, time)."""
        return self._curve(self.law.hazard, time, "hazard")

    def cumulative_hazard_curve(self, time: np.ndarray | float) -> xr.DataArray:
        """Cumulative hazard, (chain, draw, arm, time)."""
        return self._curve(self.law.cumulative_hazard, time, "cumulative_hazard")

    def survival_curve(self, time: np.ndarray | float) -> xr.DataArray:
        """Survival, (chain, draw, arm, time)."""
        return self._curve(self.law.survival, time, "survival")

    def cumulative_incidence_curve(self, time: np.ndarray | float) -> xr.DataArray:
        """Probability of each cause by each time when all compete, (chain, draw, arm, cause, time)."""
        at = self._at(time)
        return self._labelled(self.law.cumulative_incidence(at), "cumulative_incidence", cause=self.law.causes, time=at)

    def cumulative_incidence_difference(self, time: float) -> xr.DataArray:
        """Difference of the probability of each cause by one time, F_Ec(t) − F_Cc(t), (chain, draw, cause)."""
        found = self.cumulative_incidence_curve(month(time)).isel(time=0, drop=True)
        return self._difference(found, "cumulative_incidence_difference")

    def milestone_survival(self, time: float) -> xr.DataArray:
        """Survival at one time, (chain, draw, arm)."""
        return self.survival_curve(month(time)).isel(time=0, drop=True).rename("milestone_survival")

    def milestone_difference(self, time: float) -> xr.DataArray:
        """Difference of survival at one time, S_E(t) − S_C(t), (chain, draw)."""
        return self._difference(self.milestone_survival(time), "milestone_difference")

    def hazard_ratio_curve(self) -> xr.DataArray:
        r"""Hazard ratio in each interval that begins before the horizon, (chain, draw, interval).

        :math:`\mathrm{HR}_j = \sum_{c \in C} \lambda_{Ecj} / \sum_{c \in C} \lambda_{Ccj}`. Even where each cause has
        proportional hazards, that of their sum may change with time. Of a mixture the hazards are means over each
        interval: events over time at risk.

        Notes
        -----
        A hazard ratio by time compares those still event-free, whom treatment has selected: Hernán MA. Epidemiology
        2010;21:13-5, doi:10.1097/EDE.0b013e3181c1ea43.
        """
        kept = ~self._later
        intervals = [label for label, keep in zip(self.grid.labels, kept, strict=True) if keep]
        return self._by_draw(np.exp(self._log_ratio()[..., kept]), "hazard_ratio", interval=intervals)

    def average_hazard_ratio(self, weights: np.ndarray) -> xr.DataArray:
        r"""Hazard ratio as a weighted geometric mean over intervals, (chain, draw).

        :math:`\exp\left(\sum_j v_j \log \mathrm{HR}_j / \sum_j v_j\right)`. With events as weights it is near to what a
        Cox model estimates. Intervals beyond the horizon must weigh 0.

        References
        ----------
        Schemper M, Wakounig S, Heinze G. Statistics in Medicine 2009;28:2473-89, doi:10.1002/sim.3623.
        """
        weight = np.asarray(weights, dtype=float)
        if weight.shape == (len(self.grid),) and np.any(weight[self._later] != 0):
            raise SpecificationError(
                f"intervals that begin at or after the horizon of {self.horizon:g} months must weigh 0; got "
                f"{weight.tolist()}. Set extrapolate=True to count them"
            )
        return self._by_draw(self._geometric_mean(weight), "hazard_ratio")

    def window_hazard_ratio(self, start: float, end: float) -> xr.DataArray:
        r"""Hazard ratio averaged over the months of (start, end], each with the same weight, (chain, draw).

        .. math:: \exp\left(\frac{1}{t_2 - t_1} \int_{t_1}^{t_2} \log \mathrm{HR}(t)\, dt\right)

        Unlike :meth:`average_hazard_ratio` with events as weights it does not depend on enrolment or censoring, so
        trials with other follow-up are comparable; but late months, where few patients are at risk, count in full.
        """
        first, last = month(start, "start"), month(self._at(month(end, "end"))[0], "end")
        if not first < last:
            raise SpecificationError(f"a window must end after it starts; got ({start:g}, {end:g}]")
        weights = self.grid.exposure(np.asarray(last), entry=first)
        return self._by_draw(self._geometric_mean(weights), "window_hazard_ratio")

    def rmst(self, horizon: float | None = None) -> xr.DataArray:
        """Restricted mean survival time: months of the first h without an event, (chain, draw, arm)."""
        return self._labelled(self.law.rmst(self._until(horizon), self.causes), "rmst")

    def rmst_difference(self, horizon: float | None = None) -> xr.DataArray:
        """Difference of restricted means, (chain, draw)."""
        return self._difference(self.rmst(horizon), "rmst_difference")

    def rmst_ratio(self, horizon: float | None = None) -> xr.DataArray:
        """Ratio of restricted means, (chain, draw); the horizon must be above 0."""
        if not self._until(horizon) > 0:
            raise SpecificationError(f"a ratio of restricted means needs a horizon above 0 months; got {horizon}")
        experimental, control = self._pair(self.rmst(horizon))
        return (experimental / control).rename("rmst_ratio")

    def restricted_time_lost(self, horizon: float | None = None) -> xr.DataArray:
        """Mean time lost to each cause when all compete, (chain, draw, arm, cause); with rmst they sum to h."""
        values = self.law.restricted_time_lost(self._until(horizon))
        return self._labelled(values, "restricted_time_lost", cause=self.law.causes)

    def restricted_time_lost_difference(self, horizon: float | None = None) -> xr.DataArray:
        """Difference of the time lost to each cause, (chain, draw, cause)."""
        return self._difference(self.restricted_time_lost(horizon), "restricted_time_lost_difference")

    def median_survival(self, horizon: float | None = None) -> xr.DataArray:
        """Median survival, +inf where it is beyond the horizon, (chain, draw, arm).

        A draw whose median is beyond the horizon says only that, so it is +inf;
        :func:`~smm_bayes.survival.summary.summarise_median` gives P(median ≤ horizon) and quantiles that know it.
        Medians have no difference where both are infinite: compare arms by restricted means or milestones.
        """
        if horizon is not None and not horizon > 0:
            raise SpecificationError(f"horizon must be above 0 months; got {horizon}")
        end = np.inf if horizon == np.inf and self.extrapolate else self._until(horizon)
        return self._labelled(self.law.quantile(0.5, self.causes, end), "median_survival")

    def table(self, times: Sequence[float] = (), probability: float = 0.95) -> pd.DataFrame:
        """Every estimand at the given times, and the medians, one row an estimand, arm or contrast, cause and time.

        Parameters
        ----------
        times : sequence of float
            Months, above 0 and increasing; by default 12, 24 and 36, those within the horizon, or else the horizon. A
            restricted mean or hazard ratio is that of (0, time].
        probability : float
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
            When a time is beyond the horizon, 0 or not increasing, or ``probability`` is not between 0 and 1.
        """
        return tabulated(self, times if len(times) else self._usual_times, probability)

    @property
    def _usual_times(self) -> tuple[float, ...]:
        """Months of a table for which none are given."""
        if self.extrapolate or self.horizon is None:
            return USUAL
        return tuple(time for time in USUAL if time <= self.horizon) or (self.horizon,)

    def summary(self) -> str:
        """Say survival by arm, and the hazard ratio of two arms, at the last of the usual months within the horizon."""
        at = self._usual_times[-1]
        rows = summarise(self.milestone_survival(at))
        free = ", ".join(f"{arm} {_shown(row)}" for arm, row in rows.iterrows())
        said = f"Free of {self.event} at month {at:g}: {free}"
        if self.two_arms:
            ratio = self.window_hazard_ratio(0.0, at)
            said += (f"; hazard ratio {_shown(summarise(ratio).iloc[0])}, below 1 with probability "
                     f"{float((ratio < 1).mean()):.3f}")  # fmt: skip
        return f"{said} (medians, 95 % credible intervals)."

    @literal
    def plot(self, ax: Axes | None = None, *, probability: float = 0.95) -> Axes:
        """Draw survival by arm up to the horizon: posterior median, and a band of credible intervals."""
        axes, end = new_axes(ax), self.horizon or USUAL[-1]
        below, above = tails(probability)
        time = np.linspace(0.0, end, 121)
        curves = self.survival_curve(time)
        for arm in self.law.arms:
            low, middle, high = curves.sel(arm=arm).quantile([below, 0.5, above], dim=SAMPLE).to_numpy()
            (line,) = axes.plot(time, middle, label=arm)
            axes.fill_between(time, low, high, color=line.get_color(), alpha=0.25, linewidth=0)
        axes.set(xlabel="months", ylabel=f"free of {self.event}", xlim=(0, end), ylim=(0, 1.01))
        axes.legend(frameon=False)
        return axes

    @property
    def _later(self) -> np.ndarray:
        """Intervals beyond the horizon that are refused."""
        last = np.inf if self.extrapolate or self.horizon is None else self.horizon
        return self.grid.starts >= last

    def _at(self, time: np.ndarray | float) -> np.ndarray:
        """Give the times back, or refuse those beyond the horizon."""
        at = months(time)
        if self.horizon is not None and not self.extrapolate and at.max() > self.horizon:
            raise SpecificationError(
                f"month {at.max():g} is beyond the horizon of {self.horizon:g} months; ask for times up to it, or set "
                "extrapolate=True to rest on the model alone"
            )
        return at

    def _until(self, horizon: float | None) -> float:
        """Give the horizon asked for, or the stated one."""
        end = self.horizon if horizon is None else horizon
        if end is None:
            raise SpecificationError("give a horizon in months; none was stated")
        return float(self._at(month(end, "horizon"))[0])

    def _curve(self, of: Callable[..., np.ndarray], time: np.ndarray | float, name: str) -> xr.DataArray:
        at = self._at(time)
        return self._labelled(of(at, self.causes), name, time=at)

    def _log_ratio(self) -> np.ndarray:
        """Log hazard ratio of the causes that count by interval, shape (chain, draw, interval)."""
        self._check_arms()
        law = self.law.only(*ARMS)
        hazards = law.log_hazard[..., 0, :, :] if law.components == 1 else law.average_log_hazard(self.grid)
        total = np.logaddexp.reduce(hazards[..., law.counted(self.causes), :], axis=-2)
        return total[..., 1, :] - total[..., 0, :]

    def _geometric_mean(self, weights: np.ndarray) -> np.ndarray:
        log_ratio, weight = self._log_ratio(), np.asarray(weights, dtype=float)
        size = len(self.grid)
        if weight.shape != (size,) or not np.all(np.isfinite(weight)) or np.any(weight < 0) or not weight.sum() > 0:
            raise SpecificationError(f"weights must be {size}, one an interval, not negative and not all 0; got "
                                     f"{weights}")  # fmt: skip
        return np.exp(np.average(log_ratio, axis=-1, weights=weight))

    def _check_arms(self) -> None:
        if not self.two_arms:
            raise SpecificationError(
                f"a contrast needs the arms {' and '.join(ARMS)}; got {', '.join(self.law.arms)}. Name the arms of the "
                "law so"
            )

    def _pair(self, draws: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
        """Experimental and control."""
        self._check_arms()
        return draws.sel(arm="experimental", drop=True), draws.sel(arm="control", drop=True)

    def _difference(self, draws: xr.DataArray, name: str) -> xr.DataArray:
        """Experimental less control."""
        experimental, control = self._pair(draws)
        return (experimental - control).rename(name)

    def _labelled(self, values: np.ndarray, name: str, **more: object) -> xr.DataArray:
        return self._by_draw(values, name, arm=list(self.law.arms), **more)

    def _by_draw(self, values: np.ndarray, name: str, **more: object) -> xr.DataArray:
        chains, draws = self.law.lead
        coords = {dim: list(labels) if isinstance(labels, tuple) else labels for dim, labels in more.items()}
        return labelled(values, {"chain": np.arange(chains), "draw": np.arange(draws), **coords}, name)

    def __repr__(self) -> str:
        (chains, draws), law = self.law.lead, self.law
        horizon = "none stated" if self.horizon is None else f"{self.horizon:g} months"
        beyond = "extrapolation beyond it allowed" if self.extrapolate else "nothing beyond it"
        return (f"Estimands: {chains} x {draws} draws (chain, draw); arms {', '.join(law.arms)}; causes "
                f"{', '.join(law.causes)}; event {self.event}; {len(self.grid)} intervals; horizon {horizon}, {beyond}")


def _shown(row: pd.Series) -> str:
    return f"{row['median']:.2f} ({row['lower']:.2f} to {row['upper']:.2f})"
