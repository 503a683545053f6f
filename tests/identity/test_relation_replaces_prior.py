"""The relation across trials takes the place of the prior of the effect on events: densities, weights, closed forms."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.clinical import HazardRatioPrior, RatioPrior
from smm_bayes.priors.normal import Normal
from smm_bayes.priors.spread import HalfNormal
from smm_bayes.surrogacy import (
    ConditionalDensity,
    EffectPrior,
    JointLaw,
    JointPriors,
    JointShape,
    Relation,
    Transport,
    Transported,
)
from smm_bayes.surrogacy.joint.factor import RelationFactor
from smm_bayes.survival import BaselinePrior, SurvivalPriors, TimeGrid

SHAPE = JointShape.of(TimeGrid((12,)), (6.0,), ("progression",))
SURVIVAL = SurvivalPriors({"progression": BaselinePrior(24, 96)}, {"progression": HazardRatioPrior(1.0, 2.7)})
JOINT = JointPriors({"progression": HazardRatioPrior(0.5, 1.6)})
HORIZON = 18.0
ONE = Relation([-0.1], [-0.5], [0.15], "pairs", "one", 9, "published")  # known, so that everything is normal
LINE, SD = (-0.1 + 0.05, -0.5 * 0.8), math.hypot(0.15, 0.2)
KNOWN = Transported.of(ONE, Transport(0.8, 0.05, 0.2), rng=np.random.default_rng(1))
OWN = ConditionalDensity.normal(0.1, 0.5, slope=-0.1)


def prior_effects(draws, rng):
    drawn = SURVIVAL.sample(SHAPE.causes, 2, SHAPE.grid, draws, rng=rng)
    drawn |= JOINT.sample(SHAPE.causes, 1, 2, draws, rng=rng)
    law = JointLaw.of(drawn, SHAPE, JOINT)
    return law.status_effect(), law.event_effect(HORIZON)


PRIOR = EffectPrior(prior_effects)


@pytest.fixture(scope="module")
def uncertain():
    """A relation of many draws, carried over with priors."""
    rng = np.random.default_rng(2)
    relation = Relation(rng.normal(-0.1, 0.1, 300), rng.normal(-0.35, 0.15, 300), np.abs(rng.normal(0.1, 0.05, 300)), "pairs",
                        "many", 9, "published")  # fmt: skip
    return Transported.of(relation, Transport(RatioPrior(0.7, 1.4), Normal(0.0, 0.2), HalfNormal(0.3)), rng=rng)


def law_at(x, y):
    return SimpleNamespace(status_effect=lambda _: x, event_effect=lambda _: y)


# what says nothing


@pytest.mark.parametrize(("weight", "transport"), [(0.0, Transport()), (0.5, Transport.nothing()), (1.0, Transport.nothing()),
                                                   (0.0, Transport.nothing())])  # fmt: skip
def test_a_relation_that_says_nothing_weights_all_draws_alike(uncertain, weight, transport):
    """To the last bit; its weight stays what it was, and a model with it has nothing more in it."""
    moved = Transported.of(uncertain.relation, transport, rng=np.random.default_rng(3))
    factor = RelationFactor(moved, HORIZON, weight=weight, prior=PRIOR)
    x, y = np.random.default_rng(4).normal(size=(2, 4, 500))
    assert np.array_equal(factor.log_weight(law_at(x, y)), np.zeros((4, 500)))
    assert np.array_equal(moved.log_weight(x, y, OWN, weight), np.zeros((4, 500)))
    assert not factor.is_informative
    assert factor.posterior_weight(law_at(x, y)) == (weight, 0.0)
    factor.add(None, None, SHAPE)  # adds to no model, and asks for none


def test_a_relation_is_refused_without_the_prior_that_it_replaces(uncertain):
    with pytest.raises(SpecificationError, match="it replaces what the model's prior says"):
        RelationFactor(uncertain, HORIZON)
    for weight in (-0.1, 1.1, math.nan):
        with pytest.raises(SpecificationError, match="weight must be 0 to 1"):
            RelationFactor(uncertain, HORIZON, weight=weight, prior=PRIOR)
    assert RelationFactor(uncertain, HORIZON, weight=0.0).prior is None


def test_a_growing_gap_ends_at_the_prior_itself():
    """Below weight 1 the answer goes to that without the relation, and the relation's probability to 0."""
    x, y = np.random.default_rng(5).normal([[1.0], [-0.2]], 0.3, (2, 4000))
    spread, holds = [], []
    for extra in (1.0, 1e2, 1e6):
        moved = Transported.of(ONE, Transport(1.0, 0.0, extra), rng=np.random.default_rng(6))
        factor = RelationFactor(moved, HORIZON, weight=0.5, prior=SimpleNamespace(density=OWN))
        spread.append(np.ptp(factor.log_density(x, y)))
        holds.append(factor.posterior_weight(law_at(x[None], y[None]))[0])
    assert spread[0] > 0.1
    assert np.all(np.diff(spread) < 0)
    assert spread[-1] < 1e-4
    assert holds[-1] < 1e-5


