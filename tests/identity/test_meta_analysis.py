"""Meta-analyses at their limits, in other orders, and against their twins."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import check_grad
from scipy.special import expit
from scipy.stats import kstest, norm

from smm_bayes.borrowing import (
    Fixed,
    HalfCauchy,
    HalfNormal,
    LogNormal,
    Normal,
    Uniform,
    exchangeable_nonexchangeable,
    exchangeable_nonexchangeable_data,
    exchangeable_nonexchangeable_model,
    meta_analytic_combined,
    meta_analytic_data,
    meta_analytic_model,
    meta_analytic_predictive,
)
from smm_bayes.borrowing.meta_analysis.approximation import FAMILIES, _negative
from smm_bayes.borrowing.meta_analysis.kinds import Counts, Estimates, Responses
from smm_bayes.borrowing.meta_analysis.marginal import log_marginal
from smm_bayes.priors.mixtures import BetaMixture, GammaMixture, NormalMixture

RATES = {"responders": [23, 12, 19, 9, 0], "patients": [107, 44, 51, 39, 15]}
COUNTS = {"events": [3, 5, 0, 9], "exposure": [10.0, 5, 10, 8], "sd_prior": HalfNormal(0.4)}
MEANS = {"estimates": [-0.5, -0.2, 0.1, 0.3], "standard_errors": [0.2, 0.1, 0.3, 0.2]}
KINDS = {"binomial": (RATES, (7, 20)), "poisson": (COUNTS, (4, 6.0)), "normal": (MEANS, (0.2, 0.3))}
P = np.array([0.001, 0.025, 0.25, 0.5, 0.75, 0.975, 0.999])


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def test_marginal_likelihood_against_adaptive_quadrature():
    """The integral over a trial's own parameter, from tiny to huge standard deviations, and without responders."""
    cases = [Responses(("",), *np.array([[r], [n]], float)) for r, n in ((0, 5), (0, 400), (7, 40), (40, 40), (900, 3000))]
    cases += [Counts(("",), *np.array([[d], [e]])) for d, e in ((0.0, 3.0), (2.0, 0.1), (500.0, 1000.0))]
    cases += [Estimates(("",), np.array([0.3]), np.array([0.1]))]
    for data in cases:
        for mean in (-4.0, 0.0, 1.5):
            for sd in (1e-4, 0.2, 1.0, 5.0):
                def height(z, data=data, mean=mean, sd=sd):
                    return data.log_likelihood(mean + sd * np.atleast_1d(z)[:, None])[:, 0] - np.atleast_1d(z) ** 2 / 2

                z = np.linspace(-40, 40, 16001)
                top, at = height(z).max(), z[int(np.argmax(height(z)))]
                ends = np.unique(np.clip(at + np.array([-40, -8, -2, -0.5, -0.1, 0, 0.1, 0.5, 2, 8, 40]), -40, 40))
                exact = sum(quad(lambda x, height=height, top=top: np.exp(height(x) - top)[0], a, b, epsabs=1e-14)[0]
                            for a, b in pairwise(ends)) / np.sqrt(2 * np.pi)  # fmt: skip
                found = log_marginal(data, np.array([mean]), np.array([sd]))[0] - top
                assert np.exp(found) == pytest.approx(exact, rel=3e-6), (data, mean, sd)


def test_no_heterogeneity_pools(kind):
    """With an SD of 0, or nearly 0, the new trial's parameter is the pooled one: one integral of all the data."""
    data, _ = kind
    pooled = meta_analytic_predictive(**{**data, "sd_prior": Fixed(0)})
    summaries = pooled.analysis.summaries

    def height(theta):
        return summaries.log_likelihood(np.full(len(summaries), theta)).sum() + norm.logpdf(theta, 0, 2)

    theta = np.linspace(-6, 6, 12001)
    heights = np.array([height(x) for x in theta])
    weight = np.exp(heights - heights.max())
    weight /= weight.sum()
    value = summaries.respond(theta)
    mean = weight @ value
    assert pooled.mean == pytest.approx(mean, rel=1e-6)
    assert pooled.sd == pytest.approx(np.sqrt(weight @ (value - mean) ** 2), rel=1e-6)
    np.testing.assert_allclose(pooled.quantile(P), pooled.typical.quantile(P), rtol=1e-9)
    for trial in pooled.trials:
        assert trial.mean == pytest.approx(mean, rel=1e-6)
    nearly = meta_analytic_predictive(**{**data, "sd_prior": HalfNormal(1e-5)})
    np.testing.assert_allclose(nearly.quantile(P), pooled.quantile(P), rtol=2e-6, atol=1e-8)


