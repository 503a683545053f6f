"""The section of a specification that says which patients, and how their table says what it says."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from smm_bayes.analysis.sections import Date, EndpointSection, Number, Reason, Role, Section, Whole, Word
from smm_bayes.trial.identity import normal_form

ADTTE_ONLY = ("file", "parameter", "causes", "mrd", "unit", "first_day")


class SnapshotSection(Section):
    """Which patients, and how the table says what it says.

    Either an ADTTE table (``file``, ``parameter``, and ``causes`` by the texts of EVNTDESC), or a table of dates
    (``courses``) and the ``endpoint`` that is derived from it.
    """

    file: Word | None = Field(
        None, description="ADTTE table (CSV, SAS transport or Dataset-JSON), its path relative to this file"
    )
    parameter: Word | None = Field(None, description="PARAMCD of the endpoint in the ADTTE table")
    courses: Word | None = Field(
        None, description="Table of dates, one row a patient, instead of file; the endpoint is derived from it"
    )
    endpoint: EndpointSection | None = Field(None, description="The endpoint to derive from a table of dates")
    arms: dict[Role, Word] = Field(
        description="What the table calls each arm; a single arm is 'experimental', without 'control'"
    )
    causes: dict[Word, list[Word]] = Field(
        default_factory=dict, description="Causes of event, each with its texts of EVNTDESC; one, 'event', by default"
    )
    censoring: dict[str, Reason] = Field(
        default_factory=dict, description="What values of CNSR, or texts of EVNTDESC, CNSDTDSC or DCSREAS, mean"
    )
    mrd: str | None = Field(None, description="Table of MRD assessments; its path relative to this file")
    provenance: Literal["real", "reconstructed", "simulated"] = Field(
        description="What the patients are; it is printed wherever they are shown"
    )
    cut_by_date: Date | None = Field(None, description="Cut the table to what was known on this date; whole by default")
    cut_by_events: Annotated[Whole, Field(gt=0)] | None = Field(
        None, description="Cut the table to what was known at this number of counted events; whole by default"
    )
    columns: dict[Word, Word] = Field(
        default_factory=dict, description="Column of the table that holds a role, where it has not its standard name"
    )
    unit: Literal["day", "week", "month", "year"] | None = Field(
        None, description="Unit of AVAL, where neither AVALU nor PARAM says it"
    )
    first_day: Annotated[Whole, Field(ge=0, le=1)] | None = Field(
        None, description="What AVAL counts the day of STARTDT as, where ADT does not say it"
    )
    flags: dict[Word, Word] = Field(
        default_factory=dict, description="Analysis flags: a column, and the value of the rows that are read"
    )
    leave_out: list[Word] = Field(default_factory=list, description="Arms of the table that are left out, and counted")
    data_cutoff: Date | None = Field(
        None, description="Date of the data cut-off; nothing in the table is after it. By default the last date in it"
    )
    longest_gap: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="Months before the data cut-off within which a patient still followed was seen; 12 by default"
    )
    patients: Annotated[Whole, Field(gt=0)] | None = Field(
        None, description="How many patients the table must hold; not checked by default"
    )

    @field_validator("arms")
    @classmethod
    def _arms(cls, arms: dict[Role, str]) -> dict[Role, str]:
        if "experimental" not in arms:
            raise ValueError("must name 'experimental' (and 'control' where there are two arms)")
        if len({normal_form(name) for name in arms.values()}) < len(arms):
            raise ValueError(f"both arms are called {arms['experimental']!r}; give each its own name")
        return {role: name.strip() for role, name in arms.items()}

    @field_validator("causes")
    @classmethod
    def _causes(cls, causes: dict[str, list[str]]) -> dict[str, list[str]]:
        words = [word.strip().lower() for said in causes.values() for word in said]
        forms = [normal_form(word) for word in words]
        twice = {form: word for form, word in zip(forms, words, strict=True) if forms.count(form) > 1}
        problems = [f"{word!r} is named twice; let it mean one cause" for word in twice.values()]
        if len(causes) > 1:
            silent = [name for name, said in causes.items() if not said]
            problems += [f"'{name}' has no text; give its texts of EVNTDESC" for name in silent]
        if problems:
            raise ValueError(*problems)
        return causes

    @field_validator("censoring")
    @classmethod
    def _codes(cls, censoring: dict[str, Reason], info: ValidationInfo) -> dict[str, Reason]:
        numbers = [key for key in censoring if key.strip().lstrip("+-").replace(".", "", 1).isdecimal()]
        if not info.data.get("courses") and any(not re.fullmatch("[1-9][0-9]{0,2}", number) for number in numbers):
            raise ValueError("has values of CNSR as keys (whole numbers from 1), or texts of the table")
        return censoring

    @model_validator(mode="after")
    def _consistent(self) -> SnapshotSection:
        problems = []
        if self.cut_by_date and self.cut_by_events:
            problems.append("give cut_by_date or cut_by_events, not both")
        if self.data_cutoff and self.cut_by_date and self.cut_by_date > self.data_cutoff:
            problems.append(f"cut_by_date {self.cut_by_date} is after data_cutoff {self.data_cutoff}; cut earlier")
        wanted = ("courses", "endpoint") if self.courses or self.endpoint else ("file", "parameter")
        problems += [f"key '{key}' is missing; add it" for key in wanted if not getattr(self, key)]
        if self.courses or self.endpoint:
            problems += [
                f"'{key}' is of an ADTTE table; remove it, or courses and endpoint"
                for key in ADTTE_ONLY
                if getattr(self, key) not in (None, {}, "")
            ]
        if problems:
            raise ValueError(*problems)
        return self

    @property
    def table(self) -> str:
        """The file of patients."""
        return self.courses or self.file or ""

    @property
    def outcome(self) -> str:
        """Name of the endpoint."""
        return self.endpoint.name if self.endpoint else self.parameter or ""

    @property
    def cause_names(self) -> tuple[str, ...]:
        """Causes of event that the patients will have."""
        return self.endpoint.definition.causes if self.endpoint else tuple(self.causes) or ("event",)

    @property
    def reading(self) -> dict[str, Any]:
        """Arguments that the readers of ADTTE and of courses share."""
        keys = ("censoring", "provenance", "columns", "flags", "leave_out", "data_cutoff", "longest_gap", "patients")
        return {
            "arms": {str(role): name for role, name in self.arms.items()},
            **{key: getattr(self, key) for key in keys},
        }
