"""Patient rows from a published Kaplan–Meier figure: the digitised curve and, where printed, the numbers at risk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import Problems
from smm_bayes.evidence.figure import MOST_PATIENTS, AtRisk, DigitisedCurve, read_at_risk, read_curve
from smm_bayes.results import Result
from smm_bayes.trial.curves import kaplan_meier

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AtRisk", "DigitisedArm", "DigitisedCurve", "from_curve", "read_at_risk", "read_curve"]

ROUNDS = 500  # adjustments of one interval's censoring before it is taken as it is
NEAR = 200  # censorings on either side of a bisection that are tried one by one


@dataclass(frozen=True, eq=False)
class DigitisedArm(Result):
    """Pseudo-patients of a digitised curve, and how well they fit it.

    Attributes
    ----------
    time : numpy.ndarray of float, shape (patient,)
    event : numpy.ndarray of bool, shape (patient,)
    curve : DigitisedCurve
    reported_events : int or None
    asked : AtRisk or None
        Numbers at risk printed under the curve.
    """

    time: np.ndarray
    event: np.ndarray
    curve: DigitisedCurve
    reported_events: int | None
    asked: AtRisk | None = None

    def __len__(self) -> int:
        return len(self.time)

    @property
    def events(self) -> int:
        """Events of the reconstruction."""
        return int(self.event.sum())

    @property
    def distances(self) -> np.ndarray:
        """Kaplan–Meier estimate of the reconstruction less the curve, at each of its points."""
        return kaplan_meier(self.time, self.event).at(self.curve.time) - self.curve.survival

    @property
    def max_distance(self) -> float:
        """Largest distance to the curve at its points."""
        return float(np.abs(self.distances).max())

    @property
    def rms_distance(self) -> float:
        """Root mean square distance to the curve at its points."""
        return float(np.sqrt(np.mean(self.distances**2)))

    @property
    def used(self) -> np.ndarray:
        """Which of the printed numbers at risk the method uses: those up to the last point of the curve."""
        return np.array(self.asked.time if self.asked else []) <= self.curve.time[-1]

    @property
    def at_risk(self) -> np.ndarray:
        """Patients of the reconstruction at risk at each printed time."""
        marks = np.array(self.asked.time if self.asked else [])
        return (self.time >= marks[:, None] - 1e-9).sum(axis=1)

    def at_risk_rows(self) -> list[tuple[str, str, str]]:
        """Month, number at risk printed and number of the reconstruction, as text."""
        if self.asked is None:
            return []
        got = [str(number) if used else "not used" for number, used in zip(self.at_risk, self.used, strict=True)]
        return [(f"{month:g}", str(asked), number)
                for month, asked, number in zip(self.asked.time, self.asked.number, got, strict=True)]  # fmt: skip

    def overview(self) -> list[tuple[str, str]]:
        """What a reviewer checks first, as label and value."""
        reported = "not reported" if self.reported_events is None else f"{self.reported_events} reported"
        rows = [("patients", str(len(self))), ("events", f"{self.events} ({reported})"),
                ("distance to the curve", f"max {self.max_distance:.4f}, RMS {self.rms_distance:.4f}"),
                ("points", str(len(self.curve.time))), ("points mended", self.curve.mended or "none")]  # fmt: skip
        if self.asked is not None:
            apart = np.abs(self.at_risk - np.array(self.asked.number))[self.used]
            late = int((~self.used).sum())
            note = f"; {late} after the last point not used" if late else ""
            rows.append(("numbers at risk", f"{len(apart)} printed, largest difference {apart.max()}{note}"))
        return rows

    def table(self) -> pd.DataFrame:
        """Give the patients as rows: time and event."""
        import pandas as pd

        return pd.DataFrame({"time": self.time, "event": self.event})

    def summary(self) -> str:
        """Say patients and events, and how far the reconstruction is from the curve and from the numbers at risk."""
        return "; ".join(f"{label} {value}" for label, value in self.overview())

    def __repr__(self) -> str:
        return f"DigitisedArm: {self.summary()}"


class _Filling:
    """Events and censorings at the points of a curve, filled interval by interval."""

    def __init__(self, curve: DigitisedCurve, n: int) -> None:
        size = len(curve.time)
        self.curve = curve
        self.events, self.censored = np.zeros(size, dtype=int), np.zeros(size, dtype=int)
        self.at_risk = np.full(size + 1, n)  # before each point; the last is what remains
        self.last = np.ones(size + 1)  # Kaplan–Meier estimate before each point

    def fill(self, first: int, stop: int, censored: int) -> None:
        """Fill points first to stop - 1 with ``censored`` spread evenly, and as many events as the curve asks for."""
        time = self.curve.time
        end = time[stop] if stop < len(time) else time[-1]
        if end == time[first]:
            self.censored[first:stop] = 0
            self.censored[stop - 1] = censored
        else:
            moments = time[first] + (end - time[first]) * np.arange(1, censored + 1) / (censored + 1)
            inside = np.minimum(np.searchsorted(time, moments, side="right") - 1, stop - 1)
            self.censored[first:stop] = np.bincount(inside, minlength=stop)[first:stop] if censored else 0
        for k in range(first, stop):
            n, before = int(self.at_risk[k]), float(self.last[k])
            d = 0
            if n > 0 and before > 0 and k > 0:
                d = min(max(round(n * (1 - float(self.curve.survival[k]) / before)), 0), n)
            self.events[k] = d
            self.last[k + 1] = before * (1 - d / n) if n > 0 else before
            self.censored[k] = min(int(self.censored[k]), n - d)
            self.at_risk[k + 1] = n - d - self.censored[k]

    def fill_to(self, first: int, stop: int, remaining: int) -> None:
        """Find the censoring of an interval that leaves ``remaining`` at risk at its end."""
        ratio = self.curve.survival[stop] / self.curve.survival[first] if self.curve.survival[first] > 0 else 0.0
        censored = max(round(float(self.at_risk[first] * ratio)) - remaining, 0)
        tried: dict[int, int] = {}
        while censored not in tried and len(tried) < ROUNDS:
            self.fill(first, stop, censored)
            tried[censored] = int(self.at_risk[stop]) - remaining
            censored = min(max(censored + tried[censored], 0), int(self.at_risk[first]))
        self.fill(first, stop, min(tried, key=lambda number: abs(tried[number])))

    def fill_last(self, first: int, censored: int, events: int | None) -> None:
        """Fill the last interval; known total events decide its censoring."""
        stop = len(self.curve.time)
        if events is None:
            self.fill(first, stop, censored)
            return
        wanted = events - int(self.events[:first].sum())

        def above(number: int) -> int:
            self.fill(first, stop, number)
            return int(self.events[first:].sum()) - wanted

        low, high = 0, int(self.at_risk[first])
        most = high
        while high - low > NEAR:  # fewer events with more censoring, nearly always
            middle = (low + high) // 2
            low, high = (middle, high) if above(middle) > 0 else (low, middle)
        best, nearest = 0, np.inf
        for number in range(max(low - NEAR, 0), min(high + NEAR, most) + 1):
            apart = abs(above(number))
            if apart < nearest:
                best, nearest = number, apart
            if not apart:
                break
        self.fill(first, stop, best)

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """One row a patient: events at the points, censored halfway to the next, the rest at the end."""
        time = self.curve.time
        halfway = np.append((time[:-1] + time[1:]) / 2, time[-1])
        left = int(self.at_risk[-1])
        times = np.concatenate([np.repeat(time, self.events), np.repeat(halfway, self.censored),
                                np.repeat(time[-1], left)])  # fmt: skip
        event = np.arange(len(times)) < self.events.sum()
        order = np.lexsort((~event, times))
        return times[order], event[order]


def from_curve(
    curve: DigitisedCurve, *, n: int | None = None, at_risk: AtRisk | None = None, events: int | None = None
) -> DigitisedArm:
    """Make patients from a digitised Kaplan–Meier curve by the method of Guyot and others.

    Between printed numbers at risk n_i and n_{i+1}, c_i censorings are spread evenly, starting from
    c_i = n_i S_{i+1}/S_i - n_{i+1}. At each point k the events are d_k = n_k (1 - S_k/Ŝ_{k-1}), rounded, with Ŝ the
    Kaplan–Meier estimate so far; c_i is moved until n_{i+1} is met. After the last printed number the rate of
    censoring is that of the time before, or whatever gives the total number of events, if that is known. Without
    numbers at risk, the whole curve is one such interval; with neither, nobody is censored before the end.
    Digitise to the end of the curve: numbers at risk after its last point are not used. A reported total of events is
    met as nearly as the last interval allows.

    Parameters
    ----------
    curve : DigitisedCurve
    n : int, optional
        Patients; needed without ``at_risk``.
    at_risk : AtRisk, optional
    events : int, optional
        Total number of events reported.

    Returns
    -------
    DigitisedArm

    Raises
    ------
    DataError
        If the numbers contradict each other, or no patients under the curve can have the numbers at risk.

    References
    ----------
    Guyot P, Ades AE, Ouwens MJNM, Welton NJ. Enhanced secondary analysis of survival data: reconstructing the data
    from published Kaplan-Meier survival curves. BMC Med Res Methodol 2012;12:9, doi:10.1186/1471-2288-12-9.
    """
    given, total = curve, _check(n, at_risk, events)
    if at_risk is not None:
        at_risk.check(curve)
    marks = at_risk or AtRisk((0.0,), (total,))
    filling = _Filling(_with_marks(curve, marks), total)
    curve = filling.curve
    starts = np.searchsorted(curve.time, marks.time, side="left").tolist()
    known = [(start, number) for start, number in zip(starts, marks.number, strict=True) if start < len(curve.time)]
    first = 0
    for start, number in known[1:]:
        if start > first:
            filling.fill_to(first, start, number)
            first = start
    length = curve.time[first] - curve.time[0]
    rate = filling.censored[:first].sum() / length if length > 0 else 0.0
    censored = min(round(float(rate * (curve.time[-1] - curve.time[first]))), int(filling.at_risk[first]))
    filling.fill_last(first, censored, events)
    time, event = filling.rows()
    return DigitisedArm(time, event, given, events, at_risk)


def _with_marks(curve: DigitisedCurve, marks: AtRisk) -> DigitisedCurve:
    """Add a point without a step wherever a number at risk is printed, so that it is met there."""
    time = np.union1d(curve.time, [mark for mark in marks.time if mark < curve.time[-1]])
    return replace(curve, time=time, survival=curve.at(time))


def _check(n: int | None, at_risk: AtRisk | None, events: int | None) -> int:
    total = at_risk.number[0] if at_risk is not None else (n or 0)
    with Problems("digitised curve").collecting() as problems:
        if at_risk is None and n is None:
            problems.add("neither n nor numbers at risk are given; give one of them")
        elif total < 1:
            problems.add(f"{total} patients; there must be at least one")
        elif total > MOST_PATIENTS:
            problems.add(f"{total} patients; at most {MOST_PATIENTS:,} can be made")
        if n is not None and at_risk is not None and n != at_risk.number[0]:
            problems.add(f"n is {n} but {at_risk.number[0]} are at risk at time 0; correct one of them")
        if events is not None and not 0 <= events <= total:
            problems.add(f"{events} events among {total} patients; correct one of them")
    return total
