"""Pseudo-patients from published summaries: the summaries are met exactly, all they leave open is random."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from smm_bayes.errors import DataError
from smm_bayes.evidence.pseudo import CheckTable, PseudoArm, check
from smm_bayes.evidence.summaries import ArmSummary, FollowUp, half_unit
from smm_bayes.trial.curves import NEAR_HALF

__all__ = ["ArmSummary", "CheckTable", "FollowUp", "PseudoArm", "check", "reconstruct"]

CELLS = 48  # a segment's times are drawn from so many cells
TRIES = 120  # ways of filling one segment before the patients are drawn anew


@dataclass(frozen=True)
class _Checkpoint:
    """Survival at ``time`` must be from ``low`` to ``high``; beside a median, at most ``steps`` events from a half."""

    time: float
    low: float
    high: float
    what: str
    steps: float = np.inf


def _checkpoints(summary: ArmSummary, flat: bool = False) -> list[_Checkpoint]:
    """Every number about the curve as a window at a time, in order; a median is two, before and after it.

    With ``flat`` the curve may be at exactly one half before the median, which is then the middle of that piece.
    """
    found = [
        _Checkpoint(time, survival - half_unit(digits), survival + half_unit(digits),
                    f"survival {survival:.{digits}f} at {time:g} months")
        for time, survival, digits in summary.milestones
    ]  # fmt: skip
    if isinstance(summary.median, tuple):
        value, digits = summary.median
        before, after = value - half_unit(digits), value + half_unit(digits)
        what = f"median {summary.median_text}"
        crowded = any(before < point.time < after for point in found)
        steps = np.inf if crowded else 0.35 * summary.n * (after - before) / value  # events expected within the print
        edge = -NEAR_HALF if flat else 2 * NEAR_HALF
        found += [_Checkpoint(before, 0.5 + edge, 1.0, what, steps),
                  _Checkpoint(after, 0.0, 0.5 + flat * NEAR_HALF, what, steps)]  # fmt: skip
    elif summary.median == "not reached":
        found = [_Checkpoint(p.time, max(p.low, 0.5 + 2e-9), p.high, p.what) for p in found]
    found.sort(key=lambda point: point.time)
    lows = np.maximum.accumulate(np.array([point.low for point in reversed(found)]))[::-1]
    highs = np.minimum.accumulate(np.array([point.high for point in found]))
    return [
        _Checkpoint(point.time, float(low), float(high), point.what, point.steps)
        for point, low, high in zip(found, lows, highs, strict=True)
    ]


class _Attempt:
    """One draw of the patients, filled with events segment by segment."""

    def __init__(self, summary: ArmSummary, lost: float, likely: bool, rng: np.random.Generator) -> None:
        self.summary, self.rng = summary, rng
        n = summary.n
        self.enrolled, self.possible = summary.follow_up.draw(n, rng)
        self.limit = self.possible.copy()
        leaves = rng.random(n) < lost
        share = rng.random(n) ** rng.uniform(0.5, 2.0 if likely else 20.0)  # early or late leaving is open too
        self.limit[leaves] = np.maximum(np.round(self.limit * share, 2), 0.01)[leaves]
        self.dies = np.zeros(n, dtype=bool)
        if not summary.deaths_count and summary.deaths_without_progression:
            self.dies[rng.choice(n, summary.deaths_without_progression, replace=False)] = True
            self.limit[self.dies] = np.maximum(np.round(self.limit * rng.random(n), 2), 0.01)[self.dies]
        self.time = self.limit.copy()
        self.event = np.zeros(n, dtype=bool)
        self.survival, self.start = 1.0, 0.0

    def event_times(self, end: float, number: int) -> np.ndarray | None:
        """Draw times in (start, end] from a random piecewise hazard times the number at risk."""
        edges = np.linspace(self.start, end, CELLS + 1)
        limits = np.sort(self.limit[~self.event])
        at_risk = len(limits) - np.searchsorted(limits, edges[1:])
        hazard = np.repeat(self.rng.gamma(2.0, size=4), CELLS // 4)
        cells = np.cumsum(hazard * at_risk)
        if number and not cells[-1]:
            return None
        cell = np.searchsorted(cells, self.rng.random(number) * cells[-1], side="right")
        times = np.round(edges[cell] + (edges[1] - edges[0]) * self.rng.random(number), 2)
        times = np.where(times > end, np.floor(end * 100) / 100, times)
        return np.sort(np.where(times <= self.start + 1e-9, np.floor(self.start * 100) / 100 + 0.01, times))

    def place(self, times: np.ndarray, low: float) -> tuple[float, list[tuple[int, float]]] | None:
        """Give each time to a patient at risk then; survival after them, or None where it cannot be done."""
        order = np.flatnonzero(~self.event)
        order = order[np.argsort(-self.limit[order])]
        limits, free = -self.limit[order], ~self.dies[order]
        there = np.ones(len(order), dtype=bool)
        survival = self.survival
        chosen: list[tuple[int, float]] = []
        for time, most in zip(times.tolist(), np.searchsorted(limits, -times, side="right").tolist(), strict=True):
            candidates = np.flatnonzero(there[:most] & free[:most])
            if not len(candidates):
                return None
            survival *= 1 - 1 / int(np.count_nonzero(there[:most]))
            pick = int(candidates[int(self.rng.random() * len(candidates))])
            there[pick] = False
            chosen.append((int(order[pick]), time))
            if survival < low:
                break
        return survival, chosen

    def window(self, point: _Checkpoint, tight: bool) -> tuple[float, float]:
        """Where survival may be at the checkpoint: beside a median only as far from a half as few events take it."""
        if not tight or not np.isfinite(point.steps):
            return point.low, point.high
        still = max(int(np.count_nonzero(self.limit[~self.event] >= point.time)), 1)
        reach = (1.5 + self.rng.poisson(point.steps)) * self.survival / still
        if point.low > 0.5:
            return point.low, min(point.high, max(0.5 + reach, point.low + 1e-6))
        return max(point.low, 0.5 - reach), point.high

    def fill(self, point: _Checkpoint, tight: bool) -> bool:
        """Put events between the last checkpoint and this one so that its window is met."""
        low, high = self.window(point, tight)
        target = self.rng.uniform(low, min(high, self.survival)) if low < self.survival else low
        edges = np.linspace(self.start, point.time, 9)[1:]
        at_risk = float(np.mean([np.count_nonzero(self.limit[~self.event] >= edge) for edge in edges]))
        drop = float(np.log(max(self.survival, 1e-3) / max(target, 1e-3)))
        number = max(round(at_risk * drop / (1 + drop / 2) + self.rng.uniform(-1, 1)), 0)
        for _ in range(TRIES):
            times = self.event_times(point.time, number)
            placed = self.place(times, low) if times is not None else None
            if placed is None or placed[0] < low:
                if number == 0:
                    return False
                number -= 1
            elif placed[0] > high:
                number += 1
            else:
                self.accept(*placed, point.time)
                return True
        return False

    def accept(self, survival: float, chosen: list[tuple[int, float]], end: float) -> None:
        for patient, time in chosen:
            self.time[patient], self.event[patient] = time, True
        self.survival, self.start = survival, end

    def finish(self, natural: bool) -> float:
        """Put the events left after the last checkpoint; give events in excess of what fits, 0 if it is done."""
        end = float(self.limit.max())
        beyond = np.maximum(self.limit[~self.event] - self.start, 0.0).sum()
        before = np.minimum(self.time, self.start).sum()
        so_far = int(self.event.sum())
        expected = beyond * (so_far + 0.5) / before if before else self.summary.n * 0.5
        strength = self.rng.gamma(2.0, 0.5)
        wanted = self.rng.poisson(expected * strength)
        if self.summary.events is not None:
            left = self.summary.events - so_far
            if left < 0 or (natural and abs(left - wanted) > 0.5 * np.sqrt(expected + 1)):
                return float(so_far + expected - self.summary.events) or 1.0
            wanted = left
        if not wanted:
            return 0.0
        low = 0.5 + 2e-9 if self.summary.median == "not reached" else 0.0
        for _ in range(10):
            times = self.event_times(end, wanted) if end > self.start + 0.01 else None
            placed = self.place(times, low) if times is not None else None
            if placed is not None and placed[0] >= low:
                self.accept(*placed, end)
                return 0.0
            if self.summary.events is None:
                wanted = max(wanted - 1, 0)
        return -float(wanted)

    def arm(self) -> PseudoArm:
        """The patients as a value."""
        cause = np.where(self.event, self.summary.cause, "").astype(object)
        if self.summary.deaths_count and self.summary.deaths_without_progression:
            number = self.summary.deaths_without_progression
            cause[self.rng.choice(np.flatnonzero(self.event), number, replace=False)] = "death"
        cause[self.dies] = "death"
        reason = np.where(self.limit < self.possible, "lost", "administrative").astype(object)
        reason[cause != ""] = ""
        return PseudoArm(self.summary, self.time, cause, reason, self.enrolled)


def reconstruct(summary: ArmSummary, *, rng: np.random.Generator, attempts: int = 2000) -> PseudoArm:
    """Make patients whose Kaplan–Meier curve, counts and follow-up are those of a published summary.

    Patients are drawn with their enrolment, potential follow-up and leaving. From one checkpoint (milestone, or the
    edges of what a printed median may be) to the next, d events are drawn from a random piecewise hazard and given
    to patients at risk, S ← S (1 - 1/r) at each; d is moved by one until S is within the printed rounding
    |S(t) - v| ≤ ½ 10^-k. Events left over go after the last checkpoint, in a number that a hazard like the one
    before (times a gamma variable with mean 1 and shape 2) could give. Whatever fails is drawn anew, and the share
    of patients lost moves towards what the number of events needs.

    Parameters
    ----------
    summary : ArmSummary
    rng : numpy.random.Generator
    attempts : int
        Draws of the patients before giving up; in the second half the tail, the neighbourhood of the median and
        leaving need only be possible, not likely, and the median may be the middle of a piece at exactly one half.

    Returns
    -------
    PseudoArm

    Raises
    ------
    DataError
        Naming the constraint that was missed most often, where no attempt met all.

    Notes
    -----
    Leaving is independent of the event. Times are months to two decimals. What is drawn for the parts left open is
    a choice, not knowledge: use many reconstructions and see what changes. A summary that only a rare pattern of
    censoring can meet may be refused (1 of 500 simulated trials with 15 to 130 patients was).
    """
    usual, rare = _checkpoints(summary), _checkpoints(summary, flat=True)
    missed: Counter[str] = Counter()
    lost = rng.uniform(0, summary.lost)
    for number in range(attempts):
        likely = number < attempts // 2
        attempt = _Attempt(summary, lost, likely, rng)
        failed = next((point for point in (usual if likely else rare) if not attempt.fill(point, likely)), None)
        if failed is not None:
            missed[failed.what] += 1
            lost = rng.uniform(0, summary.lost)
            continue
        excess = attempt.finish(likely)
        if excess:
            missed[f"{summary.events} events"] += 1
            lost = float(np.clip(lost + 2 * rng.random() * excess / summary.n, 0, summary.lost))
            continue
        arm = attempt.arm()
        if check(arm).all_within:
            return arm
        missed["; ".join(row.what for row in check(arm).off)] += 1
    what, count = missed.most_common(1)[0]
    raise DataError(
        f"{summary.name}: no patients found that meet the summary in {attempts} attempts; {count} of them missed "
        f"'{what}'. Correct it, widen the follow-up, or allow more patients to be lost"
    )
