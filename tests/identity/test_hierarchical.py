"""The model of several trials: against its NumPy twin, and at its limits against exact answers."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit, polygamma

from smm_bayes.borrowing import BetweenTrials, Cohort, Contrast, Trials, TrialsPriors, hierarchical_model, trials_data
from smm_bayes.borrowing.trials.conflict import arm_conflicts, conflicts, information
from smm_bayes.borrowing.trials.hierarchical import (
    cell_log_likelihood,
    cohort_log_hazard,
    log_likelihood,
    simulate_counts,
)
from smm_bayes.borrowing.trials.relations import POOLED, SEPARATE, Commensurate, Exchangeable, Power, Robust
from smm_bayes.errors import SpecificationError
from smm_bayes.priors.mixtures import MultivariateNormalMixture
from smm_bayes.survival import BaselinePrior, HazardRatioPrior, SpreadPrior, SurvivalPriors, TimeGrid

GRID = TimeGrid((6, 12, 24, 36))
APART, TOGETHER = (("progression",), ("death",)), (("progression", "death"),)


def cohort(trial, regimen, role, size, series=APART, endpoint="", grid=GRID, population=""):
    exposure = size * np.array([5.5, 5.0, 8.0, 7.0, 4.0])[: len(grid)]
    return Cohort(trial, regimen, role, series, np.zeros((len(series), len(grid))), exposure, endpoint, population)


@pytest.fixture(scope="module")
def priors():
    survival = SurvivalPriors(
        {"progression": BaselinePrior(24, 96), "death": BaselinePrior(400, 3000)}, {"death": HazardRatioPrior(1, 3)}
    )
    contrasts = (
        Contrast("B", "none", HazardRatioPrior(0.4, 1.2)),
        Contrast("A", "B", HazardRatioPrior(1.2, 3)),
        Contrast("C", "B"),
    )
    return TrialsPriors(
        survival, contrasts, "none",
        endpoints={"end-organ": HazardRatioPrior(1.3, 1.6), "on treatment": HazardRatioPrior(3, 9)},
        populations={"mixed": HazardRatioPrior(1.8, 4)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def trials(priors):
    """Two randomised trials, one that counts both causes together, a single arm and the current trial."""
    empty = Trials(
        (
            cohort("first", "none", "control", 62, endpoint="end-organ"),
            cohort("first", "B", "experimental", 57, endpoint="end-organ"),
            cohort("second", "none", "control", 90, TOGETHER, "end-organ", population="mixed"),
            cohort("second", "A", "experimental", 92, TOGETHER, "on treatment", population="mixed"),
            cohort("pilot", "C", "single", 54, (("progression",),)),
            cohort("now", "B", "control", 30),
            cohort("now", "C", "experimental", 60),
        ),
        GRID, ("progression", "death"), "now",
    )  # fmt: skip
    rng = np.random.default_rng(4)
    truth = priors.sample(empty, 1, rng=rng)
    return simulate_counts(cohort_log_hazard(truth, empty, priors)[0], empty, rng=rng)


RELATIONS = {
    "exchangeable": Exchangeable(),
    "by interval": Exchangeable("interval"),
    "robust": Robust(exchangeable=0.7),
    "robust by interval": Robust("interval", hazard_fold=5),
    "commensurate": Commensurate(),
    "spike and slab": Commensurate("spike-and-slab"),
    "power": Power(0.5, {"second": 0.2}),
}


@pytest.fixture(scope="module", params=RELATIONS)
def related(request, priors):
    return replace(priors, relation=RELATIONS[request.param])


def test_model_log_likelihood_equals_its_numpy_twin(trials, related):
    """The PyMC graph and NumPy agree at random parameters; with other data, and with a silent trial, too."""
    model = hierarchical_model(trials, related)
    names = [variable.name for variable in (*model.free_RVs, *model.deterministics)]
    outputs = [*model.logp(vars=model.observed_RVs, sum=False),
               *model.replace_rvs_by_values([model[name] for name in names])]  # fmt: skip
    function = model.compile_fn(outputs, inputs=model.value_vars, mode="FAST_COMPILE", on_unused_input="ignore")
    rng = np.random.default_rng(3)
    shapes = {name: np.shape(value) for name, value in model.initial_point().items()}
    of_trial = [trials.cohorts[a].trial for a, _, _ in trials.rows]
    for given in (trials, trials.without("first")):
        with model:
            for name, array in trials_data(given, related).items():
                model.set_data(name, array)
        for _ in range(3):
            point = {name: rng.normal(size=shape) for name, shape in shapes.items()}
            cells, *drawn = function(point)
            parameters = {name: np.asarray(value)[None] for name, value in zip(names, drawn, strict=True)}
            log_hazard = cohort_log_hazard(parameters, given, related)
            np.testing.assert_allclose(parameters["log_hazard"], log_hazard[:, -2:], rtol=1e-12, atol=1e-12)
            ours = [sum(cells[i] for i, mine in enumerate(of_trial) if mine == name) for name in trials.names]
            if len(related.relation.layers(related.between)) < 2:
                np.testing.assert_allclose(ours, log_likelihood(parameters, given, related)[0], rtol=1e-9, atol=1e-9)
                if related.relation == Exchangeable():
                    np.testing.assert_allclose(cells, cell_log_likelihood(log_hazard, given)[0], rtol=1e-10, atol=1e-10)
                continue
            ways = in_both_ways(point, parameters, given, related, lambda p: dict(zip(names, function(p)[1:], strict=True)))
            first = related.relation.first
            np.testing.assert_allclose(ours, np.logaddexp(ways[0] + np.log(first), ways[1] + np.log(1 - first)),
                                       rtol=1e-6, atol=1e-6)  # fmt: skip
            np.testing.assert_allclose(parameters["first_layer_probability"][0],
                                       expit(logit(first) + ways[0] - ways[1]), rtol=1e-5, atol=1e-9)  # fmt: skip


def in_both_ways(point, parameters, trials, priors, at):
    """Log likelihood of every trial, times the prior of its deviation over that of its coordinates, way by way.

    The Jacobian is by differences: each coordinate moves its own deviation first, and hazard ratios come after.
    """
    found = []
    for layer in ("trial", "apart"):
        of_layer = {**parameters, "first_layer": np.full((1, len(trials.names)), float(layer == "trial"))}
        total = log_likelihood(of_layer, trials, priors)[0]
        for kind, coordinate in (("hazard", "hazard_coordinate"), ("effect", "effect_coordinate")):
            name, y = f"{layer}_{kind}", point[coordinate]
            z = parameters[name][0]
            for index in np.ndindex(y.shape):
                moved = {**point, coordinate: y.copy()}
                moved[coordinate][index] += 1e-5
                slope = (at(moved)[name][index] - z[index]) / 1e-5
                trial = index[0] if kind == "hazard" else trials.names.index(trials.randomised[index[0]])
                total[trial] += 0.5 * (y[index] ** 2 - z[index] ** 2) + np.log(slope)
        found.append(total)
    return found


def test_prior_of_the_model_is_that_of_its_numpy_twin(trials, related):
    import pymc as pm

    model = hierarchical_model(trials, related)
    names = [name for name in ("log_hazard", "log_hazard_ratio") if name in model.named_vars]
    if "first_layer" in model.named_vars:  # it knows the data, so the prior of what it chooses is not drawn from it
        return
    with model:
        drawn = pm.draw([model[name] for name in names], draws=4000, random_seed=1, mode="FAST_COMPILE")
    log_hazard = cohort_log_hazard(related.sample(trials, 4000, rng=np.random.default_rng(2)), trials, related)[:, -2:]
    twin = (log_hazard, log_hazard[:, 1, :, 0] - log_hazard[:, 0, :, 0])
    for ours, theirs in zip(drawn, twin, strict=True):
        error = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / 4000)
        assert np.abs((ours.mean(axis=0) - theirs.mean(axis=0)) / error).max() < 4.5
        assert np.abs(np.log(ours.std(axis=0) / theirs.std(axis=0))).max() < 0.16


def test_a_contrast_reaches_its_regimen_by_every_step(priors):
    np.testing.assert_array_equal(priors.paths(), [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 0, 1]])


EARLIER, NOW = (60.0, 900.0), (8.0, 400.0)  # events and exposure


def exact(prior, scale=None, fixed=None, relation=None, earlier=EARLIER):
    """Mean and SD of the current log hazard by quadrature over typical hazard, SD between trials and both hazards.

    The SD between trials is half-normal with ``scale``, or ``fixed``. Under a robust relation also the probability
    that the earlier and the current trial are exchangeable.
    """
    x = np.linspace(-9, 1, 1200)[:, None, None]
    m = np.linspace(prior.mean - 5 * prior.sd, prior.mean + 5 * prior.sd, 120 if fixed is None else 1500)[:, None]
    tau = scale * np.linspace(0.004, 4.5, 150) if fixed is None else np.array([fixed])
    heavy = np.exp(-0.5 * (tau / scale) ** 2) if fixed is None else np.ones(1)
    around = np.exp(-0.5 * ((x - m) / tau) ** 2) / tau
    together = around
    if relation is not None:
        wide = np.log(relation.hazard_fold) / 1.959963984540054
        together = relation.exchangeable * around
        around = together + (1 - relation.exchangeable) * np.exp(-0.5 * ((x - m) / wide) ** 2) / wide
    likelihood = [np.exp(d * (x - np.log(max(d, 1) / e)) - e * np.exp(x) + d) for d, e in (earlier, NOW)]
    weight = np.exp(-0.5 * ((m - prior.mean) / prior.sd) ** 2) * heavy
    of_earlier, of_now = ((around * one).sum(axis=0) for one in likelihood)
    density = (around * weight * of_earlier).sum(axis=(1, 2)) * likelihood[1][:, 0, 0]
    mean = np.average(x.ravel(), weights=density)
    sd = np.sqrt(np.average((x.ravel() - mean) ** 2, weights=density))
    if relation is None:
        return mean, sd
    joint = (weight * of_earlier * of_now).sum()
    return mean, sd, [((together * one).sum(axis=0) * other * weight).sum() / joint
                      for one, other in ((likelihood[0], of_now), (likelihood[1], of_earlier))]


def alone(d, e, prior=None):
    """Mean and SD of the log hazard of one set of patients."""
    x = np.linspace(-9, 1, 4001)
    log_density = d * x - e * np.exp(x) - (0 if prior is None else 0.5 * ((x - prior.mean) / prior.sd) ** 2)
    weight = np.exp(log_density - log_density.max())
    mean = np.average(x, weights=weight)
    return mean, np.sqrt(np.average((x - mean) ** 2, weights=weight))


BASELINE = BaselinePrior(24, 96)


def test_limits_of_the_exact_answer():
    """As the SD between trials goes to 0 they pool, as it grows each stands alone."""
    pooled, single = alone(EARLIER[0] + NOW[0], EARLIER[1] + NOW[1], BASELINE), alone(*NOW)
    np.testing.assert_allclose(exact(BASELINE, fixed=0.02), pooled, atol=0.01)
    np.testing.assert_allclose(exact(BASELINE, fixed=50.0), single, atol=0.01)
    assert single[0] + 0.05 < exact(BASELINE, fixed=0.5)[0] < pooled[0] - 0.05


@pytest.mark.parametrize("fold", [1.0001, 2.5, 1e4])
def test_one_hazard_a_trial_is_exact(fold):
    """The sampler agrees with quadrature, and with pooling where the SD between trials is nothing."""
    import arviz as az

    from smm_bayes.inference import fit

    between = BetweenTrials(SpreadPrior(fold), SpreadPrior(1.5))
    arms = [Cohort(name, "none", "single", (("progression",),), np.array([[events]]), np.array([exposure]))
            for name, (events, exposure) in (("earlier", EARLIER), ("now", NOW))]  # fmt: skip
    trials = Trials(tuple(arms), TimeGrid(), ("progression",), "now")
    prior = TrialsPriors(SurvivalPriors({"progression": BASELINE}), (), "none", between)
    posterior = fit(hierarchical_model(trials, prior), seed=5, draws=4000, target_accept=0.99).posterior
    draws = posterior["log_hazard"].squeeze(drop=True)
    pooled, single = alone(EARLIER[0] + NOW[0], EARLIER[1] + NOW[1], BASELINE), alone(*NOW)
    mean, sd = pooled if fold < 1.001 else exact(BASELINE, between.hazard.scale)
    error = float(az.mcse(draws))
    assert abs(float(draws.mean()) - mean) < 4 * error
    assert float(draws.std()) == pytest.approx(sd, rel=0.05)
    for other in {pooled[0], single[0]} - {mean}:
        assert abs(float(draws.mean()) - other) > 10 * error  # a model that always pools, or never, would not pass


def test_an_arm_without_events_is_exact(tmp_path):
    """A pilot in which nobody progressed, from its table to the posterior of the current hazard: against quadrature."""
    from smm_bayes.borrowing.trials.history import read_cohorts
    from smm_bayes.inference import fit

    head = "reconstruction,patient,trial,arm,regimen,time,event,cause,censoring,provenance"
    rows = [f"1,{i},PILOT,all,old,{12 + i},0,,administrative,reconstructed" for i in range(12)]
    (tmp_path / "pilot.csv").write_text("\n".join([head, *rows]))
    (pilot,) = read_cohorts(tmp_path / "pilot.csv", "earlier", {"single": "old"}, [["progression"]], TimeGrid())
    now = Cohort("now", "old", "single", (("progression",),), np.array([[NOW[0]]]), np.array([NOW[1]]))
    trials = Trials((*pilot, now), TimeGrid(), ("progression",), "now")
    between = BetweenTrials(SpreadPrior(1.5), SpreadPrior(1.5))
    prior = TrialsPriors(SurvivalPriors({"progression": BASELINE}), (), "old", between)
    rate = np.array([0.01, 0.02])
    np.testing.assert_allclose(  # of no event in 210 patient-months the likelihood is exp(-210 λ)
        cell_log_likelihood(np.log(rate)[:, None, None, None].repeat(2, 1), trials)[:, 0], -210 * rate)  # fmt: skip
    posterior = fit(hierarchical_model(trials, prior), seed=5, draws=4000, target_accept=0.99).posterior
    draws = posterior["log_hazard"].squeeze(drop=True)
    mean, sd = exact(BASELINE, prior.between.hazard.scale, earlier=(0.0, 210.0))
    check_draws(draws, mean, sd)
    assert mean < alone(*NOW, BASELINE)[0] - 0.1  # a model that took no event for no information would not pass
    np.testing.assert_allclose(exact(BASELINE, fixed=0.02, earlier=(0.0, 210.0)), alone(NOW[0], NOW[1] + 210, BASELINE),
                               atol=0.01)  # fmt: skip


def two_trials(relation, between=None):
    arms = [Cohort(name, "none", "single", (("progression",),), np.array([[events]]), np.array([exposure]))
            for name, (events, exposure) in (("earlier", EARLIER), ("now", NOW))]  # fmt: skip
    trials = Trials(tuple(arms), TimeGrid(), ("progression",), "now")
    between = between or BetweenTrials(SpreadPrior(1.5), SpreadPrior(1.5))
    return trials, TrialsPriors(SurvivalPriors({"progression": BASELINE}), (), "none", between, relation=relation)


def check_draws(draws, mean, sd):
    import arviz as az

    assert abs(float(draws.mean()) - mean) < 4 * float(az.mcse(draws))
    assert float(draws.std()) == pytest.approx(sd, rel=0.06)


def test_a_robust_relation_is_exact():
    """With one hazard a trial: the current hazard, and which trials are exchangeable."""
    from smm_bayes.inference import fit

    relation = Robust(exchangeable=0.6, hazard_fold=10)
    trials, priors = two_trials(relation)
    posterior = fit(hierarchical_model(trials, priors), seed=5, draws=4000, target_accept=0.99).posterior
    mean, sd, shares = exact(BASELINE, priors.between.hazard.scale, relation=relation)
    check_draws(posterior["log_hazard"].squeeze(drop=True), mean, sd)
    assert min(shares) < 0.52  # the trials conflict, and it is said of them
    for index, share in enumerate(shares):
        for name in ("first_layer_probability", "first_layer"):
            draws = posterior[name].isel(trial=index)
            assert abs(float(draws.mean()) - share) < 4 * float(draws.std()) / 60
    without = exact(BASELINE, priors.between.hazard.scale)
    assert abs(mean - without[0]) > 0.1  # a model that is not robust would not pass


@pytest.mark.parametrize("relation", [Commensurate(), Commensurate("spike-and-slab", spike=0.7)])
def test_a_commensurate_relation_is_exact(relation):
    """With one hazard a trial, against quadrature over the current hazard and the discrepancy."""
    from smm_bayes.inference import fit

    trials, priors = two_trials(relation)
    x, delta = np.linspace(-9, 1, 3001), np.linspace(-6, 6, 2401)
    if relation.discrepancy == "half-normal":
        tau = priors.between.hazard.scale * np.linspace(0.002, 5, 800)[:, None]
        density = (np.exp(-0.5 * (delta / tau) ** 2) / tau * np.exp(-0.5 * (tau / priors.between.hazard.scale) ** 2))
        density = density.sum(axis=0)
    else:
        sd = np.log([relation.spike_fold, relation.slab_fold]) / 1.959963984540054
        parts = np.exp(-0.5 * (delta[:, None] / sd) ** 2) / sd
        density = parts @ [relation.spike, 1 - relation.spike]
    d, e = EARLIER
    earlier = x[:, None] + delta
    history = np.exp(d * (earlier - np.log(d / e)) - e * np.exp(earlier) + d) @ density
    log_now = NOW[0] * x - NOW[1] * np.exp(x) - 0.5 * ((x - BASELINE.mean) / BASELINE.sd) ** 2
    weight = history * np.exp(log_now - log_now.max())
    mean = np.average(x, weights=weight)
    posterior = fit(hierarchical_model(trials, priors), seed=5, draws=4000, target_accept=0.99).posterior
    check_draws(posterior["log_hazard"].squeeze(drop=True), mean, np.sqrt(np.average((x - mean) ** 2, weights=weight)))


def test_fixed_powers_pool_or_ignore():
    """Power 1 is pooling and 0 nothing, to quadrature."""
    from smm_bayes.inference import fit

    for relation, (d, e) in ((POOLED, (68, 1300)), (SEPARATE, NOW), (Power(0.5), (38, 850))):
        trials, priors = two_trials(relation)
        posterior = fit(hierarchical_model(trials, priors), seed=5, draws=2000).posterior
        check_draws(posterior["log_hazard"].squeeze(drop=True), *alone(d, e, BASELINE))


@pytest.mark.parametrize(("make", "message"), [
    (lambda: Robust(exchangeable=1.2), "exchangeable must be above 0 and below 1; got 1.2"),
    (lambda: Robust(hazard_fold=1.0), "hazard_fold must be above 1"),
    (lambda: Commensurate("flat"), "half-normal or spike-and-slab"),
    (lambda: Commensurate("spike-and-slab", spike_fold=20), "slab_fold must be above spike_fold, 20"),
    (lambda: Power(1.5), "power must be within"),
    (lambda: Power(0.5, {"first": -1}), "power of first must be within"),
])  # fmt: skip
def test_relations_refuse_what_names_no_distribution(make, message):
    with pytest.raises(SpecificationError, match=message):
        make()


def test_trials_that_do_not_fit_together_are_refused(trials, priors):
    some = trials.cohorts
    for bad, message in (
        ((some[0], *some[2:]), "'first' has the arms control"),
        (some[:-2], "must come last"),
        ((replace(some[0], series=(("progression",), ("relapse",))), *some[1:]), "counts relapse"),
    ):
        with pytest.raises(SpecificationError, match=message):
            replace(trials, cohorts=bad)
    with pytest.raises(SpecificationError, match="no trial third"):
        trials.without("third")
    with pytest.raises(SpecificationError, match=r"regimen 'D' has no contrast.*endpoint 'other' has no prior"):
        priors.check(replace(trials, cohorts=(*some[:4], replace(some[4], regimen="D", endpoint="other"), *some[5:])))
    with pytest.raises(SpecificationError, match="the first must be new"):
        replace(priors, contrasts=(Contrast("B", "nothing"),))
    with pytest.raises(SpecificationError, match="events must have shape"):
        replace(some[0], events=np.zeros((1, 5)))


def test_conflict_is_the_predictive_distribution():
    """One hazard a trial: with the earlier trial silent, its predicted events and p-value against quadrature."""
    from scipy.stats import poisson

    from smm_bayes.inference import fit

    trials, priors = two_trials(Exchangeable())
    posterior = fit(hierarchical_model(trials, priors), data=trials_data(trials.without("earlier"), priors), seed=3,
                    draws=4000, target_accept=0.99).posterior  # fmt: skip
    draws = {str(name): values.values.reshape(-1, *values.shape[2:]) for name, values in posterior.data_vars.items()}
    (whole, only) = conflicts(draws, [trials], priors, "earlier", rng=np.random.default_rng(1))
    assert (whole.interval, only.interval, whole.events) == ("all", "(0, inf)", 60.0)
    assert whole.p_value == only.p_value

    m = np.linspace(BASELINE.mean - 5 * BASELINE.sd, BASELINE.mean + 5 * BASELINE.sd, 241)
    tau = priors.between.hazard.scale * np.linspace(0.01, 4.5, 120)[:, None]
    x = np.linspace(-9, 1, 1201)
    spread = np.exp(-0.5 * ((x[:, None, None] - m) / tau) ** 2) / tau
    of_now = (spread * np.exp(NOW[0] * x - NOW[1] * np.exp(x) - NOW[0] * (np.log(NOW[0] / NOW[1]) - 1))[:, None, None]).sum(0)
    weight = of_now * np.exp(-0.5 * ((m - BASELINE.mean) / BASELINE.sd) ** 2 - 0.5 * (tau / priors.between.hazard.scale) ** 2)
    of_earlier = (spread * weight).sum((1, 2))
    mean = EARLIER[1] * np.exp(x)
    share = np.average(poisson.cdf(EARLIER[0] - 1, mean) + 0.5 * poisson.pmf(EARLIER[0], mean), weights=of_earlier)
    assert whole.p_value == pytest.approx(2 * min(share, 1 - share), abs=0.02)
    assert whole.lower < whole.predicted < whole.upper


def test_conflict_is_seen_and_its_absence_too():
    """A trial with ten times the events that the others predict has a p-value near 0; one that agrees, above 0.3."""
    trials, priors = two_trials(Exchangeable())
    draws = priors.sample(trials, 2000, rng=np.random.default_rng(1))
    draws["log_baseline"][:] = np.log(0.02)
    draws["between_hazard"][:] = 0.1
    for events, low, high in ((18.0, 0.3, 1.0), (180.0, 0.0, 1e-6)):
        seen = replace(trials.cohorts[0], events=np.array([[events]]))
        told = conflicts(draws, [replace(trials, cohorts=(seen, trials.cohorts[1]))], priors, "earlier",
                         rng=np.random.default_rng(2))  # fmt: skip
        assert all(low <= one.p_value <= high for one in told)


def test_information_is_in_events():
    rng = np.random.default_rng(5)
    log_hazard = np.log(rng.gamma(30, 1 / 900, size=(200_000, 1, 1)))
    assert information(log_hazard, np.array([[7.0]]))[0] == pytest.approx(1 / float(polygamma(1, 30)), rel=0.02)


def test_an_arm_against_its_prior():
    """A prior as narrow as a point: the p-value is that of a Poisson count."""
    from scipy.stats import poisson

    sharp = MultivariateNormalMixture([1], [np.log([0.02, 0.03])], [1e-12 * np.eye(2)], ("(0, 12]", "(12, inf)"))
    arm = Cohort("now", "old", "single", (("progression",),), np.array([[4.0, 9.0]]), np.array([300.0, 0.0 + 150.0]))
    whole, first, second = arm_conflicts(sharp, arm, rng=np.random.default_rng(1))
    for told, seen, mean in ((whole, 13, 10.5), (first, 4, 6.0), (second, 9, 4.5)):
        share = poisson.cdf(seen, mean) - 0.5 * poisson.pmf(seen, mean)
        assert told.p_value == pytest.approx(2 * min(share, 1 - share), rel=1e-4)
        assert told.predicted == pytest.approx(mean, abs=1)
