"""What each source of outside evidence moved: the analysis again without it, what was borrowed, and conflict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.borrowing.trials.with_earlier_trials import WithEarlierTrials

if TYPE_CHECKING:
    import pymc as pm

    from smm_bayes.analysis.decision import Source
    from smm_bayes.analysis.interim import InterimInputs
    from smm_bayes.inference.sampling import Fit
    from smm_bayes.prediction.probability import Prediction

EVERYTHING = "all earlier trials"
WITHOUT_RECONSTRUCTIONS = 5  # of the other trials, when one is left out to see what it moved
TO_PREDICT = 2  # of all of them, when they predict the current one


@dataclass(frozen=True, eq=False)
class Without:
    """The analysis without some sources.

    Attributes
    ----------
    fit : Fit
    prediction : Prediction or None
        None where the current trial was left out.
    """

    fit: Fit
    prediction: Prediction | None


def leave_each_out(
    inputs: InterimInputs, model: pm.Model, *, seed: int, predict: Any, settings: Mapping[str, int]
) -> dict[str, Without]:
    """Fit without each source, without all, and without the current trial.

    Parameters
    ----------
    inputs : InterimInputs
        Of a model with earlier trials.
    model : pymc.Model
        Its model, which serves for all.
    seed : int
    predict : callable
        Takes a fit, gives its prediction.
    settings : mapping of str to int
        Of the sampler.

    Returns
    -------
    dict of str to Without
        By name of what was left out.
    """
    from smm_bayes.inference.each import fit_each

    earlier = inputs.model
    assert isinstance(earlier, WithEarlierTrials)
    names, current = [source.name for source in earlier.sources], earlier.trials[0].current
    left_out = {name: [name] for name in names if len(names) > 1} | {EVERYTHING: names, current: [current]}
    found = {}
    for label, silent in left_out.items():
        few = {EVERYTHING: 1, current: TO_PREDICT}.get(label, WITHOUT_RECONSTRUCTIONS)
        data = earlier.without(*silent, reconstructions=few).data()
        fitted = fit_each(model, data, seed=seed, **settings).require_convergence()  # type: ignore[arg-type]
        found[label] = Without(fitted, None if label == current else predict(fitted))
    if len(names) == 1:
        found[names[0]] = found[EVERYTHING]
    return found


def source_entries(
    inputs: InterimInputs, fitted: Fit, without: Mapping[str, Without], *, seed: int,
    prediction: Prediction | None = None,
) -> list[Source]:  # fmt: skip
    """Entries of the decision: every source, and all of them together, with what each moved ``prediction`` by."""
    from smm_bayes.analysis.decision import Source

    earlier = inputs.model
    if not isinstance(earlier, WithEarlierTrials):
        return []
    found = [Source(name=s.name, trust=s.trust, source=s.source) for s in earlier.sources]
    if not without:
        return found
    found.append(Source(name=EVERYTHING, trust="", source=""))
    entries = []
    for source in found:
        update = _moved(inputs, earlier, fitted, without[source.name], source.name, seed)
        alone = without[source.name].prediction
        if prediction is not None and alone is not None:
            update["difference"], update["mcse_difference"] = difference(prediction, alone)
        entries.append(source.model_copy(update=update))
    return entries


def difference(first: Prediction, second: Prediction) -> tuple[float, float]:
    """Difference of two probabilities of success with its error, by pairs of replicates where these match."""
    if first.layout == second.layout and first.layout is not None and first.seed == second.seed:
        found = first.difference(second)
        return found.difference, found.mcse
    return first.probability - second.probability, math.hypot(first.mcse, second.mcse)


def _moved(
    inputs: InterimInputs, earlier: WithEarlierTrials, fitted: Fit, without: Without, name: str, seed: int
) -> dict[str, object]:
    from smm_bayes.analysis.decision import ConflictEntry
    from smm_bayes.borrowing.trials.conflict import conflicts

    assert without.prediction is not None
    update: dict[str, object] = {
        "probability_without": without.prediction.probability, "mcse_without": without.prediction.mcse,
        "effective_events": effective_events(inputs, fitted, without.fit),
        "effective_events_error": effective_events_error(inputs, fitted, without.fit),
    }  # fmt: skip
    if name == EVERYTHING:
        return update
    compared = conflicts(draws_of(without.fit), earlier.trials, earlier.priors, name, rng=np.random.default_rng(seed),
                         **_origin(without.fit))  # fmt: skip
    update["conflict"] = [ConflictEntry(**vars(one)) for one in compared]
    if "first_layer_probability" in fitted.posterior:
        share = fitted.posterior["first_layer_probability"].sel(trial=name).mean()
        update["probability_exchangeable"] = float(share)
    return update


def current_conflict(inputs: InterimInputs, without: Mapping[str, Without], *, seed: int) -> list[Any]:
    """Current events against what all earlier trials and the priors predict of them."""
    from smm_bayes.analysis.decision import ConflictEntry
    from smm_bayes.borrowing.trials.conflict import conflicts

    earlier = inputs.model
    if not isinstance(earlier, WithEarlierTrials) or not without:
        return []
    current = earlier.trials[0].current
    found = conflicts(draws_of(without[current].fit), earlier.trials[:1], earlier.priors, current,
                      rng=np.random.default_rng(seed), **_origin(without[current].fit))  # fmt: skip
    return [ConflictEntry(**vars(one)) for one in found]


def effective_events(inputs: InterimInputs, fitted: Fit, without: Fit) -> dict[str, float]:
    """Events by which what is known of each arm's hazard of the first cause grew."""
    from smm_bayes.borrowing.trials.conflict import information

    exposure = inputs.table.exposure
    gained = information(_first_cause(fitted), exposure) - information(_first_cause(without), exposure)
    return dict(zip(inputs.patients.arms, (float(value) for value in gained), strict=True))


def effective_events_error(inputs: InterimInputs, fitted: Fit, without: Fit) -> dict[str, float]:
    """Monte Carlo errors of :func:`effective_events`: those of both fits."""
    from smm_bayes.borrowing.trials.conflict import information_error

    errors = []
    for one in (fitted, without):
        drawn = _first_cause(one)
        by_chain = drawn.reshape(one.posterior.sizes["chain"], -1, *drawn.shape[1:])
        errors.append(information_error(by_chain, inputs.table.exposure, _origin(one)["data_sets"]))
    return dict(zip(inputs.patients.arms, np.hypot(*errors).tolist(), strict=True))


def _origin(fitted: Fit) -> dict[str, int]:
    """Chains of a fit and the data sets that these come from."""
    from smm_bayes.inference.each import data_sets

    return {"chains": fitted.posterior.sizes["chain"], "data_sets": data_sets(fitted.posterior)}


def _first_cause(fitted: Fit) -> np.ndarray:
    return draws_of(fitted)["log_hazard"][:, :, 0]


def draws_of(fitted: Fit) -> dict[str, np.ndarray]:
    """Every parameter with draws of all chains first."""
    found = {}
    for name, values in fitted.posterior.data_vars.items():
        array = values.transpose("chain", "draw", ...).values
        found[str(name)] = array.reshape(-1, *array.shape[2:])
    return found
