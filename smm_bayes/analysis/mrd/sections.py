"""The sections of a specification that say how patients' MRD, and surrogacy across trials, enter the prediction."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from smm_bayes.analysis.sections import LogNormalSection, Number, Section, Whole, Word
from smm_bayes.evidence.vocabulary import PRIMARY
from smm_bayes.priors.clinical import HazardRatioPrior, RatioPrior
from smm_bayes.priors.normal import Normal
from smm_bayes.priors.spread import HalfNormal
from smm_bayes.surrogacy.across.transport import Transport
from smm_bayes.surrogacy.joint.effects import Constant, Fading, InteractionPrior, Lost, MrdEffect
from smm_bayes.surrogacy.joint.factor import WEIGHT
from smm_bayes.surrogacy.joint.priors import (
    JointPriors,
    MrdOddsRatioPrior,
    PersistencePrior,
    SharePrior,
    StatusPriors,
)
from smm_bayes.surrogacy.visits.schedule import MrdSchedule

EVENTS, MRD, SURROGACY = "events", "mrd", "surrogacy"
Positive = Annotated[Number, Field(gt=0)]


class ShareSection(Section):
    """A logit-normal prior of a share, by median and 97.5 % point."""

    median: Annotated[Number, Field(gt=0, lt=1)] = Field(description="Most plausible share of patients")
    upper: Annotated[Number, Field(gt=0, lt=1)] = Field(description="Upper plausible share, the 97.5 % point")

    @model_validator(mode="after")
    def _ordered(self) -> ShareSection:
        if not self.median < self.upper:
            raise ValueError(f"upper ({self.upper:g}) must be above median ({self.median:g})")
        return self


class MrdPriorSection(Section):
    """Priors of status and effect; what is not named has its default, the effect excepted."""

    hazard_ratio: Annotated[dict[Word, LogNormalSection], Field(min_length=1)] = Field(
        description="Hazard of a cause while MRD-negative over that while not; a cause not named has no MRD effect"
    )
    share: ShareSection | None = Field(
        None,
        description="Control's patients negative at a visit who were not before; by default 0.2, upper value 0.7",
    )
    odds_ratio: LogNormalSection | None = Field(
        None, description="Odds ratio of negativity, experimental over control; by default 1, upper value 15"
    )
    persistence: LogNormalSection | None = Field(
        None,
        description="Odds ratio of negativity, negative at the visit before over not negative then; by default 20, "
        "upper value 400",
    )


class MrdEffectSection(Section):
    """How the effect of MRD goes on after a visit."""

    kind: Literal["constant", "fading", "lost"] = Field(
        default="constant",
        description="How the effect goes on after a visit: as it is, halving, or lost patient by patient",
    )
    half_life: LogNormalSection | None = Field(
        default=None, description="Half-life in months of an effect fading or lost"
    )
    interaction: LogNormalSection | None = Field(
        default=None,
        description="Ratio of the arms' MRD hazard ratios, experimental over control; by default they are equal",
    )

    @model_validator(mode="after")
    def _consistent(self) -> MrdEffectSection:
        if (self.half_life is None) != (self.kind == "constant"):
            what = "needs half_life with median and upper (months)" if self.half_life is None else "has no half_life"
            raise ValueError(f"kind = '{self.kind}' {what}; correct either")
        return self

    @property
    def effect(self) -> MrdEffect:
        """The effect as a value."""
        differs = None
        if self.interaction is not None:
            differs = InteractionPrior(self.interaction.median, self.interaction.upper)
        if self.half_life is None:
            return Constant(differs)
        kind = {"fading": Fading, "lost": Lost}[self.kind]
        return kind(differs, self.half_life.median, self.half_life.upper)


class MilestoneSection(Section):
    """A month at which the effect is split into what MRD at the last visit accounts for and the rest."""

    month: Positive = Field(description="Months from enrolment, after the last visit")
    delta_min: Annotated[Number, Field(ge=0, lt=1)] = Field(
        0.05, description="Difference in survival worth explaining; below it no proportion is given"
    )


class PairsSection(Section):
    """Pairs of trials' effects as the source of the relation across trials."""

    facts: Annotated[list[Word], Field(min_length=2)] = Field(
        description="Ids of the published odds ratios and hazard ratios, one of each a trial"
    )
    trust: Word = Field(PRIMARY, description="The lowest trust of facts that are used")
    form: Literal["bivariate", "daniels_hughes"] = Field(
        "bivariate", description="Whether the trials' log odds ratios have a normal distribution, or a flat prior each"
    )
    correlation: Annotated[Number, Field(gt=-1, lt=1)] = Field(
        0.0, description="Correlation of the two estimates within a trial; it is not published"
    )


