"""What is known of the trigger of the final analysis when it is planned: past, due, out of reach, or still to come."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.prediction.final import Enrolment, FinalAnalysis
from smm_bayes.trial.calendar import DAYS_PER_MONTH, calendar_date, on_clock
from smm_bayes.trial.patients import Patients


def final_status(
    patients: Patients, final: FinalAnalysis, enrolment: Enrolment | None = None,
    complete: tuple[str, ...] = ("administrative",),
) -> str:  # fmt: skip
    """Say in one sentence what is known already of when the final analysis happens; empty where nothing is.

    It speaks where the trigger was reached before the data cut-off or on its day, or cannot be reached any more before
    the latest date. The first line of an answer belongs to it.

    Parameters
    ----------
    patients : Patients
        The interim data.
    final : FinalAnalysis
    enrolment : Enrolment, optional
        Patients still to come; none by default.
    complete : tuple of str
        Reasons for censoring of the patients who are still followed.

    Raises
    ------
    SpecificationError
        When the final analysis is before the data cut-off, or its events cannot be reached and it has no latest date.
    """
    return Outlook.of(patients, final, enrolment or Enrolment(), complete).sentence


@dataclass(frozen=True)
class Outlook:
    """The final analysis as it can still happen, and what is known of its trigger.

    Attributes
    ----------
    final : FinalAnalysis
        Its date and latest date no earlier than the data cut-off, within the day that they share.
    sentence : str
        As :func:`final_status` gives it.
    """

    final: FinalAnalysis
    sentence: str

    @classmethod
    def of(
        cls, patients: Patients, final: FinalAnalysis, enrolment: Enrolment, complete: tuple[str, ...]
    ) -> Outlook:  # fmt: skip
        """Look at the trigger; refuse what is in the past or out of reach.

        Raises
        ------
        SpecificationError
            As :func:`final_status`.
        """
        cutoff = patients.data_cutoff
        if cutoff is not None:
            for key, time in (("date", final.date), ("cap", final.cap)):
                refuse_past(key, time, patients)
            date = None if final.date is None else max(final.date, cutoff)
            final = replace(final, date=date, cap=max(final.cap, cutoff))
        return cls(final, _sentence(patients, final, len(enrolment.new_arms(patients)), complete))


def refuse_past(key: str, time: float | None, patients: Patients) -> None:
    """Refuse a date of the final analysis on a day before that of the data cut-off.

    Raises
    ------
    SpecificationError
    """
    cutoff = patients.data_cutoff
    if time is not None and cutoff is not None and _day(time) < _day(cutoff):
        raise SpecificationError(f"final.{key} {_when(time, patients)} is before the data cut "
                                 f"({_when(cutoff, patients)}); choose a later date")  # fmt: skip


def observed_events(patients: Patients, final: FinalAnalysis) -> int:
    """Counted events so far, within the months that the final analysis follows everyone: it will count them all."""
    return int((_counted(patients, final) & (patients.time <= final.limit)).sum())


def _counted(patients: Patients, final: FinalAnalysis) -> np.ndarray:
    """Patients with an event that counts."""
    return patients.event & np.append(final.counted(patients.causes), False)[patients.cause]


def _sentence(patients: Patients, final: FinalAnalysis, new: int, complete: tuple[str, ...]) -> str:
    """Look at each trigger in turn."""
    cutoff = patients.data_cutoff
    reached, bound = (_by_events if final.at == "events" else _by_time)(patients, final, new, complete)
    if cutoff is None:
        return bound
    if reached is not None and _day(reached) < _day(cutoff):
        return (f"The trigger of the final analysis was reached {_on(reached, patients)}, before the data cut: "
                f"the analysis counts as made at the data cut-off {_when(cutoff, patients)}.")  # fmt: skip
    if reached is not None and _day(reached) == _day(cutoff):
        return ("The final analysis is due: its trigger was reached on the day of the data cut-off "
                f"{_when(cutoff, patients)}.")  # fmt: skip
    if math.isfinite(final.cap) and _day(final.cap) == _day(cutoff):
        return ("The final analysis is due: its latest date is the day of the data cut-off "
                f"{_when(cutoff, patients)}, and its trigger is not reached.")  # fmt: skip
    if bound or (reached is not None and reached > final.cap):
        why = bound or f"it would be {_on(reached or 0.0, patients)}"
        return (f"The trigger of the final analysis cannot be reached any more: {why}; the analysis is made at its "
                f"latest date, {_when(final.cap, patients)}.")  # fmt: skip
    return ""


def _by_events(
    patients: Patients, final: FinalAnalysis, new: int, complete: tuple[str, ...]
) -> tuple[float | None, str]:  # fmt: skip
    """When the number of events was reached, if it was, and why it cannot be, if it cannot.

    Raises
    ------
    SpecificationError
        When it cannot be reached and there is no latest date, or there will never be as many patients.
    """
    assert final.events is not None
    hit, target = _counted(patients, final), final.events
    so_far = int(hit.sum())
    if so_far >= target:
        dates = np.sort(on_clock(_enrolled(patients)[hit] + patients.follow_up[hit]))
        return float(dates[target - 1]), ""
    if target > len(patients) + new:
        raise SpecificationError(f"final.events is {target}, more than the {len(patients) + new} patients there will "
                                 "be; correct it, or plan more patients in enrolment.planned")  # fmt: skip
    followed = int((~patients.event & np.isin(patients.censoring, complete)).sum())
    if so_far + followed + new >= target:
        return None, ""
    can = (f"{so_far} events so far, {followed} patients still followed and {new} to come make at most "
           f"{so_far + followed + new} events")  # fmt: skip
    if math.isinf(final.cap):
        raise SpecificationError(f"final.events is {target} and cannot be reached any more: {can}; correct it, say in "
                                 "prediction.complete which are still followed, or give final.cap")  # fmt: skip
    return None, f"{can} of {target}"


def _by_time(
    patients: Patients, final: FinalAnalysis, new: int, complete: tuple[str, ...]
) -> tuple[float | None, str]:  # fmt: skip
    """When the date is, or when everyone enrolled has the follow-up; and why not by the latest date."""
    if final.at in ("date", "primary"):
        return final.date, ""
    if patients.data_cutoff is None or patients.enrolled is None:
        return None, ""
    months = final.follow_up or 0.0
    if not new:
        return on_clock(float(patients.enrolled.max()) + months), ""
    earliest = on_clock(patients.data_cutoff + months)
    if earliest < final.cap:
        return None, ""
    return None, f"patients still to come have {months:g} months of follow-up after {_when(earliest, patients)}"


def _enrolled(patients: Patients) -> np.ndarray:
    return np.zeros(len(patients)) if patients.enrolled is None else patients.enrolled


def _day(time: float) -> float:
    """Day of a calendar time, as it is printed."""
    return round(time * DAYS_PER_MONTH) if math.isfinite(time) else time


def _on(time: float, patients: Patients) -> str:
    return f"{'at' if patients.origin is None else 'on'} {_when(time, patients)}"


def _when(time: float, patients: Patients) -> str:
    if patients.origin is None:
        return f"{time:.1f} months since the first enrolment"
    return calendar_date(time, patients.origin).isoformat()
