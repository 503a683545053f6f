"""The value that holds one trial's patients, whatever table they came from."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes import markup
from smm_bayes.errors import DataError
from smm_bayes.trial.calendar import calendar_date, on_clock
from smm_bayes.trial.curves import kaplan_meier
from smm_bayes.trial.mrd import MrdAssessments

if TYPE_CHECKING:
    import pandas as pd

    from smm_bayes.trial.table import Table

PROVENANCES = ("real", "reconstructed", "simulated")
REASONS = ("administrative", "lost", "withdrawn", "new_therapy", "other")
UNKNOWN = "unknown"  # the table says nothing of why its patients were censored
ROLES = ("control", "experimental")


def say_reasons(reasons: np.ndarray) -> str:
    """Count the patients who are censored by reason, those still followed first."""
    names = {"administrative": "still followed", "new_therapy": "new therapy", UNKNOWN: "for a reason not stated"}
    counts = [(names.get(reason, reason), int(np.sum(reasons == reason))) for reason in (*REASONS, UNKNOWN)]
    return ", ".join(f"{name} {number}" for name, number in counts if number)


@dataclass(frozen=True, eq=False)
class Patients:
    """Patients of one trial, one row a patient, on a clock in months.

    Made by :meth:`from_adtte` or :meth:`from_frame`, which check everything; never changed afterwards.

    Attributes
    ----------
    patient : numpy.ndarray of str
    arm : numpy.ndarray of int
        Position in ``arms``.
    time : numpy.ndarray of float
        Months from time zero to the event or to censoring. Time zero is enrolment, unless ``entry`` says otherwise.
    event : numpy.ndarray of bool
        True where the patient had an event.
    cause : numpy.ndarray of int
        Position in ``causes``; -1 where censored.
    censoring : numpy.ndarray of str
        Reason for censoring (one of ``administrative``, ``lost``, ``withdrawn``, ``new_therapy``, ``other``);
        empty where there was an event, ``unknown`` where the table holds no reasons at all. Only administrative
        censoring says that the patient is still followed.
    enrolled : numpy.ndarray of float or None
        Calendar time of enrolment, when the patient came under observation, in months since ``origin``; None if the
        table has no dates. Time zero is at ``enrolled - entry``.
    arms : tuple of str
        ``("control", "experimental")``, or ``("experimental",)`` for one arm.
    arm_names : tuple of str
        What the trial calls them.
    causes : tuple of str
        Competing causes of event.
    trial : str
    entry : numpy.ndarray of float or None
        Delayed entry (left truncation): months on the clock of ``time`` at which the patient was enrolled. Who had an
        event before is not in the table, so nobody is at risk before ``entry``. None: everybody from 0. Equal to
        ``time`` only where a data cut falls on the day of enrolment.
    stratum : numpy.ndarray of str or None
    covariates : mapping of str to numpy.ndarray
    mrd : MrdAssessments or None
    origin : datetime.date or None
        Calendar time zero: the first enrolment.
    data_cutoff : float or None
        Calendar time at which the data were cut.
    provenance : {"real", "reconstructed", "simulated"}
    unit : str
        Always ``month``.
    endpoint : str
        What ``time`` is the time to, in a sentence, where a definition made it (:mod:`smm_bayes.trial.endpoints`).
    first_day : {0, 1}
        What ``time`` counts the day of enrolment as. Where it counts as 1, ``enrolled`` is the start of that day, the
        end of the day before: ``enrolled + time`` is the day of the event or of censoring either way.
    left_out : tuple of (str, int)
        What of the table was left out, and how many.
    cutoff_stated : bool
        Whether ``data_cutoff`` was stated; otherwise it is the last date in the table.

    Examples
    --------
    >>> import pandas as pd, smm_bayes as smm
    >>> rows = pd.DataFrame({"patient": list("abcd"), "arm": ["old", "old", "new", "new"],
    ...                      "time": [3.0, 14, 9, 20], "event": [1, 0, 1, 0]})
    >>> patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"})
    >>> patients.events, len(patients), patients.causes
    (2, 4, ('event',))
    >>> patients.table().columns.tolist()
    ['patient', 'arm', 'time', 'event', 'cause', 'censoring']
    """

    patient: np.ndarray
    arm: np.ndarray
    time: np.ndarray
    event: np.ndarray
    cause: np.ndarray
    censoring: np.ndarray
    enrolled: np.ndarray | None
    arms: tuple[str, ...]
    arm_names: tuple[str, ...]
    causes: tuple[str, ...]
    trial: str = "trial"
    entry: np.ndarray | None = None
    stratum: np.ndarray | None = None
    covariates: Mapping[str, np.ndarray] = field(default_factory=dict)
    mrd: MrdAssessments | None = None
    origin: datetime.date | None = None
    data_cutoff: float | None = None
    provenance: str = "real"
    unit: str = "month"
    endpoint: str = ""
    first_day: int = 0
    left_out: tuple[tuple[str, int], ...] = ()
    cutoff_stated: bool = True

    def __post_init__(self) -> None:
        """Put every time on the clock, and refuse a state that no reader could have made."""
        self._put_on_clock()
        sizes = {len(column) for column in (self.patient, self.arm, self.time, self.event, self.cause)}
        if len(sizes) != 1 or self.provenance not in PROVENANCES or self.unit != "month":
            raise DataError("Patients: columns differ in length, or provenance or unit is not a known word")
        if np.any(~np.isfinite(self.time)) or np.any(self.time < 0) or np.any(self.event != (self.cause >= 0)):
            raise DataError("Patients: times must be finite and not negative, and every event needs its cause")
        if np.any(self.event & (self.time == 0)):
            raise DataError("Patients: the time to an event must be above 0; count the first day as 1")
        if self.entry is not None:
            if len(self.entry) != len(self) or not np.all((self.entry >= 0) & (self.entry <= self.time)):
                raise DataError("Patients: entry must be one number a patient, not negative and not after time")
            if np.any(self.event & (self.entry == self.time)):
                raise DataError("Patients: who has an event must have come under observation before it")
        if self.mrd is not None and self.delayed.any():
            raise DataError("Patients: MRD assessments count from enrolment, so they do not go with delayed entry yet; "
                            "leave them out")  # fmt: skip
        for column in (self.arm, self.time, self.event, self.cause, self.enrolled, self.entry):
            if column is not None:
                column.setflags(write=False)

    def _put_on_clock(self) -> None:
        """Give times their normal form, in which equal days are equal numbers."""
        for name in ("time", "enrolled", "entry"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, on_clock(np.asarray(getattr(self, name), dtype=float)))
        if self.data_cutoff is not None:
            object.__setattr__(self, "data_cutoff", on_clock(float(self.data_cutoff)))

    @classmethod
    def from_adtte(
        cls,
        source: Table | pd.DataFrame | str | Path,
        parameter: str,
        *,
        arms: Mapping[str, str],
        **options: object,
    ) -> Patients:
        """Read patients from an ADaM time-to-event table; see :func:`smm_bayes.trial.adtte.read_adtte`."""
        from smm_bayes.trial.readers import read_adtte

        return read_adtte(source, parameter, arms=arms, **options)  # type: ignore[arg-type]

    @classmethod
    def from_frame(
        cls, source: Table | pd.DataFrame | str | Path, *, arms: Mapping[str, str], **options: object
    ) -> Patients:
        """Read patients from a plain table; see :func:`smm_bayes.trial.plain.read_frame`."""
        from smm_bayes.trial.readers import read_frame

        return read_frame(source, arms=arms, **options)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.patient)

    @property
    def at_risk(self) -> np.ndarray:
        """Patients still followed: without event and censored administratively."""
        return ~self.event & (self.censoring == "administrative")

    @property
    def events(self) -> int:
        """Number of events of any cause."""
        return int(self.event.sum())

    @property
    def delayed(self) -> np.ndarray:
        """Patients with delayed entry: at risk only from some time after zero."""
        return np.zeros(len(self), bool) if self.entry is None else self.entry > 0

    @property
    def follow_up(self) -> np.ndarray:
        """Months from enrolment to the event or to censoring: the time at risk."""
        return self.time if self.entry is None else on_clock(self.time - self.entry)

    @property
    def median_follow_up(self) -> float:
        """Median follow-up in months by reverse Kaplan–Meier: the event is being censored.

        It counts from enrolment, also under delayed entry: how long patients were watched.
        """
        median = kaplan_meier(self.follow_up, ~self.event).median
        return median if np.isfinite(median) else float("nan")

    def arm_name(self, role: str) -> str:
        """What the trial calls the arm with this role."""
        return self.arm_names[self.arms.index(role)]

    def take(self, keep: np.ndarray, **changes: object) -> Patients:
        """Patients where ``keep`` is true, with some attributes replaced (given for the rows kept)."""
        rows = np.flatnonzero(keep)
        time = changes.get("time", self.time[rows])
        moved: dict[str, object] = {
            name: getattr(self, name)[rows]
            for name in ("patient", "arm", "time", "event", "cause", "censoring", "enrolled", "entry", "stratum")
            if getattr(self, name) is not None
        }
        if "data_cutoff" in changes:
            moved["cutoff_stated"] = True
        moved["covariates"] = {name: values[rows] for name, values in self.covariates.items()}
        if self.mrd is not None:
            moved["mrd"] = self.mrd.keep(rows, np.asarray(time))
        return replace(self, **{**moved, **changes})  # type: ignore[arg-type]

    def count_only(self, *causes: str) -> Patients:
        """Take the other causes as censoring (reason ``other``), as a cause-specific analysis does."""
        missing = set(causes) - set(self.causes)
        if missing:
            raise DataError(f"causes {sorted(missing)} are not among {self.causes}; name causes of this table")
        new = np.full(len(self), -1)
        for position, name in enumerate(causes):
            new[self.cause == self.causes.index(name)] = position
        event = new >= 0
        reason = np.where(self.event & ~event, "other", self.censoring)
        return replace(self, cause=new, event=event, censoring=reason, causes=tuple(causes))

    def table(self) -> pd.DataFrame:
        """Give the patients as a pandas frame, one row a patient."""
        import pandas as pd

        frame = pd.DataFrame({
            "patient": self.patient,
            "arm": np.asarray(self.arms, dtype=object)[self.arm],
            "time": self.time,
            "event": self.event,
            "cause": [self.causes[cause] if cause >= 0 else "" for cause in self.cause],
            "censoring": self.censoring,
        })  # fmt: skip
        if self.entry is not None:
            frame.insert(2, "entry", self.entry)
        if self.enrolled is not None:
            frame.insert(2, "enrolled", self.enrolled)
        if self.stratum is not None:
            frame["stratum"] = self.stratum
        return frame.assign(**{name: values for name, values in self.covariates.items()})

    def summary(self) -> list[tuple[str, str]]:
        """What a reviewer checks first, as label and value."""
        counts = " / ".join(
            f"{int((self.arm == index).sum())} {role}" for index, role in enumerate(self.arms)
        )
        by_cause = ", ".join(
            f"{int((self.cause == index).sum())} {name}" for index, name in enumerate(self.causes)
        )
        events = f"{self.events} ({by_cause})" if len(self.causes) > 1 else str(self.events)
        rows = [("endpoint", self.endpoint)] if self.endpoint else []
        rows += [("patients", counts), ("events", events),
                ("median follow-up", f"{self.median_follow_up:.1f} months")]  # fmt: skip
        if not self.event.all():
            rows.append(("censored", say_reasons(self.censoring)))
        if self.entry is not None and self.delayed.any():
            late = self.entry[self.delayed]
            rows.append(("delayed entry", f"{len(late)} patients, median {np.median(late):.1f} months"))
        if self.data_cutoff is not None:
            when = f"{self.data_cutoff:.1f} months"
            if self.origin is not None:
                when = calendar_date(self.data_cutoff, self.origin).isoformat()
            if not self.cutoff_stated:
                when = f"not stated; last date in the table is {when}"
            rows.append(("data cut-off", when))
        if self.left_out:
            rows.append(("left out", ", ".join(f"{number} ({what})" for what, number in self.left_out)))
        if self.mrd is not None:
            rows.append(("MRD assessments", self.mrd.summary()))
        rows.append(("data", self.provenance))
        return rows

    def __repr__(self) -> str:
        facts = dict(self.summary())
        entry = f", delayed entry {facts['delayed entry']}" if "delayed entry" in facts else ""
        cutoff = f", data cut-off {facts['data cut-off']}" if "data cut-off" in facts else ""
        return (
            f"Patients: {self.trial}, {facts['patients']}, {facts['events']} events, "
            f"median follow-up {facts['median follow-up']}{entry}{cutoff}, {self.provenance}"
        )

    def _repr_html_(self) -> str:
        return markup.table(self.summary(), caption=f"Patients of {self.trial}")