# the densities


@pytest.mark.parametrize("x", [-0.5, 1.0, 3.0])
def test_both_densities_have_integral_one(uncertain, x):
    line = np.linspace(-12, 12, 48_001)
    for log in (uncertain.log_density(x, line), PRIOR.density.log_density(x, line), OWN.log_density(x, line)):
        assert np.exp(log).sum() * (line[1] - line[0]) == pytest.approx(1, abs=1e-6)
    mixed = PRIOR.density.log_density(x, line) + uncertain.log_weight(x, line, PRIOR.density, 0.3)
    assert np.exp(mixed).sum() * (line[1] - line[0]) == pytest.approx(1, abs=1e-6)


def test_a_normal_density_is_that_of_scipy():
    x, y = np.random.default_rng(7).normal(size=(2, 50))
    assert OWN.log_density(x, y) == pytest.approx(stats.norm.logpdf(y, 0.1 - 0.1 * x, 0.5))
    with pytest.raises(SpecificationError, match="sd must be above 0"):
        ConditionalDensity.normal(0.0, 0.0)


def test_a_density_of_draws_is_the_one_they_are_from():
    """Skew, with a curved mean and an SD that depends on the effect on negativity: log error in the central 99.8 %."""
    rng = np.random.default_rng(8)
    x = rng.normal(1.0, 0.8, 50_000)

    def parts(x):
        return 0.1 - 0.3 * x + 0.05 * x**2, 0.4 * np.exp(0.1 * x)

    middle, scale = parts(x)
    found = ConditionalDensity.of_draws(x, middle + scale * stats.skewnorm.rvs(2.0, size=len(x), random_state=rng))
    for at in np.quantile(x, [0.01, 0.25, 0.5, 0.75, 0.99]):
        middle, scale = parts(at)
        law = stats.skewnorm(2.0, middle, scale)
        line = law.ppf(np.linspace(0.001, 0.999, 200))
        error = found.log_density(at, line) - law.logpdf(line)
        assert np.abs(error).max() < 0.5
        assert np.sqrt(np.mean(error**2)) < 0.06
    for wrong in ((x[:999], x[:999]), (x, x[:-1]), (x, np.where(x > 3, np.nan, x))):
        with pytest.raises(SpecificationError, match="needs 1000 draws at least"):
            ConditionalDensity.of_draws(*wrong)


