r"""What a mixture cure model says of patients: survival, incidence, hazards, restricted means, who is cured.

The cured have the hazards of the other causes, the uncured those and :math:`\lambda`: two piecewise-exponential laws,
mixed with weights :math:`\pi` and :math:`1 - \pi`. Whatever is a mean over patients is the same mix of the two closed
forms, so that survival, incidence and restricted means are exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.survival.contrasts import difference
from smm_bayes.survival.curves import labelled, month, months
from smm_bayes.survival.estimands import within_horizon
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.piecewise import PiecewiseExponential, cumulative_incidence

if TYPE_CHECKING:
    import xarray as xr

    from smm_bayes.survival.cure_table import CureTable


@dataclass(frozen=True, eq=False)
class MixtureCure:
    """Times to the first of competing causes, one of which a share never has; over any leading dims.

    Parameters
    ----------
    cured : numpy.ndarray, shape (...)
        Share cured of the first cause, from 0 to below 1.
    log_hazard : numpy.ndarray, shape (..., cause, interval)
        Of the uncured, per month; the first cause is the curable one, the others are those of the cured too.
    grid : TimeGrid

    Raises
    ------
    SpecificationError
        When shapes do not fit, or a share is out of range.
    """

    cured: np.ndarray
    log_hazard: np.ndarray
    grid: TimeGrid

    def __post_init__(self) -> None:
        """Refuse shapes and shares that give no distribution."""
        shape = np.shape(self.log_hazard)
        if len(shape) < 2 or shape[-1] != len(self.grid) or np.shape(self.cured) != shape[:-2]:
            raise SpecificationError(
                f"log_hazard must end with (cause, interval), {len(self.grid)} intervals, and cured have its leading "
                f"dims; got shapes {shape} and {np.shape(self.cured)}"
            )
        if not np.all((np.asarray(self.cured) >= 0) & (np.asarray(self.cured) < 1)):
            raise SpecificationError("a cured share must be 0 or more and below 1")

    @classmethod
    def of(cls, parameters: Mapping[str, np.ndarray], grid: TimeGrid) -> MixtureCure:
        """Make it of parameters by the names of the model: ``cured``, ``log_hazard_uncured``, ``log_hazard_other``."""
        log_hazard = parameters["log_hazard_uncured"][..., None, :]
        if "log_hazard_other" in parameters:
            log_hazard = np.concatenate([log_hazard, parameters["log_hazard_other"]], axis=-2)
        return cls(parameters["cured"], log_hazard, grid)

    @property
    def _uncured(self) -> PiecewiseExponential:
        """The curable cause alone, among the uncured."""
        return PiecewiseExponential(self.log_hazard[..., 0, :], self.grid)

    @property
    def _others(self) -> PiecewiseExponential:
        """All other causes: the law of the cured."""
        return PiecewiseExponential(np.logaddexp.reduce(self.log_hazard[..., 1:, :], axis=-2), self.grid)

    @property
    def _all(self) -> PiecewiseExponential:
        """All causes: the law of the uncured."""
        return PiecewiseExponential(np.logaddexp.reduce(self.log_hazard, axis=-2), self.grid)

    def net_survival(self, time: np.ndarray | float) -> np.ndarray:
        """π + (1 − π)·exp(−H(t)), without other causes; it levels off at π. Shape (..., time)."""
        share = np.asarray(self.cured)[..., None]
        return share + (1 - share) * self._uncured.survival(time)

    def survival(self, time: np.ndarray | float) -> np.ndarray:
        """Probability of no event of any cause by each time, shape (..., time)."""
        return self.net_survival(time) * self._others.survival(time)

    def cured_if_event_free(self, time: np.ndarray | float) -> np.ndarray:
        """Probability of being cured given no event by each time, π / net survival, shape (..., time)."""
        return np.asarray(self.cured)[..., None] / self.net_survival(time)

    def hazard(self, time: np.ndarray | float) -> np.ndarray:
        """Hazard of the curable cause among all who are event-free, shape (..., time).

        That of the uncured times their share, which falls because they leave: so does the hazard, even where that of
        the uncured does not.
        """
        return self._uncured.hazard(time) * (1 - self.cured_if_event_free(time))

    def cumulative_incidence(self, time: np.ndarray | float) -> np.ndarray:
        """Probability of an event of each cause by each time when all compete, shape (..., cause, time)."""
        at, share = np.atleast_1d(np.asarray(time, dtype=float)), np.asarray(self.cured)[..., None, None]
        never = self.log_hazard.copy()
        never[..., 0, :] = -np.inf
        return share * cumulative_incidence(never, self.grid, at) + (1 - share) * cumulative_incidence(
            self.log_hazard, self.grid, at
        )

    def rmst(self, horizon: float) -> np.ndarray:
        """Restricted mean time without an event of any cause, exact, shape (...)."""
        share = np.asarray(self.cured)
        return share * self._others.rmst(horizon) + (1 - share) * self._all.rmst(horizon)

    def sample(self, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw one time and its cause per leading index; an infinite time and cause -1 where nothing ever happens."""
        shape = np.shape(self.cured)
        cured = rng.random(shape) < self.cured
        with np.errstate(invalid="ignore"):
            times = np.stack([PiecewiseExponential(self.log_hazard[..., cause, :], self.grid).sample(rng=rng)
                              for cause in range(self.log_hazard.shape[-2])])  # fmt: skip
        times[0] = np.where(cured, np.inf, times[0])
        time = times.min(axis=0)
        return time, np.where(np.isfinite(time), times.argmin(axis=0), -1)


