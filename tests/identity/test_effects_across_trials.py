"""Effects over time with earlier trials: against their NumPy twin, and at their limits against models that are simpler."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from smm_bayes.borrowing import BetweenTrials, Cohort, Contrast, Trials, TrialsPriors, hierarchical_model, trials_data
from smm_bayes.borrowing.trials.hierarchical import cohort_log_hazard, log_likelihood, simulate_counts
from smm_bayes.borrowing.trials.over_time import log_hazard_ratio
from smm_bayes.borrowing.trials.relations import POOLED, Commensurate, Exchangeable, Robust
from smm_bayes.borrowing.trials.with_earlier_trials import WithEarlierTrials
from smm_bayes.errors import SpecificationError
from smm_bayes.inference.densities import Densities
from smm_bayes.survival import BaselinePrior, HazardRatioPrior, SmoothnessPrior, SpreadPrior, SurvivalPriors, TimeGrid
from smm_bayes.survival.effects import Proportional, Separate, Varying, Waning
from smm_bayes.survival.grid import EventTable
from smm_bayes.survival.model import piecewise_exponential_model

GRID, CAUSES = TimeGrid((6, 12, 24, 36)), ("progression", "death")
APART, TOGETHER = (("progression",), ("death",)), (("progression", "death"),)
WANING = Waning(stops=9, median=12, upper=60)
EFFECTS = {"separate": Separate(), "varying": Varying(SmoothnessPrior(1.5)), "waning": WANING}
RELATIONS = {"exchangeable": Exchangeable(), "by interval": Exchangeable("interval"), "robust": Robust(exchangeable=0.7),
             "robust by interval": Robust("interval", hazard_fold=5), "commensurate": Commensurate(), "spike and slab": Commensurate("spike-and-slab"), "pooled": POOLED}  # fmt: skip


def cohort(trial, regimen, role, size, series=APART, endpoint=""):
    exposure = size * np.array([5.5, 5.0, 8.0, 7.0, 4.0])
    return Cohort(trial, regimen, role, series, np.zeros((len(series), len(GRID))), exposure, endpoint)


def priors_of(effect, relation, contrasts=("B v none", "A v B", "C v B")):
    survival = SurvivalPriors({"progression": BaselinePrior(24, 96), "death": BaselinePrior(400, 3000)},
                              {"death": HazardRatioPrior(1, 3)}, effect=effect)  # fmt: skip
    given = [name.split(" v ") for name in contrasts]
    if isinstance(effect, Separate):
        given = [one for one in given if one[0] != "C"]
    return TrialsPriors(survival, tuple(Contrast(*one, HazardRatioPrior(0.6, 2)) for one in given), "none",
                        BetweenTrials(SpreadPrior(2.5), SpreadPrior(1.5)), {"end-organ": HazardRatioPrior(1.3, 1.6)},
                        relation)  # fmt: skip


EMPTY = Trials(
    (
        cohort("first", "none", "control", 62, endpoint="end-organ"),
        cohort("first", "B", "experimental", 57, endpoint="end-organ"),
        cohort("second", "none", "control", 90, TOGETHER),
        cohort("second", "A", "experimental", 92, TOGETHER),
        cohort("third", "B", "control", 40),
        cohort("third", "C", "experimental", 41),
        cohort("pilot", "C", "single", 54, (("progression",),)),
        cohort("now", "B", "control", 30),
        cohort("now", "C", "experimental", 60),
    ),
    GRID, CAUSES, "now",
)  # fmt: skip


def seen(priors, trials=EMPTY, seed=4):
    """Trials with counts drawn from the prior."""
    rng = np.random.default_rng(seed)
    return simulate_counts(cohort_log_hazard(priors.sample(trials, 1, rng=rng), trials, priors)[0], trials, rng=rng)


def points_of(model, draws=4, seed=7):
    """Free variables drawn from the model's own prior."""
    import pymc as pm

    free = model.free_RVs
    drawn = pm.draw(free, draws=draws, random_seed=seed, mode="FAST_COMPILE")
    return {variable.name: values for variable, values in zip(free, drawn, strict=True)}


def at(model, points, names):
    """Variables of the model at given values of the free ones, draws first."""
    import pytensor

    inputs = {variable: variable.type() for variable in model.free_RVs}
    outputs = pytensor.graph.replace.graph_replace([model[name] for name in names], inputs, strict=False)
    function = pytensor.function(list(inputs.values()), outputs, mode="FAST_COMPILE", on_unused_input="ignore")
    rows = [function(*(points[variable.name][draw] for variable in inputs)) for draw in range(len(points["level"])
            if "level" in points else len(next(iter(points.values()))))]  # fmt: skip
    return {name: np.array([row[k] for row in rows]) for k, name in enumerate(names)}


