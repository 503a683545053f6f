"""Further endpoints of a specification: each is a specification of its own, with the primary one's patients and cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from smm_bayes.analysis.sections import EndpointSection, EstimandSection, Reason, Section, Word

if TYPE_CHECKING:
    from smm_bayes.analysis.spec import AnalysisSpec

SHARED = ("schema_version", "trial", "enrolment", "prediction", "sampling", "calibration")
OF_THE_PRIMARY = ("parameter", "endpoint", "causes", "cut_by_date", "cut_by_events", "mrd")  # of its snapshot
OWN = ("model", "success", "evidence", "mrd")


class OtherSnapshotSection(Section):
    """What the table calls another endpoint; patients, arms, data cut and the rest are those of the primary one."""

    parameter: Word | None = Field(None, description="PARAMCD of the endpoint in the ADTTE table")
    endpoint: EndpointSection | None = Field(None, description="The endpoint to derive from a table of dates")
    causes: dict[Word, list[Word]] = Field(
        default_factory=dict, description="Causes of event, each with its texts of EVNTDESC; one, 'event', by default"
    )
    censoring: dict[str, Reason] = Field(
        default_factory=dict, description="What values or texts of censoring mean, beside those of the primary endpoint"
    )


class OtherEndpointSection(Section):
    """A secondary or exploratory endpoint."""

    name: Word = Field(description="What to call the endpoint")
    status: Literal["secondary", "exploratory"] = Field(
        description="Whether the plan tests it (secondary) or looks at it only (exploratory)"
    )
    snapshot: OtherSnapshotSection = Field(description="Where the endpoint is in the table of patients")
    model: dict[str, Any] = Field(description="Its model, with the keys of the section model")
    success: dict[str, Any] = Field(
        description="What its final analysis must show, with the keys of the section success"
    )
    estimand: list[EstimandSection] = Field(
        default_factory=list, description="What is estimated of it at the interim beside the hazard ratio"
    )
    final: dict[str, Any] | None = Field(
        None,
        description="Its final analysis, with the keys of the section final; by default that of the primary endpoint",
    )
    evidence: dict[str, Any] | None = Field(
        None, description="Earlier trials of this endpoint, with the keys of the section evidence; none by default"
    )
    mrd: dict[str, Any] | None = Field(
        None, description="How MRD enters, with the keys of the section mrd; by default it does not"
    )

    def content(self, primary: AnalysisSpec) -> dict[str, Any]:
        """Give what a specification of this endpoint alone would hold, of the table before it is cut."""
        stated = primary.model_dump(exclude_unset=True)
        found = {name: stated[name] for name in SHARED if name in stated}
        found |= {name: getattr(self, name) for name in OWN if getattr(self, name) is not None}
        found["final"] = _with(stated["final"]) if self.final is None else self.final
        found["estimand"] = [one.model_dump() for one in self.estimand]
        kept = {key: value for key, value in stated["snapshot"].items() if key not in OF_THE_PRIMARY}
        if self.mrd is not None and "mrd" in stated["snapshot"]:
            kept["mrd"] = stated["snapshot"]["mrd"]
        own = self.snapshot.model_dump(exclude_unset=True)
        own["censoring"] = kept.get("censoring", {}) | own.get("censoring", {})
        return found | {"snapshot": kept | own}


def _with(final: dict[str, Any]) -> dict[str, Any]:
    """Give the final analysis made with the primary one's: on the date that its events bring, or by the same rule."""
    if final["at"] == "events":
        return {"at": "primary"}
    return {key: value for key, value in final.items() if key != "causes"}
