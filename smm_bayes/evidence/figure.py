"""What is read off a published figure: points of a survival curve, and numbers at risk. Values and their doors."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from smm_bayes.errors import DataError, Problems
from smm_bayes.trial.calendar import on_clock
from smm_bayes.trial.curves import SurvivalCurve
from smm_bayes.trial.table import Table, numbers, read_csv, require

CLICK_SURVIVAL = 0.02  # how far a click may be off: in survival,
CLICK_TIME = 0.01  # and in time, as a share of the curve's last
LARGEST_RISE = 0.1  # of survival; a larger one is no slip of the hand
MOST_PATIENTS = 100_000


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
        The largest change made to such a point.
    clipped : int
        Points beside the axes, by no more than a click may be off, that were moved onto them.
    unordered : int
        Points that were clicked after a later one.
    """

    time: np.ndarray
    survival: np.ndarray
    repaired: int = 0
    repair: float = 0.0
    clipped: int = 0
    unordered: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "time", on_clock(np.asarray(self.time, dtype=float)))
        SurvivalCurve(self.time, self.survival)  # checks and freezes

    @classmethod
    def of(cls, time: np.ndarray, survival: np.ndarray) -> DigitisedCurve:
        """Move what is beside the axes onto them, sort, add (0, 1), and mend rises by isotonic regression.

        A click may be off by 0.02 in survival and by 1 % of the last time. The mended curve is the nearest in squares
        that never rises.

        Raises
        ------
        DataError
            When points are further off, there is no curve in them, or they rise by more than a slip of the hand.
        """
        time, survival = np.asarray(time, dtype=float), np.asarray(survival, dtype=float)
        bad = beside_axes(time, survival) if len(time) == len(survival) else np.ones(len(time), dtype=bool)
        if not len(time) or bad.any():
            raise DataError(f"digitised curve: {int(bad.sum())} of {len(time)} points are no time of 0 or more with a "
                            "survival from 0 to 1; correct them")  # fmt: skip
        clipped_time, clipped_survival = np.maximum(time, 0.0), np.clip(survival, 0.0, 1.0)
        clipped_survival[clipped_time == 0] = 1.0
        clipped = int(((clipped_time != time) | (clipped_survival != survival)).sum())
        unordered = int((time < np.maximum.accumulate(time)).sum())
        times, height = _steps(clipped_time, clipped_survival)
        if len(time) < 2 or len(times) < 2:
            raise DataError("digitised curve: one point is no curve; digitise it from time 0 to its end")
        ordered = clipped_survival[np.lexsort((-clipped_survival, clipped_time))]
        rise = float((ordered - np.minimum.accumulate(ordered)).max())
        if rise > LARGEST_RISE:
            raise DataError(f"digitised curve: survival rises by {rise:.2f}, more than a slip of the hand; correct the "
                            "points, and give one curve a file")  # fmt: skip
        return cls(times, *_falling(height), clipped, unordered)

    @property
    def mended(self) -> str:
        """What was mended, in words; empty where nothing was."""
        said = [f"{self.repaired}, by up to {self.repair:.4f}"] if self.repaired else []
        said += [f"{self.clipped} moved onto the axes"] if self.clipped else []
        said += [f"{self.unordered} out of order"] if self.unordered else []
        return "; ".join(said)

    def at(self, time: np.ndarray | float) -> np.ndarray:
        """Survival of the last point at or before a time."""
        return self.survival[np.searchsorted(self.time, time, side="right") - 1]

    def __repr__(self) -> str:
        rises = f"; {self.repaired} points mended, by up to {self.repair:.4f}" if self.repaired else ""
        axes = f"; {self.clipped} points moved onto the axes" if self.clipped else ""
        order = f"; {self.unordered} points out of order" if self.unordered else ""
        return f"DigitisedCurve: {len(self.time)} points to {self.time[-1]:g} months{rises}{axes}{order}"


def beside_axes(time: np.ndarray, survival: np.ndarray) -> np.ndarray:
    """Points that no click can have meant: too far below time 0, or outside of 0 to 1, or below 1 at time 0."""
    last = np.nanmax(time, initial=0.0, where=np.isfinite(time))
    early = time < -CLICK_TIME * last
    outside = ~((survival >= -CLICK_SURVIVAL) & (survival <= 1 + CLICK_SURVIVAL))
    return ~np.isfinite(time) | early | outside | ((time <= 0) & (survival < 1 - CLICK_SURVIVAL))


