r"""The law of a patient's time to an event and its cause: by arm a mixture of piecewise-exponential laws.

Arm a is a mixture over components p with shares :math:`\pi_{ap}`. In component p the hazard of cause c in interval j =
:math:`(\tau_{j-1}, \tau_j]` is :math:`\lambda_{apcj}`, and with :math:`w_j(t)` the months of interval j before t

.. math:: H_{ap}(t) = \sum_j \sum_{c \in C} \lambda_{apcj}\, w_j(t), \quad
          S_a(t) = \sum_p \pi_{ap}\, e^{-H_{ap}(t)}.

A model of survival is one component. A cure model is two: the cured, who never have the curable event, and the others.
A regression is one for each profile of patients, a joint model with MRD one for each path of the status over visits.

C is ``causes``: the causes that count. Where some are left out, S, the restricted mean and the median are net of them:
what there would be if they never happened, which supposes that within a component the causes are independent. In
cumulative incidence and time lost all causes compete. Hazards are per month, times in months. All is in closed form,
for all posterior draws at once; only the quantile of a mixture is found by bisection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.piecewise import PiecewiseExponential, cumulative_incidence, restricted_time_lost

if TYPE_CHECKING:
    import xarray as xr

Causes = tuple[str, ...] | None
DIMS = ("chain", "draw", "arm", "cause", "interval")
TOLERANCE = 1e-6  # of shares that must add up to 1
LATEST, BISECTIONS = 2.0**40, 100  # months by which a quantile is reached or never; halvings down to the last digit


@dataclass(frozen=True, eq=False)
class Law:
    """Times and causes of events by arm, over any leading dims, such as (chain, draw).

    Parameters
    ----------
    log_hazard : numpy.ndarray, shape (..., arm, component, cause, interval)
        Per month; minus infinity where an event cannot happen.
    log_share : numpy.ndarray, shape (..., arm, component)
        Log of the share of each component at time 0.
    grid : TimeGrid
    arms, causes : tuple of str

    Raises
    ------
    SpecificationError
        When shapes do not fit each other, a log hazard is NaN or infinite, or shares do not add up to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from smm_bayes.survival import Law, TimeGrid
    >>> law = Law.plain(np.log([[[0.02, 0.01]], [[0.01, 0.005]]]), TimeGrid([12.0]), ("control", "experimental"))
    >>> law.survival(24.0)[:, 0].round(3).tolist()
    [0.698, 0.835]
    """

    log_hazard: np.ndarray
    log_share: np.ndarray
    grid: TimeGrid
    arms: tuple[str, ...]
    causes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what is no law."""
        hazard, share = np.shape(self.log_hazard), np.shape(self.log_share)
        with Problems("law", SpecificationError).collecting() as problems:
            wanted = (len(self.arms), hazard[-3] if len(hazard) > 3 else 1, len(self.causes), len(self.grid))
            if hazard[-4:] != wanted or share != hazard[:-2] or 0 in hazard:
                problems.add(f"log_hazard must have shape (..., arm, component, cause, interval) ending in {wanted}, "
                             f"and log_share its dims without the last two; got {hazard} and {share}")
            elif np.isnan(self.log_hazard).any() or np.isposinf(self.log_hazard).any():
                problems.add("log_hazard has values that are not finite; look at the fit")
            elif share[-1] > 1 or np.any(self.log_share):
                off = np.abs(np.exp(np.minimum(self.log_share, 1.0)).sum(axis=-1) - 1)
                if not off.max() <= TOLERANCE:
                    problems.add(f"the shares of an arm's components must add up to 1; the worst draw is off by "
                                 f"{off.max():.3g}")

    @classmethod
    def plain(
        cls, log_hazard: np.ndarray, grid: TimeGrid, arms: tuple[str, ...] = ("control", "experimental"),
        causes: tuple[str, ...] = ("event",),
    ) -> Law:  # fmt: skip
        """Give the law of one component: log hazards of shape (..., arm, cause, interval)."""
        values = np.asarray(log_hazard, dtype=float)
        return cls(values[..., None, :, :], np.zeros((*values.shape[:-2], 1)), grid, tuple(arms), tuple(causes))

    @classmethod
    def of_draws(cls, log_hazard: xr.DataArray, grid: TimeGrid) -> Law:
        """Give the law of one component from draws with the dims (chain, draw, arm, cause, interval), in any order.

        Raises
        ------
        SpecificationError
            When the dims are others, a log hazard is not finite, or the grid has another number of intervals.
        """
        if set(log_hazard.dims) != set(DIMS):
            found = ", ".join(str(name) for name in log_hazard.dims)
            raise SpecificationError(f"log_hazard must have the dims {', '.join(DIMS)}; got {found}")
        if log_hazard.sizes["interval"] != len(grid):
            raise SpecificationError(f"log_hazard has {log_hazard.sizes['interval']} intervals and the grid "
                                     f"{len(grid)}; give its grid")  # fmt: skip
        if not np.all(np.isfinite(log_hazard.values)):
            raise SpecificationError("log_hazard must be finite in every draw; look at the fit")
        names = (tuple(str(name) for name in log_hazard[dim].values) for dim in ("arm", "cause"))
        return cls.plain(log_hazard.transpose(*DIMS).values, grid, *names)

    @property
    def components(self) -> int:
        """Number of components."""
        return self.log_share.shape[-1]

    @property
    def lead(self) -> tuple[int, ...]:
        """Leading dims."""
        return self.log_share.shape[:-2]

    def counted(self, causes: Causes) -> list[int]:
        """Give the positions of the causes that count; all by default.

        Raises
        ------
        SpecificationError
            When a cause is unknown or named twice, or none is named.
        """
        if causes is None:
            return list(range(len(self.causes)))
        if not causes or len(set(causes)) < len(causes) or set(causes) - set(self.causes):
            raise SpecificationError(f"causes must be some of {', '.join(self.causes)}, each once; got {tuple(causes)}")
        return [self.causes.index(cause) for cause in causes]

    def only(self, *arms: str) -> Law:
        """Give the law of some arms."""
        rows = [self.arms.index(arm) for arm in arms]
        return Law(self.log_hazard[..., rows, :, :, :], self.log_share[..., rows, :], self.grid, arms, self.causes)

    @property
    def by_component(self) -> PiecewiseExponential:
        """Time to an event of any cause, by arm and component."""
        return PiecewiseExponential(np.logaddexp.reduce(self.log_hazard, axis=-2), self.grid)

    def _component(self, which: int, causes: Causes = None) -> PiecewiseExponential:
        """Time to an event of the causes that count in one component, by arm."""
        chosen = self.log_hazard[..., which, self.counted(causes), :]
        return PiecewiseExponential(np.logaddexp.reduce(chosen, axis=-2), self.grid)

    def _mixed(self, of: Callable[[int], np.ndarray]) -> np.ndarray:
        """Mean over components of values (..., arm, further dims), one component at a time to save memory."""
        if self.components == 1:
            return of(0)
        share, total = np.exp(self.log_share), np.zeros(())
        for which in range(self.components):
            values = of(which)
            total = total + share[..., which].reshape(*share.shape[:-1], *[1] * (values.ndim - share.ndim + 1)) * values
        return total

    def survival(self, time: np.ndarray | float, causes: Causes = None) -> np.ndarray:
        """Probability of no event by each time, shape (..., arm, time)."""
        return self._mixed(lambda p: self._component(p, causes).survival(time))

    def cumulative_hazard(self, time: np.ndarray | float, causes: Causes = None) -> np.ndarray:
        """Cumulative hazard of the arm, −log S(t), shape (..., arm, time)."""
        if self.components == 1:
            return self._component(0, causes).cumulative_hazard(time)
        with np.errstate(divide="ignore"):
            return -np.log(self.survival(time, causes))

    def hazard(self, time: np.ndarray | float, causes: Causes = None) -> np.ndarray:
        r"""Hazard of the causes that count among patients who are event-free, shape (..., arm, time).

        :math:`\sum_p \pi_{ap} S_{ap}(t) \lambda_{ap}(t) / \sum_p \pi_{ap} S_{ap}(t)`, with S of all causes. It falls
        where patients at high risk leave, even if no patient's hazard does.
        """
        if self.components == 1:
            return self._component(0, causes).hazard(time)
        leaving = self._mixed(lambda p: self._component(p).survival(time) * self._component(p, causes).hazard(time))
        return leaving / self.survival(time)

    def shares(self, time: np.ndarray | float) -> np.ndarray:
        """Share of each component among patients who are event-free at each time, shape (..., arm, component, time)."""
        each = [self._component(p).survival(time) for p in range(self.components)]
        joint = np.exp(self.log_share)[..., None] * np.stack(each, axis=-2)
        return joint / joint.sum(axis=-2, keepdims=True)

    def cumulative_incidence(self, time: np.ndarray | float) -> np.ndarray:
        r"""Probability of an event of each cause by each time when all compete, shape (..., arm, cause, time).

        :math:`F_{ac}(t) = \sum_p \pi_{ap} \int_0^t \lambda_{apc} S_{ap}`, so that
        :math:`S_a(t) + \sum_c F_{ac}(t) = 1`.
        """
        at = np.atleast_1d(np.asarray(time, dtype=float))
        return self._mixed(lambda p: cumulative_incidence(self.log_hazard[..., p, :, :], self.grid, at))

    def rmst(self, horizon: float, causes: Causes = None) -> np.ndarray:
        r"""Restricted mean survival time :math:`\int_0^h S_a(t)\, dt`, shape (..., arm)."""
        return self._mixed(lambda p: self._component(p, causes).rmst(horizon))

    def restricted_time_lost(self, horizon: float) -> np.ndarray:
        r"""Mean time lost to each cause, :math:`\int_0^h F_{ac}(t)\, dt`, shape (..., arm, cause)."""
        return self._mixed(lambda p: restricted_time_lost(self.log_hazard[..., p, :, :], self.grid, horizon))

    def quantile(self, probability: float, causes: Causes = None, horizon: float = np.inf) -> np.ndarray:
        """Smallest time by which a share ``probability`` had the event, infinite beyond ``horizon``, (..., arm)."""
        if self.components == 1:
            found = self._component(0, causes).quantile(probability)
            return np.where(found <= horizon, found, np.inf)
        each = [self._component(p, causes).quantile(probability) for p in range(self.components)]
        low, reach = np.min(each, axis=0), np.max(each, axis=0)
        high = np.minimum(reach, min(horizon, LATEST))
        low = np.minimum(low, high)
        beyond = (high < reach) & (self._survival_at(high, causes) > 1 - probability)
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            later = self._survival_at(middle, causes) > 1 - probability
            low, high = np.where(later, middle, low), np.where(later, high, middle)
        return np.where(beyond, np.inf, high)

    def _survival_at(self, time: np.ndarray, causes: Causes) -> np.ndarray:
        """Survival at a time of each arm's own, shape (..., arm)."""
        width = self.grid.exposure(time)  # (..., arm, interval)
        return self._mixed(lambda p: np.exp(-(self._component(p, causes).hazards * width).sum(axis=-1)))

    def marginal_log_hazard(self, grid: TimeGrid) -> np.ndarray:
        """Log hazard of all patients of an arm by cause and interval, shape (..., arm, cause, interval).

        Of one component on this grid its own, and :meth:`average_log_hazard` of a mixture.
        """
        if self.components == 1 and grid == self.grid:
            return self.log_hazard[..., 0, :, :]
        return self.average_log_hazard(grid)

    def by_chain(self, posterior: xr.Dataset) -> Law:
        """Give the law of draws end to end with the leading dims (chain, draw) of a posterior."""
        lead = posterior.sizes["chain"], posterior.sizes["draw"]
        hazard, share = (values.reshape(*lead, *values.shape[1:]) for values in (self.log_hazard, self.log_share))
        return Law(hazard, share, self.grid, self.arms, self.causes)

    def average_log_hazard(self, grid: TimeGrid) -> np.ndarray:
        r"""Log of the mean hazard of each cause over intervals of a grid, shape (..., arm, cause, interval).

        :math:`\{F_c(b) - F_c(a)\} / \int_a^b S`: events over time at risk. The last interval, which has no end, counts
        as in :attr:`~smm_bayes.survival.grid.TimeGrid.ends`.
        """
        edges = np.append(0.0, grid.ends)
        incidence = np.diff(self.cumulative_incidence(edges), axis=-1)
        spent = np.diff(np.stack([self.rmst(float(edge)) for edge in edges], axis=-1), axis=-1)
        return np.log(incidence) - np.log(spent)[..., None, :]

    def sample(
        self, arm: np.ndarray, *, rng: np.random.Generator, component: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw patients of a law without leading dims.

        Parameters
        ----------
        arm : numpy.ndarray of int, shape (patient,)
        rng : numpy.random.Generator
        component : numpy.ndarray of int, shape (patient,), optional
            That of each patient, where it is known; drawn by the shares otherwise.

        Returns
        -------
        time : numpy.ndarray, shape (patient,)
            Infinite where no event ever happens.
        cause : numpy.ndarray of int, shape (patient,)
            -1 where no event ever happens.
        component : numpy.ndarray of int, shape (patient,)
        """
        if component is None:
            share = np.cumsum(np.exp(self.log_share), axis=-1)
            component = (rng.random(len(arm))[:, None] * share[arm, -1:] > share[arm]).sum(axis=1)
        log_hazard = self.log_hazard[arm, component]  # (patient, cause, interval)
        time = PiecewiseExponential(np.logaddexp.reduce(log_hazard, axis=1), self.grid).sample(rng=rng)
        at = np.where(np.isfinite(time), time, 0.0)
        there = np.exp(np.take_along_axis(log_hazard, self.grid.index(at)[:, None, None], axis=2)[..., 0])
        level = np.cumsum(there, axis=1) / np.maximum(there.sum(axis=1, keepdims=True), 1e-300)
        cause = (rng.random((len(arm), 1)) > level).sum(axis=1)
        return time, np.where(np.isfinite(time), np.minimum(cause, len(self.causes) - 1), -1), component

    def __repr__(self) -> str:
        mixed = "" if self.components == 1 else f"; a mixture of {self.components} components"
        return (f"{type(self).__name__}: leading dims {self.lead}; arms {', '.join(self.arms)}; causes "
                f"{', '.join(self.causes)}; {len(self.grid)} intervals{mixed}")  # fmt: skip


def draws_first(posterior: xr.Dataset) -> dict[str, np.ndarray]:
    """Give every parameter of a posterior with draws of all chains first, in their order."""
    found = {}
    for name, values in posterior.data_vars.items():
        array = values.transpose("chain", "draw", ...).values
        found[str(name)] = array.reshape(-1, *array.shape[2:])
    return found
