"""The sections of a specification: frozen values, each refusing what makes no sense by itself."""

from __future__ import annotations

import datetime
import unicodedata
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from smm_bayes.prediction.final import MOST_PLANNED, Enrolment
from smm_bayes.priors.clinical import YEAR, BaselinePrior, SmoothnessPrior
from smm_bayes.trial.endpoints import CHOICES, ENDPOINTS, Endpoint
from smm_bayes.trial.patients import REASONS
from smm_bayes.trial.table import YEARS

LEAST, MOST = 1e-9, 1e9  # size of any number that is not 0
SHORTEST = 1e-6  # median or limit of a prior, in months or as a ratio
LARGEST_WHOLE = 2**32 - 1  # seeds go up to it
LONGEST = 1000  # characters of a name or path


def _number(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError("must be a number, not text or true/false")
    return value


def _date(value: object) -> object:
    if not isinstance(value, datetime.date | str | None):
        raise ValueError("must be a date, written YYYY-MM-DD")
    date = datetime.date.fromisoformat(value) if isinstance(value, str) else value
    if date is not None and date.year not in YEARS:
        raise ValueError(f"must be a date in the years {YEARS[0]} to {YEARS[-1]}")
    return date


def _of_a_size(value: float) -> float:
    if value and not LEAST <= abs(value) <= MOST:
        raise ValueError(f"must be 0, or between {LEAST:g} and {MOST:g} in size")
    return value


def _not_too_small(value: float) -> float:
    if 0 < value < SHORTEST:
        raise ValueError(f"must be {SHORTEST:g} or more")
    return value


def _countable(value: int) -> int:
    if abs(value) > LARGEST_WHOLE:
        raise ValueError(f"must be {LARGEST_WHOLE} or less in size")
    return value


def _patients_of_arm(value: object) -> object:
    value = _number(value)
    if isinstance(value, int | float) and not 0 <= value <= MOST_PLANNED:
        raise ValueError(f"a trial has from 0 to {MOST_PLANNED:,} patients")
    return value


def _printable(value: str) -> str:
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise ValueError("must not hold control characters")
    if len(value) > LONGEST:
        raise ValueError(f"must have {LONGEST} characters or fewer")
    return value


Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False), AfterValidator(_of_a_size)]
Scale = Annotated[Number, Field(gt=0), AfterValidator(_not_too_small)]
Whole = Annotated[int, BeforeValidator(_number), AfterValidator(_countable)]
PatientsOfArm = Annotated[int, BeforeValidator(_patients_of_arm)]
Date = Annotated[datetime.date, BeforeValidator(_date)]
Word = Annotated[str, Field(min_length=1), AfterValidator(_printable)]
Role = Literal["control", "experimental"]
Reason = Literal["administrative", "lost", "withdrawn", "new_therapy", "other"]
assert set(Reason.__args__) == set(REASONS)  # type: ignore[attr-defined]


