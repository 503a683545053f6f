"""The piecewise-exponential distribution, for one cause or for competing causes, over any leading dims.

Hazard λ_j on (τ_{j-1}, τ_j]; cumulative hazard H(t) = Σ_j λ_j·|(τ_{j-1}, τ_j] ∩ (0, t]|; survival S(t) = exp(−H(t)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.survival.grid import TimeGrid


@dataclass(frozen=True, eq=False)
class PiecewiseExponential:
    """Survival times with constant hazard in each interval.

    Parameters
    ----------
    log_hazard : numpy.ndarray, shape (..., interval)
        Log hazard per month.
    grid : TimeGrid

    Notes
    -----
    Every function is exact: cumulative hazard, quantile and restricted mean are in closed form.
    """

    log_hazard: np.ndarray
    grid: TimeGrid

    def __post_init__(self) -> None:
        """Refuse a last dim that is not the grid's."""
        if np.shape(self.log_hazard)[-1:] != (len(self.grid),):
            raise SpecificationError(
                f"log_hazard must end with {len(self.grid)} intervals; got shape {np.shape(self.log_hazard)}"
            )

    @property
    def hazards(self) -> np.ndarray:
        """Hazard in each interval, shape (..., interval)."""
        return np.exp(self.log_hazard)

    def _before(self) -> np.ndarray:
        """Cumulative hazard at the start of each interval."""
        steps = self.hazards[..., :-1] * np.diff(self.grid.starts)
        zero = np.zeros((*steps.shape[:-1], 1))
        return np.concatenate([zero, np.cumsum(steps, axis=-1)], axis=-1)

    def hazard(self, time: np.ndarray | float) -> np.ndarray:
        """Hazard at each time, shape (..., time)."""
        return self.hazards[..., self.grid.index(np.atleast_1d(time))]

    def cumulative_hazard(self, time: np.ndarray | float) -> np.ndarray:
        """H(t), shape (..., time)."""
        at = np.atleast_1d(np.asarray(time, dtype=float))
        index = self.grid.index(at)
        return self._before()[..., index] + self.hazards[..., index] * (at - self.grid.starts[index])

    def survival(self, time: np.ndarray | float) -> np.ndarray:
        """S(t), shape (..., time)."""
        return np.exp(-self.cumulative_hazard(time))

    def time_at(self, cumulative: np.ndarray) -> np.ndarray:
        """Time at which the cumulative hazard reaches ``cumulative`` (leading dims as the hazards').

        Infinite where the last hazard is zero and the value is never reached.
        """
        before, hazards = self._before(), self.hazards
        value = np.asarray(cumulative, dtype=float)
        index = np.sum(value[..., None] > before[..., 1:], axis=-1)
        low = np.take_along_axis(before, index[..., None], -1)[..., 0]
        rate = np.take_along_axis(hazards, index[..., None], -1)[..., 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            extra = np.where(value > low, (value - low) / rate, 0.0)
        return self.grid.starts[index] + extra

    def quantile(self, probability: float) -> np.ndarray:
        """Time by which a share ``probability`` has had the event; leading dims as the hazards'."""
        if not 0 <= probability < 1:
            raise SpecificationError(f"probability must be in [0, 1); got {probability}")
        return self.time_at(np.full(self.hazards.shape[:-1], -np.log1p(-probability)))

    def median(self) -> np.ndarray:
        """Median survival."""
        return self.quantile(0.5)

    def rmst(self, horizon: float) -> np.ndarray:
        """Restricted mean survival time ∫₀^horizon S(t) dt, in closed form."""
        width = self.grid.exposure(np.asarray(horizon))
        before, hazards = self._before(), self.hazards
        area = np.where(hazards * width > 1e-12, -np.expm1(-hazards * width) / np.maximum(hazards, 1e-300), width)
        return np.sum(np.exp(-before) * area, axis=-1)

    def sample(self, *, rng: np.random.Generator, survived: np.ndarray | float = 0.0) -> np.ndarray:
        """Draw one time per leading index, given survival to ``survived``."""
        shape = np.broadcast_shapes(self.hazards.shape[:-1], np.shape(survived))
        given = np.broadcast_to(np.asarray(survived, dtype=float), shape)
        hazards = np.broadcast_to(self.log_hazard, (*shape, len(self.grid)))
        wide = PiecewiseExponential(hazards, self.grid)
        index = self.grid.index(given)
        low = np.take_along_axis(wide._before(), index[..., None], -1)[..., 0]
        rate = np.take_along_axis(wide.hazards, index[..., None], -1)[..., 0]
        already = low + rate * (given - self.grid.starts[index])
        return np.maximum(wide.time_at(already + rng.exponential(size=shape)), given)


def cumulative_incidence(log_hazard: np.ndarray, grid: TimeGrid, time: np.ndarray) -> np.ndarray:
    """Probability of an event of each cause by each time when the causes compete.

    F_c(t) = Σ_j S(τ_{j-1})·(λ_cj/λ_j)·(1 − exp(−λ_j·w_j(t))), where λ_j = Σ_c λ_cj and w_j(t) is the part of
    interval j before t.

    Parameters
    ----------
    log_hazard : numpy.ndarray, shape (..., cause, interval)
    grid : TimeGrid
    time : numpy.ndarray, shape (time,)

    Returns
    -------
    numpy.ndarray, shape (..., cause, time)
    """
    hazards = np.exp(log_hazard)
    total = hazards.sum(axis=-2)
    width = grid.exposure(np.atleast_1d(np.asarray(time, dtype=float)))
    with np.errstate(divide="ignore"):
        alive = np.exp(-PiecewiseExponential(np.log(total), grid)._before())
    leave = alive[..., None, :] * -np.expm1(-total[..., None, :] * width)
    share = hazards / np.maximum(total, 1e-300)[..., None, :]
    return np.einsum("...cj,...tj->...ct", share, leave)


def restricted_time_lost(log_hazard: np.ndarray, grid: TimeGrid, horizon: float) -> np.ndarray:
    r"""Mean time lost to each cause before ``horizon`` when causes compete, :math:`L_c(h) = \int_0^h F_c(t)\, dt`.

    By parts :math:`L_c(h) = \int_0^h (h - t)\, \lambda_c(t)\, S(t)\, dt`. Interval j of width w before h, total hazard
    λ and r months between its end and h gives :math:`\lambda_{cj} S(\tau_{j-1})` times

    .. math:: r\, \frac{1 - e^{-\lambda w}}{\lambda} + \frac{\lambda w - 1 + e^{-\lambda w}}{\lambda^2}.

    Parameters
    ----------
    log_hazard : numpy.ndarray, shape (..., cause, interval)
    grid : TimeGrid
    horizon : float
        h, in months.

    Returns
    -------
    numpy.ndarray, shape (..., cause)

    References
    ----------
    Andersen PK. Statistics in Medicine 2013;32:5278-85, doi:10.1002/sim.5903.
    """
    law = PiecewiseExponential(np.logaddexp.reduce(log_hazard, axis=-2), grid)
    total, width = law.hazards, grid.exposure(np.asarray(horizon))
    after = np.maximum(horizon - grid.edges[1:], 0.0)
    spent = total * width
    inside = -np.expm1(-spent) / np.maximum(total, 1e-300)
    before = np.exp(-law.cumulative_hazard(grid.starts))
    weight = before * (after * inside + width**2 * _second(spent))
    return np.sum(np.exp(log_hazard) * weight[..., None, :], axis=-1)


def _second(x: np.ndarray) -> np.ndarray:
    """Give (x − 1 + exp(−x)) / x², by its series where x is so small that the difference loses digits."""
    large = np.where(x > 1e-3, x, 1.0)
    return np.where(x > 1e-3, (large + np.expm1(-large)) / large**2, 1 / 2 - x / 6 + x**2 / 24 - x**3 / 120)
