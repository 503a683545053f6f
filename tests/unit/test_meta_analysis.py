"""What a meta-analysis refuses, how its priors are stated, and what its values say."""

import numpy as np
import pytest

from smm_bayes.borrowing import (
    Fixed,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    LogNormal,
    Normal,
    Uniform,
    exchangeable_nonexchangeable,
    meta_analytic_combined,
    meta_analytic_predictive,
)
from smm_bayes.errors import SpecificationError

GOOD = {"responders": [3, 5, 0], "patients": [10, 12, 9]}


@pytest.mark.parametrize(("given", "said"), [
    ({}, "got none"),
    ({"responders": [1]}, "exactly one kind .* got responders$"),
    ({"responders": [1], "patients": [2], "events": [1]}, "got responders, patients, events"),
    ({"responders": [1], "exposure": [2]}, "got responders, exposure"),
    ({"responders": [], "patients": []}, "one number a trial"),
    ({"responders": [[1]], "patients": [[2]]}, "one number a trial"),
    ({"responders": [1, 2], "patients": [3]}, "responders has 2 values and patients 1"),
    ({"responders": ["a"], "patients": [3]}, "responders must be numbers"),
    ({"responders": [1, np.nan], "patients": [3, 4]}, "nan in position 2"),
    ({"responders": [5, 2.5, -1, 2], "patients": [4, 4, 4, 0]},
     "(?s)3 problems.*0 in position 4.*2.5 in position 2, -1 in position 3.*5 of 4 in position 1, 2 of 0 in position 4"),
    ({"events": [1, -2], "exposure": [0, 3]}, "(?s)-2 in position 2.*0 in position 1"),
    ({"estimates": [1, 2], "standard_errors": [0, 1]}, "standard_errors must be above 0; got 0 in position 1"),
    ({**GOOD, "names": ["a", "b"]}, "2 names for 3 trials"),
    ({**GOOD, "names": ["a", "b", "a"]}, "found twice: a"),
    ({**GOOD, "sd_prior": 1.0}, "sd_prior must be HalfNormal"),
    ({**GOOD, "mean_prior": HalfNormal(1)}, "mean_prior must be a Normal"),
    ({**GOOD, "strata": ["a", "b"]}, "2 labels for 3 trials"),
    ({**GOOD, "strata": ["a", "b", "b"]}, "say in new_stratum"),
    ({**GOOD, "strata": ["a", "b", "b"], "new_stratum": "c"}, "the strata are a, b"),
    ({**GOOD, "new_stratum": "c"}, "there are no strata"),
    ({**GOOD, "strata": ["a", "b", "b"], "new_stratum": "a", "sd_prior": {"a": HalfNormal(1)}}, "no prior for stratum b"),
    ({**GOOD, "strata": ["a", "b", "b"], "new_stratum": "a", "method": "quadrature"}, "Use method='mcmc'"),
    ({**GOOD, "covariates": {"x": [1, 2]}}, "one finite number a trial"),
    ({**GOOD, "covariates": [1, 2, 3]}, "covariates must map names"),
    ({**GOOD, "covariates": {"x": [1, 2, 3]}, "new_covariates": {"y": 1}}, "new_covariates names y"),
    ({**GOOD, "covariates": {"x": [1, 2, 3]}, "covariate_prior": HalfNormal(1)}, "covariate_prior of 'x'"),
    ({**GOOD, "method": "exact"}, "method must be quadrature or mcmc"),
    ({**GOOD, "draws": 100}, "draws: quadrature takes no such setting"),
])  # fmt: skip
def test_refused(given, said):
    with pytest.raises(SpecificationError, match=said):
        meta_analytic_predictive(**given)


@pytest.mark.parametrize(("given", "said"), [
    ({"responders": [3, 11], "patients": [10, 10]}, "11 of 10 in position 2"),
    ({"probability": 1.5}, "from 0, and at most 1"),
    ({"probability": [0.5, 0.5]}, "one a cohort \\(3\\)"),
    ({"probability": "a"}, "probability must be numbers"),
    ({"own_prior": [Normal(0, 1)]}, "1 priors for 3 cohorts"),
    ({"own_prior": HalfNormal(1)}, "own_prior must be a Normal"),
    ({"mean_prior": (Normal(), Normal(), Normal())}, "one or two exchangeable"),
    ({"mean_prior": (Normal(), Normal()), "probability": [0.7, 0.6]}, "at most 1 together"),
])  # fmt: skip
def test_refused_cohorts(given, said):
    with pytest.raises(SpecificationError, match=said):
        exchangeable_nonexchangeable(**{**GOOD, **given})


@pytest.mark.parametrize(("make", "said"), [
    (lambda: HalfNormal(0), "scale must be above 0"), (lambda: HalfCauchy(-1), "scale must be above 0"),
    (lambda: Normal(0, np.inf), "sd must be a finite number"), (lambda: Uniform(2, 1), "lower < upper"),
    (lambda: Uniform(-1, 1), "lower < upper"), (lambda: Fixed(-1), "0 or above"),
    (lambda: HalfStudentT(0, 1), "df must be above 0"), (lambda: LogNormal(0, 0), "sigma must be above 0"),
    (lambda: Normal(True, 1), "mean must be a finite number"), (lambda: Normal.unit_information(1), "between 0 and 1"),
])  # fmt: skip
def test_refused_priors(make, said):
    with pytest.raises(SpecificationError, match=said):
        make()


