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


class Source(Part):
    """A piece of outside evidence that entered the model; the last is all of it together."""

    name: str
    trust: str = Field(description="That of the least trusted fact it was made from; empty for all together")
    source: str
    probability_without: float | None = Field(
        default=None, description="Probability of success had this source been left out"
    )
    mcse_without: float | None = Field(default=None, description="Monte Carlo standard error of it")


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
    inputs: Inputs
