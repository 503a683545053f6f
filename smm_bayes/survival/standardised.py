r"""Survival of the trial's patients under either arm: averages over patterns, draw by draw.

With :math:`S_{pa}` the survival of pattern p were its patients in arm a, and :math:`n_p` patients,
:math:`S_a(t) = \sum_p n_p S_{pa}(t) / \sum_p n_p` over all patterns of both arms (standardisation, g-computation). Its
difference between arms is the effect in these patients; a hazard ratio of the regression is that of patients alike in
everything else, which is another number and further from 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.survival.contrasts import difference
from smm_bayes.survival.curves import labelled, month, months
from smm_bayes.survival.estimands import within_horizon
from smm_bayes.survival.patterns import PatternTable
from smm_bayes.survival.piecewise import PiecewiseExponential, cumulative_incidence
from smm_bayes.survival.regression import pattern_log_hazard
from smm_bayes.survival.regression_priors import RegressionPriors

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False)
class Standardised:
    """Estimands of a regression, averaged over the patients of a table.

    Parameters
    ----------
    posterior : xarray.Dataset
        Of :func:`~smm_bayes.survival.regression.regression_model`.
    table : PatternTable
        The patients averaged over: those fitted, or others with the same strata, covariates and factors.
    priors : RegressionPriors
        For the centres and units of covariates.
    horizon : float
        Last month that may be asked for, such as :func:`~smm_bayes.survival.estimands.follow_up_horizon`.
    within : mapping of str to str
        Factor to level: average over these patients alone.
    extrapolate : bool
        Allow times beyond the horizon.

    Raises
    ------
    SpecificationError
        When no patient is within, or the horizon is not above 0; by a method for a time beyond the horizon.

    References
    ----------
    Daniel R, Zhang J, Farewell D. Biometrical Journal 2021;63:528-57.
    """

    posterior: xr.Dataset
    table: PatternTable
    priors: RegressionPriors
    _: KW_ONLY
    horizon: float
    within: Mapping[str, str] = field(default_factory=dict)
    extrapolate: bool = False

    def __post_init__(self) -> None:
        """Refuse what would give no estimand."""
        if not 0 < self.horizon < np.inf:
            raise SpecificationError(f"horizon must be finite months above 0; got {self.horizon}")
        if not self.weights.sum() > 0:
            raise SpecificationError(f"no patient is within {self.within}; the subgroups are "
                                     f"{', '.join(self.table.level_names) or 'none'}")  # fmt: skip

    @property
    def weights(self) -> np.ndarray:
        """Patients of each pattern that count."""
        names = self.table.level_names
        wanted = [f"{factor}: {level}" for factor, level in self.within.items()]
        if unknown := [name for name in wanted if name not in names]:
            raise SpecificationError(f"no subgroup {', '.join(unknown)}; there are {', '.join(names) or 'none'}")
        inside = np.ones(len(self.table), bool)
        for name in wanted:
            inside &= (self.table.level_index == names.index(name)).any(axis=1)
        return self.table.patients * inside

    def survival_curve(self, time: np.ndarray | float) -> xr.DataArray:
        """Survival, (chain, draw, arm, time)."""
        at = self._at(time)
        grid = self.table.grid
        values = self._averaged(lambda h: PiecewiseExponential(np.logaddexp.reduce(h, axis=1), grid).survival(at))
        return self._labelled(values, {"time": at}, "survival")

    def cumulative_incidence_curve(self, time: np.ndarray | float) -> xr.DataArray:
        """Probability of each cause by each time when all compete, (chain, draw, arm, cause, time)."""
        at = self._at(time)
        values = self._averaged(lambda h: cumulative_incidence(h, self.table.grid, at))
        return self._labelled(values, {"cause": list(self.table.causes), "time": at}, "cumulative_incidence")

    def rmst(self, horizon: float | None = None) -> xr.DataArray:
        """Restricted mean survival time, (chain, draw, arm)."""
        end, grid = float(self._at(self.horizon if horizon is None else month(horizon, "horizon"))[0]), self.table.grid
        values = self._averaged(lambda h: PiecewiseExponential(np.logaddexp.reduce(h, axis=1), grid).rmst(end))
        return self._labelled(values, {}, "rmst")

    def milestone_survival(self, time: float) -> xr.DataArray:
        """Survival at one time, (chain, draw, arm)."""
        return self.survival_curve(time).isel(time=0, drop=True).rename("milestone_survival")

    def milestone_difference(self, time: float) -> xr.DataArray:
        """Difference of survival at one time, experimental less control, (chain, draw)."""
        return difference(self.milestone_survival(time), "milestone_difference")

    def rmst_difference(self, horizon: float | None = None) -> xr.DataArray:
        """Difference of restricted means, experimental less control, (chain, draw)."""
        return difference(self.rmst(horizon), "rmst_difference")

    def _at(self, time: np.ndarray | float) -> np.ndarray:
        return within_horizon(months(time), self.horizon, self.extrapolate)

    def _averaged(self, of: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
        """Average ``of`` log hazards (draw, cause, interval) over the patterns, for every arm."""
        weights, totals = self.weights / self.weights.sum(), []
        for arm in range(len(self.table.arms)):
            parts = (weight * of(log_hazard) for weight, log_hazard in self._patterns(arm, weights))
            total = next(parts)
            for part in parts:
                total = total + part
            totals.append(total)
        return totals

    def _patterns(self, arm: int, weights: np.ndarray) -> Iterator[tuple[float, np.ndarray]]:
        """Log hazards pattern by pattern: all at once would not fit into memory; alike patterns count once."""
        profile = np.column_stack([self.table.stratum, self.table.level, self.table.covariates])
        _, first, index = np.unique(profile, axis=0, return_index=True, return_inverse=True)
        summed = np.bincount(index.ravel(), weights)
        for k in np.flatnonzero(summed):
            one = self.table.only(first[k])
            yield summed[k], pattern_log_hazard(self._parameters, one, self.priors, arm=arm)[:, 0]

    @cached_property
    def _parameters(self) -> dict[str, np.ndarray]:
        found = {}
        for name, values in self.posterior.data_vars.items():
            array = values.transpose("chain", "draw", ...).values
            found[str(name)] = array.reshape(-1, *array.shape[2:])
        return found

    def _labelled(self, by_arm: list[np.ndarray], more: Mapping[str, object], name: str) -> xr.DataArray:
        chains, draws = self.posterior["chain"].values, self.posterior["draw"].values
        values = np.stack(by_arm, axis=1)
        shaped = values.reshape(len(chains), len(draws), *values.shape[1:])
        return labelled(shaped, {"chain": chains, "draw": draws, "arm": list(self.table.arms), **more}, name)
