"""``decision.json``: what an interim analysis decided from, in a versioned schema that other programs may read."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1


class Part(BaseModel):
    """A part of the decision."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Interval(Part):
    """Median and 95 % interval."""

    median: float
    lower: float
    upper: float


class Events(Part):
    """Counted events: so far, and at the final analysis."""

    observed: int = Field(description="Counted events in the data, not in the plan")
    planned: int | None = Field(description="Events that trigger the final analysis; null unless event-driven")
    predicted: Interval = Field(description="Counted events at the final analysis, predictive")


class Diagnostics(Part):
    """Convergence of the fit."""

    max_rhat: float
    min_ess_bulk: float
    min_ess_tail: float
    divergences: int
    passed: bool


class ConflictEntry(Part):
    """Events of one arm in an interval (or all of them), against what everything else predicts of them."""

    trial: str
    regimen: str
    counted: str = Field(description="Causes that are counted")
    interval: str = Field(description="Months, or all")
    events: float = Field(description="Observed; with several reconstructions their mean")
    predicted: float = Field(description="Median of the prediction")
    lower: float = Field(description="2.5 % point of it")
    upper: float = Field(description="97.5 % point of it")
    p_value: float = Field(ge=0, le=1, description="Two-sided predictive mid-p-value")


class Source(Part):
    """A piece of outside evidence that entered the model; the last is all of it together."""

    name: str
    trust: str = Field(description="That of the least trusted fact it was made from; empty for all together")
    source: str
    probability_without: float | None = Field(
        default=None, description="Probability of success had this source been left out"
    )
    mcse_without: float | None = Field(default=None, description="Monte Carlo standard error of it")
    effective_events: dict[str, float] = Field(
        default_factory=dict, description="Events of each arm that what it says of the arm's hazard is worth"
    )
    probability_exchangeable: float | None = Field(
        default=None, description="Posterior probability that the trial is exchangeable; null unless the method asks"
    )
    conflict: list[ConflictEntry] = Field(
        default_factory=list, description="Its events against what the others and this trial predict"
    )


class Inputs(Part):
    """What went in."""

    sha256: dict[str, str] = Field(description="Hash of specification, snapshot and every evidence file, by role")
    fingerprint: str = Field(description="Hash of model data, sampler settings, seed and versions")
    seed: int
    versions: dict[str, str]


class Decision(Part):
    """The answer of an interim analysis.

    The fields of version 1 keep their meaning; a change of meaning raises ``schema_version``.
    """

    schema_version: Literal[1] = SCHEMA_VERSION  # type: ignore[assignment]
    trial: str
    data: str = Field(description="real, reconstructed or simulated")
    data_cutoff: str | None = Field(description="ISO date of the data cut")
    probability_of_success: float = Field(ge=0, le=1)
    mcse: float = Field(gt=0, description="Monte Carlo standard error of probability_of_success")
    success_rule: str
    final_analysis: str
    probability_reached: float = Field(ge=0, le=1, description="That the final analysis' trigger precedes its cap")
    hazard_ratio: Interval | None = Field(
        description="Posterior of the hazard ratio of the counted causes now; null for one arm"
    )
    events: Events
    information_fraction: float = Field(description="events.observed over events.planned, or over the mean predicted")
    diagnostics: Diagnostics
    sources: list[Source]
    conflict: list[ConflictEntry] = Field(
        default_factory=list, description="This trial's events against what earlier trials and priors predict"
    )
    inputs: Inputs
