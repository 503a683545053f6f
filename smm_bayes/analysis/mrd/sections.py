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

    median: Annotated[Number, Field(gt=0, lt=1)]
    upper: Annotated[Number, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _ordered(self) -> ShareSection:
        if not self.median < self.upper:
            raise ValueError(f"upper ({self.upper:g}) must be above median ({self.median:g})")
        return self


class MrdPriorSection(Section):
    """Priors of status and effect; what is not named has its default, the effect excepted."""

    hazard_ratio: Annotated[dict[Word, LogNormalSection], Field(min_length=1)]
    share: ShareSection | None = None
    odds_ratio: LogNormalSection | None = None
    persistence: LogNormalSection | None = None


class MrdEffectSection(Section):
    """How the effect of MRD goes on after a visit."""

    kind: Literal["constant", "fading", "lost"] = "constant"
    half_life: LogNormalSection | None = None
    interaction: LogNormalSection | None = None

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

    month: Positive
    delta_min: Annotated[Number, Field(ge=0, lt=1)] = 0.05


class PairsSection(Section):
    """Pairs of trials' effects as the source of the relation across trials."""

    facts: Annotated[list[Word], Field(min_length=2)]
    trust: Word = PRIMARY
    form: Literal["bivariate", "daniels_hughes"] = "bivariate"
    correlation: Annotated[Number, Field(gt=-1, lt=1)] = 0.0


class PublishedSection(Section):
    """A published regression as the source, by ids of its facts."""

    trials: Annotated[Whole, Field(ge=4)]
    slope: Word
    r_squared: Word | None = None
    odds_ratio: Word | None = None
    hazard_ratio: Word | None = None


class NormalSection(Section):
    """A normal prior."""

    mean: Number = 0.0
    sd: Positive


class SpreadSection(Section):
    """A half-normal prior of a standard deviation."""

    half_normal: Positive


class TransportSection(Section):
    """How far the relation may be from that of its trials: numbers, or priors."""

    scale: Number | LogNormalSection = LogNormalSection(median=0.7, upper=1.4)
    shift: Number | NormalSection = NormalSection(sd=0.2)
    extra_sd: Number | SpreadSection = SpreadSection(half_normal=0.3)

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

    horizon: Positive
    visit: Positive | None = None
    pairs: PairsSection | None = None
    published: PublishedSection | None = None
    transport: TransportSection = TransportSection()
    tipping: Annotated[Number, Field(gt=0, lt=1)] = 0.5

    @model_validator(mode="after")
    def _one_source(self) -> SurrogacySection:
        if (self.pairs is None) == (self.published is None):
            raise ValueError("give either pairs or published as the source of the relation, never both: published "
                             "regressions were made of many of the same trials")  # fmt: skip
        return self


class MrdSection(Section):
    """Scheduled visits, priors, and what of it is primary."""

    visits: Annotated[list[Positive], Field(min_length=1)]
    before: Annotated[Number, Field(ge=0)]
    after: Annotated[Number, Field(ge=0)]
    sensitivity: Positive | None = None
    assay: Word | None = None
    primary: Literal["events", "mrd", "surrogacy"] = "events"
    prior: MrdPriorSection
    effect: MrdEffectSection = MrdEffectSection()
    missing_log_odds: Number | None = None
    milestone: MilestoneSection | None = None
    surrogacy: SurrogacySection | None = None

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
                problems.append(f"surrogacy.visit {visit:g} is none of the visits {shown}; correct it")
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