class PublishedSection(Section):
    """A published regression as the source, by ids of its facts."""

    trials: Annotated[Whole, Field(ge=4)] = Field(description="Trials of the published regression")
    slope: Word = Field(description="Id of the fact that is its slope")
    r_squared: Word | None = Field(None, description="Id of the fact that is its R squared")
    odds_ratio: Word | None = Field(None, description="Id of the pooled odds ratio, which the line passes through")
    hazard_ratio: Word | None = Field(None, description="Id of the pooled hazard ratio; with odds_ratio or not at all")
    trust: Literal["registry", "published", "secondary", "derived", "recalled"] = Field(
        PRIMARY, description="The lowest trust of facts that are used"
    )


class NormalSection(Section):
    """A normal prior."""

    mean: Number = Field(default=0.0, description="Mean of the log hazard ratio's shift")
    sd: Positive = Field(description="Standard deviation of the log hazard ratio's shift")


class SpreadSection(Section):
    """A half-normal prior of a standard deviation."""

    half_normal: Positive = Field(description="Scale of the half-normal prior, on the log hazard ratio")


class TransportSection(Section):
    """How far the relation may be from that of its trials: numbers, or priors."""

    scale: Number | LogNormalSection = Field(
        default=LogNormalSection(median=0.7, upper=1.4),
        description="Factor on the slope: a number, or a log-normal prior",
    )
    shift: Number | NormalSection = Field(
        default=NormalSection(sd=0.2), description="Shift of the log hazard ratio: a number, or a normal prior"
    )
    extra_sd: Number | SpreadSection = Field(
        default=SpreadSection(half_normal=0.3),
        description="Further SD of a trial's log hazard ratio: a number, or a prior",
    )

    @property
    def transport(self) -> Transport:
        """The transport as a value."""
        scale, shift, extra = self.scale, self.shift, self.extra_sd
        return Transport(
            RatioPrior(scale.median, scale.upper) if isinstance(scale, LogNormalSection) else scale,
            Normal(shift.mean, shift.sd) if isinstance(shift, NormalSection) else shift,
            HalfNormal(extra.half_normal) if isinstance(extra, SpreadSection) else extra,
        )


class SurrogacySection(Section):
    """The relation across trials, and how it reaches this one."""

    horizon: Positive = Field(description="Months from enrolment at which the arms' survival is compared")
    visit: Positive | None = Field(None, description="Visit (months) whose negativity is compared; the last by default")
    pairs: PairsSection | None = Field(None, description="Trials' pairs of effects as the source of the relation")
    published: PublishedSection | None = Field(None, description="A published regression as the source instead")
    transport: TransportSection = Field(
        TransportSection(), description="How far the relation may be from that of its trials, who have another disease"
    )
    weight: Annotated[Number, Field(ge=0, le=1)] = Field(
        WEIGHT,
        description="Prior probability that the relation holds here and takes the place of the prior of the effect on "
        "events; 0 is the analysis without it",
    )
    tipping: Annotated[Number, Field(gt=0, lt=1)] = Field(
        0.5, description="Probability of success at which the conclusion changes"
    )

    @model_validator(mode="after")
    def _one_source(self) -> SurrogacySection:
        if (self.pairs is None) == (self.published is None):
            raise ValueError("give either pairs or published as the source of the relation, never both: published "
                             "regressions were made of many of the same trials")  # fmt: skip
        return self