def test_a_density_of_draws_may_be_skew_to_either_side():
    """The share of draws that are skew to the right falls along the effect on negativity, and SD and mean stay."""
    rng = np.random.default_rng(15)
    x = rng.normal(1.0, 0.8, 50_000)
    low, high = np.quantile(x, [0.001, 0.999])
    shape = stats.skewnorm(4.0)
    right = (shape.rvs(len(x), random_state=rng) - shape.mean()) / shape.std()
    place = np.clip((x - low) / (high - low), 0, 1)
    found = ConditionalDensity.of_draws(x, np.where(rng.random(len(x)) < place, -right, right))
    line = np.linspace(-2.0, 2.0, 81)
    for at in np.quantile(x, [0.01, 0.5, 0.99]):
        share = (at - low) / (high - low)
        sides = [stats.skewnorm.pdf(sign * line * shape.std() + shape.mean(), 4.0) * shape.std() for sign in (1, -1)]
        error = found.log_density(at, line) - np.log((1 - share) * sides[0] + share * sides[1])
        assert np.sqrt(np.mean(error[np.abs(line) < 1.2] ** 2)) < 0.06


def test_the_ratio_to_a_density_of_draws_stays_small_in_its_tails(uncertain):
    """The relation's own tails over those of the estimate, to twenty prior SDs."""
    line = np.linspace(-10, 10, 401)
    ratio = uncertain.log_ratio(np.full(401, 1.0), line, PRIOR.density)
    assert ratio.max() < math.log(1e3)


def test_the_density_is_part_of_the_specification():
    x, y = np.random.default_rng(9).normal(size=(2, 20))
    again = EffectPrior(prior_effects).density
    assert np.array_equal(again.log_density(x, y), PRIOR.density.log_density(x, y))


# drawn from the prior alone


def test_with_weight_one_the_prior_of_the_effect_is_the_relation(uncertain):
    """The effect on events is then the relation's given that on negativity, whose own prior is as before."""
    x, y = prior_effects(50_000, np.random.default_rng(10))
    factor = RelationFactor(uncertain, HORIZON, weight=1.0, prior=PRIOR)
    weight = np.exp(factor.log_density(x, y))
    weight /= weight.sum()
    rank = stats.norm.cdf((y[:, None] - uncertain.intercept - uncertain.slope * x[:, None]) / uncertain.sd).mean(axis=1)
    for values in (rank, stats.rankdata(x) / (len(x) + 1)):
        for decile in np.arange(10) / 10:
            inside = (values >= decile) & (values < decile + 0.1)
            error = math.sqrt((weight**2 * (inside - 0.1) ** 2).sum())
            assert abs(weight @ inside - 0.1) < 4 * error
    shares = np.histogram(rank, 10, (0, 1))[0] / len(x)
    assert np.abs(shares - 0.1).max() > 0.03  # without weights it is another


def test_with_weight_one_half_it_is_the_mixture(uncertain):
    x, y = prior_effects(50_000, np.random.default_rng(11))
    related = np.exp(RelationFactor(uncertain, HORIZON, weight=1.0, prior=PRIOR).log_density(x, y))
    mixed = np.exp(RelationFactor(uncertain, HORIZON, weight=0.5, prior=PRIOR).log_density(x, y))
    assert mixed == pytest.approx(0.5 + 0.5 * related)
    assert abs(mixed.mean() - 1) < 4 * mixed.std() / math.sqrt(len(x))


# normal prior, normal data, known relation: everything in closed form

X, ESTIMATE, ERROR = 1.1, -0.6, 0.3


