"""What every changed assumption does to the answer: by weights, from the same draws, or from a fit of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from smm_bayes.analysis.answers import RELATION, Answer, Answers, predict, primary_sources, steps
from smm_bayes.analysis.decision import SensitivityEntry
from smm_bayes.analysis.models import ByArm, model_of
from smm_bayes.analysis.mrd.model import joint_model_of
from smm_bayes.analysis.mrd.sections import EVENTS
from smm_bayes.analysis.sensitivity.defaults import default_rows
from smm_bayes.analysis.sensitivity.section import SensitivitySection
from smm_bayes.analysis.sensitivity.weights import changes_model, log_weights
from smm_bayes.errors import SpecificationError
from smm_bayes.prediction.result import Prediction
from smm_bayes.prediction.reweighting import RELIABLE_UP_TO
from smm_bayes.priors.factors import NotByWeightsError

if TYPE_CHECKING:
    from smm_bayes.analysis.decision import AnswerEntry, MrdResult
    from smm_bayes.analysis.interim import InterimInputs
    from smm_bayes.analysis.spec import AnalysisSpec

PRIORS, RELATIONS, SOURCES, HAZARDS, LOSSES, ACCRUAL, PLAN, SURROGATE = (
    "priors", "relation between trials", "sources of information", "hazards to come", "loss to follow-up", "enrolment",
    "plan", "surrogacy",
)  # fmt: skip
RELATION_KEY = "evidence.borrowing"


@dataclass(eq=False)
class Sensitivity:
    """The rows of the table of what the answer depends on.

    Attributes
    ----------
    inputs : InterimInputs
    answers : Answers
        With the primary answer, and those of other sources.
    """

    inputs: InterimInputs
    answers: Answers

    @property
    def base(self) -> Answer:
        """The primary answer."""
        return self.answers.of(primary_sources(self.inputs))

    def entries(self, others: list[AnswerEntry] | None = None, mrd: MrdResult | None = None) -> list[SensitivityEntry]:
        """Give every row: assumptions changed, then other sources of information, then the gap of a relation."""
        chosen = self.inputs.spec.sensitivity or default_rows(self.inputs)
        found = [self.row(one) for one in chosen]
        return [*found, *self._of_sources(others or []), *self._of_relation(mrd)]

    def row(self, section: SensitivitySection) -> SensitivityEntry:
        """Give the answer under one change."""
        said: dict[str, Any] = {"name": section.name, "group": group_of(section), "reason": section.reason,
                                "changed": section.words}  # fmt: skip
        spec = section.changed(self.inputs.spec)
        try:
            if section.refit:
                return SensitivityEntry(**said, **self._fitted_anew(section, spec))
            if changes_model(self.inputs.spec, spec):
                return SensitivityEntry(**said, **self._by_weights(section, spec))
            moved = self._completed(section, spec, self.base)
        except NotByWeightsError as error:
            why = f"not by re-weighting: {error}; refit = true fits it anew"
            return _not_computed(said, why, getattr(error, "pareto_k", None))
        except SpecificationError as error:
            return _not_computed(said, str(error))
        return SensitivityEntry(**said, how="completed anew", **self._difference(moved))

    def _by_weights(self, section: SensitivitySection, spec: AnalysisSpec) -> dict[str, Any]:
        base = self.base.prediction
        assert base is not None
        log_weight = log_weights(self.inputs, self.base, spec)
        completed = self._completed(section, spec, self.base)
        found = completed.reweighted(log_weight, name=section.name, base=base)
        k = found.pareto_k if math.isfinite(found.pareto_k) else None
        if not found.reliable:
            shown = "not known" if k is None else f"{k:.2f}"
            raise _Unreliable(f"Pareto k of the weights is {shown}, above {RELIABLE_UP_TO}", k)
        unused = spec.mrd != self.inputs.spec.mrd and self.inputs.primary == EVENTS
        return {"how": "by weights", "probability": found.probability, "mcse": found.mcse, "moved": found.difference,
                "mcse_moved": found.difference_mcse, "pareto_k": k,
                "note": "the primary answer does not use MRD" if unused else ""}  # fmt: skip

    def _completed(self, section: SensitivitySection, spec: AnalysisSpec, answer: Answer) -> Prediction:
        """Complete the trial under the changed plan and future from an answer's draws; its own where neither is."""
        future, old = section.future, self.inputs.spec
        plan = ("enrolment", "final", "success", "prediction")
        if future.is_as_expected and all(getattr(old, name) == getattr(spec, name) for name in plan):
            assert answer.prediction is not None
            return answer.prediction
        inputs = replace(self.inputs, spec=spec, final=spec.final_analysis(self.inputs.patients))
        return predict(inputs, answer.fit, seed=self.answers.seed, model=answer.model, executor=self.answers.executor,
                       future=future)  # fmt: skip

    def _fitted_anew(self, section: SensitivitySection, spec: AnalysisSpec) -> dict[str, Any]:
        patients = self.inputs.patients
        model = model_of(spec, patients)
        joint = joint_model_of(spec, patients, model) if self.inputs.joint and isinstance(model, ByArm) else None
        inputs = replace(self.inputs, spec=spec, model=model, joint=joint, final=spec.final_analysis(patients))
        answers = Answers(inputs, self.answers.seed, self.answers.executor)
        found = answers.of(primary_sources(inputs))
        return {"how": "fitted anew", **self._difference(self._completed(section, spec, found))}

    def _difference(self, found: Prediction) -> dict[str, Any]:
        base = self.base.prediction
        assert base is not None
        if found is base:
            moved, error = 0.0, 0.0
        elif found.layout == base.layout and found.seed == base.seed:
            paired = found.difference(base)
            moved, error = paired.difference, paired.mcse
        else:
            moved, error = found.probability - base.probability, math.hypot(found.mcse, base.mcse)
        return {"probability": found.probability, "mcse": found.mcse, "moved": moved, "mcse_moved": error}

    def _of_sources(self, others: list[AnswerEntry]) -> list[SensitivityEntry]:
        """Answers of fewer sources, or of more, as they were computed already: one of each set, no set with both."""
        primary, sources = primary_sources(self.inputs), {step.name: step.sources for step in steps(self.inputs)}
        chosen = {}
        for one in others:
            fewer, more = sources[one.name] < primary, sources[one.name] > primary
            if (fewer and one.how == "left out") or (more and one.how == "added"):
                chosen[sources[one.name]] = one
        found = []
        for named, one in chosen.items():
            moved, error = self.answers.of(named).moved_from(self.base)
            found.append(SensitivityEntry(
                name=one.name, group=SOURCES, changed=f"from {', '.join(one.sources)}", how="other sources",
                reason="What a source of information moves.", probability=one.probability, mcse=one.mcse,
                moved=moved, mcse_moved=error,
            ))  # fmt: skip
        return found

    def _of_relation(self, mrd: MrdResult | None) -> list[SensitivityEntry]:
        """The ends of what the gap between a relation's trials and this one may do."""
        if mrd is None or mrd.relation is None:
            return []
        cells = [one for one in mrd.relation.tipping if one.scale is not None and one.reliable]
        ends = [min(cells, key=_probability), max(cells, key=_probability)] if cells else []
        base = self.base
        return [SensitivityEntry(
            name=f"with {RELATION}, its gap at the {end} end", group=SURROGATE,
            changed=f"slope × {one.scale:g}, shift {one.shift:+g}, extra SD {one.extra_sd:g}",
            reason="That MRD is a surrogate here is not known; the gap to the relation's trials is assumed.",
            how="other sources", probability=one.probability, mcse=one.mcse, moved=one.probability - base.probability,
            mcse_moved=math.hypot(one.mcse, base.mcse),
        ) for end, one in zip(("lower", "higher"), ends, strict=False)]  # fmt: skip


class _Unreliable(NotByWeightsError):
    """Weights that cannot be relied on."""

    def __init__(self, why: str, pareto_k: float | None) -> None:
        super().__init__(why)
        self.pareto_k = pareto_k


def _probability(one: Any) -> float:
    return float(one.probability)


def _not_computed(said: dict[str, Any], why: str, pareto_k: float | None = None) -> SensitivityEntry:
    return SensitivityEntry(**said, how="not computed", probability=None, mcse=None, moved=None, mcse_moved=None,
                            pareto_k=pareto_k, note=why)  # fmt: skip


def group_of(section: SensitivitySection) -> str:
    """Kind of assumption that a row changes: of several the first."""
    keys = list(section.set)
    if any(key == RELATION_KEY or key.startswith(f"{RELATION_KEY}.") for key in keys):
        return RELATIONS
    if any(key.split(".")[0] in ("model", "evidence", "mrd") for key in keys):
        return PRIORS
    if not (section.effect_gone_after is None and section.control_hazard is None and section.hazard is None):
        return HAZARDS
    if not (section.dropout is None and section.informative is None):
        return LOSSES
    return PLAN if keys else ACCRUAL
