"""``decision.json``: what an interim analysis decided from, in a versioned schema that other programs may read."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from smm_bayes.errors import SpecificationError, nearest

SCHEMA_VERSION = 2


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
    passed: bool = Field(description="Whether the fit converged; fit_check says whether the model describes the data")


class FitVerdict(Part):
    """Whether the model describes the data: the patients beside patients replicated from the primary fit."""

    verdict: Literal["passed", "use with caution"]
    checked: str = Field(description="Which part of the model was compared with the data")
    p_values: dict[str, float] = Field(
        description="By statistic: events of all cells, and residuals by cause and arm; near uniform if it is true"
    )
    least_p_value: float = Field(description="What none may be below: 0.05 over their number")
    cells: int = Field(description="Cells of arm, cause and interval with exposure")
    cells_inside: int = Field(description="Those whose events are inside their 95 % predictive limits")
    sentence: str


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
    p_value_error: float | None = Field(default=None, description="Monte Carlo standard error of it")


class ContrastEntry(Part):
    """What a source adds to what is known of the hazard ratio that decides (of the first cause)."""

    events: float = Field(description="Events of both arms that it is worth, by the variance of the log hazard ratio")
    events_error: float = Field(description="Monte Carlo standard error of it")
    shift: float = Field(description="How far it moves the log hazard ratio, in posterior standard deviations")
    shift_error: float = Field(description="Monte Carlo standard error of it")


class Source(Part):
    """A piece of outside evidence that entered the model; the last is all of it together."""

    name: str
    trust: str = Field(description="That of the least trusted fact it was made from; empty for all together")
    source: str
    effective_events: dict[str, float] = Field(
        default_factory=dict, description="Events of each arm that what it says of the arm's hazard is worth"
    )
    effective_events_error: dict[str, float] = Field(
        default_factory=dict, description="Monte Carlo standard error of them"
    )
    contrast: ContrastEntry | None = Field(
        default=None, description="What it adds to the hazard ratio of the first cause; null in a trial of one arm"
    )
    probability_exchangeable: float | None = Field(
        default=None, description="Posterior probability that the trial is exchangeable; null unless the method asks"
    )
    conflict: list[ConflictEntry] = Field(
        default_factory=list, description="Its events against what the others and this trial predict"
    )


class AnswerEntry(Part):
    """The answer given some of the sources of information."""

    name: str = Field(description="What was added to the sources before, or left out of all of them")
    how: Literal["added", "left out"]
    sources: list[str] = Field(description="What it is given: this trial's events, earlier trials, MRD, the relation")
    probability: float = Field(ge=0, le=1, description="Probability of success given these sources")
    mcse: float = Field(description="Monte Carlo standard error of it")
    reference: str | None = Field(description="Name of the answer it is compared with; null on the first")
    moved: float | None = Field(
        description="Probability given the larger of both sets of sources, less that given the smaller: what the "
        "sources between them moved"
    )
    mcse_moved: float | None = Field(description="Monte Carlo standard error of it")
    primary: bool = Field(description="Whether the specification names this one as its answer")


class SensitivityEntry(Part):
    """The answer under another assumption."""

    name: str
    group: str = Field(description="What kind of assumption it is")
    reason: str = Field(description="Why it is looked at")
    changed: str = Field(description="What is other, in words")
    how: Literal["by weights", "completed anew", "fitted anew", "other sources", "not computed"] = Field(
        description="How it was computed: by weights of the posterior draws, from the same draws with another future "
        "or plan, from a fit of its own, or from other sources of information"
    )
    probability: float | None = Field(ge=0, le=1, description="Probability of success; null where not computed")
    mcse: float | None = Field(description="Monte Carlo standard error of it")
    moved: float | None = Field(description="Probability less that of the primary answer")
    mcse_moved: float | None = Field(description="Monte Carlo standard error of it, on common random numbers")
    pareto_k: float | None = Field(
        default=None, description="Of the weights; above 0.7 they cannot be relied on. Null without weights"
    )
    note: str = Field(default="", description="Why it was not computed, or what else is to be known of it")


class MrdShare(Part):
    """Share MRD-negative of one arm at a visit, as the joint model has it, assessed or not."""

    arm: str
    visit: float = Field(description="Months")
    among_event_free: Interval
    of_all_randomised: Interval


class Milestone(Part):
    """The difference in survival at a month, and how much of it is there with MRD held at control's."""

    landmark: float = Field(description="Months of the visit")
    month: float
    difference: Interval = Field(description="Event-free at the month, experimental less control")
    residual: Interval = Field(description="The same with MRD at the visit as in control")
    proportion: Interval | None = Field(description="1 - residual / difference; null unless the latter is established")
    note: str = Field(description="What the proportion assumes, or why it is not given")


class Tipping(Part):
    """The answer under one fixed gap between the relation's trials and this one; all null: without the relation."""

    scale: float | None = Field(description="On the slope")
    shift: float | None = Field(description="On the log hazard ratio")
    extra_sd: float | None = Field(description="Beside the residual SD")
    probability: float = Field(ge=0, le=1, description="Probability of success")
    mcse: float
    reliable: bool = Field(description="Whether the weights can be relied on")