def test_huge_heterogeneity_borrows_nothing():
    """With a huge SD a trial's posterior is its own likelihood: Beta(r, n - r) on a flat log odds, Gamma(d, E), N(y, s)."""
    huge = {"sd_prior": Fixed(2000), "mean_prior": Normal(0, 1)}
    for trial in meta_analytic_predictive(responders=[23, 12, 9], patients=[107, 44, 39], **huge).trials:
        r, n = (float(word) for word in trial.data.split(" of "))
        np.testing.assert_allclose(trial.quantile(P), BetaMixture([1], [r], [n - r]).quantile(P), rtol=2e-4)
    for trial in meta_analytic_predictive(events=[3, 9], exposure=[5, 8], **huge).trials:
        d, e = (float(word) for word in trial.data.split(" in "))
        np.testing.assert_allclose(trial.quantile(P), GammaMixture([1], [d], [e]).quantile(P), rtol=2e-4)
    for trial in meta_analytic_predictive(estimates=[0.3, 2], standard_errors=[0.2, 0.3], **huge).trials:
        assert trial.mean == pytest.approx(trial.estimate, rel=1e-5)


def test_order_of_trials_does_not_matter(kind):
    data, _ = kind
    turn = [2, 0, 3, 1]
    first, second = (meta_analytic_predictive(**{
        name: [values[j] for j in order] if isinstance(values, list) else values for name, values in data.items()
    }) for order in (range(4), turn))  # fmt: skip
    np.testing.assert_allclose(first.quantile(P), second.quantile(P), rtol=1e-7, atol=1e-9)
    for at, j in enumerate(turn):
        assert second.trials[at].mean == pytest.approx(first.trials[j].mean, rel=1e-7)