@dataclass(frozen=True, eq=False)
class CureEstimands:
    """Estimands of one posterior of a mixture cure model, draw by draw, up to a stated horizon.

    Parameters
    ----------
    cured : xarray.DataArray
        Draws (chain, draw, arm) of the cured share.
    log_hazard : xarray.DataArray
        Draws (chain, draw, arm, cause, interval) of the uncured, per month, the curable cause first.
    grid : TimeGrid
    horizon : float, optional
        Last month that may be asked for, for example
        :func:`~smm_bayes.survival.estimands.follow_up_horizon`. Needed unless ``extrapolate``.
    extrapolate : bool
        Allow later times, where all rests on the prior and the model.

    Raises
    ------
    SpecificationError
        When draws and grid do not fit, or no horizon is stated. A method raises it for a time beyond the horizon.

    Notes
    -----
    The cured share itself is what net survival tends to after any horizon: look at
    :func:`~smm_bayes.survival.cure_summary.cure_summary` before believing it.
    """

    cured: xr.DataArray
    log_hazard: xr.DataArray
    grid: TimeGrid
    _: KW_ONLY
    horizon: float | None = None
    extrapolate: bool = False

    @classmethod
    def of(
        cls, posterior: xr.Dataset, table: CureTable, *, horizon: float | None = None, extrapolate: bool = False
    ) -> CureEstimands:
        """Take the draws of a model of ``table`` (:func:`~smm_bayes.survival.cure.cure_model`)."""
        import xarray as xr

        log_hazard = posterior["log_hazard_uncured"].expand_dims(cause=[table.curable])
        if table.other_causes:
            log_hazard = xr.concat([log_hazard, posterior["log_hazard_other"]], dim="cause")
        return cls(posterior["cured"], log_hazard, table.table.grid, horizon=horizon, extrapolate=extrapolate)

    def __post_init__(self) -> None:
        """Refuse what would give no estimand."""
        if self.horizon is None and not self.extrapolate:
            raise SpecificationError(
                "state a horizon in months, such as follow_up_horizon(patients), or set extrapolate=True"
            )
        if self.horizon is not None and not 0 < self.horizon < np.inf:
            raise SpecificationError(f"horizon must be finite months above 0; got {self.horizon}")
        _ = self._law

    @property
    def _law(self) -> MixtureCure:
        log_hazard = self.log_hazard.transpose("chain", "draw", "arm", "cause", "interval")
        return MixtureCure(self.cured.transpose("chain", "draw", "arm").values, log_hazard.values, self.grid)

    def _at(self, time: np.ndarray | float) -> np.ndarray:
        return within_horizon(months(time), self.horizon, self.extrapolate)

    def _labelled(self, values: np.ndarray, name: str, **more: object) -> xr.DataArray:
        return labelled(values, {dim: self.cured[dim].values for dim in ("chain", "draw", "arm")} | more, name)

    def survival_curve(self, time: np.ndarray | float) -> xr.DataArray:
        """Survival without an event of any cause, (chain, draw, arm, time)."""
        at = self._at(time)
        return self._labelled(self._law.survival(at), "survival", time=at)

    def net_survival_curve(self, time: np.ndarray | float) -> xr.DataArray:
        """Survival without the curable cause if no other existed, (chain, draw, arm, time)."""
        at = self._at(time)
        return self._labelled(self._law.net_survival(at), "net_survival", time=at)

    def hazard_curve(self, time: np.ndarray | float) -> xr.DataArray:
        """Hazard of the curable cause among the event-free, cured and uncured, (chain, draw, arm, time)."""
        at = self._at(time)
        return self._labelled(self._law.hazard(at), "hazard", time=at)

    def cured_if_event_free(self, time: np.ndarray | float) -> xr.DataArray:
        """Probability of being cured given no event by each time, (chain, draw, arm, time)."""
        at = self._at(time)
        return self._labelled(self._law.cured_if_event_free(at), "cured_if_event_free", time=at)

    def cumulative_incidence_curve(self, time: np.ndarray | float) -> xr.DataArray:
        """Probability of each cause by each time when all compete, (chain, draw, arm, cause, time)."""
        at, causes = self._at(time), self.log_hazard["cause"].values
        return self._labelled(self._law.cumulative_incidence(at), "cumulative_incidence", cause=causes, time=at)

    def rmst(self, horizon: float | None = None) -> xr.DataArray:
        """Restricted mean time without an event of any cause, (chain, draw, arm); to the stated horizon by default."""
        end = self.horizon if horizon is None else horizon
        if end is None:
            raise SpecificationError("give a horizon in months; none was stated")
        return self._labelled(self._law.rmst(float(self._at(month(end, "horizon"))[0])), "rmst")

    def milestone_difference(self, time: float) -> xr.DataArray:
        """Difference of survival at one time, experimental less control, (chain, draw)."""
        return difference(self.survival_curve(month(time)).isel(time=0, drop=True), "milestone_difference")

    def rmst_difference(self, horizon: float | None = None) -> xr.DataArray:
        """Difference of restricted means, experimental less control, (chain, draw)."""
        return difference(self.rmst(horizon), "rmst_difference")

    def __repr__(self) -> str:
        sizes, horizon = self.cured.sizes, "none stated" if self.horizon is None else f"{self.horizon:g} months"
        return (f"CureEstimands: {sizes['chain']} x {sizes['draw']} draws (chain, draw); "
                f"{self.log_hazard['cause'].values[0]} curable; horizon {horizon}")  # fmt: skip
