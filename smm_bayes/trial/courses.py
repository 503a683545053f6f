"""The value that holds every patient's course by dates, from which all endpoints of a trial are derived."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes import markup
from smm_bayes.errors import DataError
from smm_bayes.trial.calendar import calendar_date, on_clock
from smm_bayes.trial.cuts import known_by
from smm_bayes.trial.patients import PROVENANCES
from smm_bayes.trial.second_line import disagreements

if TYPE_CHECKING:
    import pandas as pd

    from smm_bayes.trial.table import Table

MILESTONES = ("response", "progression", "new_therapy", "second_progression", "progression_after_therapy", "death")
CONTACTS = ("last_assessment", "last_before_therapy", "last_alive")
ORIGINS = ("study_entry", "consent")  # other days on which a clock may start, none after enrolment
# one date, how it must stand to another, the other; "from": not before it, if the other is before the new therapy
ORDER = (
    ("response", ">", "enrolled"), ("progression", ">", "enrolled"), ("new_therapy", ">", "enrolled"),
    ("death", ">", "enrolled"), ("last_assessment", ">=", "enrolled"), ("last_alive", ">=", "enrolled"),
    ("last_before_therapy", ">=", "enrolled"),
    ("second_progression", "with", "progression"), ("second_progression", ">", "progression"),
    ("progression_after_therapy", "with", "new_therapy"), ("progression_after_therapy", ">", "new_therapy"),
    ("progression_after_therapy", "with", "progression"), ("progression_after_therapy", ">=", "progression"),
    ("progression_after_therapy", "<=", "death"), ("progression_after_therapy", "<=", "last_alive"),
    ("progression_after_therapy", "<=", "last_assessment"),
    ("study_entry", "<=", "enrolled"), ("consent", "<=", "enrolled"), ("consent", "<=", "study_entry"),
    ("response", "<", "progression"), ("response", "<", "death"),
    ("progression", "<=", "death"), ("new_therapy", "<=", "death"), ("second_progression", "<=", "death"),
    ("last_assessment", "<=", "death"), ("last_alive", "<=", "death"),
    ("response", "<=", "last_alive"), ("progression", "<=", "last_alive"), ("new_therapy", "<=", "last_alive"),
    ("second_progression", "<=", "last_alive"), ("last_assessment", "<=", "last_alive"),
    ("response", "<=", "last_assessment"), ("progression", "<=", "last_assessment"),
    ("second_progression", "<=", "last_assessment"),
    ("new_therapy", "with", "last_before_therapy"), ("last_before_therapy", "with", "new_therapy"),
    ("last_before_therapy", "<=", "new_therapy"), ("last_before_therapy", "<=", "last_assessment"),
    ("last_before_therapy", "from", "response"), ("last_before_therapy", "from", "progression"),
)  # fmt: skip
BROKEN = {">": "not after", ">=": "before", "<": "not before", "<=": "after", "with": "without", "from": "before"}


@dataclass(frozen=True, eq=False)
class Courses:
    """Courses of a trial's patients, one row a patient; every date in months since ``origin``, NaN where it is none.

    Made by :meth:`from_table`, which checks everything; never changed afterwards. An
    :class:`~smm_bayes.trial.endpoints.Endpoint` makes :class:`~smm_bayes.trial.patients.Patients` of it.

    In every patient consent ≤ study entry ≤ enrolled < response < progression < second progression ≤ death and enrolled
    < new therapy ≤ death as far as they happened, nothing is later than ``last_alive``, and response and progressions
    are no later than ``last_assessment``.

    Attributes
    ----------
    patient : numpy.ndarray of str
    arm : numpy.ndarray of int
        Position in ``arms``.
    enrolled : numpy.ndarray of float
    response, progression, new_therapy, second_progression, death : numpy.ndarray of float
        When each happened first. ``second_progression`` is the second documented one, whatever the treatment.
        ``response``, ``new_therapy`` and ``second_progression`` are None where the trial did not record them.
    last_assessment : numpy.ndarray of float
        Last assessment of the disease; the day of enrolment where there was none after it.
    last_alive : numpy.ndarray of float
        When the patient was last known to be alive; the day of death where dead.
    censoring : numpy.ndarray of str
        Why a patient who is alive is not known after ``last_alive`` (``administrative`` for patients still followed;
        the
        words of :class:`~smm_bayes.trial.patients.Patients`); empty where dead.
    arms, arm_names : tuple of str
        Roles, and what the trial calls them.
    data_cutoff : float
        Calendar time at which the data were cut.
    last_before_therapy : numpy.ndarray of float or None
        Last assessment of the disease no later than the new therapy, in months since ``origin``. None: the earlier of
        ``last_assessment`` and ``new_therapy``, as if the disease had been assessed up to the new therapy.
    progression_after_therapy : numpy.ndarray of float or None
        First progression after the start of the new therapy, the event of PFS2. None: what the other dates imply
        (:func:`smm_bayes.trial.second_line.progression_after_therapy`).
    study_entry, consent : numpy.ndarray of float or None
        Day of study entry and of informed consent, where the trial recorded them apart from ``enrolled``.
    trial : str
    stratum : numpy.ndarray of str or None
    covariates : mapping of str to numpy.ndarray
    origin : datetime.date or None
        Calendar time zero: the first enrolment.
    provenance : {"real", "reconstructed", "simulated"}
    left_out : tuple of (str, int)
        What of the table was left out, and how many.
    cutoff_stated : bool
        Whether ``data_cutoff`` was stated; otherwise it is the last date in the table.
    """

    patient: np.ndarray
    arm: np.ndarray
    enrolled: np.ndarray
    response: np.ndarray | None
    progression: np.ndarray
    new_therapy: np.ndarray | None
    second_progression: np.ndarray | None
    death: np.ndarray
    last_assessment: np.ndarray
    last_alive: np.ndarray
    censoring: np.ndarray
    arms: tuple[str, ...]
    arm_names: tuple[str, ...]
    data_cutoff: float
    last_before_therapy: np.ndarray | None = None
    progression_after_therapy: np.ndarray | None = None
    study_entry: np.ndarray | None = None
    consent: np.ndarray | None = None
    trial: str = "trial"
    stratum: np.ndarray | None = None
    covariates: Mapping[str, np.ndarray] = field(default_factory=dict)
    origin: datetime.date | None = None
    provenance: str = "real"
    left_out: tuple[tuple[str, int], ...] = ()
    cutoff_stated: bool = True

    def __post_init__(self) -> None:
        """Put every date on the clock, and refuse a state that no reader could have made."""
        for name, values in self.dates().items():
            object.__setattr__(self, name, on_clock(np.asarray(values, dtype=float)))
        object.__setattr__(self, "data_cutoff", on_clock(float(self.data_cutoff)))
        dates = self.dates()
        if {len(values) for values in (self.arm, self.censoring, *dates.values())} != {len(self.patient)}:
            raise DataError("Courses: columns differ in length; give one value a patient")
        known = [self.enrolled, self.last_assessment, self.last_alive]
        if self.provenance not in PROVENANCES or not np.isfinite(known).all():
            raise DataError("Courses: enrolled, last_assessment and last_alive must be finite, provenance a known word")
        if self.new_therapy is None and self.last_before_therapy is not None:
            raise DataError("Courses: last_before_therapy needs new_therapy; give both or neither")
        if np.any((self.censoring == "") == np.isnan(self.death)):
            raise DataError("Courses: who is alive needs a reason in censoring, and who is dead has none")
        for name, broken, other, rows in breaches(dates):
            who = self.patient[rows][0]
            raise DataError(f"Courses: {name} {broken} {other}, first in patient {who}; correct either date")
        for values in (self.arm, *dates.values()):
            values.setflags(write=False)

    @classmethod
    def from_table(
        cls, source: Table | pd.DataFrame | str | Path, *, arms: Mapping[str, str], **options: object
    ) -> Courses:
        """Read courses from a table of dates; see :func:`smm_bayes.trial.courses_table.read_courses`."""
        from smm_bayes.trial.courses_table import read_courses

        return read_courses(source, arms=arms, **options)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.patient)

    def dates(self) -> dict[str, np.ndarray]:
        """Every column of dates there is, by its name."""
        columns = {name: getattr(self, name) for name in ("enrolled", *MILESTONES, *CONTACTS, *ORIGINS)}
        return {name: values for name, values in columns.items() if values is not None}

    def cut_by_date(self, cutoff: float | datetime.date) -> Courses:
        """Give the courses as they were known at ``cutoff``.

        Patients enrolled later are left out and what happened later is not known. Contacts and assessments end at the
        cut: a patient seen afterwards counts as assessed, and as alive and followed, up to it.

        Parameters
        ----------
        cutoff : float or datetime.date
            Calendar time in months since ``origin``, or a date.

        Raises
        ------
        DataError
            When nobody had been enrolled.
        """
        cutoff, known = known_by(cutoff, self.enrolled, self.origin)
        moved = {name: values[known] for name, values in self.dates().items()}
        for name in MILESTONES:
            if name in moved:
                moved[name] = np.where(moved[name] > cutoff, np.nan, moved[name])
        if self.last_before_therapy is not None:
            moved["last_before_therapy"][np.isnan(moved["new_therapy"])] = np.nan
        later = moved["last_alive"] > cutoff
        for name in ("last_assessment", "last_alive"):
            moved[name] = np.where(moved[name] > cutoff, cutoff, moved[name])
        return replace(
            self, patient=self.patient[known], arm=self.arm[known], data_cutoff=cutoff,
            censoring=np.where(later, "administrative", self.censoring[known]),
            stratum=None if self.stratum is None else self.stratum[known],
            covariates={name: values[known] for name, values in self.covariates.items()}, **moved,
        )  # fmt: skip

    def summary(self) -> list[tuple[str, str]]:
        """What a reviewer checks first, as label and value."""
        counts = " / ".join(f"{int((self.arm == index).sum())} {role}" for index, role in enumerate(self.arms))
        happened = [
            (name.replace("_", " "), str(np.isfinite(values).sum()))
            for name, values in self.dates().items() if name in MILESTONES
        ]  # fmt: skip
        cut = f"{self.data_cutoff:.1f} months"
        if self.origin is not None:
            cut = calendar_date(self.data_cutoff, self.origin).isoformat()
        return [("patients", counts), *happened, ("data cut-off", cut), ("data", self.provenance)]

    def __repr__(self) -> str:
        facts = dict(self.summary())
        happened = ", ".join(f"{facts[w]} {w}" for w in (n.replace("_", " ") for n in MILESTONES) if w in facts)
        return (f"Courses: {self.trial}, {facts['patients']}, {happened}, data cut-off {facts['data cut-off']}, "
                f"{self.provenance}")  # fmt: skip

    def _repr_html_(self) -> str:
        return markup.table(self.summary(), caption=f"Courses of {self.trial}")


def breaches(dates: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str, str, np.ndarray]]:
    """Give the rules of :data:`ORDER` that some patients break: date, how it stands to the other, the other, rows.

    Parameters
    ----------
    dates : mapping of str to numpy.ndarray
        Columns of :class:`Courses`; NaN where there is no date.
    """
    if "new_therapy" in dates and "last_before_therapy" in dates:
        until = dates["new_therapy"]
    else:
        until = np.full(len(dates["enrolled"]), -np.inf)
    for name, relation, other in ORDER:
        if name not in dates or other not in dates:
            continue
        one, two = dates[name], dates[other]
        rows = {
            ">": one <= two, ">=": one < two, "<": one >= two, "<=": one > two,
            "with": np.isfinite(one) & np.isnan(two), "from": (one < two) & (two <= until),
        }[relation]  # comparisons with NaN are false  # fmt: skip
        if rows.any():
            yield name, BROKEN[relation], other, rows
    yield from disagreements(dates)
