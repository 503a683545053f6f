"""The joint model with earlier trials under relations with two ways to deviate: its twin, and its limits."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit

from smm_bayes.borrowing import hierarchical_model
from smm_bayes.borrowing.trials.hierarchical import cohort_log_hazard, log_likelihood
from smm_bayes.borrowing.trials.relations import Commensurate, Exchangeable, Layer, Relation, Robust
from smm_bayes.inference.densities import Densities
from smm_bayes.priors.clinical import Z_UPPER
from smm_bayes.surrogacy import ConditionalDensity, Transport, Transported
from smm_bayes.surrogacy import Relation as AcrossTrials
from smm_bayes.surrogacy.joint import JointTable, joint_model
from smm_bayes.surrogacy.joint.factor import RelationFactor
from smm_bayes.surrogacy.joint.history import joint_history_data, joint_history_model
from smm_bayes.surrogacy.joint.likelihood import log_likelihood as joint_log_likelihood
from smm_bayes.survival import HazardRatioPrior
from smm_bayes.survival.effects import Proportional, Separate, Varying, Waning
from smm_bayes.validation.designs.joint_history import JOINT, JointHistoryDesign, law_of
from smm_bayes.validation.designs.relations import GRID

NAMES = ("randomised", "single", "now")
PRIOR = SimpleNamespace(density=ConditionalDensity.normal(0.0, 0.6, slope=-0.1))
WAYS = {"robust": Robust(exchangeable=0.7), "robust by interval": Robust("interval", hazard_fold=5),
        "spike and slab": Commensurate("spike-and-slab")}  # fmt: skip
EFFECTS = {"proportional": Proportional(), "separate": Separate(), "varying": Varying(), "waning": Waning(9, 12, 48)}


@dataclass(frozen=True)
class Apart(Relation):
    """One way to deviate, with known standard deviations."""

    hazard: float
    effect: float

    def layers(self, between):
        return (Layer("trial", self.hazard, self.effect),)


def simulated(relation, effect=None, seed=3):
    design = JointHistoryDesign(relation, effect or Proportional())
    rng = np.random.default_rng(seed)
    return design.simulate(design.prior(1, rng=rng), rng=rng)


def model_of(one, factor=None):
    return joint_history_model(one.trials, one.priors, one.table, JOINT, factor=factor)


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
    draws = len(next(iter(points.values())))
    rows = [function(*(points[variable.name][draw] for variable in inputs)) for draw in range(draws)]
    return {name: np.array([row[k] for row in rows]) for k, name in enumerate(names)}


def densities(model, points):
    return {name: term.reshape(len(term), -1).sum(axis=1) for name, term in Densities(model)(points).items()}


def total(model, points, *ignored):
    return sum(term for name, term in densities(model, points).items() if name not in ignored)


def of_data(model, points):
    """Log likelihood, without a factor that multiplies it."""
    return total(model, points, *points)


def of_factor(model, points):
    return at(model, points, ["relation_across_trials"])["relation_across_trials"]


def in_both_ways(model, points, one, factor=None):
    """Log of prior times likelihood of every trial in each way, (draw, trial), patient by patient in the current one.

    A deviation is a straight line in its coordinate, so that a step of 1 gives the slope exactly.
    """
    names = [v.name for v in model.deterministics]
    here, found, trials, relation = points | at(model, points, names), [], one.trials, one.priors.relation
    moved = {kind: at(model, points | {f"{kind}_coordinate": points[f"{kind}_coordinate"] + 1}, names)
             for kind in ("hazard", "effect")}  # fmt: skip
    for layer, share in (("trial", relation.first), ("apart", 1 - relation.first)):
        way = here | {"first_layer": np.full(here["first_layer"].shape, float(layer == "trial"))}
        value = log_likelihood(way, trials.without("now"), one.priors) + np.log(share)
        way["log_hazard"] = cohort_log_hazard(way, trials, one.priors)[:, -2:]
        value[:, -1] += joint_log_likelihood(law_of(way), one.patients, one.status)
        if factor is not None:
            value[:, -1] += factor.log_weight(law_of(way))
        for kind in ("hazard", "effect"):
            y, z = points[f"{kind}_coordinate"], here[f"{layer}_{kind}"]
            each = 0.5 * (y**2 - z**2) + np.log(moved[kind][f"{layer}_{kind}"] - z)
            place = range(len(NAMES)) if kind == "hazard" else map(trials.names.index, trials.randomised)
            for index, trial in enumerate(place):
                value[:, trial] += each[:, index].reshape(len(each), -1).sum(axis=1)
        found.append(value)
    return here, found


CASES = [(name, "proportional") for name in WAYS] + [("robust", name) for name in EFFECTS if name != "proportional"]


@pytest.mark.parametrize(("relation", "effect"), CASES)
def test_the_twin_is_the_model(relation, effect):
    """Likelihood of all trials with the ways summed out, and the probability of the first way, at prior draws."""
    one = simulated(WAYS[relation], EFFECTS[effect])
    model = model_of(one)
    for name, values in joint_history_data(one.trials, one.priors, one.table, JOINT).items():
        model.set_data(name, values)
    points = points_of(model)
    here, ways = in_both_ways(model, points, one)
    np.testing.assert_allclose(of_data(model, points), np.logaddexp(*ways).sum(axis=1), rtol=1e-10)
    np.testing.assert_allclose(here["first_layer_probability"], expit(ways[0] - ways[1]), rtol=1e-7, atol=1e-12)
    log_hazard = cohort_log_hazard(here, one.trials, one.priors)[:, -2:]
    np.testing.assert_allclose(here["log_hazard"], log_hazard, rtol=1e-10, atol=1e-12)
    if relation != "spike and slab":  # taking the first way for granted gives another answer
        assert np.all(np.abs(of_data(model, points) - (ways[0] - np.log(one.priors.relation.first)).sum(axis=1)) > 1e-3)


def test_a_relation_across_trials_is_in_every_way():
    one = simulated(WAYS["robust"])
    rng = np.random.default_rng(1)
    relation = AcrossTrials(rng.normal(0, 0.05, 50), rng.normal(-0.4, 0.1, 50), np.full(50, 0.1), "pairs", "made", 9,
                            "published")  # fmt: skip
    factor = RelationFactor(Transported.of(relation, Transport(1.0, 0.0, 0.15), rng=rng), 24.0, weight=0.6, prior=PRIOR)
    model = model_of(one, factor)
    points = points_of(model)
    here, ways = in_both_ways(model, points, one, factor)
    value = of_data(model, points) + of_factor(model, points)
    np.testing.assert_allclose(value, np.logaddexp(*ways).sum(axis=1), rtol=1e-10)
    np.testing.assert_allclose(here["first_layer_probability"], expit(ways[0] - ways[1]), rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(here["event_effect"], law_of(here).event_effect(24.0), rtol=1e-8)
    assert np.ptp(value - of_data(model_of(one), points)) > 1e-2


@pytest.mark.parametrize("relation", WAYS)
def test_without_mrd_effect_it_is_the_model_without_mrd(relation):
    """With the statuses' parameters held, densities differ by a constant."""
    one = simulated(WAYS[relation])
    joint, events = model_of(one), hierarchical_model(one.trials, one.priors)
    points = points_of(joint)
    mrd = {name: np.repeat(points[name][:1], len(points[name]), axis=0)
           for name in ("status_level", "status_log_odds_ratio", "log_mrd_hazard_ratio")}  # fmt: skip
    for ratio, same in ((0.0, True), (-0.8, False)):
        given = points | mrd | {"log_mrd_hazard_ratio": np.full((4, 1), ratio)}
        difference = total(joint, given) - total(events, {n: v for n, v in points.items() if n not in mrd})
        assert (np.ptp(difference) < 1e-8) == same


