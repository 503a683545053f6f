"""The pre-specified analysis: a TOML file that is validated whole before anything is read or sampled."""

from __future__ import annotations

import datetime
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator

from smm_bayes.analysis.endpoint_section import OtherEndpointSection
from smm_bayes.analysis.evidence_sections import EvidenceSection
from smm_bayes.analysis.keys import known_at
from smm_bayes.analysis.model_sections import ModelSection
from smm_bayes.analysis.mrd.sections import MrdSection
from smm_bayes.analysis.sections import (
    LEAST,
    MOST,
    CalibrationSection,
    EnrolmentSection,
    EstimandSection,
    FinalSection,
    PredictionSection,
    SamplingSection,
    Section,
    TrialSection,
    Word,
)
from smm_bayes.analysis.sensitivity.section import SensitivitySection
from smm_bayes.analysis.snapshot_section import SnapshotSection
from smm_bayes.borrowing.trials.priors import TrialsPriors
from smm_bayes.errors import Problems, SpecificationError, nearest
from smm_bayes.files import sha256
from smm_bayes.prediction.final import Enrolment, FinalAnalysis
from smm_bayes.prediction.success import Combined, EventCount, SuccessRule, rule_from
from smm_bayes.prediction.trigger import refuse_past
from smm_bayes.priors.clinical import HazardRatioPrior, SmoothnessPrior
from smm_bayes.reading import LARGEST_TEXT, parse_toml, read_bytes, resolved, shown
from smm_bayes.survival.effects import EFFECTS, Effect, Varying, Waning
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.model_priors import GammaPrior, SurvivalPriors
from smm_bayes.trial.calendar import calendar_time
from smm_bayes.trial.patients import Patients

OF_PYDANTIC = re.compile(r"\[key\]$|function-(after|before|wrap|plain)\[|[A-Z]\w+Section$")  # parts of a path, no keys


