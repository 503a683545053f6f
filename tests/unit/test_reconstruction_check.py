"""The comparison that judges every reconstruction: each number is met to half a unit of its print, and no further."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smm_bayes.evidence.pseudo import PseudoArm, check
from smm_bayes.evidence.summaries import ArmSummary, FollowUp

# ten patients: events at 10, 20, 30, 40 and 50 months (the third a death), the others followed to 60
TIMES = np.array([10.0, 20, 30, 40, 50, 60, 60, 60, 60, 60])
CAUSE = np.array(["progression", "progression", "death", "progression", "progression", *[""] * 5], dtype=object)
SUMMARY = ArmSummary(
    "T", "A", "PFS", n=10, events=5, median=None, deaths_without_progression=1, milestones=((25.0, 0.8, 2),),
    follow_up=FollowUp(40.0, 60.0, cutoff=60.0), facts=(), deaths_count=True,
)  # fmt: skip


def pseudo(times: np.ndarray = TIMES, cause: np.ndarray = CAUSE, enrolled: float = 0.0) -> PseudoArm:
    reason = np.where(cause == "", "administrative", "").astype(object)
    return PseudoArm(SUMMARY, np.array(times), np.array(cause), reason, np.full(len(times), enrolled))


def failing(summary: ArmSummary = SUMMARY, arm: PseudoArm | None = None) -> list[str]:
    return [row.what for row in check(arm or pseudo(), summary).off]


def test_patients_that_meet_their_summary_pass() -> None:
    assert check(pseudo()).all_within


@pytest.mark.parametrize(("change", "what"), [
    ({"n": 11}, "patients"), ({"n": 9}, "patients"),
    ({"events": 4}, "events"), ({"events": 6}, "events"),
    ({"deaths_without_progression": 0}, "deaths without progression"),
    ({"deaths_without_progression": 2}, "deaths without progression"),
])  # fmt: skip
def test_a_count_is_met_exactly(change: dict, what: str) -> None:
    assert failing(replace(SUMMARY, **change)) == [what]


@pytest.mark.parametrize(("survival", "digits", "met"), [
    (0.80, 2, True), (0.804, 2, True), (0.796, 2, True), (0.806, 2, False), (0.794, 2, False),
    (0.81, 2, False), (0.79, 2, False), (0.8004, 3, True), (0.8006, 3, False), (0.8, 1, True), (0.86, 1, False),
])  # fmt: skip
def test_a_milestone_is_met_to_half_a_unit_of_its_last_digit(survival: float, digits: int, met: bool) -> None:
    assert failing(replace(SUMMARY, milestones=((25.0, survival, digits),))) == (
        [] if met else ["survival at 25 months"]
    )


@pytest.mark.parametrize(("median", "met"), [
    ((40.0, 0), True), ((40.4, 0), True), ((40.6, 0), False), ((39.4, 0), False), ((41.0, 0), False),
    ((40.04, 1), True), ((40.06, 1), False), ("not reached", False),
])  # fmt: skip
def test_a_median_is_met_to_half_a_unit_of_its_last_digit(median: tuple | str, met: bool) -> None:
    """Eleven patients, so that the curve passes a half in one step, at 40 months: 6 of 11 are left, then 5."""
    times, cause = np.append(TIMES, 60.0), np.append(CAUSE, "")
    times[:6], cause[5] = [5.0, 10, 20, 30, 35, 40], "progression"
    summary = replace(SUMMARY, n=11, events=6, milestones=(), median=median)
    reason = np.where(cause == "", "administrative", "").astype(object)
    arm = PseudoArm(summary, times, cause, reason, np.zeros(11))
    assert failing(summary, arm) == ([] if met else ["median"])


def test_a_median_not_reached_is_met_by_none_only() -> None:
    cause = CAUSE.copy()
    cause[4] = ""
    summary = replace(SUMMARY, events=4, median="not reached")
    assert failing(summary, pseudo(cause=cause)) == []


@pytest.mark.parametrize(("late", "met"), [(0.0, True), (0.019, True), (0.021, False), (0.5, False), (5.0, False)])
def test_no_contact_is_after_the_data_cut(late: float, met: bool) -> None:
    """Times and enrolment are written to two decimals, so that their sum may be out by 0.02."""
    assert failing(arm=pseudo(enrolled=late)) == ([] if met else ["last contact, at most"])