@pytest.mark.parametrize("share", [1.0, 0.0])
def test_a_robust_relation_that_is_sure_has_one_way(share):
    """With nearly all weight on a way: the density of the model with that way alone, in its coordinates."""
    sure = Robust(exchangeable=1 - 1e-15 if share else 1e-300)
    one = simulated(sure)
    model = model_of(one)
    points = points_of(model)
    layer = "trial" if share else "apart"
    alone = Exchangeable() if share else Apart(np.log(10) / Z_UPPER, np.log(3) / Z_UPPER)
    other = joint_history_model(one.trials, simulated(alone).priors, one.table, JOINT)
    names = [f"{layer}_hazard", f"{layer}_effect"]
    here = at(model, points, names)
    slopes = 0.0
    for kind, name in zip(("hazard", "effect"), names, strict=True):
        moved = at(model, points | {f"{kind}_coordinate": points[f"{kind}_coordinate"] + 1}, names)[name]
        slopes = slopes + np.log(moved - here[name]).reshape(len(moved), -1).sum(axis=1)
    theirs = {v.name: points[v.name] for v in other.free_RVs if v.name in points}
    theirs |= {"trial_hazard": here[names[0]], "trial_effect": here[names[1]]}
    ignored = ["draw_layer"] if share else ["draw_layer", "between_hazard", "between_effect"]
    ours = total(model, points, *ignored)
    np.testing.assert_allclose(ours, total(other, theirs) + slopes, rtol=1e-9)
    if share:  # and with a tenth of the weight on the other way it is not
        doubtful = simulated(Robust(exchangeable=0.9)).priors
        mixed = joint_history_model(one.trials, doubtful, one.table, JOINT)
        assert np.ptp(total(mixed, points) - total(model, points)) > 1e-3


@pytest.mark.parametrize("effect", ["proportional", "waning"])
def test_with_earlier_trials_silent_it_is_the_joint_model_of_one_trial(effect):
    """Where the current trial does not deviate itself: densities differ by a constant."""
    from dataclasses import replace

    one = simulated(WAYS["spike and slab"], EFFECTS[effect])
    silent = replace(one, trials=one.trials.without("randomised", "single"))
    model = model_of(silent)
    survival = replace(one.priors.survival, hazard_ratio={"progression": HazardRatioPrior(0.7, 1.6)})
    alone = joint_model(one.table, survival, JOINT, rough=GRID.tabulate(one.patients), hazards_of="everyone")
    points = points_of(model)
    theirs = {v.name: points[v.name] for v in alone.free_RVs if v.name in points}
    theirs["log_hazard_ratio"] = points["log_contrast"]
    ours = total(model, points, "draw_layer", "hazard_coordinate", "effect_coordinate")
    difference = ours - total(alone, theirs)
    np.testing.assert_allclose(difference, difference[0], rtol=0, atol=1e-8)
    assert np.ptp(total(model_of(one), points) - total(model, points)) > 1e-2
    assert isinstance(one.table, JointTable)