def of_data(model, points):
    """Log likelihood of the model, one number a draw."""
    found = Densities(model)(points)
    return sum(term.reshape(len(term), -1).sum(axis=1) for name, term in found.items() if name not in points)


def of_prior(model, points, *names):
    """Log prior density of some free variables."""
    found = Densities(model)(points)
    return sum(found[name].reshape(len(found[name]), -1).sum(axis=1) for name in names)


def whole(model, points):
    return sum(term.reshape(len(term), -1).sum(axis=1) for term in Densities(model)(points).values())


# --- the model and its twin -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("relation", ["exchangeable", "by interval", "commensurate", "pooled"])
@pytest.mark.parametrize("effect", EFFECTS)
def test_the_twin_is_the_model(effect, relation):
    """Likelihood of every trial and hazards of the current one, at draws from the model's own prior."""
    priors = priors_of(EFFECTS[effect], RELATIONS[relation])
    trials = seen(priors)
    model = hierarchical_model(trials, priors)
    points = points_of(model)
    np.testing.assert_allclose(of_data(model, points), log_likelihood(points, trials, priors).sum(axis=1), rtol=1e-10)
    log_hazard = cohort_log_hazard(points, trials, priors)[:, -2:]
    np.testing.assert_allclose(at(model, points, ["log_hazard"])["log_hazard"], log_hazard, rtol=1e-10, atol=1e-12)
    ratio = log_hazard_ratio(log_hazard, points, trials, priors)
    assert (ratio is None) == ("log_hazard_ratio" not in model.named_vars)
    if ratio is not None:
        np.testing.assert_allclose(at(model, points, ["log_hazard_ratio"])["log_hazard_ratio"], ratio, rtol=1e-9)
    constant = priors_of(Proportional(), RELATIONS[relation])
    if effect != "separate":  # and with an effect that does not change it is another
        wrong = log_likelihood(points, trials, constant).sum(axis=1)
        assert np.all(np.abs(wrong - of_data(model, points)) > 1e-3)


def in_both_ways(model, points, log_likelihood_of, priors, trials):
    """Log of prior times likelihood of every trial in each way, (draw, trial): the coordinates by their slopes.

    A deviation is a straight line in its coordinate, so that a step of 1 gives the slope exactly.
    """
    names = [v.name for v in model.deterministics]
    here = points | at(model, points, names)
    moved = {kind: at(model, points | {f"{kind}_coordinate": points[f"{kind}_coordinate"] + 1}, names)
             for kind in ("hazard", "effect")}  # fmt: skip
    found = []
    for layer, share in (("trial", priors.relation.first), ("apart", 1 - priors.relation.first)):
        way = here | {"first_layer": np.full(here["first_layer"].shape, float(layer == "trial"))}
        total = log_likelihood_of(way) + np.log(share)
        for kind in ("hazard", "effect"):
            y, z = points[f"{kind}_coordinate"], here[f"{layer}_{kind}"]
            each = 0.5 * (y**2 - z**2) + np.log(moved[kind][f"{layer}_{kind}"] - z)
            place = range(len(trials.names)) if kind == "hazard" else map(trials.names.index, trials.randomised)
            for index, trial in enumerate(place):
                total[:, trial] += each[:, index].reshape(len(each), -1).sum(axis=1)
        found.append(total)
    return here, found


@pytest.mark.parametrize("relation", ["robust", "robust by interval", "spike and slab"])
@pytest.mark.parametrize("effect", EFFECTS)
def test_the_twin_is_the_model_with_two_ways_to_deviate(effect, relation):
    """Hazards in the way that is drawn, the likelihood with the ways summed out, and the probability of the first."""
    priors = priors_of(EFFECTS[effect], RELATIONS[relation])
    trials = seen(priors)
    model = hierarchical_model(trials, priors)
    points = points_of(model)
    here, ways = in_both_ways(model, points, lambda way: log_likelihood(way, trials, priors), priors, trials)
    log_hazard = cohort_log_hazard(here, trials, priors)[:, -2:]
    np.testing.assert_allclose(here["log_hazard"], log_hazard, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(of_data(model, points), np.logaddexp(*ways).sum(axis=1), rtol=1e-10)
    np.testing.assert_allclose(here["first_layer_probability"], expit(ways[0] - ways[1]), rtol=1e-7, atol=1e-12)


def test_prior_of_the_model_is_that_of_its_twin():
    import pymc as pm

    for effect in EFFECTS.values():
        priors = priors_of(effect, Exchangeable())
        model = hierarchical_model(EMPTY, priors)
        ours = pm.draw(model["log_hazard"], draws=4000, random_seed=1, mode="FAST_COMPILE")
        theirs = cohort_log_hazard(priors.sample(EMPTY, 4000, rng=np.random.default_rng(2)), EMPTY, priors)[:, -2:]
        error = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / 4000)
        assert np.abs((ours.mean(axis=0) - theirs.mean(axis=0)) / error).max() < 4.5
        apart = ours[:, 1] - ours[:, 0], theirs[:, 1] - theirs[:, 0]
        assert np.abs(np.log(apart[0].std(axis=0) / apart[1].std(axis=0))).max() < 0.1


