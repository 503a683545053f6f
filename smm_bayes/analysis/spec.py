"""The pre-specified analysis: a TOML file that is validated whole before anything is read or sampled."""

from __future__ import annotations

import datetime
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from smm_bayes.errors import Problems, SmmBayesError, SpecificationError
from smm_bayes.prediction.final import Enrolment, FinalAnalysis
from smm_bayes.prediction.success import SuccessRule, rule_from
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.priors import BaselinePrior, GammaPrior, HazardRatioPrior, SmoothnessPrior, SurvivalPriors
from smm_bayes.trial.calendar import calendar_time
from smm_bayes.trial.patients import REASONS, Patients


def _number(value: object) -> object:
    if isinstance(value, bool) or isinstance(value, str):
        raise ValueError("must be a number, not text or true/false")
    return value


Number = Annotated[float, BeforeValidator(_number)]
Whole = Annotated[int, BeforeValidator(_number)]
Role = Literal["control", "experimental"]
Reason = Literal["administrative", "lost", "withdrawn", "new_therapy", "other"]
assert set(Reason.__args__) == set(REASONS)  # type: ignore[attr-defined]


class Section(BaseModel):
    """A part of a specification: frozen, and refusing keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TrialSection(Section):
    """What is analysed, in words."""

    name: Annotated[str, Field(min_length=1)]
    title: str = ""
    question: str = ""


class SnapshotSection(Section):
    """Which patients, and how the table says what it says."""

    file: str
    parameter: str
    arms: dict[Role, str]
    causes: dict[str, list[str]] = Field(default_factory=dict)
    censoring: dict[str, Reason] = Field(default_factory=dict)
    mrd: str | None = None
    provenance: Literal["real", "reconstructed", "simulated"]
    cut_by_date: datetime.date | None = None
    cut_by_events: Annotated[Whole, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> SnapshotSection:
        if "experimental" not in self.arms:
            raise ValueError("arms must name 'experimental' (and 'control' where there are two arms)")
        if self.cut_by_date and self.cut_by_events:
            raise ValueError("give cut_by_date or cut_by_events, not both")
        if any(not code.isdigit() or int(code) < 1 for code in self.censoring):
            raise ValueError("censoring has values of CNSR as keys: whole numbers from 1")
        return self


class LogNormalSection(Section):
    """A log-normal prior by median and 97.5 % point."""

    median: Annotated[Number, Field(gt=0)]
    upper: Annotated[Number, Field(gt=0)]

    @model_validator(mode="after")
    def _ordered(self) -> LogNormalSection:
        if not self.median < self.upper:
            raise ValueError(f"upper ({self.upper:g}) must be above median ({self.median:g})")
        return self


class SmoothnessSection(Section):
    """How much the hazard may change between neighbours."""

    fold_change: Annotated[Number, Field(gt=1)]


class GammaSection(Section):
    """A conjugate prior of every hazard."""

    shape: Annotated[Number, Field(gt=0)]
    rate: Annotated[Number, Field(gt=0)]


class PriorSection(Section):
    """Priors by their consequence."""

    baseline: dict[str, LogNormalSection] = Field(default_factory=dict)
    hazard_ratio: dict[str, LogNormalSection] = Field(default_factory=dict)
    smoothness: SmoothnessSection | None = None
    gamma: GammaSection | None = None


class ModelSection(Section):
    """Intervals and priors."""

    cuts: list[Number]
    baseline: Literal["smooth", "gamma"] = "smooth"
    prior: PriorSection

    @model_validator(mode="after")
    def _consistent(self) -> ModelSection:
        TimeGrid(self.cuts)  # a SpecificationError is a ValueError: pydantic collects it
        if self.baseline == "gamma" and self.prior.gamma is None:
            raise ValueError("baseline = 'gamma' needs prior.gamma with shape and rate")
        if self.baseline == "smooth" and not self.prior.baseline:
            raise ValueError("baseline = 'smooth' needs prior.baseline with median and upper for every cause")
        return self


class FinalSection(Section):
    """When the final analysis happens and which causes count."""

    at: Literal["events", "date", "follow_up"]
    events: Annotated[Whole, Field(gt=0)] | None = None
    date: datetime.date | None = None
    follow_up: Annotated[Number, Field(gt=0)] | None = None
    truncate: bool = True
    cap: datetime.date | None = None
    causes: list[str] | None = None

    @model_validator(mode="after")
    def _trigger(self) -> FinalSection:
        if getattr(self, self.at) is None:
            raise ValueError(f"at = '{self.at}' needs the key '{self.at}'")
        return self


class EnrolmentSection(Section):
    """Patients planned in all; without this section enrolment is closed."""

    planned: dict[Role, Annotated[Whole, Field(ge=0)]]
    prior_rate: Annotated[Number, Field(gt=0)] = 1.0
    prior_months: Annotated[Number, Field(gt=0)] = 1.0


class PredictionSection(Section):
    """How the trial is completed."""

    replicates: Annotated[Whole, Field(ge=100, le=10_000_000)] = 10_000
    complete: list[Reason] = Field(default_factory=lambda: ["administrative"])
    dropout: bool = False


class SamplingSection(Section):
    """Settings of the sampler's first attempt."""

    draws: Annotated[Whole, Field(ge=100)] = 1000
    tune: Annotated[Whole, Field(ge=100)] = 1000
    chains: Annotated[Whole, Field(ge=2)] = 4


