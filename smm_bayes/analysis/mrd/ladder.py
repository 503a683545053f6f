"""What each source of information moved: the answer as sources are added one by one, and with each left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.analysis.mrd.model import WithMrd
from smm_bayes.analysis.mrd.sections import EVENTS, MRD, SURROGACY
from smm_bayes.analysis.sources import EVERYTHING, WITHOUT_RECONSTRUCTIONS, Without, difference
from smm_bayes.borrowing.trials.with_earlier_trials import WithEarlierTrials
from smm_bayes.execution import Beside
from smm_bayes.prediction.result import Prediction
from smm_bayes.prediction.reweighting import Reweighted

if TYPE_CHECKING:
    import pymc as pm

    from smm_bayes.analysis.decision import LeftOut, Rung
    from smm_bayes.inference.sampling import Fit

PATIENTS_MRD, RELATION = "patients' MRD", "surrogacy across trials"
RUNGS = {
    "trial": "this trial's events", "history": "with earlier trials", MRD: f"with {PATIENTS_MRD}",
    SURROGACY: f"with {RELATION}",
}  # fmt: skip

Predict = Callable[..., Prediction]


@dataclass(frozen=True, eq=False)
class WithRelation:
    """The answer with the relation across trials: by weights, or where these are not reliable by a fit of its own.

    Attributes
    ----------
    weighted : Reweighted
    fit : Fit or None
    prediction : Prediction or None
        Of the model with the relation in it.
    """

    weighted: Reweighted
    fit: Fit | None = None
    prediction: Prediction | None = None

    @property
    def answer(self) -> tuple[float, float]:
        """Probability of success and its Monte Carlo error."""
        if self.prediction is not None:
            return self.prediction.probability, self.prediction.mcse
        return self.weighted.probability, self.weighted.mcse


@dataclass(frozen=True, eq=False)
class MrdAnalysis:
    """The analysis with patients' MRD.

    Attributes
    ----------
    model : WithMrd
    fit : Fit
        Without the relation across trials.
    prediction : Prediction
    related : WithRelation or None
    rungs : tuple of Rung
    left_out : tuple of LeftOut
    """

    model: WithMrd
    fit: Fit
    prediction: Prediction
    related: WithRelation | None
    rungs: tuple[Rung, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def last_fit(self) -> Fit:
        """The fit that knows most: with the relation across trials in it, where there is such a one."""
        return self.fit if self.related is None or self.related.fit is None else self.related.fit

    @property
    def primary(self) -> dict[str, tuple[Fit, Prediction]]:
        """Fit and prediction that may be primary, by its word."""
        found = {MRD: (self.fit, self.prediction)}
        if self.related is not None and self.related.fit is not None and self.related.prediction is not None:
            found[SURROGACY] = self.related.fit, self.related.prediction
        return found


class Climb:
    """Fits and predictions with patients' MRD; the models are compiled once each.

    Parameters
    ----------
    model : WithMrd
    predict : callable
        Takes a fit and, by name, its model; gives the prediction.
    seed : int
    settings : mapping of str to int
        Of the sampler.
    progress : callable, optional
    """

    def __init__(
        self, model: WithMrd, predict: Predict, *, seed: int, settings: Mapping[str, int], progress: Any = None
    ) -> None:
        self.model, self.predict, self.seed, self.settings = model, predict, seed, settings
        self.progress = progress
        self._built: dict[bool, Beside[pm.Model]] = {}

    def prepare(self, *, with_relation: bool = False) -> Beside[pm.Model]:
        """Start to build and compile a model beside what else is done; it is done once."""
        from smm_bayes.inference.compiled import compile_model

        def build() -> pm.Model:
            model = self.model.build(with_relation=with_relation)
            compile_model(model).prepare()
            return model

        if with_relation not in self._built:
            self._built[with_relation] = Beside(build)
        return self._built[with_relation]

    def fit(self, model: WithMrd, *, with_relation: bool = False, told: bool = False) -> tuple[Fit, Prediction]:
        """Fit a model of the shape of the first, and predict."""
        from smm_bayes.inference.each import fit_each

        compiled = self.prepare(with_relation=with_relation).result()
        fitted = fit_each(compiled, model.data(), seed=self.seed,
                          progress=self.progress if told else None, **self.settings).require_convergence()
        return fitted, self.predict(fitted, model=model)

    def relate(self, model: WithMrd, fitted: Fit, prediction: Prediction, *, refit: bool = False) -> WithRelation:
        """Bring the relation across trials in, on the same completed trials if the weights can be relied on."""
        weighted = weigh(model, fitted, prediction)
        if weighted.reliable and not refit:
            return WithRelation(weighted)
        return WithRelation(weighted, *self.fit(model, with_relation=True))


def weigh(model: WithMrd, fitted: Fit, prediction: Prediction) -> Reweighted:
    """Weight completed trials by the relation across trials; the error counts that of its draws."""
    assert model.factor is not None
    effects = model.factor.effects_of(model.law(fitted.posterior))
    weighted = prediction.reweighted(model.factor.log_density(*effects), name=RELATION)
    if not model.factor.is_informative:
        return weighted
    parts = [prediction.reweighted(part.log_density(*effects)).probability for part in model.factor.split()]
    of_relation = float(np.std(parts, ddof=1) / math.sqrt(len(parts)))
    return replace(weighted, mcse=math.hypot(weighted.mcse, of_relation),
                   difference_mcse=math.hypot(weighted.difference_mcse, of_relation))  # fmt: skip


def analyse_mrd(
    climb: Climb, base: Prediction, without: Mapping[str, Without], *, primary: str
) -> MrdAnalysis:
    """Fit with patients' MRD, bring in the relation across trials, and leave each source out.

    Parameters
    ----------
    climb : Climb
    base : Prediction
        Without MRD, with earlier trials if there are any.
    without : mapping of str to Without
        The same with earlier trials left out.
    primary : str
        Word of the specification; where it is the relation, that is in the model.
    """
    model = climb.model
    fitted, prediction = climb.fit(model, told=True)
    related = None
    if model.factor is not None:
        related = climb.relate(model, fitted, prediction, refit=primary == SURROGACY)
    rungs = _rungs(base, without, prediction, related, primary)
    return MrdAnalysis(model, fitted, prediction, related, rungs, _left_out(climb, base, prediction, related))


def _rungs(
    base: Prediction, without: Mapping[str, Without], prediction: Prediction, related: WithRelation | None, primary: str
) -> tuple[Rung, ...]:
    from smm_bayes.analysis.decision import Rung

    found: list[Rung] = []

    def add(key: str, answer: tuple[float, float], change: tuple[float, float] | None) -> None:
        is_primary = primary == key or (primary == EVENTS and key == ("history" if without else "trial"))
        found.append(Rung(name=RUNGS[key], probability=answer[0], mcse=answer[1], primary=is_primary,
                          difference=change and change[0], mcse_difference=change and change[1]))  # fmt: skip

    alone = without[EVERYTHING].prediction if without else base
    assert alone is not None
    add("trial", (alone.probability, alone.mcse), None)
    if without:
        add("history", (base.probability, base.mcse), difference(base, alone))
    add(MRD, (prediction.probability, prediction.mcse), difference(prediction, base))
    if related is not None:
        add(SURROGACY, related.answer, _relation_moved(related, prediction))
    return tuple(found)


def _left_out(
    climb: Climb, base: Prediction, prediction: Prediction, related: WithRelation | None
) -> tuple[LeftOut, ...]:
    from smm_bayes.analysis.decision import LeftOut

    whole = related.answer if related else (prediction.probability, prediction.mcse)
    found = []

    def add(name: str, answer: tuple[float, float], change: tuple[float, float] | None = None) -> None:
        change = change or (whole[0] - answer[0], math.hypot(whole[1], answer[1]))
        found.append(LeftOut(name=name, probability_without=answer[0], mcse_without=answer[1], difference=change[0],
                             mcse_difference=change[1]))  # fmt: skip

    if isinstance(climb.model.base, WithEarlierTrials):
        names = [source.name for source in climb.model.base.sources]
        silenced = {name: [name] for name in names if len(names) > 1} | {EVERYTHING: names}
        for label, silent in silenced.items():
            few = 1 if label == EVERYTHING else WITHOUT_RECONSTRUCTIONS
            model = climb.model.without(*silent, reconstructions=few)
            fitted, alone = climb.fit(model)
            answer = (alone.probability, alone.mcse)
            add(label, climb.relate(model, fitted, alone).answer if related else answer)
    both = f"{PATIENTS_MRD} (and {RELATION}, which needs it)" if related else PATIENTS_MRD
    add(both, (base.probability, base.mcse), None if related else difference(prediction, base))
    if related is not None:
        add(RELATION, (prediction.probability, prediction.mcse), _relation_moved(related, prediction))
    return tuple(found)


def _relation_moved(related: WithRelation, prediction: Prediction) -> tuple[float, float]:
    if related.prediction is not None:
        return difference(related.prediction, prediction)
    return related.weighted.difference, related.weighted.difference_mcse