@pytest.mark.parametrize("prior", [
    HalfNormal(0.7), HalfCauchy(0.5), HalfStudentT(3, 0.4), LogNormal(-1, 0.5), Uniform(0.1, 2), Normal(1, 2),
], ids=lambda p: type(p).__name__)  # fmt: skip
def test_priors_are_distributions(prior):
    """Density, distribution function, quantiles and draws belong together."""
    p = np.array([0.01, 0.3, 0.5, 0.9])
    at = prior.quantile(p)
    np.testing.assert_allclose(prior.cdf(at), p, rtol=1e-9)
    np.testing.assert_allclose(prior.upper_quantile(1 - p), at, rtol=1e-9)
    middle = np.linspace(at[0], at[-1], 20001)
    heights = np.exp(prior.log_pdf(middle))
    assert np.sum((heights[1:] + heights[:-1]) / 2 * np.diff(middle)) == pytest.approx(0.89, abs=1e-6)
    draws = prior.sample(20000, rng=np.random.default_rng(1))
    assert np.mean(draws <= at[2]) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(20000))


def test_sd_priors_in_words():
    said = HalfNormal(1).words()
    assert "median 0.67 (substantial heterogeneity: 95 % of trials within 3.8-fold" in said
    assert "at most 2 (very large heterogeneity)" in said
    classes = HalfNormal(0.5).heterogeneity()
    assert list(classes) == ["small", "moderate", "substantial", "large", "very large"]
    assert sum(classes.values()) == pytest.approx(1)
    assert "no heterogeneity" in str(Fixed(0))
    unit = Normal.unit_information(0.2)
    assert (unit.mean, unit.sd) == pytest.approx((np.log(0.25), np.sqrt(1 / 0.2 + 1 / 0.8)))


def test_repr_is_a_sentence():
    said = repr(meta_analytic_predictive(**GOOD))
    assert said.startswith("Response rate of a new trial, from 3 trials, 8 responders of 31 patients (quadrature): mean ")
    assert "Priors: mean Normal(0, 2), SD HalfNormal(1)" in said
    combined = repr(meta_analytic_combined(4, 20, **GOOD))
    assert "trial with 4 of 20 of its own, from 4 trials" in combined
    cohorts = repr(exchangeable_nonexchangeable(**GOOD, names=["a", "b", "c"]))
    assert "a: 3 of 10; response rate" in cohorts


def test_what_should_be_known_is_said():
    assert "one trial cannot tell" in repr(meta_analytic_predictive(responders=[3], patients=[10]))
    far = meta_analytic_predictive(estimates=[-50, -45], standard_errors=[5, 5])
    assert "give a mean_prior that fits" in repr(far)
    assert meta_analytic_predictive(responders=[3], patients=[10], sd_prior=Fixed(0.3)).notes == ()


def test_moments_that_do_not_exist_are_infinite():
    """A rate is log-normal given the SD: under a half-normal with scale 1 it has no mean, and that is said."""
    data = {"events": [3, 5, 8], "exposure": [10, 9, 20]}
    none = meta_analytic_predictive(**data)
    assert (none.mean, none.sd) == (np.inf, np.inf)
    assert "the mean does not exist" in repr(none)
    one = meta_analytic_predictive(**data, sd_prior=HalfNormal(0.7))
    assert np.isfinite(one.mean)
    assert one.sd == np.inf
    assert np.isfinite(meta_analytic_predictive(**data, sd_prior=HalfNormal(0.4)).sd)
    single = meta_analytic_predictive(estimates=[0.1], standard_errors=[0.2], sd_prior=HalfCauchy(0.5))
    assert np.isfinite(single.mean)
    assert single.sd == np.inf
    assert single.between_trial_sd.sd == np.inf


def test_refused_new_data():
    prior = meta_analytic_predictive(**GOOD)
    with pytest.raises(SpecificationError, match="the new trial: 1 problem: responders must be at most"):
        prior.update(5, 4)
    with pytest.raises(SpecificationError, match="the new trial"):
        meta_analytic_combined(-1, 4, **GOOD)
    with pytest.raises(SpecificationError, match="probabilities within"):
        prior.quantile(1.2)
    with pytest.raises(SpecificationError, match="components"):
        prior.to_mixture(0)


def test_values_stay_as_they_are():
    prior = meta_analytic_predictive(**GOOD)
    with pytest.raises(AttributeError):
        prior.engine = None
    with pytest.raises(AttributeError):
        HalfNormal(1).scale = 2


def test_tables():
    frame = meta_analytic_predictive(**GOOD, names=["a", "b", "c"]).table()
    assert list(frame.index) == ["a", "b", "c", "typical trial", "new trial"]
    assert (frame["lower"] < frame["median"]).all()
    frame = exchangeable_nonexchangeable(**GOOD).table()
    assert list(frame["responders"]) == [3, 5, 0]
    assert frame["exchangeable"].between(0, 1).all()
