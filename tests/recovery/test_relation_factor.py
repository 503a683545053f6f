"""The relation across trials in the joint model: sampled in it, or brought in by weights, it is the same posterior."""

import numpy as np
import pytest

from smm_bayes.inference.sampling import fit
from smm_bayes.priors.clinical import HazardRatioPrior
from smm_bayes.surrogacy import EffectPrior, Relation, Transport, Transported
from smm_bayes.surrogacy.joint import JointLaw, JointPriors, JointShape, JointTable, joint_model, simulate_joint
from smm_bayes.surrogacy.joint.factor import RelationFactor
from smm_bayes.surrogacy.visits.schedule import MrdSchedule
from smm_bayes.survival import BaselinePrior, SurvivalPriors, TimeGrid

CAUSES, GRID, SCHEDULE = ("progression",), TimeGrid((12,)), MrdSchedule((6.0,), 0.5, 0.5)
SURVIVAL = SurvivalPriors({"progression": BaselinePrior(24, 96)})
JOINT = JointPriors({"progression": HazardRatioPrior(0.5, 1.6)})
SHAPE = JointShape.of(GRID, SCHEDULE.months, CAUSES)


HORIZON, WEIGHT = 18.0, 0.6


def prior_effects(draws, rng):
    drawn = SURVIVAL.sample(CAUSES, 2, GRID, draws, rng=rng) | JOINT.sample(CAUSES, 1, 2, draws, rng=rng)
    law = JointLaw.of(drawn, SHAPE, JOINT)
    return law.status_effect(), law.event_effect(HORIZON)


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(11)
    truth = {
        "log_hazard": np.log([[[0.03, 0.03]], [[0.025, 0.025]]]), "log_mrd_hazard_ratio": np.log([0.5]),
        "status_level": np.array([-1.5]), "status_log_odds_ratio": np.array([1.5]),
    }  # fmt: skip
    law = JointLaw.of(truth, SHAPE, JOINT)
    patients, status = simulate_joint(law, SCHEDULE, np.arange(80) % 2, rng=rng, causes=CAUSES, cutoff=18.0, missing=0.2)
    table, rough = JointTable.of(patients, status, GRID), GRID.tabulate(patients)
    relation = Relation(rng.normal(0.0, 0.05, 400), rng.normal(-0.4, 0.1, 400), np.full(400, 0.1), "pairs", "made", 9,
                        "published")  # fmt: skip
    carried = Transported.of(relation, Transport(1.0, 0.0, 0.15), rng=rng)
    factor = RelationFactor(carried, HORIZON, weight=WEIGHT, prior=EffectPrior(prior_effects))
    apart = fit(joint_model(table, SURVIVAL, JOINT, rough=rough), seed=1, log_densities=False).require_convergence()
    inside = fit(joint_model(table, SURVIVAL, JOINT, rough=rough, factor=factor), seed=2, log_densities=False)
    return factor, apart, inside.require_convergence()


def of(fitted):
    values = {str(name): array.transpose("chain", "draw", ...).values
              for name, array in fitted.posterior.data_vars.items()}  # fmt: skip
    return JointLaw.of(values, SHAPE, JOINT)


def effective(values):
    import arviz as az

    return float(az.ess(values[None] if values.ndim == 1 else values))


@pytest.mark.parametrize("what", ["event_effect", "status_effect", "hazard_ratio"])
def test_weights_and_the_model_with_the_factor_agree(found, what):
    factor, apart, inside = found

    def quantity(fitted):
        law = of(fitted)
        if what == "event_effect":
            return law.event_effect(factor.horizon)
        return law.status_effect() if what == "status_effect" else fitted.posterior["log_mrd_hazard_ratio"].values[..., 0]

    plain, related = quantity(apart), quantity(inside)
    log_weight = factor.log_weight(of(apart))
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    mean = float((weight * plain).sum())
    error = np.sqrt((weight**2 * (plain - mean) ** 2).sum() * plain.size / effective(plain)
                    + related.var() / effective(related))  # fmt: skip
    assert abs(mean - related.mean()) < 4 * error
    if what == "event_effect":  # and the relation says something: without it the answer is another
        assert abs(plain.mean() - related.mean()) > 8 * error


def test_the_model_names_the_effects_it_relates(found):
    factor, _, inside = found
    law = of(inside)
    np.testing.assert_allclose(inside.posterior["event_effect"], law.event_effect(factor.horizon), rtol=1e-8)
    np.testing.assert_allclose(inside.posterior["status_effect"], law.status_effect(), rtol=1e-8)


def test_the_probability_of_the_relation_is_the_same_by_weights_and_in_the_model(found):
    factor, apart, inside = found
    weighted, error = factor.posterior_weight(of(apart))
    sampled, other = factor.posterior_weight(of(inside), inside=True)
    assert abs(weighted - sampled) < 4 * np.hypot(error, other)
    assert abs(weighted - WEIGHT) > 8 * error  # the data say something of it
