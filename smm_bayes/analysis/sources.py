"""What each earlier trial brought: the events that it is worth, and whether it is in conflict with the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.analysis.answers import EVERYTHING, TRIAL, Answers, earlier_trials
from smm_bayes.borrowing.trials.with_earlier_trials import WithEarlierTrials

if TYPE_CHECKING:
    from smm_bayes.analysis.decision import ConflictEntry, ContrastEntry, Source
    from smm_bayes.analysis.interim import InterimInputs
    from smm_bayes.inference.sampling import Fit


def source_entries(inputs: InterimInputs, answers: Answers | None = None) -> list[Source]:
    """Entries of the decision: every earlier trial, and all of them together with what they brought.

    Parameters
    ----------
    inputs : InterimInputs
    answers : Answers, optional
        Without them only what the sources are.
    """
    from smm_bayes.analysis.decision import Source

    model, names = inputs.model, earlier_trials(inputs)
    if not isinstance(model, WithEarlierTrials):
        return []
    found = [Source(name=s.name, trust=s.trust, source=s.source) for s in model.sources]
    if answers is None:
        return found
    fitted = answers.of(frozenset([TRIAL, *names])).fit
    entries = []
    for source in [*found, Source(name=EVERYTHING, trust="", source="")]:
        gone = names if source.name == EVERYTHING else (source.name,)
        without = answers.of(frozenset([TRIAL, *names]).difference(gone)).fit
        update: dict[str, object] = {
            "effective_events": effective_events(inputs, fitted, without),
            "effective_events_error": effective_events_error(inputs, fitted, without),
            "contrast": _contrast(inputs, fitted, without),
        }
        if source.name != EVERYTHING:
            update["conflict"] = _conflict(model, without, source.name, answers.seed)
            if "first_layer_probability" in fitted.posterior:
                share = fitted.posterior["first_layer_probability"].sel(trial=source.name).mean()
                update["probability_exchangeable"] = float(share)
        entries.append(source.model_copy(update=update))
    return entries


def current_conflict(inputs: InterimInputs, answers: Answers) -> list[ConflictEntry]:
    """Current events against what all earlier trials and the priors predict of them."""
    model = inputs.model
    if not isinstance(model, WithEarlierTrials):
        return []
    predicting = answers.of(frozenset(earlier_trials(inputs))).fit
    return _conflict(model, predicting, model.trials[0].current, answers.seed)


def _conflict(model: WithEarlierTrials, without: Fit, name: str, seed: int) -> list[ConflictEntry]:
    """Events of a trial against what the fit without it predicts of them."""
    from smm_bayes.analysis.decision import ConflictEntry
    from smm_bayes.borrowing.trials.conflict import conflicts

    current = model.trials[0].current
    trials = model.trials[:1] if name == current else model.trials
    compared = conflicts(draws_of(without), trials, model.priors, name, rng=np.random.default_rng(seed),
                         **_origin(without))  # fmt: skip
    return [ConflictEntry(**vars(one)) for one in compared]


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


def _contrast(inputs: InterimInputs, fitted: Fit, without: Fit) -> ContrastEntry | None:
    """What a source adds to the hazard ratio of the first cause; nothing in a trial of one arm."""
    from smm_bayes.analysis.decision import ContrastEntry
    from smm_bayes.borrowing.trials.conflict import contrast_gain

    if "log_hazard_ratio" not in fitted.posterior:
        return None
    with_it, alone = (one.posterior["log_hazard_ratio"].isel(cause=0).transpose("chain", "draw").values
                      for one in (fitted, without))  # fmt: skip
    data_sets = _origin(fitted)["data_sets"], _origin(without)["data_sets"]
    return ContrastEntry(**vars(contrast_gain(with_it, alone, inputs.patients.arm.mean(), data_sets=data_sets)))


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