# --- with earlier trials silent, the model of one trial ---------------------------------------------------------------

SMALL = Trials((cohort("pilot", "C", "single", 54, (("progression",),)), cohort("now", "none", "control", 30),
                cohort("now", "C", "experimental", 60)), GRID, CAUSES, "now")  # fmt: skip


@pytest.mark.parametrize("relation", ["pooled", "spike and slab"])
@pytest.mark.parametrize("effect", ["proportional", *EFFECTS])
def test_with_earlier_trials_silent_it_is_the_model_of_one_trial(effect, relation):
    """Densities differ by a constant; where a walk has other coordinates, by their Jacobian too."""
    kind = (EFFECTS | {"proportional": Proportional()})[effect]
    priors = priors_of(kind, RELATIONS[relation], contrasts=("C v none",))
    trials = seen(priors, SMALL).without("pilot")
    now = trials.cohorts[-2:]
    table = EventTable(np.stack([c.events for c in now]), np.stack([c.exposure for c in now]), GRID,
                       ("control", "experimental"), CAUSES)  # fmt: skip
    ratios = {} if effect == "separate" else {"progression": HazardRatioPrior(0.6, 2), "death": HazardRatioPrior(1, 3)}
    one = piecewise_exponential_model(table, replace(priors.survival, hazard_ratio=ratios))
    many = hierarchical_model(trials, priors)
    points = points_of(many, draws=5)
    alone = {name: points[name] for name in ("log_baseline", "smoothness", "log_half_life", "ratio_smoothness")
             if name in points}  # fmt: skip
    apart = at(many, points, ["log_hazard"])["log_hazard"]
    apart = apart[:, 1] - apart[:, 0]
    jacobian = 0.0
    if effect == "varying":  # of the walk's values in its steps
        alone["log_hazard_ratio_curve"] = apart
        jacobian = (len(GRID) - 1) * np.log(points["ratio_smoothness"]).sum(axis=1)
    elif effect != "separate":
        alone["log_hazard_ratio"] = np.concatenate([points["log_contrast"], points["other_effect"][:, 0]], axis=1)
    ignored = [name for name in points if name.startswith(("draw_", "hazard_coordinate", "effect_coordinate",
                                                           "endpoint_offset"))]  # fmt: skip
    left = whole(many, points) - (of_prior(many, points, *ignored) if ignored else 0.0) - jacobian
    difference = left - whole(one, alone)
    np.testing.assert_allclose(difference, difference[0], rtol=0, atol=1e-8)
    assert np.ptp(whole(one, alone)) > 1
    heard = hierarchical_model(seen(priors, SMALL), priors)  # with the pilot's events it is not
    assert np.ptp(whole(heard, points) - whole(many, points)) > 1e-3


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("relation", RELATIONS)
def test_an_effect_that_does_not_change_is_proportional(relation):
    """A half-life without end, a stop after the last interval, and a walk without steps: hazards of every arm."""
    constant = priors_of(Proportional(), RELATIONS[relation])
    points = constant.sample(EMPTY, 5, rng=np.random.default_rng(3))
    usual = cohort_log_hazard(points, EMPTY, constant)
    drawn = {"log_half_life": np.random.default_rng(1).normal(2, 1, 5), "ratio_smoothness": np.zeros((5, 2)),
             "ratio_step": np.random.default_rng(2).normal(size=(5, 2, 4))}  # fmt: skip
    endless = drawn | {"log_half_life": np.full(5, 16.0)}  # 9 million months: 6 parts in a million are lost in 36
    for effect, change, error in (
        (WANING, endless, 2e-5), (Waning(1e4, 12, 60), drawn, 1e-12), (Varying(), drawn, 1e-12),
    ):  # fmt: skip
        found = cohort_log_hazard(points | change, EMPTY, priors_of(effect, RELATIONS[relation]))
        np.testing.assert_allclose(found, usual, rtol=0, atol=error)
    for effect, change in ((WANING, drawn), (Varying(), drawn | {"ratio_smoothness": np.ones((5, 2))})):
        found = cohort_log_hazard(points | change, EMPTY, priors_of(effect, RELATIONS[relation]))
        assert np.abs(found - usual).max() > 0.1


