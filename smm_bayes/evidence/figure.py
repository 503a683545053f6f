"""What is read off a published figure: points of a survival curve, and numbers at risk. Values and their doors."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from smm_bayes.errors import DataError, Problems
from smm_bayes.trial.curves import SurvivalCurve
from smm_bayes.trial.table import Table, numbers, read_csv, require


@dataclass(frozen=True, eq=False)
class DigitisedCurve:
    """Points read off a printed survival curve, made monotone; the first is (0, 1).

    Attributes
    ----------
    time, survival : numpy.ndarray, shape (point,)
        Months, strictly increasing; survival, never rising.
    repaired : int
        Points that a slip of the hand had put above an earlier one.
    repair : float
        The largest change made to a point.
    """

    time: np.ndarray
    survival: np.ndarray
    repaired: int = 0
    repair: float = 0.0

    def __post_init__(self) -> None:
        SurvivalCurve(self.time, self.survival)  # checks and freezes

    @classmethod
    def of(cls, time: np.ndarray, survival: np.ndarray) -> DigitisedCurve:
        """Sort points, add (0, 1), and mend rises by isotonic regression (the least change in squares)."""
        time, survival = np.asarray(time, dtype=float), np.asarray(survival, dtype=float)
        bad = ~np.isfinite(time) | (time < 0) | ~((survival >= 0) & (survival <= 1))
        if not len(time) or len(time) != len(survival) or bad.any():
            raise DataError(f"digitised curve: {int(bad.sum())} of {len(time)} points are no time of 0 or more with a "
                            "survival from 0 to 1; correct them")  # fmt: skip
        order = np.lexsort((-survival, time))
        later = order[time[order] > 0]
        steps, first = np.unique(time[later], return_index=True)
        last = np.append(first[1:], len(later)) - 1  # a vertical line has several points: its foot is the step
        height = np.concatenate([[1.0], survival[later][last]])
        times = np.concatenate([[0.0], steps])
        if not np.any(np.diff(height) > 0):
            return cls(times, height)
        from scipy.optimize import isotonic_regression

        smooth = np.clip(isotonic_regression(height, increasing=False).x, 0.0, 1.0)
        smooth[0] = 1.0
        apart = np.abs(smooth - height)
        return cls(times, np.minimum.accumulate(smooth), int((apart > 1e-12).sum()), float(apart.max()))

    def at(self, time: np.ndarray | float) -> np.ndarray:
        """Survival of the last point at or before a time."""
        return self.survival[np.searchsorted(self.time, time, side="right") - 1]

    def __repr__(self) -> str:
        mended = f"; {self.repaired} points mended, by up to {self.repair:.4f}" if self.repaired else ""
        return f"DigitisedCurve: {len(self.time)} points to {self.time[-1]:g} months{mended}"


@dataclass(frozen=True)
class AtRisk:
    """Numbers at risk as printed under a curve: at each time in months, the first of which is 0."""

    time: tuple[float, ...]
    number: tuple[int, ...]

    def __post_init__(self) -> None:
        with Problems("numbers at risk").collecting() as problems:
            if not self.time or len(self.time) != len(self.number) or self.time[0] != 0:
                problems.add("the first time must be 0, and each time needs its number; complete the table")
            if any(later <= time for time, later in pairwise(self.time)):
                problems.add("times do not increase; sort them and give each once")
            if any(later > number for number, later in pairwise(self.number)) or min(self.number, default=1) < 0:
                problems.add("numbers rise or are negative; correct them")


def read_curve(path: str | Path) -> DigitisedCurve:
    """Read a digitised curve: a CSV with columns ``time`` (months) and ``survival`` (0 to 1).

    Raises
    ------
    DataError
        Naming every problem with its column, rows and remedy.
    """
    table, problems = _table(path, [("time", "months"), ("survival", "survival, 0 to 1")])
    time = numbers(table, "time", problems, minimum=0)
    survival = numbers(table, "survival", problems, minimum=0)
    above = survival > 1
    found = f"{survival[above][0]:g}" if above.any() else ""
    problems.add_rows("survival", table.where(above), "above 1", "give a fraction, 0.77 for 77 %", found)
    problems.raise_if_any()
    return DigitisedCurve.of(time, survival)


def read_at_risk(path: str | Path) -> AtRisk:
    """Read numbers at risk: a CSV with columns ``time`` (months, from 0) and ``at_risk``.

    Raises
    ------
    DataError
        Naming every problem with its column, rows and remedy.
    """
    table, problems = _table(path, [("time", "months"), ("at_risk", "patients at risk")])
    time = numbers(table, "time", problems, minimum=0)
    number = numbers(table, "at_risk", problems, minimum=0)
    broken = np.isfinite(number) & (number % 1 != 0)
    problems.add_rows("at_risk", table.where(broken), "not a whole number", "give the number of patients as printed")
    problems.raise_if_any()
    return AtRisk(tuple(time.tolist()), tuple(int(value) for value in number))


def _table(path: str | Path, roles: list[tuple[str, str]]) -> tuple[Table, Problems]:
    table = read_csv(path)
    problems = Problems(table.name)
    if not require(table, roles, problems):
        problems.raise_if_any()
    return table, problems