class AnalysisSpec(Section):
    """A whole pre-specified interim analysis.

    Load one with :meth:`load`; the attributes are the sections of the file.
    """

    schema_version: Literal[1] = Field(description="Version of the keys below; always 1")
    trial: TrialSection = Field(description="What is analysed, in words")
    snapshot: SnapshotSection = Field(description="Which patients, and how their table says what it says")
    model: ModelSection = Field(description="Intervals of the hazards, how the arms differ, and priors")
    final: FinalSection = Field(description="When the final analysis happens, and which causes count")
    success: dict[str, Any] = Field(description="What the final analysis must show")
    enrolment: EnrolmentSection | None = Field(
        None, description="Patients still to come; without this section enrolment is closed"
    )
    evidence: EvidenceSection | None = Field(None, description="Earlier trials, and how they bear on this one")
    mrd: MrdSection | None = Field(None, description="How the patients' MRD enters the prediction")
    estimand: list[EstimandSection] = Field(
        default_factory=list, description="What is estimated at the interim beside the hazard ratio; nothing by default"
    )
    endpoint: list[OtherEndpointSection] = Field(
        default_factory=list, description="Further endpoints; the sections above are those of the primary one"
    )
    sensitivity: list[SensitivitySection] = Field(
        default_factory=list,
        description="Other assumptions that the answer is looked at under; by default a list made from this "
        "specification",
    )
    assumed: dict[Word, Word] = Field(
        default_factory=dict,
        description="Why a number is what it is, by its key or its section's, where no published fact is named for it",
    )
    known: dict[Word, list[Word]] = Field(
        default_factory=dict, description="Ids of the published facts that a number is taken from, by its key"
    )
    prediction: PredictionSection = Field(PredictionSection(), description="How the trial is completed")
    sampling: SamplingSection = Field(SamplingSection(), description="Settings of the sampler's first attempt")
    calibration: CalibrationSection = Field(CalibrationSection(), description="Length of the model's calibration")
    _path: Path = PrivateAttr(Path("spec.toml"))
    _loaded: tuple[str, str] = PrivateAttr(("", ""))  # hash of the file, and what it said

    @field_validator("success")
    @classmethod
    def _success(cls, success: dict[str, Any]) -> dict[str, Any]:
        try:
            rules = list(_parts(rule_from(success)))
        except SpecificationError:
            raise
        except (TypeError, ValueError, AttributeError):  # a list or a word where a table of settings belongs
            raise ValueError('is not understood; write rule = "log_rank" and its settings') from None
        for rule in rules:
            for name, value in vars(rule).items():
                infinite = isinstance(value, float) and not math.isfinite(value)
                if isinstance(value, bool) or (infinite and name != "at_most"):
                    raise ValueError(f"{name} must be a finite number; got {value}")
                if isinstance(value, int | float) and not infinite and value and not LEAST <= abs(value) <= MOST:
                    raise ValueError(f"{name} must be 0, or between {LEAST:g} and {MOST:g} in size")
        return success

    @model_validator(mode="after")
    def _consistent(self) -> AnalysisSpec:
        problems = []
        causes = set(self.snapshot.cause_names)
        prior = self.model.prior
        curable = self.curable
        if self.model.baseline == "smooth":
            for cause in sorted(causes - set(prior.baseline) - {curable}):
                problems.append(f"model.prior.baseline has no '{cause}'; give it median and upper")
        for section, names in (("baseline", prior.baseline), ("hazard_ratio", prior.hazard_ratio)):
            for cause in sorted(set(names) - causes):
                known = ", ".join(sorted(causes))
                problems.append(f"model.prior.{section}.{cause}: the causes are {known}{nearest(cause, causes)}; "
                                "correct it")  # fmt: skip
        for cause in sorted(set(self.final.causes or ()) - causes):
            problems.append(f"final.causes: '{cause}' is not one of the causes {', '.join(sorted(causes))}"
                            f"{nearest(cause, causes)}; correct it")  # fmt: skip
        arms = [str(role) for role in self.snapshot.arms]
        if self.rule.two_arms and len(arms) < 2:
            problems.append(f"success: '{self.rule}' compares two arms, but snapshot.arms names one; use event_count")
        for rule in _parts(self.rule):
            if isinstance(rule, EventCount) and rule.arm is not None and rule.arm not in arms:
                problems.append(f"success.arm: {rule.arm!r} is not one of the arms {', '.join(arms)}"
                                f"{nearest(rule.arm, arms)}; correct it")  # fmt: skip
        if self.enrolment and set(self.enrolment.planned) - set(self.snapshot.arms):
            problems.append("enrolment.planned names an arm that snapshot.arms does not; correct either")
        problems += self._kind_problems(causes) + self._endpoint_problems() + self._effect_problems(arms)
        problems += self._evidence_problems(causes, arms)
        problems += self._mrd_problems(causes, arms) + self._other_endpoint_problems()
        problems += [text for one in self.sensitivity for text in one.problems(self)] if not problems else []
        rows = [one.name for one in self.sensitivity]
        problems += [f"sensitivity '{name}' is named twice; give each row its own name"
                     for name in sorted({name for name in rows if rows.count(name) > 1})]  # fmt: skip
        if problems:
            raise ValueError(*problems)
        return self

    @property
    def curable(self) -> str | None:
        """The cause that cured patients never have; None where nobody is cured."""
        cure = self.model.cure
        return None if cure is None else cure.cause or self.snapshot.cause_names[0]

    def _kind_problems(self, causes: set[str]) -> list[str]:
        """What does not go with the kind of the model."""
        model, problems, known = self.model, [], ", ".join(sorted(causes))
        for name, section in (("cure", model.cure), ("visits", model.visits)):
            if section is not None and section.cause is not None and section.cause not in causes:
                problems.append(f"model.{name}.cause: '{section.cause}' is not one of the causes {known}; correct it")
        if model.cure is not None:
            unused = [key for key in ("baseline", "hazard_ratio") if self.curable in getattr(model.prior, key)]
            problems += [f"model.prior.{key}.{self.curable} is not used where a share is cured of it; its priors are "
                         "in model.cure. Remove it here" for key in unused]  # fmt: skip
        for name in ("evidence", "mrd"):
            if model.kind != "survival" and getattr(self, name) is not None:
                problems.append(f"{name} needs model.kind = 'survival'; remove the section, or change the kind")
        if twice := sorted(set(model.covariates) & set(model.subgroups.columns if model.subgroups else [])):
            problems.append(f"model: {', '.join(twice)} is a covariate and a subgroup; choose one")
        return problems

    def _endpoint_problems(self) -> list[str]:
        """What does not go with the definition of the endpoint."""
        if self.snapshot.endpoint is None:
            return []
        endpoint = self.snapshot.endpoint.definition
        other = set(endpoint.causes) - set(endpoint.counted)
        problems = [f"final.causes: '{cause}' competes by snapshot.endpoint; remove it here, or count it in its causes"
                    for cause in self.final.causes or () if cause in other]  # fmt: skip
        if endpoint.start == "response" and self.enrolment:
            problems.append("enrolment: snapshot.endpoint starts at response, and patients still to come have not "
                            "responded; remove the section")  # fmt: skip
        return problems

    def _effect_problems(self, arms: list[str]) -> list[str]:
        """An effect that could do nothing, or priors that nothing would use."""
        effect, prior, grid = self.model.effect, self.model.prior, TimeGrid(self.model.cuts)
        problems = []
        if effect != "proportional" and len(arms) < 2:
            problems.append(f"model.effect = '{effect}' compares two arms, but snapshot.arms names one; remove it")
        if effect in ("varying", "waning") and not grid.cuts:
            problems.append(f"model.effect = '{effect}' changes between intervals, but there is one; give model.cuts")
        elif effect == "waning" and prior.waning is not None and prior.waning.stops >= grid.ends[-1]:
            problems.append(f"model.prior.waning.stops = {prior.waning.stops:g} is after the last interval, which "
                            f"counts to {grid.ends[-1]:g}; it would never wane. Correct it, or add cuts")  # fmt: skip
        if effect == "separate" and prior.hazard_ratio and not self.evidence:
            problems.append("model.prior.hazard_ratio is not used with effect = 'separate'; remove it")
        if self.model.baseline == "gamma":
            unused = [name for name in ("baseline", "hazard_ratio", "smoothness") if getattr(prior, name)]
            problems += [f"model.prior.{name} is not used with baseline = 'gamma'; remove it" for name in unused]
        return problems

    def _evidence_problems(self, causes: set[str], arms: list[str]) -> list[str]:
        section = self.evidence
        if section is None:
            return []
        problems, first = [], self.snapshot.cause_names[0]
        if self.model.baseline != "smooth":
            problems.append("evidence needs model.baseline = 'smooth'")
        effect, experimental = self.model.effect, section.regimens.experimental
        if effect == "separate" and experimental in section.known:
            problems.append(f"evidence: with model.effect = 'separate' {experimental} has hazards of its own; it can "
                            "be neither the reference nor have a contrast")  # fmt: skip
        if effect != "separate" and experimental not in section.known:
            meant = nearest(str(experimental), section.known, 0.9)
            problems.append(f"evidence: regimen '{experimental}' has no contrast{meant}; give one, against "
                            f"{section.reference} for example")  # fmt: skip
        if effect != "proportional" and section.regimens.control == experimental:
            problems.append(f"model.effect = '{effect}' compares two regimens, but evidence.regimens names "
                            f"{experimental} twice")  # fmt: skip
        if first in self.model.prior.hazard_ratio:
            problems.append(f"model.prior.hazard_ratio.{first}: with evidence its prior is a contrast; remove it here")
        if (section.regimens.control is not None) != ("control" in arms):
            problems.append("evidence.regimens must name the regimen of every arm of snapshot.arms, and no other")
        for trial in section.trial:
            counted = [cause for causes in trial.counts for cause in causes]
            for cause in sorted(set(counted) - causes):
                problems.append(f"evidence.trial '{trial.name}': counts '{cause}', which is not one of the causes "
                                f"{', '.join(sorted(causes))}{nearest(cause, causes)}")  # fmt: skip
            if not counted or len(set(counted)) < len(counted):
                problems.append(f"evidence.trial '{trial.name}': counts must name each cause once at most, and one")
        if self.trial.name in {trial.name for trial in section.trial}:
            problems.append(f"evidence.trial '{self.trial.name}' has the name of the trial being analysed")
        return problems

    def _mrd_problems(self, causes: set[str], arms: list[str]) -> list[str]:
        section = self.mrd
        if section is None:
            return []
        problems = []
        if self.snapshot.mrd is None:
            problems.append("mrd needs the table of assessments; give snapshot.mrd its file")
        if self.model.baseline != "smooth":
            problems.append("mrd needs model.baseline = 'smooth'")
        for cause in sorted(set(section.prior.hazard_ratio) - causes):
            problems.append(f"mrd.prior.hazard_ratio.{cause}: the causes are {', '.join(sorted(causes))}"
                            f"{nearest(cause, causes)}; correct it")  # fmt: skip
        for name in ("surrogacy", "milestone"):
            if getattr(section, name) is not None and len(arms) < 2:
                problems.append(f"mrd.{name} is of two arms, but snapshot.arms names one; remove it")
        return problems

    def _other_endpoint_problems(self) -> list[str]:
        """What is wrong with each further endpoint as a specification of its own."""
        problems, names = [], [self.snapshot.outcome, *(one.name for one in self.endpoint)]
        for name in sorted({name for name in names if names.count(name) > 1}):
            problems.append(f"endpoint '{name}': another endpoint has this name; give each its own")
        for one in self.endpoint:
            try:
                AnalysisSpec.model_validate(one.content(self))
            except ValidationError as error:
                problems += [f"endpoint '{one.name}': {text}" for found in error.errors() for text in say(found)]
        return problems

    @property
    def by_endpoint(self) -> dict[str, AnalysisSpec]:
        """The specification of each endpoint alone, the primary one's first."""
        found = {one.name: AnalysisSpec.model_validate(one.content(self)) for one in self.endpoint}
        for one in found.values():
            one._path = self._path
        return {self.snapshot.outcome: self, **found}

    @classmethod
    def load(cls, path: str | Path) -> AnalysisSpec:
        """Read and validate a specification.

        Raises
        ------
        SpecificationError
            Naming every problem with its key and remedy.
        """
        path = Path(path)
        if os.path.isdir(path):  # pathlib's own test fails on a name that is too long
            path = path / "spec.toml"
        raw = read_bytes(path, SpecificationError, what="a spec.toml", largest=LARGEST_TEXT)
        content = parse_toml(raw, shown(path), SpecificationError)
        try:
            spec = cls.model_validate(content)
        except ValidationError as error:
            problems = Problems(str(path), SpecificationError)
            for found in error.errors():
                for text in say(found):
                    problems.add(text)
            problems.raise_if_any()
            raise
        spec._path, spec._loaded = path, (sha256(raw), spec.model_dump_json())
        return spec

    @property
    def path(self) -> Path:
        """The file this was loaded from."""
        return self._path

    @property
    def is_as_loaded(self) -> bool:
        """Whether it says what its file said; not where it was changed in Python or never was a file."""
        return self._loaded[1] == self.model_dump_json()

    @property
    def sha256(self) -> str:
        """Hash of the file's bytes; of what it says now, where it was changed in Python or never was a file."""
        return self._loaded[0] if self.is_as_loaded else sha256(self.model_dump_json().encode())

    @property
    def grid(self) -> TimeGrid:
        """Intervals of the model."""
        return TimeGrid(self.model.cuts)

    @property
    def priors(self) -> SurvivalPriors | GammaPrior:
        """Priors of the model."""
        prior = self.model.prior
        if self.model.baseline == "gamma":
            assert prior.gamma is not None
            return GammaPrior(prior.gamma.shape, prior.gamma.rate)
        return SurvivalPriors(
            baseline={name: stated.prior for name, stated in prior.baseline.items()},
            hazard_ratio={name: HazardRatioPrior(p.median, p.upper) for name, p in prior.hazard_ratio.items()},
            smoothness=prior.smoothness.prior if prior.smoothness else SmoothnessPrior(),
            effect=self._effect(),
        )

    def _effect(self) -> Effect:
        """How the arms differ, with its own priors."""
        prior, effect = self.model.prior, self.model.effect
        if effect == "varying" and prior.ratio_smoothness is not None:
            return Varying(prior.ratio_smoothness.prior)
        if effect == "waning":
            assert prior.waning is not None
            return Waning(prior.waning.stops, prior.waning.median, prior.waning.upper)
        return EFFECTS[effect]()

    @property
    def trials_priors(self) -> TrialsPriors:
        """Priors of the model with earlier trials.

        Raises
        ------
        SpecificationError
            When there is no section ``evidence``.
        """
        section, survival = self.evidence, self.priors
        if section is None or not isinstance(survival, SurvivalPriors):
            raise SpecificationError("this specification names no evidence")
        return section.priors(survival)

    @property
    def tipping(self) -> float:
        """Probability of success at which the conclusion changes."""
        return self.mrd.surrogacy.tipping if self.mrd and self.mrd.surrogacy else 0.5

    @property
    def rule(self) -> SuccessRule:
        """What the final analysis must show."""
        return rule_from(self.success)

    def file(self, name: str) -> Path:
        """Path of a file that the specification names relative to itself."""
        return resolved(self.path.parent / name, SpecificationError)

    @property
    def counted(self) -> tuple[str, ...] | None:
        """Causes that count at the final analysis, as it says or as the endpoint does; None for all."""
        if self.final.causes or self.snapshot.endpoint is None:
            return tuple(self.final.causes or ()) or None
        endpoint = self.snapshot.endpoint.definition
        return endpoint.counted if set(endpoint.counted) < set(endpoint.causes) else None

    def final_analysis(self, patients: Patients) -> FinalAnalysis:
        """Give the final analysis on the calendar of ``patients``.

        Raises
        ------
        SpecificationError
            When a date has nothing to count from, or is before the data cut.
        """
        final = self.final

        def months(key: str, date: datetime.date | None) -> float | None:
            if date is None:
                return None
            if patients.origin is None or patients.data_cutoff is None:
                raise SpecificationError(f"final.{key} needs the patients' dates to count from; give column STARTDT")
            time = calendar_time(date, patients.origin)
            refuse_past(key, time, patients)
            return time

        cap = months("cap", final.cap)
        return FinalAnalysis(
            at=final.at, events=final.events, date=months("date", final.date), follow_up=final.follow_up,
            truncate=final.truncate, cap=float("inf") if cap is None else cap,
            causes=self.counted, on=str(final.date or ""),
            cap_on=str(final.cap or ""),
        )  # fmt: skip

    def enrolment_plan(self) -> Enrolment:
        """Give the patients still to come."""
        if self.enrolment is None:
            return Enrolment()
        section = self.enrolment
        planned = {str(role): number for role, number in section.planned.items()}
        return Enrolment(planned, section.prior_rate, section.prior_months)


