"""Time-to-event endpoints as values: what starts the clock, what stops it, and what becomes of a new therapy.

Every endpoint of a trial is derived from the same :class:`~smm_bayes.trial.courses.Courses`, so that trials which
define them differently are told apart by their definitions, not by their programs. With t_m the date of milestone m
(infinite where it did not happen), t_0 the start, and m(c) the milestones of cause c, a patient has

    T = min over c of min over m in m(c) of t_m - t_0,  with the first c in order that attains it,

unless follow-up ends before it. The strategies for a new therapy, an intercurrent event, are those of ICH E9(R1):
``ignored`` is treatment policy, ``event`` is composite, and ``censored`` is the usual analysis of the hypothetical
strategy, which needs a new therapy that says nothing about the event to come.

References
----------
International Council for Harmonisation, E9(R1): Addendum on estimands and sensitivity analysis in clinical trials to
the guideline on statistical principles for clinical trials, 2019.

Rajkumar SV, Harousseau JL, Durie B, et al. Consensus recommendations for the uniform reporting of clinical trials:
report of the International Myeloma Workshop Consensus Panel 1. Blood 2011;117:4691-5.

Food and Drug Administration, Clinical trial endpoints for the approval of cancer drugs and biologics: guidance for
industry, 2018.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from smm_bayes.errors import DataError, Problems, SpecificationError
from smm_bayes.trial.calendar import calendar_date, calendar_time
from smm_bayes.trial.courses import MILESTONES, ORIGINS, Courses
from smm_bayes.trial.courses_table import COLUMNS
from smm_bayes.trial.patients import Patients
from smm_bayes.trial.second_line import AFTER_THERAPY, progression_after_therapy

NEW_THERAPY = "new_therapy"
ZERO = {"enrolment": "enrolled", "study_entry": "study_entry", "consent": "consent", "response": "response"}
CHOICES = {
    "start": tuple(ZERO),
    "new_therapy": ("ignored", "censored", "event"),
    "censored_at": ("last_assessment", "last_alive"),
    "competing_as": ("cause", "censored"),
}


@dataclass(frozen=True)
class Endpoint:
    """Definition of a time-to-event endpoint.

    Parameters
    ----------
    name : str
    events : mapping of str to sequence of str
        Causes, and the milestones that are of each: ``response``, ``progression``, ``new_therapy``,
        ``second_progression``, ``progression_after_therapy``, ``death``. The earliest stops the clock; on one day, the
        cause named first. Death must be among them, since nobody can be followed beyond it.
    competing : sequence of str
        Causes that compete: they stop the clock, but are not the event. The others count.
    competing_as : {"cause", "censored"}
        Whether a competing cause stays a cause of the patients, or is taken as censoring at its date (reason
        ``other``), as :meth:`~smm_bayes.trial.patients.Patients.count_only` does.
    start : {"enrolment", "study_entry", "consent", "response"}
        Time zero. Enrolment is the day of randomisation where the trial randomises; study entry and consent may be days
        before it, and everybody who was enrolled counts from there. From response there are only the patients who
        responded: under ``ignored`` all of them, otherwise those who responded before any new therapy.
    new_therapy : {"ignored", "censored", "event"}
        What a new therapy before the event does: nothing (treatment policy); censor, at the last disease assessment no
        later than it, or at its start if ``censored_at`` is last alive (hypothetical); or stop the clock, as cause
        ``new_therapy`` unless ``events`` gives it to another (composite). An event on its day is the event.
    censored_at : {"last_assessment", "last_alive"}
        Where a patient without event or new therapy is censored, with the reason for which follow-up ended:
        ``administrative`` for patients still followed.

    Raises
    ------
    SpecificationError
        When the definition contradicts itself, naming every problem.

    Notes
    -----
    A variant is made by :func:`dataclasses.replace`, for example ``replace(PFS, new_therapy="censored")``, or by
    :meth:`counting`. Missed assessments are not looked at: a progression or death after any gap is an event on its day.
    """

    name: str
    events: Mapping[str, tuple[str, ...]]
    competing: tuple[str, ...] = field(default=(), kw_only=True)
    competing_as: Literal["cause", "censored"] = field(default="cause", kw_only=True)
    start: Literal["enrolment", "study_entry", "consent", "response"] = field(default="enrolment", kw_only=True)
    new_therapy: Literal["ignored", "censored", "event"] = field(default="ignored", kw_only=True)
    censored_at: Literal["last_assessment", "last_alive"] = field(default="last_assessment", kw_only=True)

    def __post_init__(self) -> None:
        """Refuse a definition that contradicts itself."""
        problems = Problems(f"endpoint {self.name}", SpecificationError)
        for key, words in CHOICES.items():
            if getattr(self, key) not in words:
                problems.add(f"{key} must be one of {', '.join(words)}; got {getattr(self, key)!r}")
        named = [milestone for milestones in self.events.values() for milestone in milestones]
        for milestone in dict.fromkeys(named):
            if milestone not in MILESTONES:
                problems.add(f"events: {milestone!r} is no milestone; name some of {', '.join(MILESTONES)}")
            elif named.count(milestone) > 1:
                problems.add(f"events: {milestone!r} is named twice; let it be of one cause")
        if "death" not in named:
            problems.add("events: no cause has 'death'; nobody is followed beyond it, so let it count or compete")
        if self.start in named:
            problems.add(f"events: {self.start!r} is where the clock starts; remove it")
        self._check_new_therapy(named, problems)
        for cause in sorted(set(self.competing) - {*self.events, NEW_THERAPY}):
            problems.add(f"competing: {cause!r} is not one of the causes {', '.join(self.events)}; correct it")
        if not set(self.events) - set(self.competing):
            problems.add("every cause competes; leave one that counts")
        problems.raise_if_any()

    def _check_new_therapy(self, named: list[str], problems: Problems) -> None:
        if NEW_THERAPY in named and self.new_therapy != "event":
            problems.add("events: 'new_therapy' is named, so the key new_therapy must be 'event'")
        if NEW_THERAPY in self.events and NEW_THERAPY not in self.events[NEW_THERAPY]:
            problems.add("events: the cause 'new_therapy' lacks the milestone 'new_therapy'; give it another name")
        if AFTER_THERAPY in named and self.new_therapy != "ignored":
            problems.add(f"events: {AFTER_THERAPY!r} comes after a new therapy, so new_therapy must be 'ignored'")

    @property
    def milestones(self) -> dict[str, tuple[str, ...]]:
        """Milestones of every cause, in order, a new therapy that stops the clock included."""
        own = {cause: tuple(milestones) for cause, milestones in self.events.items()}
        stops = self.new_therapy == "event" and not any(NEW_THERAPY in milestones for milestones in own.values())
        return own | ({NEW_THERAPY: (NEW_THERAPY,)} if stops else {})

    @property
    def counted(self) -> tuple[str, ...]:
        """Causes that are the event."""
        return tuple(cause for cause in self.milestones if cause not in self.competing)

    @property
    def causes(self) -> tuple[str, ...]:
        """Causes of the patients it makes."""
        return self.counted if self.competing_as == "censored" else tuple(self.milestones)

    def counting(self, *causes: str) -> Endpoint:
        """Give the endpoint whose event is these causes; all others compete.

        Raises
        ------
        SpecificationError
            When it has no such cause.
        """
        unknown = [cause for cause in causes if cause not in self.milestones]
        if unknown or not causes:
            raise SpecificationError(f"endpoint {self.name}: {', '.join(map(repr, unknown)) or 'nothing'} is not one "
                                     f"of the causes {', '.join(self.milestones)}; name some of them")  # fmt: skip
        others = dict.fromkeys((*self.milestones, *self.competing))
        return replace(self, competing=tuple(cause for cause in others if cause not in causes))

    def patients(self, courses: Courses) -> Patients:
        """Derive the patients' times to this endpoint.

        Parameters
        ----------
        courses : Courses

        Returns
        -------
        Patients
            Time in months since the start, whose own day is 0: courses have no event on it. ``enrolled`` is the
            calendar time at which the clock starts, so that data cuts stay right; where that is before the first
            enrolment, ``origin`` is moved to it. With ``start="response"`` there are only responders.

        Raises
        ------
        DataError
            When the trial did not record what the definition needs, or nobody has responded.
        """
        dates = self._recorded(courses)
        zero = dates[ZERO[self.start]]
        when, cause = self._first_event(dates)
        stop, reason = dates[self.censored_at], courses.censoring
        rows = np.isfinite(zero)
        if self.new_therapy == "censored":
            before = dates[NEW_THERAPY] < when
            cause, stop = np.where(before, -1, cause), np.where(before, self._assessed_until(dates), stop)
            reason = np.where(before, NEW_THERAPY, reason)
        if self.start == "response" and self.new_therapy != "ignored":
            rows &= ~(dates[NEW_THERAPY] <= zero)
        if not rows.any():
            raise DataError(f"{self.name}: nobody has responded; choose another endpoint, or cut later")
        event = cause >= 0
        time = np.maximum(np.where(event, when, stop) - zero, 0.0)
        origin, moved = _origin(courses, zero[rows])
        found = Patients(
            patient=courses.patient[rows], arm=courses.arm[rows], time=time[rows], event=event[rows],
            cause=cause[rows], censoring=np.where(event, "", reason).astype(object)[rows], enrolled=zero[rows] + moved,
            arms=courses.arms, arm_names=courses.arm_names, causes=tuple(self.milestones), trial=courses.trial,
            stratum=None if courses.stratum is None else courses.stratum[rows],
            covariates={name: values[rows] for name, values in courses.covariates.items()},
            origin=origin, data_cutoff=courses.data_cutoff + moved, provenance=courses.provenance, endpoint=str(self),
        )  # fmt: skip
        return found if self.competing_as == "cause" else found.count_only(*self.counted)

    def _recorded(self, courses: Courses) -> dict[str, np.ndarray]:
        """Dates of the courses, once everything that the definition needs is known to be among them."""
        dates = courses.dates()
        needed = {milestone for milestones in self.milestones.values() for milestone in milestones}
        needed |= {ZERO[self.start]} | ({NEW_THERAPY} if self.new_therapy != "ignored" else set())
        missing = [name for name in COLUMNS if name in needed - {AFTER_THERAPY} and name not in dates]
        if missing:
            words = " and ".join(f"{_words(name)} (column {COLUMNS[name][0]})" for name in missing)
            other = '; or, if it is the day of enrolment, start = "enrolment"' if missing[0] in ORIGINS else ""
            raise DataError(f"{self.name} needs the dates of {words}; add them, empty where there is none{other}")
        if AFTER_THERAPY in needed:
            dates[AFTER_THERAPY] = progression_after_therapy(courses, self.name)
        if self.start in ORIGINS and np.isnan(dates[self.start]).any():
            who = courses.patient[np.isnan(dates[self.start])][0]
            start = _words(self.start)
            raise DataError(f"{self.name} counts from {start}, which some patients lack, first {who}; add it")
        return dates

    def _first_event(self, dates: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Date of the first event of any cause (infinite where there is none), and its cause; -1 for none."""
        when = np.array([
            np.min([np.nan_to_num(dates[m], nan=np.inf) for m in milestones], axis=0)
            for milestones in self.milestones.values()
        ])  # fmt: skip
        first = when.min(axis=0)
        return first, np.where(np.isfinite(first), when.argmin(axis=0), -1)

    def _assessed_until(self, dates: Mapping[str, np.ndarray]) -> np.ndarray:
        """Date up to which who starts a new therapy was followed without it."""
        if self.censored_at == "last_alive":
            return dates[NEW_THERAPY]
        return dates.get("last_before_therapy", np.fmin(dates["last_assessment"], dates[NEW_THERAPY]))

    def summary(self) -> str:
        """Give the definition in one sentence."""
        event = [_words(m) for cause in self.counted for m in self.milestones[cause]]
        others = [_words(m) for cause in self.milestones if cause in self.competing for m in self.milestones[cause]]
        at = {"last_assessment": "the last disease assessment", "last_alive": "the last day known alive"}
        where = "its start" if self.censored_at == "last_alive" else f"{at[self.censored_at]} before it"
        text = f"{self.name}: months from {_words(self.start)} to {_either(event)}"
        text += ", whichever is first" if len(event) > 1 else ""
        text += " (composite)" if NEW_THERAPY in set(self.counted) - set(self.events) else ""
        if others:
            text += f"; {_either(others)} before it " + ("competes" if self.competing_as == "cause" else "censors")
        strategy = {"ignored": "; a new therapy is ignored (treatment policy)", "event": "",
                    "censored": f"; a new therapy censors at {where} (hypothetical)"}  # fmt: skip
        return f"{text}{strategy[self.new_therapy]}; otherwise censored at {at[self.censored_at]}"

    def __str__(self) -> str:
        return self.summary()


