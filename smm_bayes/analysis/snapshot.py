"""The patients that a specification names: an ADTTE table, or courses and an endpoint, as known at any time."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
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
        section, model = spec.snapshot, spec.model
        groups = model.subgroups.columns if model.subgroups else []
        reading = section.reading | {"covariates": list(model.covariates), "subgroups": groups}
        if section.endpoint is None:
            assert section.parameter is not None
            return cls(path, Patients.from_adtte(
                path, section.parameter, causes=section.causes or None, unit=section.unit, first_day=section.first_day,
                mrd=spec.file(section.mrd) if section.mrd else None, **reading,
            ))  # fmt: skip
        courses = Courses.from_table(path, **reading)
        endpoint = section.endpoint.definition
        try:
            return cls(path, _derived(endpoint, courses), courses, endpoint)
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    def cut_by_date(self, cutoff: float | datetime.date) -> Patients:
        """Give the patients as they were known at ``cutoff``; courses are cut before the endpoint is derived."""
        if self.courses is None or self.endpoint is None:
            return cut_by_date(self.everyone, cutoff)
        return replace(_derived(self.endpoint, self.courses.cut_by_date(cutoff)), cutoff_stated=True)

    def cut_by_events(self, events: int, *causes: str) -> Patients:
        """Give the patients as they were known when event number ``events`` happened."""
        cut = cut_by_events(self.everyone, events, *causes)
        if self.courses is None:
            return cut
        assert cut.data_cutoff is not None
        return self.cut_by_date(cut.data_cutoff)


def _derived(endpoint: Endpoint, courses: Courses) -> Patients:
    """Derive the patients, who keep what the courses say of their table."""
    return replace(endpoint.patients(courses), left_out=courses.left_out, cutoff_stated=courses.cutoff_stated)