class RelationResult(Part):
    """The relation across trials, and what it did."""

    relation: str
    trust: str
    transport: dict[str, str] = Field(description="How it reaches this trial's setting, in words")
    visit: float = Field(description="Months of the effect on MRD")
    horizon: float = Field(description="Months of the effect on the event, log(log S1 / log S0)")
    event_effect: Interval = Field(description="Ratio log S1 / log S0 at the horizon, without the relation")
    event_effect_related: Interval = Field(description="The same with the relation")
    weight: float | None = Field(
        default=None, description="Probability before the data that the relation holds here; null in version 1"
    )
    posterior_weight: float | None = Field(default=None, description="The same after the data")
    mcse_posterior_weight: float | None = Field(default=None, description="Monte Carlo standard error of it")
    predicted: Interval | None = Field(description="What the relation predicts of it from the effect on MRD")
    extrapolation: str = Field(description="Whether the odds ratio of MRD is beyond the trials of the relation")
    extrapolated: bool
    pareto_k: float | None = Field(
        description="Of the weights that bring it in; above 0.7, or null, the model was fitted with it"
    )
    effective_draws: float
    threshold: float = Field(description="Probability of success at which the conclusion changes")
    tipping: list[Tipping] = Field(description="The answer as the gap to this trial's setting changes")


class MrdResult(Part):
    """The joint model of MRD and events."""

    hazard_ratio: dict[str, Interval] = Field(description="MRD-negative over not, by cause")
    odds_ratio: list[Interval] = Field(description="Of being event-free and MRD-negative, all randomised, by visit")
    shares: list[MrdShare]
    contraction: dict[str, float] = Field(description="1 - posterior variance / prior variance by parameter")
    diagnostics: Diagnostics
    milestone: Milestone | None = None
    relation: RelationResult | None = None


class Inputs(Part):
    """What went in."""

    sha256: dict[str, str] = Field(
        description="Hash of the bytes that were read of specification, snapshot, MRD and every file of evidence, by "
        "role or name, and of the facts used"
    )
    frozen: str = Field(default="not frozen", description="Whether the specification is as it was frozen, and when")
    package: dict[str, str] = Field(
        default_factory=dict, description="Version of the package, hash of its source, and commit where there is one"
    )
    machine: str = Field(
        default="", description="Kind of machine; the same inputs, seed and versions give the same bytes on one kind"
    )
    seed: int
    versions: dict[str, str]


class Estimate(Part):
    """An estimand as the posterior has it at the interim."""

    measure: str
    months: float
    of: str = Field(description="An arm, or the difference of the arms")
    estimate: Interval
    probability_above_0: float | None = Field(description="Posterior probability of a difference above 0")
    beyond_follow_up: bool = Field(
        description="Whether no patient of one of the arms was followed so long, so that model and prior stand alone"
    )


class EndpointResult(Part):
    """The answer of an interim analysis for one endpoint."""

    endpoint: str = Field(description="Name of the endpoint")
    status: Literal["primary", "secondary", "exploratory"]
    probability_of_success: float = Field(ge=0, le=1)
    mcse: float = Field(
        gt=0,
        description="Monte Carlo standard error of probability_of_success: of completed trials, posterior draws and "
        "reconstructions of earlier trials",
    )
    mcse_within: float | None = Field(
        default=None, description="The part of mcse that is of completed trials and posterior draws alone"
    )
    trigger: str = Field(
        default="", description="One sentence where the final analysis is due or cannot come; empty otherwise"
    )
    fit_check: FitVerdict | None = Field(default=None, description="Whether the model describes the data")
    assumptions: list[str] = Field(
        default_factory=list, description="What the answer assumes of patients lost from now on and of its evidence"
    )
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
    answers: list[AnswerEntry] = Field(
        default_factory=list,
        description="The answer as sources are added one by one, then with each left out; one where there is one source"
    )
    sensitivity: list[SensitivityEntry] = Field(
        default_factory=list, description="How the answer moves under other assumptions; of the primary endpoint"
    )
    estimates: list[Estimate] = Field(default_factory=list, description="Estimands that the specification asks for")
    mrd: MrdResult | None = None
    fingerprint: str = Field(
        description="Hash of model, priors, data, sampler settings, seed, versions and machine, of the primary fit"
    )


class Decision(EndpointResult):
    """The answer of an interim analysis: of the primary endpoint, and of every other in ``endpoints``.

    A change of the meaning of a field raises ``schema_version``.
    """

    schema_version: Literal[2] = SCHEMA_VERSION  # type: ignore[assignment]
    trial: str
    data: str = Field(description="real, reconstructed or simulated")
    data_cutoff: str | None = Field(description="ISO date of the data cut")
    endpoints: list[EndpointResult] = Field(
        default_factory=list, description="Secondary and exploratory endpoints, in the order of the specification"
    )
    inputs: Inputs

    @property
    def result(self) -> EndpointResult:
        """What it says of its first endpoint."""
        return EndpointResult(**{name: getattr(self, name) for name in EndpointResult.model_fields})

    def of(self, endpoint: str) -> Decision:
        """Give the decision as it would be of one of the endpoints alone.

        Raises
        ------
        SpecificationError
            When there is no such endpoint.
        """
        if endpoint == self.endpoint:
            return self.model_copy(update={"endpoints": []})
        for other in self.endpoints:
            if other.endpoint == endpoint:
                shared = {name: getattr(self, name) for name in ("trial", "data", "data_cutoff", "inputs")}
                return Decision(**shared, **{name: getattr(other, name) for name in EndpointResult.model_fields})
        names = [self.endpoint, *(other.endpoint for other in self.endpoints)]
        raise SpecificationError(f"endpoint {endpoint!r} is not one of {', '.join(names)}{nearest(endpoint, names)}")
