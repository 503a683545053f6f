"""The patients that a specification names: an ADTTE table, or courses and an endpoint, as known at any time."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.errors import DataError
from smm_bayes.trial.courses import Courses
from smm_bayes.trial.cuts import cut_by_date, cut_by_events
from smm_bayes.trial.endpoints import Endpoint
from smm_bayes.trial.patients import Patients


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A table of patients.

    Attributes
    ----------
    path : pathlib.Path
    everyone : Patients
        The whole table.
    courses : Courses or None
        What the patients were derived from.
    endpoint : Endpoint or None
        How.
    """

    path: Path
    everyone: Patients
    courses: Courses | None = None
    endpoint: Endpoint | None = None

    @classmethod
    def read(cls, spec: AnalysisSpec, path: Path) -> Snapshot:
        """Read the table at ``path`` as the specification says.

        Raises
        ------
        DataError
            Naming every problem.
        """
        section = spec.snapshot
        arms = {str(role): name for role, name in section.arms.items()}
        if section.endpoint is None:
            assert section.parameter is not None
            return cls(path, Patients.from_adtte(
                path, section.parameter, arms=arms, causes=section.causes or None,
                censoring={int(code): reason for code, reason in section.censoring.items()},
                mrd=spec.file(section.mrd) if section.mrd else None, provenance=section.provenance,
            ))  # fmt: skip
        courses = Courses.from_table(path, arms=arms, censoring=section.censoring, provenance=section.provenance)
        endpoint = section.endpoint.definition
        try:
            return cls(path, endpoint.patients(courses), courses, endpoint)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    def cut_by_date(self, cutoff: float | datetime.date) -> Patients:
        """Give the patients as they were known at ``cutoff``; courses are cut before the endpoint is derived."""
        if self.courses is None or self.endpoint is None:
            return cut_by_date(self.everyone, cutoff)
        return self.endpoint.patients(self.courses.cut_by_date(cutoff))

    def cut_by_events(self, events: int, *causes: str) -> Patients:
        """Give the patients as they were known when event number ``events`` happened."""
        cut = cut_by_events(self.everyone, events, *causes)
        if self.courses is None:
            return cut
        assert cut.data_cutoff is not None
        return self.cut_by_date(cut.data_cutoff)
