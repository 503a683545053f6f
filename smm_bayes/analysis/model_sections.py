"""The section of a specification that names the model: its kind, intervals, effect of treatment and priors."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from smm_bayes.analysis.sections import (
    AssumedSection,
    BaselineSection,
    LogNormalSection,
    Number,
    Scale,
    Section,
    SmoothnessSection,
    Word,
)
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.regression_priors import CovariatePrior
from smm_bayes.survival.schedule import VisitSchedule


class WaningSection(LogNormalSection):
    """When treatment stops, and how fast its effect halves afterwards (months)."""

    stops: Annotated[Number, Field(ge=0)] = Field(
        description="Months at which treatment stops; from then on the log hazard ratio halves, in the months of median"
    )


class GammaSection(Section):
    """A conjugate prior of every hazard."""

    shape: Annotated[Number, Field(gt=0)] = Field(description="Events that the prior of each hazard is worth")
    rate: Annotated[Number, Field(gt=0)] = Field(description="Patient-months that the prior of each hazard is worth")


class PriorSection(Section):
    """Priors by their consequence."""

    baseline: dict[str, BaselineSection] = Field(
        default_factory=dict, description="Hazard of each cause in the control (or only) arm; one for every cause"
    )
    hazard_ratio: dict[str, LogNormalSection] = Field(
        default_factory=dict,
        description="Hazard ratio of each cause, experimental over control; below 1 favours experimental. "
        "A cause that is not named has the median 1.0 and the upper value 2.7",
    )
    smoothness: SmoothnessSection | None = Field(
        None, description="How much a hazard may change over time; by default less than 3-fold within 12 months"
    )
    ratio_smoothness: SmoothnessSection | None = Field(
        None, description="How much the hazard ratio may change, with effect = 'varying'; by default 1.5-fold in a year"
    )
    waning: WaningSection | None = Field(
        None, description="Half-life of the effect after treatment, in months, with effect = 'waning'"
    )
    gamma: GammaSection | None = Field(None, description="Gamma prior of every hazard, with baseline = 'gamma'")


class ShareSection(AssumedSection):
    """A prior of a share of patients by median and 97.5 % point, both between 0 and 1."""

    median: Annotated[Scale, Field(lt=1, description="Most plausible share")]
    upper: Annotated[Scale, Field(lt=1, description="Share that is exceeded with probability 0.025")]

    @model_validator(mode="after")
    def _ordered(self) -> ShareSection:
        if not self.median < self.upper:
            raise ValueError(f"upper ({self.upper:g}) must be above median ({self.median:g})")
        return self


class CovariateSection(LogNormalSection):
    """A prior of the hazard ratio of a covariate."""

    per: Annotated[Number, Field(gt=0, description="Difference of the covariate that the hazard ratio is of")] = 1.0
    centre: Number = Field(0.0, description="Value of the covariate at which the baseline is stated")

    @property
    def prior(self) -> CovariatePrior:
        """The prior as a value."""
        return CovariatePrior(self.median, self.upper, per=self.per, centre=self.centre)


class SubgroupsSection(AssumedSection):
    """Subgroups whose hazards and hazard ratios differ, and shrink towards each other."""

    columns: Annotated[list[Word], Field(min_length=1, description="Columns of the table that name the subgroups")]
    prognostic: Annotated[Number, Field(
        gt=1, description="95 % of subgroups have a hazard within so many fold of the typical one, in both arms alike"
    )] = 2.5  # fmt: skip
    predictive: Annotated[Number, Field(
        gt=1, description="95 % of subgroups have a hazard ratio of treatment within so many fold of the typical one"
    )] = 1.5  # fmt: skip


class CureSection(Section):
    """A share of each arm that never has the event of one cause."""

    cause: Word | None = Field(None, description="The cause that cured patients never have; the first by default")
    share: ShareSection = Field(description="Prior of the cured share of the control arm")
    late_hazard: LogNormalSection = Field(
        description="Prior of the months within which half of the uncured have the event, in the last interval"
    )
    odds_ratio: LogNormalSection | None = Field(
        None, description="Prior of the odds ratio of being cured, experimental over control; 1 and 4 by default"
    )
    hazard_ratio: LogNormalSection | None = Field(
        None, description="Prior of the hazard ratio of the uncured; that of HazardRatioPrior by default"
    )


class VisitsSection(Section):
    """Planned visits that find the event of one cause."""

    cause: Word | None = Field(None, description="The cause that visits find; the first by default")
    every: Annotated[list[tuple[Number, Number]], Field(
        min_length=1, max_length=20, description="Pairs (gap, end): a visit every so many months until that month"
    )]  # fmt: skip
    window: Annotated[Number, Field(ge=0, description="Months that a visit may be held late")] = 0.0

    @property
    def schedule(self) -> VisitSchedule:
        """The visits as a value."""
        return VisitSchedule.every(*self.every, window=self.window)

    @model_validator(mode="after")
    def _planned(self) -> VisitsSection:
        _ = self.schedule  # a SpecificationError is a ValueError: pydantic collects it
        return self


class ModelSection(Section):
    """Intervals and priors."""

    kind: Literal["survival", "regression", "cure", "visits"] = Field(
        "survival", description="Survival: hazards by arm; regression: by strata, covariates and subgroups too; cure: "
        "a share never has the event; visits: the event is found at visits"
    )  # fmt: skip
    strata: bool = Field(False, description="Whether every stratum has a baseline hazard of its own (regression)")
    covariates: dict[Word, CovariateSection] = Field(
        default_factory=dict, description="Columns of the table that the hazard depends on, with priors (regression)"
    )
    subgroups: SubgroupsSection | None = Field(None, description="Subgroups that shrink (regression)")
    cure: CureSection | None = Field(None, description="Priors of the cure model (cure)")
    visits: VisitsSection | None = Field(None, description="Planned visits (visits)")
    cuts: Annotated[list[Number], Field(max_length=100)] = Field(
        description="Months at which the hazard may change, increasing; 0 and infinity are added. Empty: one hazard"
    )
    baseline: Literal["smooth", "gamma"] = Field(
        "smooth", description="Hazards of neighbouring intervals are alike, or independent with a Gamma prior each"
    )
    effect: Literal["proportional", "separate", "varying", "waning"] = Field(
        "proportional",
        description="How the arms differ: one hazard ratio, hazards of their own, a hazard ratio that changes by "
        "interval, or one that wanes after treatment",
    )
    prior: PriorSection = Field(description="Priors, each stated by its consequence")

    @field_validator("cuts")
    @classmethod
    def _cuts(cls, cuts: list[float]) -> list[float]:
        TimeGrid(cuts)  # a SpecificationError is a ValueError: pydantic collects it
        return cuts

    @model_validator(mode="after")
    def _consistent(self) -> ModelSection:
        of_kind = {"regression": ("strata", "covariates", "subgroups"), "cure": ("cure",), "visits": ("visits",)}
        for kind, keys in of_kind.items():
            given = [key for key in keys if getattr(self, key)]
            if given and self.kind != kind:
                raise ValueError(f"{given[0]} is of kind = '{kind}', but kind is '{self.kind}'; correct either")
            if not given and self.kind == kind:
                raise ValueError(f"kind = '{kind}' needs {' or '.join(keys)}; add it")
        if self.baseline == "gamma" and self.kind in ("regression", "cure"):
            raise ValueError(f"kind = '{self.kind}' needs baseline = 'smooth'")
        if self.kind == "cure" and self.effect != "proportional":
            raise ValueError("kind = 'cure' has effects of its own on cure and on the uncured; remove the key effect")
        if self.kind == "regression" and self.effect == "separate":
            raise ValueError("effect = 'separate' has no hazard ratio that subgroups could differ in; choose another")
        if self.baseline == "gamma" and self.prior.gamma is None:
            raise ValueError("baseline = 'gamma' needs prior.gamma with shape and rate")
        if self.baseline == "smooth" and not self.prior.baseline and self.kind != "cure":
            raise ValueError("baseline = 'smooth' needs prior.baseline with median and upper for every cause")
        for key, effect in (("ratio_smoothness", "varying"), ("waning", "waning")):
            if getattr(self.prior, key) is not None and self.effect != effect:
                raise ValueError(f"prior.{key} is of effect = '{effect}', but effect is '{self.effect}'; remove either")
        if self.effect == "waning" and self.prior.waning is None:
            raise ValueError("effect = 'waning' needs prior.waning with stops, median and upper (months)")
        if self.baseline == "gamma" and self.effect != "proportional":
            raise ValueError("baseline = 'gamma' has arms of their own and no effect; remove the key effect")
        return self