def exact(weight):
    """Posterior mean and SD of the effect on events, and the probability of the relation, from two normal parts."""
    parts = [(1 - weight, 0.1 - 0.1 * X, 0.5), (weight, LINE[0] + LINE[1] * X, SD)]
    mass = np.array([share * stats.norm.pdf(ESTIMATE, m, math.hypot(s, ERROR)) for share, m, s in parts])
    mass /= mass.sum()
    variance = np.array([1 / (1 / s**2 + 1 / ERROR**2) for *_, s in parts])
    means = np.array([v * (m / s**2 + ESTIMATE / ERROR**2) for v, (_, m, s) in zip(variance, parts, strict=True)])
    mean = mass @ means
    return mean, math.sqrt(mass @ (variance + (means - mean) ** 2)), mass[1]


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_normal_case_is_the_closed_form(weight):
    """By weights of draws of the posterior without the relation, each within 4 Monte Carlo errors, and by quadrature."""
    factor = RelationFactor(KNOWN, HORIZON, weight=weight, prior=SimpleNamespace(density=OWN))
    mean, sd, holds = exact(weight)
    line = np.linspace(-6, 6, 20_001)
    x = np.full(line.shape, X)
    mass = np.exp(OWN.log_density(x, line) + stats.norm.logpdf(line, ESTIMATE, ERROR) + factor.log_density(x, line))
    mass /= mass.sum()
    assert mass @ line == pytest.approx(mean, abs=1e-9)
    assert math.sqrt(mass @ (line - mean) ** 2) == pytest.approx(sd, abs=1e-9)
    assert mass @ factor.holds(x, line) == pytest.approx(holds, abs=1e-9)
    alone = exact(0.0)
    drawn = np.random.default_rng(12).normal(*alone[:2], (4, 20_000))
    found, error = factor.posterior_weight(law_at(np.full(drawn.shape, X), drawn))
    assert abs(found - holds) <= 4 * error
    each = np.exp(factor.log_density(np.full(drawn.shape, X), drawn))
    each /= each.sum()
    assert abs((each * drawn).sum() - mean) < 4 * math.sqrt((each**2 * (drawn - mean) ** 2).sum())


def test_the_probability_of_the_relation_is_that_of_its_own_posterior_too():
    """Of draws of a posterior with the relation in it, no weights are taken."""
    mean, sd, holds = exact(0.5)
    line = np.linspace(-6, 6, 20_001)
    factor = RelationFactor(KNOWN, HORIZON, weight=0.5, prior=SimpleNamespace(density=OWN))
    x = np.full(line.shape, X)
    mass = np.exp(OWN.log_density(x, line) + stats.norm.logpdf(line, ESTIMATE, ERROR) + factor.log_density(x, line))
    drawn = np.random.default_rng(13).choice(line, (4, 20_000), p=mass / mass.sum())
    assert abs(drawn.mean() - mean) < 4 * sd / math.sqrt(drawn.size)
    found, error = factor.posterior_weight(law_at(np.full(drawn.shape, X), drawn), inside=True)
    assert abs(found - holds) < 4 * error
    assert 0 < error < 0.005


def test_a_relation_that_multiplies_the_prior_is_another_answer():
    """In the normal case by more than a third of a posterior SD."""
    parts = [(0.1 - 0.1 * X, 0.5), (LINE[0] + LINE[1] * X, SD), (ESTIMATE, ERROR)]
    precision = sum(1 / s**2 for _, s in parts)
    multiplied = sum(m / s**2 for m, s in parts) / precision
    assert abs(multiplied - exact(1.0)[0]) > 0.3 * exact(1.0)[1]


# the two engines


@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_the_model_adds_what_the_weights_are(uncertain, weight):
    import pytensor
    import pytensor.tensor as pt

    factor = RelationFactor(uncertain, HORIZON, weight=weight, prior=PRIOR)
    x, y = pt.dscalars("x", "y")
    log = factor.log_factor(x, y)
    value = pytensor.function([x, y], [log, *pytensor.grad(log, [x, y])], mode="FAST_COMPILE")
    for at in [(0.0, 0.0), (1.0, -0.7), (-4.0, 1.5), (9.0, -8.0), (2.0, 40.0)]:
        found = value(*at)
        assert np.isfinite(found).all()
        assert float(found[0]) == pytest.approx(float(factor.log_density(*at)), rel=1e-10, abs=1e-10)


def test_parts_and_other_transports_replace_the_same_prior(uncertain):
    factor = RelationFactor(uncertain, HORIZON, weight=0.5, prior=PRIOR)
    x, y = np.random.default_rng(14).normal(size=(2, 30))
    parts = [np.exp(part.log_density(x, y)) for part in factor.split(10)]
    assert np.mean(parts, axis=0) == pytest.approx(np.exp(factor.log_density(x, y)))
    other = factor.carried_by(KNOWN)
    assert (other.transported, other.prior, other.weight, other.horizon) == (KNOWN, PRIOR, 0.5, HORIZON)
