"""The answer given some of the sources of information, and the sets of sources that an interim analysis looks at."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from smm_bayes.analysis.models import HazardModel
from smm_bayes.analysis.mrd.model import WithMrd
from smm_bayes.analysis.mrd.sections import EVENTS, MRD, SURROGACY
from smm_bayes.borrowing.trials.with_earlier_trials import WithEarlierTrials
from smm_bayes.execution import Beside
from smm_bayes.prediction.final import FinalData
from smm_bayes.prediction.probability import probability_of_success
from smm_bayes.survival.regression import Regression
from smm_bayes.survival.visits_model import Visits

if TYPE_CHECKING:
    import pymc as pm

    from smm_bayes.analysis.decision import AnswerEntry
    from smm_bayes.analysis.interim import InterimInputs
    from smm_bayes.inference.sampling import Fit, FitProgress
    from smm_bayes.prediction.result import Prediction
    from smm_bayes.prediction.reweighting import Reweighted

TRIAL, PATIENTS_MRD, RELATION = "this trial's events", "patients' MRD", "surrogacy across trials"
EVERYTHING = "all earlier trials"
WITHOUT_RECONSTRUCTIONS = 5  # of the other trials, when one is left out to see what it moved
TO_PREDICT = 2  # of all of them, when they predict the current one

Sources = frozenset[str]


@dataclass(frozen=True, eq=False)
class Answer:
    """The probability of success given some sources, with what it is computed from.

    Attributes
    ----------
    sources : frozenset of str
    model : Model
        The model of these sources.
    fit : Fit
    prediction : Prediction or None
        From ``fit``; None where this trial is no source.
    weighted : Reweighted or None
        The relation across trials, brought in by weights on ``prediction``; None where it is no source.
    refitted : bool
        Whether the relation is in ``fit`` and ``prediction``, so that the weights are shown only.
    """

    sources: Sources
    model: HazardModel | WithMrd
    fit: Fit
    prediction: Prediction | None
    weighted: Reweighted | None = None
    refitted: bool = False

    @property
    def by_weights(self) -> Reweighted | None:
        """The weighted answer, where that is the answer."""
        return None if self.refitted else self.weighted

    @property
    def probability(self) -> float:
        """Probability of success."""
        found = self.by_weights or self.prediction
        assert found is not None
        return found.probability

    @property
    def mcse(self) -> float:
        """Monte Carlo standard error of it."""
        found = self.by_weights or self.prediction
        assert found is not None
        return found.mcse

    def moved_from(self, other: Answer) -> tuple[float, float]:
        """Difference from the answer of other sources, with its error: on the same completed trials where there are."""
        mine, theirs = self.prediction, other.prediction
        assert mine is not None
        assert theirs is not None
        if self.by_weights is not None and mine is theirs and other.by_weights is None:
            return self.by_weights.difference, self.by_weights.difference_mcse
        paired = self.by_weights is None and other.by_weights is None and mine.layout is not None
        if paired and mine.layout == theirs.layout and mine.seed == theirs.seed:
            found = mine.difference(theirs)
            return found.difference, found.mcse
        return self.probability - other.probability, math.hypot(self.mcse, other.mcse)


@dataclass(frozen=True)
class Step:
    """A set of sources that is looked at, and the set that it is compared with.

    Attributes
    ----------
    name : str
    how : {"added", "left out"}
    sources : frozenset of str
    reference : Step or None
        Of two sets the smaller one shows what the sources between them moved.
    """

    name: str
    how: Literal["added", "left out"]
    sources: Sources
    reference: Step | None = None


def steps(inputs: InterimInputs) -> list[Step]:
    """Sources added one by one, then each left out of all of them, then earlier trials left out of the events alone."""
    earlier = earlier_trials(inputs)
    joint = inputs.joint
    gained = [("with earlier trials", frozenset(earlier))] if earlier else []
    if joint is not None:
        gained.append((f"with {PATIENTS_MRD}", frozenset([PATIENTS_MRD])))
        if joint.factor is not None:
            gained.append((f"with {RELATION}", frozenset([RELATION])))
    added = [Step(TRIAL, "added", frozenset([TRIAL]))]
    for name, more in gained:
        added.append(Step(name, "added", added[-1].sources | more, added[-1]))
    whole = added[-1]
    left = [*_without_trials(earlier, whole)]
    if joint is not None:
        related = joint.factor is not None
        label = f"{PATIENTS_MRD} (and {RELATION}, which needs it)" if related else PATIENTS_MRD
        left.append(_without(label, frozenset([PATIENTS_MRD, RELATION]), whole))
        left += [_without(RELATION, frozenset([RELATION]), whole)] if related else []
        left += [replace(step, name=f"{step.name}, by events alone")
                 for step in _without_trials(earlier, added[1] if earlier else whole)]  # fmt: skip
    return [*added, *left]


def _without(label: str, sources: Sources, whole: Step) -> Step:
    return Step(f"without {label}", "left out", whole.sources - sources, whole)


def _without_trials(earlier: tuple[str, ...], whole: Step) -> list[Step]:
    each = [_without(name, frozenset([name]), whole) for name in earlier] if len(earlier) > 1 else []
    return [*each, _without(EVERYTHING, frozenset(earlier), whole)] if earlier else []


def earlier_trials(inputs: InterimInputs) -> tuple[str, ...]:
    """Names of the earlier trials, in the order of the specification."""
    model = inputs.model
    return tuple(source.name for source in model.sources) if isinstance(model, WithEarlierTrials) else ()


def primary_sources(inputs: InterimInputs) -> Sources:
    """Sources of the answer that the specification names as primary."""
    mrd = {EVENTS: [], MRD: [PATIENTS_MRD]}.get(inputs.primary, [PATIENTS_MRD, RELATION])
    return frozenset([TRIAL, *earlier_trials(inputs), *mrd])


@dataclass(eq=False)
class Answers:
    """Answers of an interim analysis by their sources: each is computed once, each model compiled once.

    Parameters
    ----------
    inputs : InterimInputs
    seed : int
    executor : concurrent.futures.Executor, optional
        Completes trials.
    on_fit, on_predict : callable, optional
        Told of the progress of the fits of all sources, and of the completed trials of the events.
    dates : numpy.ndarray, optional
        Of the primary endpoint's final analysis, where this endpoint is analysed with it.
    """

    inputs: InterimInputs
    seed: int
    executor: Executor | None = None
    on_fit: Callable[[FitProgress], None] | None = None
    on_predict: Callable[[int, int], None] | None = None
    dates: np.ndarray | None = None
    _found: dict[Sources, Answer] = field(default_factory=dict, repr=False)
    _built: dict[tuple[bool, bool], Beside[pm.Model]] = field(default_factory=dict, repr=False)

    def prepare(self) -> None:
        """Start to compile the model with MRD beside what else is done."""
        if self.inputs.joint is not None:
            FinalData.of(self.inputs.patients, self.inputs.final, self.inputs.spec.grid)  # kernels, before a compiler
            self._model(True, False)

    def of(self, sources: Sources) -> Answer:
        """Give the answer of some sources; the relation across trials needs patients' MRD."""
        if sources not in self._found:
            self._found[sources] = self._related(sources) if RELATION in sources else self._fitted(sources)
        return self._found[sources]

    def _fitted(self, sources: Sources, *, with_relation: bool = False) -> Answer:
        """Fit the model of some sources, and predict."""
        from smm_bayes.inference.each import fit_each

        inputs, with_mrd = self.inputs, PATIENTS_MRD in sources
        model = inputs.joint if with_mrd else inputs.model
        assert model is not None
        everything = sources >= {TRIAL, *earlier_trials(inputs)}
        if not everything:
            model = self._left_out(model, sources)
        settings = inputs.spec.sampling
        fitted = fit_each(
            self._model(with_mrd, with_relation).result(), model.data(), seed=self.seed, draws=settings.draws,
            tune=settings.tune, chains=settings.chains,
            progress=self.on_fit if everything and not with_relation else None,
        ).require_convergence()  # fmt: skip
        prediction = None
        if TRIAL in sources:
            told = self.on_predict if everything and not with_mrd else False
            prediction = predict(inputs, fitted, seed=self.seed, model=model, executor=self.executor, progress=told,
                                 dates=self.dates)  # fmt: skip
        return Answer(sources, model, fitted, prediction)

    def _left_out(self, model: Any, sources: Sources) -> Any:
        """Give the model without the trials that are no sources, from as many reconstructions as that needs."""
        base = self.inputs.model
        assert isinstance(base, WithEarlierTrials)
        silent = [name for name in earlier_trials(self.inputs) if name not in sources]
        few = 1 if len(silent) == len(base.sources) else WITHOUT_RECONSTRUCTIONS
        if TRIAL not in sources:
            silent, few = [*silent, base.trials[0].current], TO_PREDICT
        return model.without(*silent, reconstructions=few)

    def _related(self, sources: Sources) -> Answer:
        """Bring the relation across trials in: by weights, or where these are not reliable by a fit of its own."""
        alone = self.of(sources - {RELATION})
        weighted = weigh(alone)
        in_the_model = self.inputs.primary == SURROGACY and sources == primary_sources(self.inputs)
        if weighted.reliable and not in_the_model:
            return replace(alone, sources=sources, weighted=weighted)
        return replace(self._fitted(sources, with_relation=True), weighted=weighted, refitted=True)

    def _model(self, with_mrd: bool, with_relation: bool) -> Beside[pm.Model]:
        """Build a model, and where it is with MRD compile it too, in a thread of its own; it is done once."""
        from smm_bayes.inference.compiled import compile_model
        from smm_bayes.inference.values import reused

        def build() -> pm.Model:
            if not with_mrd:
                with reused(self.inputs.model) as (model, _):  # compiled by its fit, which says so
                    return model
            assert self.inputs.joint is not None
            return compile_model(self.inputs.joint.build(with_relation=with_relation)).prepare().model

        key = with_mrd, with_relation
        if key not in self._built:
            self._built[key] = Beside(build)
        return self._built[key]