def _steps(time: np.ndarray, survival: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times and heights from (0, 1) on; a vertical line has several points, and its foot is the step."""
    order = np.lexsort((-survival, time))
    later = order[time[order] > 0]
    steps, first = np.unique(time[later], return_index=True)
    last = np.append(first[1:], len(later)).astype(int) - 1
    return np.append(0.0, steps), np.append(1.0, survival[later][last[: len(steps)]])


def _falling(height: np.ndarray) -> tuple[np.ndarray, int, float]:
    """Heights that never rise, how many were changed, and the largest change."""
    if not np.any(np.diff(height) > 0):
        return height, 0, 0.0
    from scipy.optimize import isotonic_regression

    smooth = np.clip(isotonic_regression(height, increasing=False).x, 0.0, 1.0)
    smooth[0] = 1.0
    apart = np.abs(smooth - height)
    return np.minimum.accumulate(smooth), int((apart > 1e-12).sum()), float(apart.max())


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
            if max(self.number, default=0) > MOST_PATIENTS:
                problems.add(f"{max(self.number)} at risk; at most {MOST_PATIENTS:,} patients can be made")

    def check(self, curve: DigitisedCurve) -> None:
        """Refuse numbers that no patients under a curve can have.

        Between two times as many patients as the fall of survival asks for have had the event, and censoring only adds
        to them: n_j is at most n_i S_j/S_i. S_j is no higher than the point before it and S_i no lower than the point
        after it; each point may be off by a click, in time and in height, and each number by one.

        Raises
        ------
        DataError
            Naming every number that is too large, and patients who are no longer there while survival falls.
        """
        at, off = np.array(self.time), CLICK_TIME * curve.time[-1]
        following = np.searchsorted(curve.time, at + np.where(at > 0, off, 0.0), side="left")
        most = curve.at(np.maximum(at - off, 0.0)) + CLICK_SURVIVAL
        least = np.append(curve.survival, 0.0)[following] - CLICK_SURVIVAL
        with Problems("numbers at risk").collecting() as problems:
            for j in range(1, len(at)):
                bounds = [self.number[i] * min(most[j] / least[i], 1.0) + 1 for i in range(j) if least[i] > 0]
                if bounds and self.number[j] > min(bounds):
                    i = int(np.argmin(bounds))
                    problems.add(
                        f"{self.number[j]} at risk at {self.time[j]:g} months cannot be, since there are "
                        f"{self.number[i]} at {self.time[i]:g} months and survival falls from {curve.at(at[i]):.2f} to "
                        f"{curve.at(at[j]):.2f}; correct the number or the curve"
                    )
                if self.number[j] == 0 and curve.survival[-1] < least[j]:
                    problems.add(f"nobody is at risk at {self.time[j]:g} months, but survival falls after it; correct "
                                 "the number or the curve")  # fmt: skip


def read_curve(path: str | Path) -> DigitisedCurve:
    """Read a digitised curve: a CSV with columns ``time`` (months) and ``survival`` (0 to 1).

    Raises
    ------
    DataError
        Naming every problem with its column, rows and remedy.
    """
    table, problems = _table(path, [("time", "months"), ("survival", "survival, 0 to 1")])
    time = numbers(table, "time", problems)
    survival = numbers(table, "survival", problems)
    last = np.nanmax(time, initial=0.0, where=np.isfinite(time))
    _refuse(table, "time", time < -CLICK_TIME * last, "negative", "give months from 0 on", problems)
    _refuse(table, "survival", survival < -CLICK_SURVIVAL, "negative", "give a value of 0 or more", problems)
    _refuse(table, "survival", survival > 1 + CLICK_SURVIVAL, "above 1", "give a fraction, 0.77 for 77 %", problems)
    readable = (time >= -CLICK_TIME * last) & (survival >= -CLICK_SURVIVAL)
    at_zero = readable & (time <= 0) & (survival < 1 - CLICK_SURVIVAL)
    _refuse(table, "survival", at_zero, "below 1 at time 0", "correct the point or leave it out", problems)
    problems.raise_if_any()
    try:
        return DigitisedCurve.of(time, survival)
    except DataError as error:
        raise DataError(f"{table.name}: {error}") from None


def _refuse(table: Table, column: str, hit: np.ndarray, rule: str, remedy: str, problems: Problems) -> None:
    """Note rows with the first cell that breaks a rule."""
    found = next((cell for cell, bad in zip(table.cells(column), hit, strict=True) if bad), "")
    problems.add_rows(column, table.where(hit), rule, remedy, found)


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
    _refuse(table, "at_risk", broken, "not a whole number", "give the number of patients as printed", problems)
    _refuse(table, "at_risk", number > MOST_PATIENTS, f"more than {MOST_PATIENTS:,} patients", "correct it", problems)
    problems.raise_if_any()
    return AtRisk(tuple(time.tolist()), tuple(int(value) for value in number))


def _table(path: str | Path, roles: list[tuple[str, str]]) -> tuple[Table, Problems]:
    table = read_csv(path)
    problems = Problems(table.name)
    if not require(table, roles, problems):
        problems.raise_if_any()
    return table, problems
