"""What the decision says of MRD and of the relation across trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.analysis.answers import PATIENTS_MRD, RELATION, TRIAL, Answer, Answers, earlier_trials
from smm_bayes.analysis.decision import Diagnostics, Interval, Milestone, MrdResult, MrdShare, RelationResult
from smm_bayes.analysis.mrd.model import WithMrd
from smm_bayes.analysis.mrd.sections import MilestoneSection
from smm_bayes.analysis.mrd.tipping import success_tipping
from smm_bayes.surrogacy.joint.law import JointLaw

if TYPE_CHECKING:
    from smm_bayes.analysis.interim import InterimInputs
    from smm_bayes.inference.sampling import Fit
    from smm_bayes.prediction.result import Prediction
    from smm_bayes.surrogacy.joint.factor import RelationFactor

PRIOR_DRAWS = 20_000


@dataclass(frozen=True, eq=False)
class MrdAnalysis:
    """The analysis with patients' MRD.

    Attributes
    ----------
    model : WithMrd
    alone : Answer
        From all sources but the relation across trials.
    related : Answer or None
        With it.
    """

    model: WithMrd
    alone: Answer
    related: Answer | None

    @classmethod
    def of(cls, inputs: InterimInputs, answers: Answers) -> MrdAnalysis | None:
        """Give the answers with MRD; None without it."""
        if inputs.joint is None:
            return None
        sources = frozenset([TRIAL, *earlier_trials(inputs), PATIENTS_MRD])
        related = None if inputs.joint.factor is None else answers.of(sources | {RELATION})
        return cls(inputs.joint, answers.of(sources), related)

    @property
    def fit(self) -> Fit:
        """The fit without the relation across trials."""
        return self.alone.fit

    @property
    def prediction(self) -> Prediction:
        """The prediction without the relation across trials."""
        assert self.alone.prediction is not None
        return self.alone.prediction

    @property
    def last_fit(self) -> Fit:
        """The fit that knows most: with the relation across trials in it, where there is such a one."""
        return self.fit if self.related is None else self.related.fit


def interval(values: np.ndarray, weight: np.ndarray | None = None) -> Interval:
    """Median and 95 % interval of draws, weighted or not."""
    flat = np.ravel(values)
    if weight is None:
        median, lower, upper = (float(np.quantile(flat, q)) for q in (0.5, 0.025, 0.975))
    else:
        order = np.argsort(flat)
        level = np.cumsum(np.ravel(weight)[order])
        at = np.searchsorted(level, np.array([0.5, 0.025, 0.975]) * level[-1])
        median, lower, upper = flat[order][at].tolist()
    return Interval(median=median, lower=lower, upper=upper)


def diagnostics(fitted: Fit) -> Diagnostics:
    """Convergence as the decision has it."""
    convergence = fitted.convergence
    return Diagnostics(max_rhat=convergence.max_rhat, min_ess_bulk=convergence.min_ess_bulk,
                       min_ess_tail=convergence.min_ess_tail, divergences=convergence.divergences,
                       passed=convergence.passed)  # fmt: skip


def mrd_result(analysis: MrdAnalysis, threshold: float = 0.5, milestone: MilestoneSection | None = None) -> MrdResult:
    """Sum up the joint model, of the fit with the relation across trials in it where there is one.

    Parameters
    ----------
    analysis : MrdAnalysis
    threshold : float
        Probability of success at which the conclusion changes.
    milestone : MilestoneSection, optional
    """
    model, fitted = analysis.model, analysis.last_fit
    posterior = fitted.posterior
    shape, law = model.table.shape, model.law(posterior)
    ratios = np.exp(posterior["log_mrd_hazard_ratio"].transpose("chain", "draw", "acting").values)
    causes = [shape.causes[c] for c in model.priors.acting(shape.causes)]
    visits = range(len(shape.months))
    shares = [
        MrdShare(arm=arm, visit=shape.months[visit], among_event_free=interval(law.negative(visit)[..., a]),
                 of_all_randomised=interval(law.negative_of_all(visit)[..., a]))
        for visit in visits for a, arm in enumerate(shape.arms)
    ]  # fmt: skip
    odds = [interval(np.exp(law.status_effect(visit))) for visit in visits] if len(shape.arms) > 1 else []
    return MrdResult(
        hazard_ratio={cause: interval(ratios[..., c]) for c, cause in enumerate(causes)},
        odds_ratio=odds, shares=shares,
        contraction=contractions(analysis), diagnostics=diagnostics(fitted),
        milestone=_milestone(law, milestone) if milestone else None,
        relation=_relation(analysis, model.law(analysis.fit.posterior), threshold) if analysis.related else None,
    )  # fmt: skip


def contractions(analysis: MrdAnalysis) -> dict[str, float]:
    """Contraction of every parameter that MRD adds, named with its position."""
    model, posterior = analysis.model, analysis.last_fit.posterior
    shape = model.table.shape
    prior = model.priors.sample(shape.causes, len(shape.months), len(shape.arms), PRIOR_DRAWS,
                                rng=np.random.default_rng(0))  # fmt: skip
    found = {}
    for name, drawn in prior.items():
        values = posterior[name].transpose("chain", "draw", ...).values
        values = values.reshape(-1, *values.shape[2:])
        for at in np.ndindex(values.shape[1:]):
            where = (slice(None), *at)
            found[":".join([name, *map(str, at)])] = float(1 - values[where].var() / drawn[where].var())
    return found


def _milestone(law: JointLaw, section: MilestoneSection) -> Milestone:
    """Difference at a month and what is left of it with MRD at the last visit held at control's."""
    from smm_bayes.surrogacy.within.association import ASSUMPTIONS, MilestoneEffects

    landmark = law.months[-1]
    found = MilestoneEffects(*law.milestone(section.month), landmark=float(landmark), time=section.month,
                             delta_min=section.delta_min)  # fmt: skip
    proportion = found.proportion
    return Milestone(landmark=float(landmark), month=section.month, difference=interval(found.difference),
                     residual=interval(found.residual), note=found.reason or ASSUMPTIONS,
                     proportion=None if proportion is None else interval(proportion))  # fmt: skip