def test_what_changes_is_shared_by_trials_that_gave_the_same():
    """C wanes in every arm that was given it; B and A do not, nor does the effect on death in a trial without C."""
    priors = priors_of(WANING, Exchangeable())
    points = priors.sample(EMPTY, 3, rng=np.random.default_rng(3))
    log_hazard = dict(zip([(c.trial, c.role) for c in EMPTY.cohorts],
                          np.moveaxis(cohort_log_hazard(points, EMPTY, priors), 1, 0), strict=True))  # fmt: skip
    left = WANING.weights(points["log_half_life"][:, None], GRID)
    for trial, wanes in (("now", True), ("third", True), ("first", False), ("second", False)):
        apart = log_hazard[trial, "experimental"] - log_hazard[trial, "control"]
        shape = left[:, None] if wanes else np.ones((1, 1, len(GRID)))
        np.testing.assert_allclose(apart, apart[..., :1] / shape[..., :1] * shape, atol=1e-12)
    contrast = log_hazard["pilot", "single"][:, 0] - points["log_baseline"][:, 0] - points["log_contrast"][:, :1]
    np.testing.assert_allclose(np.diff(contrast, axis=1), points["log_contrast"][:, 2:] * np.diff(left, axis=1), atol=1e-12)


def test_a_walk_has_the_contrast_as_its_mean():
    priors = priors_of(Varying(), POOLED)
    points = priors.sample(EMPTY, 3, rng=np.random.default_rng(3))
    log_hazard = cohort_log_hazard(points, EMPTY, priors)
    for control, experimental in ((-2, -1), (4, 5)):  # now, third
        apart = log_hazard[:, experimental] - log_hazard[:, control]
        np.testing.assert_allclose(apart[:, 0].mean(axis=-1), points["log_contrast"][:, 2], atol=1e-12)
        assert np.all(np.ptp(apart, axis=-1) > 1e-3)
    np.testing.assert_allclose(np.ptp(log_hazard[:, 1, 0] - log_hazard[:, 0, 0], axis=-1), 0, atol=1e-12)  # first: B


def test_separate_arms_are_informed_only_where_the_regimen_was_given():
    """The hazards of C do not depend on contrasts; those of others do not depend on its curves."""
    priors = priors_of(Separate(), Exchangeable())
    points = priors.sample(EMPTY, 2, rng=np.random.default_rng(3))
    mine = [c.regimen == "C" for c in EMPTY.cohorts]
    usual = cohort_log_hazard(points, EMPTY, priors)
    for name, part, moved in (("log_contrast", slice(None), False), ("log_baseline", slice(2, None), True),
                              ("log_baseline", slice(2), False)):  # fmt: skip
        changed = points[name].copy()
        changed[:, part] += 1.0
        differs = np.abs(cohort_log_hazard(points | {name: changed}, EMPTY, priors) - usual).max(axis=(0, 2, 3)) > 0.5
        others = np.array([c.regimen in ("A", "B") for c in EMPTY.cohorts]) if name == "log_contrast" else ~np.array(mine)
        np.testing.assert_array_equal(differs, np.array(mine) if moved else others)


# --- words and refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("effect", "name", "words"), [
    ("separate", "arms", "C has hazards of its own, with the priors of the baselines and no contrast; earlier trials inform "
                         "it only where they gave it"),
    ("varying", "contrasts over time", "C v B varies, with its prior for the mean over intervals, alike in every trial that "
                                       "gave it; other contrasts are constant"),
    ("waning", "contrasts over time", "C v B wanes, alike in every trial that gave it; other contrasts are constant"),
])  # fmt: skip
def test_what_changes_is_said(effect, name, words):
    model = WithEarlierTrials((EMPTY,), priors_of(EFFECTS[effect], Exchangeable()), ())
    assert model.statements()[name] == words
    assert ("hazard ratio of death, in earlier trials" in model.statements()) == (effect == "separate")


def test_effects_that_nothing_could_have_are_refused():
    one_arm = Trials((*EMPTY.cohorts[:2], cohort("now", "C", "single", 30)), GRID, CAUSES, "now")
    with pytest.raises(SpecificationError, match="compares two arms of the current trial, but they are given C only"):
        hierarchical_model(one_arm, priors_of(WANING, POOLED))
    priors = replace(priors_of(Proportional(), POOLED), survival=priors_of(Separate(), POOLED).survival)
    with pytest.raises(SpecificationError, match="regimen 'C' has hazards of its own with separate arms"):
        hierarchical_model(EMPTY, priors)


def test_data_made_for_another_effect_are_told_apart():
    known = trials_data(EMPTY, priors_of(WANING, POOLED))["trials_made_for"]
    assert np.any(trials_data(EMPTY, priors_of(Waning(9, 12, 61), POOLED))["trials_made_for"] != known)
    assert np.any(trials_data(EMPTY, priors_of(Proportional(), POOLED))["trials_made_for"] != known)