def test_combined_analysis_is_the_updated_prior(kind):
    """Two routes: one surface of all trials, and the earlier trials' prior times the new trial's likelihood."""
    data, new = kind
    prior, combined = meta_analytic_predictive(**data), meta_analytic_combined(*new, **data)
    updated = prior.update(*new)
    np.testing.assert_allclose(combined.quantile(P), updated.quantile(P), rtol=1e-6, atol=1e-7)
    assert combined.mean == pytest.approx(updated.mean, rel=1e-7)
    assert combined.sd == pytest.approx(updated.sd, rel=1e-6)
    others = {name: values[:-1] if isinstance(values, list) else values for name, values in data.items()}
    columns = [values[-1] for values in data.values() if isinstance(values, list)]
    last = meta_analytic_combined(*columns, **others)
    np.testing.assert_allclose(prior.trials[-1].quantile(P), last.quantile(P), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(prior.between_trial_sd.quantile(P), last.between_trial_sd.quantile(P), rtol=1e-6)


def test_prior_and_data_that_disagree_are_combined_too():
    """The tail of the prior, where no mixture would be trusted."""
    data = {"responders": [40, 45, 38], "patients": [100, 100, 100]}
    combined, prior = meta_analytic_combined(39, 40, **data), meta_analytic_predictive(**data)
    np.testing.assert_allclose(combined.quantile(P), prior.update(39, 40).quantile(P), rtol=2e-6)


@pytest.mark.parametrize("sd_prior", [HalfNormal(0.3), HalfCauchy(2), LogNormal(-1, 0.7), Uniform(0.1, 1.5)],
                         ids=lambda p: type(p).__name__)  # fmt: skip
def test_distribution_belongs_together(sd_prior):
    prior = meta_analytic_predictive(**{**RATES, "sd_prior": sd_prior})
    for found in (prior, prior.between_trial_sd, prior.typical, prior.trials[4], prior.update(3, 10)):
        at = found.quantile(P)
        np.testing.assert_allclose(found.cdf(at), P, atol=1e-9)
        inner = np.linspace(at[1], at[-2], 4001)
        heights = found.pdf(inner)
        assert np.sum((heights[1:] + heights[:-1]) / 2 * np.diff(inner)) == pytest.approx(0.95, abs=2e-5)
        p = (np.arange(20000) + 0.5) / 20000
        assert found.quantile(p).mean() == pytest.approx(found.mean, rel=2e-3)
    assert prior.cdf(-0.1) == 0
    assert prior.cdf(1.1) == 1
    assert prior.pdf(1.1) == 0


def test_mean_is_the_average_of_trials_given_nothing_else():
    """In closed form given the SD: with normal estimates and a fixed SD the shrunken estimates are known."""
    y, s = np.array(MEANS["estimates"]), np.array(MEANS["standard_errors"])
    sd, prior = 0.25, Normal(0.1, 0.5)
    found = meta_analytic_predictive(**MEANS, sd_prior=Fixed(sd), mean_prior=prior)
    weight = 1 / (s**2 + sd**2)
    precision = weight.sum() + prior.sd**-2
    mean = (weight @ y + prior.mean * prior.sd**-2) / precision
    assert found.mean == pytest.approx(mean, rel=1e-9)
    assert found.sd == pytest.approx(np.sqrt(1 / precision + sd**2), rel=1e-9)
    shrink = s**2 * weight
    for j, trial in enumerate(found.trials):
        assert trial.mean == pytest.approx(shrink[j] * mean + (1 - shrink[j]) * y[j], rel=1e-8)
        variance = (1 - shrink[j]) * s[j] ** 2 + shrink[j] ** 2 / precision
        assert trial.sd == pytest.approx(np.sqrt(variance), rel=1e-7)


def test_covariate_that_is_always_the_same():
    """Adds nothing at its value; elsewhere only the width of its prior."""
    data = {"estimates": MEANS["estimates"], "standard_errors": MEANS["standard_errors"], "sd_prior": HalfNormal(0.5)}
    plain = meta_analytic_predictive(**data, mean_prior=Normal(0, np.hypot(2, 3 * 0.7)))
    there = meta_analytic_predictive(**data, covariates={"x": [3] * 4}, covariate_prior=Normal(0, 0.7),
                                     new_covariates={"x": 3})  # fmt: skip
    np.testing.assert_allclose(there.quantile(P), plain.quantile(P), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(there.trials[0].quantile(P), plain.trials[0].quantile(P), rtol=1e-6, atol=1e-7)
    zero = meta_analytic_predictive(**RATES, covariates={"x": [0] * 5})
    np.testing.assert_allclose(zero.quantile(P), meta_analytic_predictive(**RATES).quantile(P), rtol=1e-6)


def test_covariate_in_closed_form():
    """With a fixed SD and normal estimates it is a Bayesian linear regression."""
    y, s, x = np.array(MEANS["estimates"]), np.array(MEANS["standard_errors"]), np.array([0.0, 1, 2, 5])
    found = meta_analytic_predictive(**MEANS, sd_prior=Fixed(0.3), covariates={"x": x}, covariate_prior=Normal(0.2, 0.4),
                                     new_covariates={"x": 4})  # fmt: skip
    design, weight = np.column_stack([np.ones(4), x]), 1 / (s**2 + 0.09)
    precision = np.diag([0.25, 0.4**-2]) + (design.T * weight) @ design
    mean = np.linalg.solve(precision, design.T @ (weight * y) + [0, 0.2 * 0.4**-2])
    row = np.array([1.0, 4])
    assert found.mean == pytest.approx(row @ mean, rel=1e-7)
    assert found.sd == pytest.approx(np.sqrt(row @ np.linalg.solve(precision, row) + 0.09), rel=1e-7)


def test_mixture_stands_for_the_distribution(kind):
    """Its distribution function is within 0.01, and after new data still within 0.02; more components come nearer."""
    data, new = kind
    prior = meta_analytic_predictive(**data)
    mixture = prior.to_mixture()
    assert type(mixture) in (BetaMixture, GammaMixture, NormalMixture)
    at = prior.quantile(np.linspace(0.01, 0.99, 99))
    worst = [np.abs(prior.to_mixture(size).cdf(at) - prior.cdf(at)).max() for size in (1, 2, 3)]
    assert worst[0] > worst[1] > worst[2]
    assert np.abs(mixture.cdf(at) - prior.cdf(at)).max() < 0.01
    exact = prior.update(*new)
    at = exact.quantile(np.linspace(0.01, 0.99, 99))
    assert np.abs(mixture.update(*new).cdf(at) - exact.cdf(at)).max() < 0.02


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
def test_gradient_of_the_fit(family):
    values, masses = np.linspace(0.05, 0.9, 9), np.full(9, 1 / 9)
    x = np.array([0.2, -0.1, 0.3, 0.5, 0.1, -0.4])
    settings = (values, masses, FAMILIES[family][0], 2)
    error = check_grad(lambda x: _negative(x, *settings)[0], lambda x: _negative(x, *settings)[1], x)
    assert error < 1e-6


def test_exnex_between_its_limits():
    """Surely exchangeable it is the meta-analysis, surely not each cohort alone; the distributions' names do not matter."""
    r, n = [3, 1, 8, 0, 2], [13, 10, 14, 7, 12]
    sure, meta = exchangeable_nonexchangeable(r, n, probability=1), meta_analytic_predictive(responders=r, patients=n)
    for cohort, trial in zip(sure.cohorts, meta.trials, strict=True):
        np.testing.assert_allclose(cohort.quantile(P), trial.quantile(P), rtol=2e-6)
        assert cohort.exchangeable == pytest.approx(1, abs=1e-9)
    assert sure.between_cohort_sd[0].mean == pytest.approx(meta.between_trial_sd.mean, rel=1e-7)
    own = Normal(-1, 1.5)
    for cohort, k in zip(exchangeable_nonexchangeable(r, n, probability=0, own_prior=own).cohorts, range(5), strict=True):
        alone = meta_analytic_predictive(responders=[r[k]], patients=[n[k]], mean_prior=own, sd_prior=Fixed(0))
        np.testing.assert_allclose(alone.cdf(cohort.quantile(P)), P, atol=1e-6)
        assert cohort.borrowed == 0
    two = (Normal(-1, 1.5), Normal(0.5, 1))
    swapped = [exchangeable_nonexchangeable(r, n, probability=p, mean_prior=m).cohorts
               for p, m in (([0.2, 0.5], two), ([0.5, 0.2], two[::-1]))]  # fmt: skip
    for one, other in zip(*swapped, strict=True):
        np.testing.assert_allclose(one.memberships, other.memberships[::-1], rtol=1e-5)
        assert one.mean == pytest.approx(other.mean, rel=1e-5)
    single = exchangeable_nonexchangeable(r, n).cohorts
    padded = exchangeable_nonexchangeable(r, n, probability=[0.5, 0.0], mean_prior=(Normal(), Normal(3, 1))).cohorts
    for one, other in zip(single, padded, strict=True):
        assert one.exchangeable == pytest.approx(other.exchangeable, rel=1e-5)
        np.testing.assert_allclose(one.quantile(P), other.quantile(P), rtol=1e-5)


def test_exnex_of_two_arms_that_agree_borrows():
    """Two arms of one trial: alike, they borrow and lean to being exchangeable; far apart, they do so much less."""
    alike = exchangeable_nonexchangeable([12, 13], [30, 30], sd_prior=HalfNormal(0.5)).cohorts
    apart = exchangeable_nonexchangeable([3, 27], [30, 30], sd_prior=HalfNormal(0.5)).cohorts
    assert alike[0].borrowed > 5
    assert alike[0].exchangeable > 0.5 > apart[0].exchangeable


def twin_of(model, free):
    """Log densities of a model with its data, as a function of free variables on their own scale."""
    values = model.replace_rvs_by_values([model[name] for name in free])
    terms = model.logp(vars=[*model.free_RVs, *model.observed_RVs], jacobian=False, sum=False)
    return model.compile_fn([*terms, *values], inputs=model.value_vars, mode="FAST_COMPILE", on_unused_input="ignore")


def assert_twin(model, baskets, likelihood, data, rng):
    """Prior and likelihood of the PyMC model equal the NumPy twin's at random parameters."""
    free = [variable.name for variable in model.free_RVs]
    names = ["mean", "coefficient", "between_trial_sd", "between_cohort_sd", "deviation", "own_deviation"]
    every = [name for name in names if name in model.named_vars]
    function = twin_of(model, every)
    with model:
        for name, values in data.items():
            model.set_data(name, values)
    shapes = {name: np.shape(value) for name, value in model.initial_point().items()}
    for _ in range(3):
        found = function({name: rng.normal(size=shape) for name, shape in shapes.items()})
        terms, drawn = found[: len(free) + 1], found[len(free) + 1 :]
        parameters = {name: np.asarray(value)[None] for name, value in zip(every, drawn, strict=True)}
        parameters.setdefault("coefficient", np.zeros((1, 0)))
        np.testing.assert_allclose(sum(term.sum() for term in terms[:-1]), baskets.log_prior(parameters)[0],
                                   rtol=1e-9)  # PyMC's half-normal has its constant to nine digits  # fmt: skip
        np.testing.assert_allclose(terms[-1], likelihood(parameters)[0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", [*KINDS, "strata"])
def test_model_equals_its_twin(name):
    rng = np.random.default_rng(5)
    data = dict(KINDS.get(name, (RATES, None))[0])
    if name == "strata":
        data |= {"strata": list("aabba"), "new_stratum": "b", "sd_prior": {"a": HalfNormal(1), "b": LogNormal(-1, 1)},
                 "covariates": {"x": np.arange(5.0), "y": [1, 0, 0, 1, 0]}, "method": "mcmc"}  # fmt: skip
        from smm_bayes.borrowing import MetaAnalysis

        analysis = MetaAnalysis.read(
            meta_analytic_predictive(**RATES).analysis.summaries, mean_prior=Normal(),
            **{key: data[key] for key in ("strata", "new_stratum", "sd_prior", "covariates")},
        )  # fmt: skip
    else:
        analysis = meta_analytic_predictive(**data).analysis
    model = meta_analytic_model(analysis)
    other = analysis.simulate(analysis.sample_prior(1, rng=rng), rng=rng)
    assert_twin(model, other, other.log_likelihood, meta_analytic_data(other), rng)


@pytest.mark.parametrize("two", [False, True])
def test_exnex_model_equals_its_twin(two):
    rng = np.random.default_rng(6)
    extra = {"mean_prior": (Normal(-1, 1), Normal(1, 1)), "probability": [0.3, 0.4],
             "sd_prior": (HalfNormal(1), HalfCauchy(0.5))} if two else {"probability": [0.2, 0.5, 0.9, 0.7]}  # fmt: skip
    baskets = exchangeable_nonexchangeable([3, 1, 8, 0], [13, 10, 14, 7], **extra).baskets
    other = baskets.simulate(baskets.sample_prior(1, rng=rng), rng=rng)
    model = exchangeable_nonexchangeable_model(baskets)
    assert_twin(model, other, other.log_likelihood, exchangeable_nonexchangeable_data(other), rng)


def test_simulated_trials_are_calibrated_and_a_wrong_prior_is_not():
    """Parameters drawn from the prior are anywhere in their posteriors: 60 meta-analyses, by Kolmogorov-Smirnov."""
    rng = np.random.default_rng(8)
    shape = {"responders": [0] * 5, "patients": [40, 60, 25, 80, 50]}
    right = meta_analytic_predictive(**shape).analysis
    wrong = meta_analytic_predictive(**shape, sd_prior=HalfNormal(0.2)).analysis
    at = {"right": [], "wrong": []}
    from smm_bayes.borrowing.meta_analysis.engines import Quadrature
    from smm_bayes.borrowing.meta_analysis.predictive import MetaAnalyticPredictive

    for _ in range(60):
        truth = right.sample_prior(1, rng=rng)
        new = expit(rng.normal(truth["mean"][0], truth["between_trial_sd"][0, 0]))
        data = right.simulate(truth, rng=rng).summaries
        for name, analysis in (("right", right), ("wrong", wrong)):
            given = analysis.with_summaries(data)
            prior = MetaAnalyticPredictive(given, Quadrature(given))
            at[name].append([prior.cdf(new), prior.between_trial_sd.cdf(truth["between_trial_sd"][0, 0]),
                             prior.population_mean.cdf(truth["mean"][0])])  # fmt: skip
    right_p, wrong_p = ([kstest(column, "uniform").pvalue for column in np.array(at[name], float).T] for name in at)
    assert min(right_p) > 0.01
    assert min(wrong_p) < 1e-6