def _origin(courses: Courses, zero: np.ndarray) -> tuple[datetime.date | None, float]:
    """Calendar time zero of clocks that start at these times, and by how many months it is moved back."""
    if zero.min() >= 0:
        return courses.origin, 0.0
    if courses.origin is None:
        return None, -float(zero.min())
    first = calendar_date(float(zero.min()), courses.origin)
    return first, calendar_time(courses.origin, first)


def _words(milestone: str) -> str:
    return milestone.replace("_", " ")


def _either(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


_PROGRESSION_OR_DEATH = {"progression": ("progression",), "death": ("death",)}
PFS = Endpoint("PFS", _PROGRESSION_OR_DEATH)
TTP = Endpoint("TTP", _PROGRESSION_OR_DEATH, competing=("death",))
OS = Endpoint("OS", {"death": ("death",)}, censored_at="last_alive")
PFS2 = Endpoint("PFS2", {AFTER_THERAPY: (AFTER_THERAPY,), "death": ("death",)})
TIME_TO_RESPONSE = Endpoint(
    "time to response", {"response": ("response",), **_PROGRESSION_OR_DEATH},
    competing=("progression", "death", NEW_THERAPY),
)  # fmt: skip
DURATION_OF_RESPONSE = Endpoint("duration of response", _PROGRESSION_OR_DEATH, start="response")
ENDPOINTS = {
    "PFS": PFS, "TTP": TTP, "OS": OS, "PFS2": PFS2, "TIME_TO_RESPONSE": TIME_TO_RESPONSE,
    "DURATION_OF_RESPONSE": DURATION_OF_RESPONSE,
}  # fmt: skip