def _parts(rule: SuccessRule) -> Iterator[SuccessRule]:
    """Give the simple rules that ``rule`` combines."""
    if isinstance(rule, Combined):
        yield from _parts(rule.left)
        yield from _parts(rule.right)
    else:
        yield rule


def say(found: Any) -> list[str]:
    """Say in our words what pydantic found; a validator of ours may have found several things."""
    value = found["input"]
    if isinstance(value, dict) and found["type"] == "float_type" and OF_PYDANTIC.match(str(found["loc"][-1])):
        return []  # where a number or a section may stand, and a section does
    where = ".".join(str(part) for part in found["loc"] if not OF_PYDANTIC.match(str(part)))
    if found["type"] == "extra_forbidden":
        *section, key = map(str, found["loc"])
        meant = nearest(key, known_at(AnalysisSpec.model_json_schema(), section))
        return [f"key '{where}' is not known{meant}; correct its spelling or remove it"]
    if found["type"] == "missing":
        return [f"key '{where}' is missing; add it"]
    of_a_kind = " (found a section)" if isinstance(value, dict) else ""
    shown = f" (found {value!r})" if not isinstance(value, dict | list) else of_a_kind
    if found["type"] == "literal_error" and isinstance(value, str):
        shown += nearest(value, re.findall("'([^']+)'", found["ctx"]["expected"]))
        shown = shown.replace(") (", "; ")
    ours = found.get("ctx", {}).get("error")
    messages = ours.args if isinstance(ours, ValueError) else (found["msg"][0].lower() + found["msg"][1:],)
    return [text if not where or text.startswith(where) else f"{where}: {text}{shown}" for text in map(str, messages)]
