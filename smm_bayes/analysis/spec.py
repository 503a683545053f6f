"""The pre-specified analysis: a TOML file that is validated whole before anything is read or sampled."""

from __future__ import annotations

import datetime
import math
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.prediction.final import Enrolment, FinalAnalysis
from smm_bayes.prediction.success import Combined, EventCount, SuccessRule, rule_from
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.priors import BaselinePrior, GammaPrior, HazardRatioPrior, SmoothnessPrior, SurvivalPriors
from smm_bayes.trial.calendar import calendar_date, calendar_time
from smm_bayes.trial.patients import REASONS, Patients


def _number(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError("must be a number, not text or true/false")
    return value


def _date(value: object) -> object:
    if not isinstance(value, datetime.date | str | None):
        raise ValueError("must be a date, written YYYY-MM-DD")
    return datetime.date.fromisoformat(value) if isinstance(value, str) else value


Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Whole = Annotated[int, BeforeValidator(_number)]
Date = Annotated[datetime.date, BeforeValidator(_date)]
Word = Annotated[str, Field(min_length=1)]
Role = Literal["control", "experimental"]
Reason = Literal["administrative", "lost", "withdrawn", "new_therapy", "other"]
assert set(Reason.__args__) == set(REASONS)  # type: ignore[attr-defined]


class Section(BaseModel):
    """A part of a specification: frozen, and refusing keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TrialSection(Section):
    """What is analysed, in words."""

    name: Word
    title: str = ""
    question: str = ""


class SnapshotSection(Section):
    """Which patients, and how the table says what it says."""

    file: Word
    parameter: Word
    arms: dict[Role, Word]
    causes: dict[Word, list[Word]] = Field(default_factory=dict)
    censoring: dict[str, Reason] = Field(default_factory=dict)
    mrd: str | None = None
    provenance: Literal["real", "reconstructed", "simulated"]
    cut_by_date: Date | None = None
    cut_by_events: Annotated[Whole, Field(gt=0)] | None = None

    @field_validator("arms")
    @classmethod
    def _arms(cls, arms: dict[Role, str]) -> dict[Role, str]:
        if "experimental" not in arms:
            raise ValueError("must name 'experimental' (and 'control' where there are two arms)")
        if len({name.strip() for name in arms.values()}) < len(arms):
            raise ValueError(f"both arms are called {arms['experimental']!r}; give each its own name")
        return {role: name.strip() for role, name in arms.items()}

    @field_validator("causes")
    @classmethod
    def _causes(cls, causes: dict[str, list[str]]) -> dict[str, list[str]]:
        words = [word.strip().lower() for said in causes.values() for word in said]
        twice = [word for word in dict.fromkeys(words) if words.count(word) > 1]
        problems = [f"{word!r} is named twice; let it mean one cause" for word in twice]
        if len(causes) > 1:
            silent = [name for name, said in causes.items() if not said]
            problems += [f"'{name}' has no text; give its texts of EVNTDESC" for name in silent]
        if problems:
            raise ValueError(*problems)
        return causes

    @field_validator("censoring")
    @classmethod
    def _codes(cls, censoring: dict[str, Reason]) -> dict[str, Reason]:
        if any(not code.isdecimal() or int(code) < 1 for code in censoring):
            raise ValueError("has values of CNSR as keys: give whole numbers from 1")
        return censoring

    @model_validator(mode="after")
    def _consistent(self) -> SnapshotSection:
        if self.cut_by_date and self.cut_by_events:
            raise ValueError("give cut_by_date or cut_by_events, not both")
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

    @field_validator("cuts")
    @classmethod
    def _cuts(cls, cuts: list[float]) -> list[float]:
        TimeGrid(cuts)  # a SpecificationError is a ValueError: pydantic collects it
        return cuts

    @model_validator(mode="after")
    def _consistent(self) -> ModelSection:
        if self.baseline == "gamma" and self.prior.gamma is None:
            raise ValueError("baseline = 'gamma' needs prior.gamma with shape and rate")
        if self.baseline == "smooth" and not self.prior.baseline:
            raise ValueError("baseline = 'smooth' needs prior.baseline with median and upper for every cause")
        return self


class FinalSection(Section):
    """When the final analysis happens and which causes count."""

    at: Literal["events", "date", "follow_up"]
    events: Annotated[Whole, Field(gt=0)] | None = None
    date: Date | None = None
    follow_up: Annotated[Number, Field(gt=0)] | None = None
    truncate: bool = True
    cap: Date | None = None
    causes: list[str] | None = None

    @model_validator(mode="after")
    def _trigger(self) -> FinalSection:
        if getattr(self, self.at) is None:
            raise ValueError(f"at = '{self.at}' needs the key '{self.at}'; add it")
        for other in ("events", "date", "follow_up"):
            if other != self.at and getattr(self, other) is not None:
                raise ValueError(f"at = '{self.at}' does not use '{other}'; remove it (cap is the latest date)")
        return self


class EnrolmentSection(Section):
    """Patients planned in all; without this section enrolment is closed."""

    planned: dict[Role, Annotated[Whole, Field(ge=0)]]
    prior_rate: Annotated[Number, Field(gt=0)] = 1.0
    prior_months: Annotated[Number, Field(gt=0)] = 1.0


class PredictionSection(Section):
    """How the trial is completed."""

    replicates: Annotated[Whole, Field(ge=100, le=10_000_000)] = 10_000
    complete: list[Reason] = ["administrative"]
    dropout: bool = False


class SamplingSection(Section):
    """Settings of the sampler's first attempt."""

    draws: Annotated[Whole, Field(ge=100)] = 1000
    tune: Annotated[Whole, Field(ge=100)] = 500
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
    _path: Path = PrivateAttr(Path("spec.toml"))

    @field_validator("success")
    @classmethod
    def _success(cls, success: dict[str, Any]) -> dict[str, Any]:
        try:
            rules = list(_parts(rule_from(success)))
        except SpecificationError:
            raise
        except (TypeError, ValueError, AttributeError):  # a list or a word where a table of settings belongs
            raise ValueError("is not understood; write rule = \"log_rank\" and its settings") from None
        for rule in rules:
            for name, value in vars(rule).items():
                infinite = isinstance(value, float) and not math.isfinite(value) and name != "at_most"
                if infinite or isinstance(value, bool):
                    raise ValueError(f"{name} must be a finite number; got {value}")
        return success

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
                known = ", ".join(sorted(causes))
                problems.append(f"model.prior.{section}.{cause}: the causes are {known}; correct it")
        for cause in sorted(set(self.final.causes or ()) - causes):
            problems.append(f"final.causes: '{cause}' is none of the causes {', '.join(sorted(causes))}; correct it")
        arms = [str(role) for role in self.snapshot.arms]
        if self.rule.two_arms and len(arms) < 2:
            problems.append(f"success: '{self.rule}' compares two arms, but snapshot.arms names one; use event_count")
        for rule in _parts(self.rule):
            if isinstance(rule, EventCount) and rule.arm is not None and rule.arm not in arms:
                problems.append(f"success.arm: {rule.arm!r} is none of the arms {', '.join(arms)}; correct it")
        if self.enrolment and set(self.enrolment.planned) - set(self.snapshot.arms):
            problems.append("enrolment.planned names an arm that snapshot.arms does not; correct either")
        if problems:
            raise ValueError(*problems)
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
            content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise SpecificationError(f"{path}: not readable as TOML: {error}; correct the file (UTF-8)") from None
        try:
            spec = cls.model_validate(content)
        except ValidationError as error:
            problems = Problems(str(path), SpecificationError)
            for found in error.errors():
                for text in _say(found):
                    problems.add(text)
            problems.raise_if_any()
            raise
        spec._path = path
        return spec

    @property
    def path(self) -> Path:
        """The file this was loaded from."""
        return self._path

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
            if time < patients.data_cutoff - 1e-9:
                cut = calendar_date(patients.data_cutoff, patients.origin)
                raise SpecificationError(f"final.{key} {date} is before the data cut ({cut}); choose a later date")
            return time

        cap = months("cap", final.cap)
        return FinalAnalysis(
            at=final.at, events=final.events, date=months("date", final.date), follow_up=final.follow_up,
            truncate=final.truncate, cap=float("inf") if cap is None else cap,
            causes=tuple(final.causes) if final.causes else None, on=str(final.date or ""),
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


def _say(found: Any) -> list[str]:
    """Say in our words what pydantic found; a validator of ours may have found several things."""
    where = ".".join(str(part) for part in found["loc"] if part != "[key]")
    if found["type"] == "extra_forbidden":
        return [f"key '{where}' is not known; correct its spelling or remove it"]
    if found["type"] == "missing":
        return [f"key '{where}' is missing; add it"]
    value = found["input"]
    shown = f" (found {value!r})" if not isinstance(value, dict | list) else ""
    ours = found.get("ctx", {}).get("error")
    messages = ours.args if isinstance(ours, ValueError) else (found["msg"][0].lower() + found["msg"][1:],)
    return [text if not where or text.startswith(where) else f"{where}: {text}{shown}" for text in map(str, messages)]
