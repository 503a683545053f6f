"""Planned visits, at which an event is found that happened since the visit before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.trial.calendar import on_clock, ticks

if TYPE_CHECKING:
    from smm_bayes.trial.patients import Patients

WHOLE = 1e-6  # a quotient of floats just misses a whole number


@dataclass(frozen=True)
class VisitSchedule:
    """Planned visits, in months from enrolment.

    Parameters
    ----------
    visits : tuple of float
        Months of the visits, above 0 and strictly increasing. At 0 everybody is without the event.
    window : float
        A visit may be held up to so many months late: an event found within ``window`` after a planned visit is
        found at that visit, and was last absent at the one before. An event found between visits was last absent at
        the visit before, too. Planned dates stand for the dates on which visits were held, and none was missed.

    Raises
    ------
    SpecificationError
        When visits are none, not positive, not finite or not increasing, or the window is negative or not below the
        shortest gap between visits.

    Examples
    --------
    >>> schedule = VisitSchedule.every((3, 12), (6, 24))
    >>> schedule
    VisitSchedule: 6 visits, at 3, 6, 9, 12, 18, 24 months
    >>> schedule.before(np.array([1.0, 3.0, 14.0, 18.0]))
    array([ 0.,  0., 12., 12.])
    """

    visits: tuple[float, ...]
    window: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no schedule."""
        object.__setattr__(self, "visits", tuple(on_clock(float(visit)) for visit in self.visits))
        object.__setattr__(self, "window", on_clock(float(self.window)))
        gaps = np.diff([0.0, *self.visits])
        with Problems("visit schedule", SpecificationError).collecting() as problems:
            if not self.visits or not np.all(np.isfinite(gaps)) or np.any(gaps <= 0):
                problems.add("visits must be months above 0, finite and strictly increasing; got "
                             f"{_shown(self.visits)}")  # fmt: skip
            elif not 0 <= self.window < gaps.min():
                problems.add(f"the window must be 0 or more and below the shortest gap, {gaps.min():g} months; "
                             f"got {self.window:g}")  # fmt: skip

    @classmethod
    def every(cls, *phases: tuple[float, float], window: float = 0.0) -> VisitSchedule:
        """Plan visits at regular gaps, one phase after the other.

        Parameters
        ----------
        *phases : tuple of float
            (gap, end): a visit every ``gap`` months until month ``end``, which is a visit; the next phase starts there.
        window : float
            As above.

        Raises
        ------
        SpecificationError
            When a gap is not above 0, or a phase is not a whole number of gaps long.
        """
        visits: list[float] = []
        with Problems("visit schedule", SpecificationError).collecting() as problems:
            for gap, end in phases:
                start = visits[-1] if visits else 0.0
                number = (end - start) / gap if gap > 0 else np.nan
                if not (np.isfinite(number) and number > 0.5 and abs(number - round(number)) < WHOLE):
                    problems.add(f"a visit every {gap:g} months from {start:g} to {end:g} does not end at a visit; "
                                 "choose an end that is a whole number of gaps later")  # fmt: skip
                    break
                visits += [start + gap * count for count in range(1, round(number) + 1)]
        return cls(tuple(visits), window)

    def before(self, time: np.ndarray | float) -> np.ndarray:
        """Give the last planned visit strictly before each time, 0 if there is none.

        With a window, of those planned more than ``window`` months before.
        """
        place = np.searchsorted(self.visits, on_clock(np.asarray(time, dtype=float) - self.window), side="left")
        return np.array([0.0, *self.visits])[place]

    def at_or_after(self, time: np.ndarray | float) -> np.ndarray:
        """Give the planned visit that finds what happened at each time; infinite after the last."""
        place = np.searchsorted(self.visits, on_clock(np.asarray(time, dtype=float)), side="left")
        return np.array([*self.visits, np.inf])[place]

    def holds(self, time: np.ndarray | float) -> np.ndarray:
        """Whether each time is at a planned visit, or at most ``window`` months after it."""
        at = on_clock(np.asarray(time, dtype=float))
        latest = np.array([-np.inf, *self.visits])[np.searchsorted(self.visits, at, side="right")]
        return on_clock(at - latest) <= self.window

    def __repr__(self) -> str:
        late = f", up to {self.window:g} months late" if self.window else ""
        return f"VisitSchedule: {len(self.visits)} visits, at {_shown(self.visits)} months{late}"


def _shown(visits: tuple[float, ...], most: int = 12) -> str:
    if len(visits) <= most:
        return ", ".join(f"{visit:g}" for visit in visits) or "none"
    return f"{', '.join(f'{visit:g}' for visit in visits[: most - 1])}, ..., {visits[-1]:g}"


@dataclass(frozen=True)
class FoundAtVisits:
    """A cause of event that planned visits find: at the first visit that is not before it.

    After the last planned visit, visits go on at the last gap. Patients without the event are known to be so until
    their last visit. Death between a progression and the visit that would have found it is left out.

    Parameters
    ----------
    cause : str
    schedule : VisitSchedule or mapping of str to VisitSchedule
        Visits of all patients, or by arm.
    """

    cause: str
    schedule: VisitSchedule | Mapping[str, VisitSchedule]

    def arrays(self, patients: Patients, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give visits in ticks (arm, visit), and whether each cause is found at them.

        Raises
        ------
        SpecificationError
            When the cause is unknown, or an arm has no schedule.
        """
        if self.cause not in patients.causes:
            raise SpecificationError(f"cause must be one of {', '.join(patients.causes)}; got {self.cause!r}")
        given = self.schedule if isinstance(self.schedule, Mapping) else dict.fromkeys(patients.arms, self.schedule)
        if set(given) != set(patients.arms):
            raise SpecificationError(f"give a schedule for each of the arms {', '.join(patients.arms)}; "
                                     f"got {', '.join(given) or 'none'}")  # fmt: skip
        found = np.array([cause == self.cause for cause in patients.causes])
        if not np.any(found & counted):
            return no_visits(len(patients.arms)), found
        size = max(len(given[arm].visits) for arm in patients.arms)
        rows = []
        for arm in patients.arms:
            visits = np.array(given[arm].visits)
            gap = visits[-1] - (visits[-2] if len(visits) > 1 else 0.0)
            rows.append(np.append(visits, visits[-1] + gap * np.arange(1, size - len(visits) + 1)))
        return ticks(np.array(rows)), found


def no_visits(arms: int) -> np.ndarray:
    """Give the visits of arms whose events are all seen when they happen."""
    return np.zeros((arms, 0))