def predict(
    inputs: InterimInputs, fitted: Fit, *, seed: int, model: HazardModel | WithMrd | None = None, **options: object
) -> Prediction:
    """Complete the trial from the posterior, as the specification says; ``options`` take the place of its settings.

    With MRD each patient's own results move the hazards to come, and MRD not yet known is predicted.
    """
    from smm_bayes.inference.each import data_sets

    spec, model = inputs.spec, model or inputs.model
    settings = {"final": inputs.final, "rule": spec.rule, "enrolment": spec.enrolment_plan(),
                "complete": tuple(spec.prediction.complete), "dropout": spec.prediction.dropout,
                "replicates": spec.prediction.replicates, "data_sets": data_sets(fitted.posterior),
                "final_grid": spec.grid, "progress": False, **options}  # fmt: skip
    if isinstance(model, WithMrd | Regression):
        settings["known"] = model.known(fitted.posterior)
    if isinstance(model, Visits):
        settings["visits"] = model.visits
    law = model.law(fitted.posterior)
    return probability_of_success(inputs.patients, law, seed=seed, **settings)  # type: ignore[arg-type]


def weigh(answer: Answer) -> Reweighted:
    """Weight completed trials by the relation across trials; the error counts that of its draws."""
    model, prediction = answer.model, answer.prediction
    assert isinstance(model, WithMrd)
    assert model.factor is not None
    assert prediction is not None
    effects = model.factor.effects_of(model.law(answer.fit.posterior))
    weighted = prediction.reweighted(model.factor.log_density(*effects), name=RELATION)
    if not model.factor.is_informative:
        return weighted
    parts = [prediction.reweighted(part.log_density(*effects)).probability for part in model.factor.split()]
    of_relation = float(np.std(parts, ddof=1) / math.sqrt(len(parts)))
    return replace(weighted, mcse=math.hypot(weighted.mcse, of_relation),
                   difference_mcse=math.hypot(weighted.difference_mcse, of_relation))  # fmt: skip


def answer_entries(inputs: InterimInputs, answers: Answers) -> list[AnswerEntry]:
    """Compute the answer of every step, as the decision has them."""
    from smm_bayes.analysis.decision import AnswerEntry

    primary, names = primary_sources(inputs), (TRIAL, *earlier_trials(inputs), PATIENTS_MRD, RELATION)
    found = []
    for step in steps(inputs):
        mine, reference, moved, error = answers.of(step.sources), None, None, None
        if step.reference is not None:
            reference, other = step.reference.name, answers.of(step.reference.sources)
            moved, error = mine.moved_from(other) if step.how == "added" else other.moved_from(mine)
        found.append(AnswerEntry(
            name=step.name, how=step.how, sources=[name for name in names if name in step.sources],
            probability=mine.probability, mcse=mine.mcse, reference=reference, moved=moved, mcse_moved=error,
            primary=step.how == "added" and step.sources == primary,
        ))  # fmt: skip
    return found