class MrdSection(Section):
    """Scheduled visits, priors, and what of it is primary."""

    visits: Annotated[list[Positive], Field(min_length=1)] = Field(
        description="Months from enrolment at which MRD is scheduled, increasing; at most 12"
    )
    before: Annotated[Number, Field(ge=0)] = Field(description="Months before a visit from which results count for it")
    after: Annotated[Number, Field(ge=0)] = Field(description="Months after a visit up to which results count for it")
    sensitivity: Positive | None = Field(
        None, description="Limit of detection that negativity is of, such as 1e-5; needed where the table has several"
    )
    assay: Word | None = Field(None, description="Assay whose results are used; needed where the table has several")
    primary: Literal["events", "mrd", "surrogacy"] = Field(
        "events", description="The answer named before: without MRD, with it, or with surrogacy across trials too"
    )
    prior: MrdPriorSection = Field(description="Priors of MRD status and of its effect on hazards")
    effect: MrdEffectSection = Field(MrdEffectSection(), description="How the effect of MRD goes on after a visit")
    missing_log_odds: Number | None = Field(
        None,
        description="Log odds ratio of a missing result, negative over not negative; a fixed value. By default "
        "results are missing at random",
    )
    milestone: MilestoneSection | None = Field(
        None, description="A month at which the effect is split into what goes with MRD and the rest"
    )
    surrogacy: SurrogacySection | None = Field(
        None, description="The relation across trials of effects on MRD and on events; none by default"
    )

    @field_validator("visits")
    @classmethod
    def _visits(cls, visits: list[float]) -> list[float]:
        if any(later <= earlier for earlier, later in pairwise(visits)):
            raise ValueError("must be months that increase")
        return visits

    @model_validator(mode="after")
    def _consistent(self) -> MrdSection:
        problems = []
        schedule = MrdSchedule(tuple(self.visits), self.before, self.after)  # a SpecificationError is a ValueError
        if self.primary == SURROGACY and self.surrogacy is None:
            problems.append("primary = 'surrogacy' needs the section mrd.surrogacy; add it, or choose another")
        if self.milestone is not None and not self.milestone.month > self.visits[-1]:
            problems.append(f"milestone.month ({self.milestone.month:g}) must be after the last visit at "
                            f"{self.visits[-1]:g} months")  # fmt: skip
        if self.surrogacy is not None:
            visit = self.surrogacy.visit or self.visits[-1]
            if visit not in self.visits:
                shown = ", ".join(f"{month:g}" for month in schedule.months)
                problems.append(f"surrogacy.visit {visit:g} is not one of the visits {shown}; correct it")
            elif not visit < self.surrogacy.horizon < math.inf:
                problems.append(f"surrogacy.horizon ({self.surrogacy.horizon:g}) must be after the visit at {visit:g} "
                                "months")  # fmt: skip
        if problems:
            raise ValueError(*problems)
        return self

    @property
    def schedule(self) -> MrdSchedule:
        """The visits with their windows."""
        return MrdSchedule(tuple(self.visits), self.before, self.after)

    @property
    def priors(self) -> JointPriors:
        """Priors of the joint model."""
        prior, default = self.prior, StatusPriors()
        odds, stays = prior.odds_ratio, prior.persistence
        status = StatusPriors(
            SharePrior(prior.share.median, prior.share.upper) if prior.share else default.share,
            MrdOddsRatioPrior(odds.median, odds.upper) if odds else default.odds_ratio,
            PersistencePrior(stays.median, stays.upper) if stays else default.persistence,
        )
        ratios = {cause: HazardRatioPrior(p.median, p.upper) for cause, p in prior.hazard_ratio.items()}
        return JointPriors(ratios, status, self.effect.effect, self.missing_log_odds)