class Section(BaseModel):
    """A part of a specification: frozen, and refusing keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TrialSection(Section):
    """What is analysed, in words."""

    name: Word = Field(description="What to call the trial, in a word or two")
    title: str = Field("", description="Title in the report; nothing by default")
    question: str = Field("", description="The question in a sentence, in the report; nothing by default")


class EndpointSection(Section):
    """A ready-made endpoint, and in what this trial defines it differently.

    ``causes`` are those that count as the event, and the other causes compete; the other keys are those of
    :class:`~smm_bayes.trial.endpoints.Endpoint`.
    """

    name: Literal["PFS", "TTP", "OS", "PFS2", "TIME_TO_RESPONSE", "DURATION_OF_RESPONSE"] = Field(
        description="The ready-made endpoint to start from; the keys below change it"
    )
    start: Literal["enrolment", "study_entry", "consent", "response"] | None = Field(
        None, description="Where time zero is; that of the ready-made endpoint by default"
    )
    new_therapy: Literal["ignored", "censored", "event"] | None = Field(
        None, description="What a new therapy before the event does: nothing, censor, or stop the clock as an event"
    )
    censored_at: Literal["last_assessment", "last_alive"] | None = Field(
        None, description="Where a patient without event or new therapy is censored"
    )
    competing_as: Literal["cause", "censored"] | None = Field(
        None, description="Whether a competing cause stays a cause of the patients, or censors them on its day"
    )
    causes: Annotated[list[Word], Field(min_length=1)] | None = Field(
        None, description="Causes that are the event; the others compete. Those of the ready-made endpoint by default"
    )

    @property
    def definition(self) -> Endpoint:
        """The endpoint as a value."""
        stated = {key: getattr(self, key) for key in CHOICES if getattr(self, key) is not None}
        endpoint = replace(ENDPOINTS[self.name], **stated)
        return endpoint.counting(*self.causes) if self.causes else endpoint

    @model_validator(mode="after")
    def _defined(self) -> EndpointSection:
        _ = self.definition  # a SpecificationError is a ValueError: pydantic collects it
        return self


class AssumedSection(Section):
    """An assumption, with the published facts that speak to it."""

    facts: list[Word] = Field(default_factory=list, description="Ids of published facts that the assumption rests on")
    facts_against: list[Word] = Field(default_factory=list, description="Ids of published facts that speak against it")

    @model_validator(mode="after")
    def _on_one_side(self) -> AssumedSection:
        both = sorted(set(self.facts) & set(self.facts_against))
        if both:
            raise ValueError(f"{', '.join(both)} cannot speak for and against it; name it in facts or in facts_against")
        return self


class LogNormalSection(AssumedSection):
    """A log-normal prior by median and 97.5 % point."""

    median: Scale = Field(description="Most plausible value: a ratio, or months where it is a time")
    upper: Scale = Field(description="Upper plausible value, the 97.5 % point; above median")

    @model_validator(mode="after")
    def _ordered(self) -> LogNormalSection:
        if not self.median < self.upper:
            raise ValueError(f"upper ({self.upper:g}) must be above median ({self.median:g})")
        return self


class SmoothnessSection(Section):
    """How much a hazard, or a hazard ratio, may change within so many months."""

    fold_change: Annotated[Number, Field(gt=1)] = Field(
        description="95 % of prior changes within these months are smaller than this many fold"
    )
    months: Annotated[Number, Field(gt=0)] = Field(YEAR, description="Months within which it may change so much")

    @property
    def prior(self) -> SmoothnessPrior:
        """The prior that is stated."""
        return SmoothnessPrior(self.fold_change, self.months)


class BaselineSection(AssumedSection):
    """A baseline prior by the median time to the event, or by survival at a time; ``upper`` is the 97.5 % point."""

    median: Scale | None = Field(
        None, description="Most plausible median time to the event in months, were its hazard constant and alone"
    )
    time: Scale | None = Field(None, description="Month at which survival is stated, instead of median")
    survival: Annotated[Number, Field(gt=0, lt=1)] | None = Field(
        None, description="Most plausible share free of the event at that month, instead of median"
    )
    upper: Scale = Field(
        description="Upper plausible value, the 97.5 % point: of the median time in months, or of survival"
    )

    @model_validator(mode="after")
    def _stated_once(self) -> BaselineSection:
        milestone = (self.time, self.survival)
        if self.median is None and None in milestone:
            raise ValueError("is stated by median and upper, or by time, survival and upper; add what is missing")
        if self.median is not None and milestone != (None, None):
            raise ValueError("is stated by median or by time and survival, not both; remove one")
        if self.survival is not None and not self.survival < self.upper < 1:
            raise ValueError(f"upper ({self.upper:g}) must be above survival ({self.survival:g}) and below 1")
        if self.median is not None and not self.median < self.upper:
            raise ValueError(f"upper ({self.upper:g}) must be above median ({self.median:g})")
        return self

    @property
    def prior(self) -> BaselinePrior:
        """The prior as a value."""
        if self.time is not None and self.survival is not None:
            return BaselinePrior.from_milestone(self.time, self.survival, self.upper)
        assert self.median is not None
        return BaselinePrior(self.median, self.upper)


class FinalSection(Section):
    """When the final analysis happens and which causes count."""

    at: Literal["events", "date", "follow_up", "primary"] = Field(
        description="What triggers it: a number of events, a date, months of follow-up of the last patient enrolled; "
        "of a further endpoint also the final analysis of the primary one"
    )
    events: Annotated[Whole, Field(gt=0)] | None = Field(None, description="Counted events, with at = 'events'")
    date: Date | None = Field(None, description="Date of the final analysis, with at = 'date'")
    follow_up: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="Months of follow-up of the last patient enrolled, with at = 'follow_up'"
    )
    truncate: bool = Field(
        True, description="With at = 'follow_up': everybody's follow-up ends after these months, not on the final date"
    )
    cap: Date | None = Field(None, description="Date of the final analysis at the latest; none by default")
    causes: list[str] | None = Field(
        None, description="Causes that count as the event; the others compete. All by default, or those of the endpoint"
    )

    @model_validator(mode="after")
    def _trigger(self) -> FinalSection:
        if self.at != "primary" and getattr(self, self.at) is None:
            raise ValueError(f"at = '{self.at}' needs the key '{self.at}'; add it")
        for other in ("events", "date", "follow_up"):
            if other != self.at and getattr(self, other) is not None:
                raise ValueError(f"at = '{self.at}' does not use '{other}'; remove it (cap is the latest date)")
        return self


class EstimandSection(Section):
    """A quantity that is estimated at the interim, by arm and as a difference between the arms."""

    measure: Literal["event_free_survival", "rmst", "cumulative_incidence"] = Field(
        description="What is estimated: the share free of any event, the mean time free of any event within the "
        "months, or the probability of the counted causes while all compete"
    )
    months: Scale = Field(description="By which month, or within how many months")


class EnrolmentSection(Section):
    """Patients planned in all; without this section enrolment is closed."""

    planned: dict[Role, PatientsOfArm] = Field(description="Patients in all by arm, those enrolled already included")
    prior_rate: Scale = Field(1.0, description="Patients a month that were expected before the trial")
    prior_months: Scale = Field(1.0, description="Months of enrolment that this expectation is worth")

    @field_validator("planned")
    @classmethod
    def _possible(cls, planned: dict[Role, int]) -> dict[Role, int]:
        Enrolment({str(role): number for role, number in planned.items()})
        return planned


class PredictionSection(Section):
    """How the trial is completed."""

    replicates: Annotated[Whole, Field(ge=100, le=10_000_000)] = Field(
        default=10_000,
        description="Completed trials; the Monte Carlo error of a probability of 0.5 is 0.005 with 10,000",
    )
    complete: list[Reason] = Field(
        default=["administrative"], description="Reasons for censoring of the patients who are followed on"
    )
    dropout: bool = Field(
        default=False, description="Whether patients are lost from now on at the rate seen so far; by default nobody is"
    )


class SamplingSection(Section):
    """Settings of the sampler's first attempt; each has an upper limit, for more would never end."""

    draws: Annotated[Whole, Field(ge=100, le=100_000)] = Field(
        default=1000, description="Posterior draws of each chain; reconstructions of earlier trials share them"
    )
    tune: Annotated[Whole, Field(ge=100, le=100_000)] = Field(
        default=500, description="Steps of each chain before its draws"
    )
    chains: Annotated[Whole, Field(ge=2, le=64)] = Field(default=4, description="Independent chains")


class CalibrationSection(Section):
    """How long the calibration of this model is (``make validate``)."""

    replicates: Annotated[Whole, Field(ge=200, le=1_000_000)] = Field(
        default=1000, description="Simulated data sets of the calibration; an interim analysis does not use it"
    )
