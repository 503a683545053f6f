"""Intervals, visits, arms and causes of a joint model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.surrogacy.joint.hazards import CONDITIONAL, HazardsOf
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.trial.calendar import on_clock

STATES = 2  # not negative, negative


@dataclass(frozen=True)
class JointShape:
    """What a joint model is laid out over.

    Attributes
    ----------
    grid : TimeGrid
        Intervals of the hazards.
    cells : TimeGrid
        The same, cut at the visits too; only the intervals where each patient has visits of his own.
    months : tuple of float
        The scheduled visits.
    arms, causes : tuple of str
    own_visits : bool
        Whether each patient has visits at months of his own, as on a clock that starts at response.
    """

    grid: TimeGrid
    cells: TimeGrid
    months: tuple[float, ...]
    arms: tuple[str, ...]
    causes: tuple[str, ...]
    own_visits: bool = False

    def __post_init__(self) -> None:
        """Put the visits on the clock, where the cells and the patients' times are."""
        object.__setattr__(self, "months", tuple(on_clock(float(month)) for month in self.months))

    @classmethod
    def of(
        cls, grid: TimeGrid, months: Sequence[float], causes: tuple[str, ...],
        arms: tuple[str, ...] = ("control", "experimental"),
    ) -> JointShape:  # fmt: skip
        """Lay out intervals with visits that are the same for everybody."""
        cuts = sorted({*grid.cuts, *(on_clock(float(month)) for month in months)})
        return cls(grid, TimeGrid(cuts), tuple(months), arms, causes)

    def check(self, timed: bool = False, hazards_of: HazardsOf = CONDITIONAL, related: bool = False) -> None:
        """Refuse what needs visits at the same months for everybody, where each patient has visits of his own.

        Parameters
        ----------
        timed : bool
            Whether the MRD effect changes with the time since the visit.
        hazards_of : {"not negative", "everyone"}
        related : bool
            Whether there is a relation across trials.

        Raises
        ------
        SpecificationError
        """
        if not self.own_visits:
            return
        with Problems("visits at months of each patient's own", SpecificationError).collecting() as problems:
            if timed:
                problems.add("an MRD effect that changes with time needs the months since the visit, which differ "
                             "within a cell; choose a constant one")  # fmt: skip
            if hazards_of != CONDITIONAL:
                problems.add(f"hazards of everyone need the share negative at each month; choose '{CONDITIONAL}'")
            if related:
                problems.add("a relation across trials is of effects since enrolment; leave it out")

    @property
    def dims(self) -> tuple[int, int, int, int]:
        """Sizes of arm, cause, cell and state."""
        return len(self.arms), len(self.causes), len(self.cells), STATES

    @property
    def steps(self) -> tuple[int, int, int, int]:
        """Sizes of arm, visit, state before and state."""
        return len(self.arms), len(self.months), STATES, STATES

    @property
    def states(self) -> np.ndarray:
        """Status of every path at every visit, shape (path, visit); path p has bit k - 1 of p at visit k."""
        return (np.arange(2 ** len(self.months))[:, None] >> np.arange(len(self.months))) & 1

    @property
    def period(self) -> np.ndarray:
        """Visits up to the start of each cell, shape (cell,); 0 where each patient has visits of his own."""
        if self.own_visits:
            return np.zeros(len(self.cells), int)
        return np.searchsorted(self.months, self.cells.starts, side="right")

    @property
    def acts(self) -> np.ndarray:
        """Whether a status may count in each cell, shape (cell,): not before the first visit."""
        return (self.period > 0) | self.own_visits

    @property
    def since(self) -> tuple[np.ndarray, np.ndarray]:
        """Months from the latest visit to the start and to the end of each cell; 0 and 1 before the first."""
        after = self.period > 0
        latest = np.where(after, np.array(self.months)[np.maximum(self.period - 1, 0)], 0.0)
        return np.where(after, self.cells.starts - latest, 0.0), np.where(after, self.cells.ends - latest, 1.0)

    @property
    def interval(self) -> np.ndarray:
        """Interval of the hazards that each cell is in, shape (cell,)."""
        return self.grid.index((self.cells.starts + self.cells.ends) / 2)