def _relation(analysis: MrdAnalysis, law: JointLaw, threshold: float) -> RelationResult:
    assert analysis.related is not None
    factor, weighted = analysis.model.factor, analysis.related.weighted
    assert factor is not None
    assert weighted is not None
    on_status, on_event = law.status_effect(factor.visit), law.event_effect(factor.horizon)
    predicted = factor.transported.sample(on_status, rng=np.random.default_rng(0))
    outside = factor.transported.extrapolates(on_status)
    relation = factor.transported.relation
    last = analysis.related.prediction if analysis.related.refitted else analysis.prediction
    assert last is not None
    assert last.layout is not None
    inside = analysis.related.refitted
    posterior = analysis.related.fit.posterior if inside else analysis.fit.posterior
    holds, error = factor.posterior_weight(analysis.model.law(posterior), inside=inside,
                                           data_sets=last.layout.data_sets)  # fmt: skip
    return RelationResult(
        relation=repr(relation), trust=relation.trust, transport=factor.transported.transport.statements(),
        visit=analysis.model.table.shape.months[factor.visit], horizon=factor.horizon,
        weight=factor.weight, posterior_weight=holds, mcse_posterior_weight=error,
        event_effect=interval(np.exp(on_event)),
        event_effect_related=_related(analysis, factor, on_status, on_event),
        predicted=None if predicted is None else interval(np.exp(predicted)),
        extrapolation=str(outside), extrapolated=outside.is_flagged,
        pareto_k=weighted.pareto_k if np.isfinite(weighted.pareto_k) else None,
        effective_draws=weighted.effective_draws, threshold=threshold, tipping=success_tipping(analysis),
    )  # fmt: skip


def _related(
    analysis: MrdAnalysis, factor: RelationFactor, on_status: np.ndarray, on_event: np.ndarray
) -> Interval:
    """Effect on the event with the relation: of the fit that has it, where there is one, otherwise by weights."""
    assert analysis.related is not None
    if analysis.related.refitted:
        law = analysis.model.law(analysis.related.fit.posterior)
        return interval(np.exp(law.event_effect(factor.horizon)))
    log_weight = factor.log_density(on_status, on_event)
    return interval(np.exp(on_event), np.exp(log_weight - log_weight.max()))
