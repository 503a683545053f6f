"""Earlier trials of which a power is taken: one arm's hazards, or response rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from smm_bayes.borrowing.trials.conjugate import History
from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.mixtures import BetaMixture, GammaMixture
from smm_bayes.survival.gamma import GammaHazards
from smm_bayes.survival.grid import EventTable, TimeGrid
from smm_bayes.survival.model_priors import GammaPrior


@dataclass(frozen=True, eq=False)
class HazardHistory(History):
    r"""One arm of earlier trials on one time grid, hazards :math:`\lambda_{cj} \sim \Gamma(\alpha, \beta)` before them.

    Made by :meth:`of`; cells are causes by intervals, and a trial has one power for all of them.

    Attributes
    ----------
    grid : TimeGrid
    causes : tuple of str
    arm : str or None
        Whose hazards they are, in every table of more than one arm.
    """

    grid: TimeGrid
    causes: tuple[str, ...]
    arm: str | None = None

    @classmethod
    def of(
        cls, trials: Mapping[str, EventTable], initial: GammaPrior | None = None, *, arm: str | None = None
    ) -> Self:  # fmt: skip
        """Gather earlier trials.

        Parameters
        ----------
        trials : mapping of str to EventTable
            By name, on one grid and with the same causes.
        initial : GammaPrior, optional
            Of every hazard, before any trial.
        arm : str, optional
            Which arm of tables that have more than one, such as ``control``.

        Raises
        ------
        SpecificationError
            With every trial that has another grid or other causes, or no such arm.
        """
        prior = initial or GammaPrior()
        if not trials:
            raise SpecificationError("a power prior needs one earlier trial at least")
        first = next(iter(trials.values()))
        sums = []
        with Problems("earlier trials", SpecificationError).collecting() as problems:
            for name, table in trials.items():
                try:
                    sums.append(_one_arm(table, first.grid, first.causes, arm))
                except SpecificationError as error:
                    problems.add(f"trial '{name}': {error}")
        cells = len(first.causes) * len(first.grid)
        start = np.stack([np.full(cells, float(prior.shape)), np.full(cells, float(prior.rate))])
        return cls(tuple(trials), start, np.stack(sums), first.grid, first.causes, arm)

    @property
    def labels(self) -> tuple[str, ...]:
        """Cause and interval of every cell."""
        several = len(self.causes) > 1
        return tuple(f"{cause} {label}" if several else label for cause in self.causes for label in self.grid.labels)

    def current_sums(self, current: EventTable) -> np.ndarray:
        """Events and exposure of the arm in the current trial's table.

        Raises
        ------
        SpecificationError
            When the table has another grid or other causes, or no such arm.
        """
        return _one_arm(current, self.grid, self.causes, self.arm)

    def agreeing(self, current: np.ndarray) -> np.ndarray:
        """Events at the pooled rates of the trials; a cell they did not observe keeps its own."""
        events, exposure = self.sums.sum(axis=0)
        rate = np.divide(events, exposure, out=np.zeros_like(events), where=exposure > 0)
        return np.stack([np.where(exposure > 0, rate * current[1], current[0]), current[1]])

    def mixture(self, weights: np.ndarray, parameters: np.ndarray) -> GammaMixture:
        return GammaMixture(weights, parameters[:, 0], parameters[:, 1])

    def hazards(self, powers: Any, current: EventTable | None = None) -> GammaHazards:
        """Hazards at fixed powers, in closed form, shape (arm, cause, interval) with one arm."""
        sums = None if current is None else self.current_sums(current)
        shape, rate = self.parameters(self.check_powers(powers), sums).reshape(2, 1, len(self.causes), len(self.grid))
        return GammaHazards(shape, rate)

    @staticmethod
    def log_normaliser(parameters: np.ndarray) -> np.ndarray:
        from scipy.special import gammaln

        shape, rate = parameters[..., 0, :], parameters[..., 1, :]
        return (gammaln(shape) - shape * np.log(rate)).sum(axis=-1)


@dataclass(frozen=True, eq=False)
class ResponseHistory(History):
    r"""Responders of earlier trials, the response rate :math:`\theta \sim \mathrm{Beta}(a, b)` before them.

    Made by :meth:`of`.
    """

    @classmethod
    def of(cls, trials: Mapping[str, tuple[float, float]], a: float = 1.0, b: float = 1.0) -> Self:
        """Gather earlier trials.

        Parameters
        ----------
        trials : mapping of str to (responders, patients)
            By name.
        a, b : float
            Of the beta prior before any trial.

        Raises
        ------
        SpecificationError
            With every trial whose numbers cannot be, and when a or b is not above 0.
        """
        with Problems("earlier trials", SpecificationError).collecting() as problems:
            if not trials:
                problems.add("a power prior needs one earlier trial at least")
            for name, counts in trials.items():
                if not 0 <= counts[0] <= counts[1] < np.inf:
                    problems.add(f"trial '{name}': need 0 <= responders <= patients; got {counts[0]} of {counts[1]}")
            if not (0 < a < np.inf and 0 < b < np.inf):
                problems.add(f"a and b must be above 0; got {a} and {b}")
        sums = np.array([[[y], [n - y]] for y, n in trials.values()], float)
        return cls(tuple(trials), np.array([[a], [b]], float), sums)

    def current_sums(self, current: tuple[float, float]) -> np.ndarray:
        """Responders and others of (responders, patients).

        Raises
        ------
        SpecificationError
            When there are fewer than 0 or more responders than patients.
        """
        responders, patients = current
        if not 0 <= responders <= patients < np.inf:
            raise SpecificationError(f"need 0 <= responders <= patients; got {responders} of {patients}")
        return np.array([[responders], [patients - responders]], float)

    def agreeing(self, current: np.ndarray) -> np.ndarray:
        pooled, size = self.sums.sum(axis=0), current.sum()
        return pooled / pooled.sum() * size if pooled.sum() > 0 else current

    def mixture(self, weights: np.ndarray, parameters: np.ndarray) -> BetaMixture:
        return BetaMixture(weights, parameters[:, 0], parameters[:, 1])

    @staticmethod
    def log_normaliser(parameters: np.ndarray) -> np.ndarray:
        from scipy.special import betaln

        return betaln(parameters[..., 0, :], parameters[..., 1, :]).sum(axis=-1)


def _one_arm(table: EventTable, grid: TimeGrid, causes: tuple[str, ...], arm: str | None) -> np.ndarray:
    """Events and exposure of one arm, shape (2, cell)."""
    with Problems("table", SpecificationError).collecting() as problems:
        if table.grid != grid:
            problems.add(f"its grid has cuts {table.grid.cuts}, another {grid.cuts}; tabulate all on one grid")
        if table.causes != causes:
            problems.add(f"it counts {', '.join(table.causes)}, another {', '.join(causes)}; count the same")
        if len(table.arms) > 1 and arm not in table.arms:
            problems.add(f"it has the arms {', '.join(table.arms)}; say which with arm (got {arm!r})")
    at = 0 if len(table.arms) == 1 else table.arms.index(str(arm))
    return np.stack([table.events[at].ravel(), table.cell_exposure[at].ravel()]).astype(float)
