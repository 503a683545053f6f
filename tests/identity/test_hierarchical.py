"""The model of several trials: against its NumPy twin, and at its limits against exact answers."""

from dataclasses import replace

import numpy as np
import pytest

from smm_bayes.borrowing import BetweenTrials, Cohort, Contrast, Trials, TrialsPriors, hierarchical_model, trials_data
from smm_bayes.borrowing.trials.hierarchical import cell_log_likelihood, cohort_log_hazard, simulate_counts
from smm_bayes.errors import SpecificationError
from smm_bayes.survival import BaselinePrior, HazardRatioPrior, SpreadPrior, SurvivalPriors, TimeGrid

GRID = TimeGrid((6, 12, 24, 36))
APART, TOGETHER = (("progression",), ("death",)), (("progression", "death"),)


def cohort(trial, regimen, role, size, series=APART, endpoint="", grid=GRID):
    exposure = size * np.array([5.5, 5.0, 8.0, 7.0, 4.0])[: len(grid)]
    return Cohort(trial, regimen, role, series, np.zeros((len(series), len(grid))), exposure, endpoint)


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
    return TrialsPriors(survival, contrasts, "none", endpoints={"end-organ": HazardRatioPrior(1.3, 1.6)})


@pytest.fixture(scope="module")
def trials(priors):
    """Two randomised trials, one that counts both causes together, a single arm and the current trial."""
    empty = Trials(
        (
            cohort("first", "none", "control", 62, endpoint="end-organ"),
            cohort("first", "B", "experimental", 57, endpoint="end-organ"),
            cohort("second", "none", "control", 90, TOGETHER, "end-organ"),
            cohort("second", "A", "experimental", 92, TOGETHER, "end-organ"),
            cohort("pilot", "C", "single", 54, (("progression",),)),
            cohort("now", "B", "control", 30),
            cohort("now", "C", "experimental", 60),
        ),
        GRID, ("progression", "death"), "now",
    )  # fmt: skip
    rng = np.random.default_rng(4)
    truth = priors.sample(empty, 1, rng=rng)
    return simulate_counts(cohort_log_hazard(truth, empty, priors)[0], empty, rng=rng)


def parameters_of(model):
    names = ["log_baseline", "between_hazard", "trial_hazard", "between_effect", "trial_effect", "log_contrast",
             "other_effect", "endpoint_offset"]  # fmt: skip
    return names, model.replace_rvs_by_values([model[name] for name in names])


def test_model_log_likelihood_equals_its_numpy_twin(trials, priors):
    """The PyMC graph and NumPy agree at random parameters; with other data, and with a silent trial, too."""
    model = hierarchical_model(trials, priors)
    names, values = parameters_of(model)
    outputs = [*model.logp(vars=model.observed_RVs, sum=False), *model.replace_rvs_by_values([model["log_hazard"]])]
    function = model.compile_fn([*outputs, *values], inputs=model.value_vars, mode="FAST_COMPILE",
                                on_unused_input="ignore")  # fmt: skip
    rng = np.random.default_rng(3)
    shapes = {name: np.shape(value) for name, value in model.initial_point().items()}
    for given in (trials, trials.without("first")):
        with model:
            for name, array in trials_data(given, priors).items():
                model.set_data(name, array)
        for _ in range(3):
            point = {name: rng.normal(size=shape) for name, shape in shapes.items()}
            cells, current, *drawn = function(point)
            parameters = {name: np.asarray(value)[None] for name, value in zip(names, drawn, strict=True)}
            log_hazard = cohort_log_hazard(parameters, given, priors)
            np.testing.assert_allclose(current, log_hazard[0, -2:], rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(cells, cell_log_likelihood(log_hazard, given)[0], rtol=1e-10, atol=1e-10)


def test_prior_of_the_model_is_that_of_its_numpy_twin(trials, priors):
    import pymc as pm

    model = hierarchical_model(trials, priors)
    with model:
        drawn = pm.draw(
            [model["log_hazard"], model["log_hazard_ratio"]], draws=4000, random_seed=1, mode="FAST_COMPILE"
        )
    log_hazard = cohort_log_hazard(priors.sample(trials, 4000, rng=np.random.default_rng(2)), trials, priors)[:, -2:]
    twin = (log_hazard, log_hazard[:, 1, :, 0] - log_hazard[:, 0, :, 0])
    for ours, theirs in zip(drawn, twin, strict=True):
        error = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / 4000)
        assert np.abs((ours.mean(axis=0) - theirs.mean(axis=0)) / error).max() < 4.5
        assert np.abs(np.log(ours.std(axis=0) / theirs.std(axis=0))).max() < 0.16


def test_a_contrast_reaches_its_regimen_by_every_step(priors):
    np.testing.assert_array_equal(priors.paths(), [[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 0, 1]])


EARLIER, NOW = (60.0, 900.0), (8.0, 400.0)  # events and exposure


def exact(prior, scale=None, fixed=None):
    """Mean and SD of the current log hazard by quadrature over typical hazard, SD between trials and both hazards.

    The SD between trials is half-normal with ``scale``, or ``fixed``.
    """
    x = np.linspace(-9, 1, 1200)[:, None, None]
    m = np.linspace(prior.mean - 5 * prior.sd, prior.mean + 5 * prior.sd, 120 if fixed is None else 1500)[:, None]
    tau = scale * np.linspace(0.004, 4.5, 150) if fixed is None else np.array([fixed])
    heavy = np.exp(-0.5 * (tau / scale) ** 2) if fixed is None else np.ones(1)
    around = np.exp(-0.5 * ((x - m) / tau) ** 2) / tau
    likelihood = [np.exp(d * (x - np.log(d / e)) - e * np.exp(x) + d) for d, e in (EARLIER, NOW)]
    weight = np.exp(-0.5 * ((m - prior.mean) / prior.sd) ** 2) * heavy
    of_earlier = (around * likelihood[0]).sum(axis=0)
    density = (around * weight * of_earlier).sum(axis=(1, 2)) * likelihood[1][:, 0, 0]
    mean = np.average(x.ravel(), weights=density)
    return mean, np.sqrt(np.average((x.ravel() - mean) ** 2, weights=density))


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