class AnalysisSpec(Section):
    """A whole pre-specified interim analysis.

    Load one with :meth:`load`; the attributes are the sections of the file.
    """

    schema_version: Literal[1]
    trial: TrialSection
    snapshot: SnapshotSection
    model: ModelSection
    final: FinalSection
    success: dict[str, Any]
    enrolment: EnrolmentSection | None = None
    prediction: PredictionSection = PredictionSection()
    sampling: SamplingSection = SamplingSection()
    path: Path = Field(default=Path("spec.toml"), exclude=True)

    @model_validator(mode="after")
    def _consistent(self) -> AnalysisSpec:
        problems = []
        causes = set(self.snapshot.causes) or {"event"}
        prior = self.model.prior
        if self.model.baseline == "smooth":
            for cause in sorted(causes - set(prior.baseline)):
                problems.append(f"model.prior.baseline has no '{cause}'; give it median and upper")
        for section, names in (("baseline", prior.baseline), ("hazard_ratio", prior.hazard_ratio)):
            for cause in sorted(set(names) - causes):
                problems.append(f"model.prior.{section}.{cause}: the causes are {', '.join(sorted(causes))}")
        for cause in sorted(set(self.final.causes or ()) - causes):
            problems.append(f"final.causes: '{cause}' is none of the causes {', '.join(sorted(causes))}")
        try:
            rule = rule_from(self.success)
            if rule.two_arms and len(self.snapshot.arms) < 2:
                problems.append(f"success: '{rule}' compares two arms, but snapshot.arms names one; use event_count")
        except SmmBayesError as error:
            problems.append(str(error))
        if self.enrolment and set(self.enrolment.planned) - set(self.snapshot.arms):
            problems.append("enrolment.planned names an arm that snapshot.arms does not")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @classmethod
    def load(cls, path: str | Path) -> AnalysisSpec:
        """Read and validate a specification.

        Raises
        ------
        SpecificationError
            Naming every problem with its key and remedy.
        """
        path = Path(path)
        if path.is_dir():
            path = path / "spec.toml"
        if not path.is_file():
            raise SpecificationError(f"{path}: there is no such file; give the path of a spec.toml")
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SpecificationError(f"{path}: not readable as TOML: {error}") from None
        content.pop("path", None)
        try:
            return cls(**content, path=path)
        except ValidationError as error:
            problems = Problems(str(path), SpecificationError)
            for found in error.errors():
                problems.add(_say(found))
            problems.raise_if_any()
            raise

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
            baseline={name: BaselinePrior(p.median, p.upper) for name, p in prior.baseline.items()},
            hazard_ratio={name: HazardRatioPrior(p.median, p.upper) for name, p in prior.hazard_ratio.items()},
            smoothness=SmoothnessPrior(prior.smoothness.fold_change) if prior.smoothness else SmoothnessPrior(),
        )

    @property
    def rule(self) -> SuccessRule:
        """What the final analysis must show."""
        return rule_from(self.success)

    def file(self, name: str) -> Path:
        """Path of a file that the specification names relative to itself."""
        return (self.path.parent / name).resolve()

    def final_analysis(self, patients: Patients) -> FinalAnalysis:
        """Give the final analysis on the calendar of ``patients``."""
        final = self.final

        def months(date: datetime.date | None) -> float | None:
            if date is None:
                return None
            if patients.origin is None:
                raise SpecificationError("final.date and final.cap need the patients' STARTDT to count from")
            return calendar_time(date, patients.origin)

        cap = months(final.cap)
        return FinalAnalysis(
            at=final.at, events=final.events, date=months(final.date), follow_up=final.follow_up,
            truncate=final.truncate, cap=float("inf") if cap is None else cap,
            causes=tuple(final.causes) if final.causes else None, on=str(final.date or ""),
        )  # fmt: skip

    def enrolment_plan(self) -> Enrolment:
        """Give the patients still to come."""
        if self.enrolment is None:
            return Enrolment()
        section = self.enrolment
        return Enrolment(dict(section.planned), section.prior_rate, section.prior_months)


def _say(found: Any) -> str:
    where = ".".join(str(part) for part in found["loc"]) or "the specification"
    kind, message = found["type"], found["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return f"key '{where}' is not known; correct its spelling or remove it"
    if kind == "missing":
        return f"key '{where}' is missing; add it"
    value = found["input"]
    shown = f" (found {value!r})" if not isinstance(value, dict | list) else ""
    return f"{where}: {message[0].lower()}{message[1:]}{shown}"
