"""Keys of spec.toml, each against a closed form: patients' MRD, and surrogacy across trials."""

from __future__ import annotations

import csv
import datetime
import math

import numpy as np
import pytest
import xarray as xr

from smm_bayes.errors import SmmBayesError, SpecificationError
from smm_bayes.evidence import load_facts
from smm_bayes.surrogacy.across import AcrossTrials, Relation, TrialPairs
from smm_bayes.surrogacy.joint import JointLaw

DRAWS = 20_000
checks = pytest.mark.checks_key
START = datetime.date(2020, 1, 1)
MRD = {
    "visits": [4, 9], "before": 0.5, "after": 0.5, "sensitivity": 1e-5,
    "prior": {"hazard_ratio": {"progression": {"median": 0.5, "upper": 1.5}}},
}  # fmt: skip
PAIRS = ["perseus-003", "perseus-004", "cepheus-003", "cepheus-004", "gmmg-hd7-003", "gmmg-hd7-004", "ikema-003",
         "ikema-004", "candor-003", "candor-004"]  # fmt: skip
# patient, day of the sample, result, limit, assay
SAMPLES = [("000", 122, "NEGATIVE", 1e-5, "flow"), ("001", 122, "POSITIVE", 1e-5, "flow"),
           ("002", 150, "NEGATIVE", 1e-5, "flow"), ("040", 110, "NEGATIVE", 1e-5, "flow"),
           ("041", 122, "NEGATIVE", 1e-5, "sequencing"), ("003", 122, "POSITIVE", 1e-4, "flow")]  # fmt: skip


def assert_quantile(draws: np.ndarray, probability: float, value: float) -> None:
    error = math.sqrt(probability * (1 - probability) / len(draws))
    assert abs(np.mean(draws <= value) - probability) < 4 * error


@pytest.fixture
def joint(spec_file):
    """Inputs of a specification with patients' MRD, some keys of section mrd changed."""
    spec_file.followed(30)

    def make(spec: dict | None = None, **changes):
        with (spec_file.folder / "mrd.csv").open("w", newline="") as target:
            writer = csv.writer(target)
            writer.writerow(["USUBJID", "MRDTM", "MRDTMU", "MRDRES", "MRDSENS", "MRDASSAY"])
            writer.writerows([name, day, "DAY", result, limit, assay] for name, day, result, limit, assay in SAMPLES)
        return spec_file.inputs({"snapshot.mrd": "mrd.csv", **(spec or {})}, mrd=MRD | changes)

    return make


def status(inputs, name: str, visit: int = 0) -> int:
    """1 negative, 0 positive, -1 missing."""
    return int(inputs.joint.status.code[list(inputs.patients.patient).index(name), visit])


@checks("mrd.visits", "mrd.before", "mrd.after")
def test_a_sample_counts_in_the_window_of_its_visit(joint) -> None:
    """Day 110 is 3.61 months and day 150 is 4.93: both are outside of 4 ± 0.3, inside of a wider window."""
    narrow = joint(before=0.3, after=0.5)
    assert [status(narrow, name) for name in ("000", "001", "002", "040")] == [1, 0, -1, -1]
    assert [status(joint(before=0.4, after=0.5), name) for name in ("002", "040")] == [-1, 1]
    assert [status(joint(before=0.3, after=0.95), name) for name in ("002", "040")] == [1, -1]
    assert status(joint(visits=[5, 9]), "002") == 1
    assert joint().joint.status.code.shape[1] == 2


@checks("mrd.sensitivity", "mrd.assay")
def test_results_of_one_assay_and_limit(joint) -> None:
    assert status(joint(assay="flow"), "041") == -1
    assert status(joint(), "041") == 1
    with pytest.raises(SmmBayesError, match="sequencing2"):
        joint(assay="sequencing2")
    assert [status(joint(), name) for name in ("000", "001", "003")] == [1, 0, 0]
    coarser = joint(sensitivity=1e-4)  # negative at 1e-5 is negative at 1e-4; positive at 1e-5 says nothing of it
    assert [status(coarser, name) for name in ("000", "001", "003")] == [1, -1, 0]


@checks("mrd.prior.hazard_ratio.median", "mrd.prior.hazard_ratio.upper", "mrd.prior.share.median",
        "mrd.prior.share.upper", "mrd.prior.odds_ratio.median", "mrd.prior.odds_ratio.upper",
        "mrd.prior.persistence.median", "mrd.prior.persistence.upper")  # fmt: skip
def test_priors_of_mrd(joint) -> None:
    prior = {"hazard_ratio": {"progression": {"median": 0.6, "upper": 1.7}}, "share": {"median": 0.15, "upper": 0.6},
             "odds_ratio": {"median": 3.0, "upper": 25.0}, "persistence": {"median": 11.0, "upper": 300.0}}  # fmt: skip
    drawn = joint(prior=prior).joint.priors.sample(("progression", "death"), 2, 2, DRAWS, rng=np.random.default_rng(2))
    share = 1 / (1 + np.exp(-drawn["status_level"][:, 0]))
    for values, stated in (
        (np.exp(drawn["log_mrd_hazard_ratio"][:, 0]), prior["hazard_ratio"]["progression"]), (share, prior["share"]),
        (np.exp(drawn["status_log_odds_ratio"][:, 1]), prior["odds_ratio"]),
        (np.exp(drawn["status_persistence"][:, 0]), prior["persistence"]),
    ):  # fmt: skip
        assert_quantile(values, 0.5, stated["median"])
        assert_quantile(values, 0.975, stated["upper"])


@checks("mrd.effect.kind", "mrd.effect.half_life.median", "mrd.effect.half_life.upper")
@pytest.mark.parametrize("kind", ["fading", "lost"])
def test_effect_of_mrd_over_time(joint, kind: str) -> None:
    """The mean over (3, 12] months after a visit, by numerical integration of what the kind says."""
    effect = joint(effect={"kind": kind, "half_life": {"median": 20, "upper": 70}}).joint.priors.effect
    half_life = np.exp(effect.sample(2, DRAWS, rng=np.random.default_rng(1))["log_mrd_half_life"])
    assert_quantile(half_life, 0.5, 20)
    assert_quantile(half_life, 0.975, 70)
    since, until, ratio = np.array([3.0]), np.array([12.0]), math.log(0.4)
    still = np.mean(0.5 ** ((3 + (np.arange(90_000) + 0.5) / 1e4) / 20))
    expected = ratio * still if kind == "fading" else math.log(1 - still + still * 0.4)
    found = effect.log_ratio(np.array([ratio]), np.array([math.log(20)]), since, until)
    assert found[0] == pytest.approx(expected, rel=1e-7)


@checks("mrd.effect.interaction.median", "mrd.effect.interaction.upper")
def test_effect_of_mrd_by_arm(joint) -> None:
    effect = joint(effect={"interaction": {"median": 1.2, "upper": 2.1}}).joint.priors.effect
    drawn = np.exp(effect.sample(2, DRAWS, rng=np.random.default_rng(1))["log_mrd_interaction"])
    assert_quantile(drawn, 0.5, 1.2)
    assert_quantile(drawn, 0.975, 2.1)


def prior_posterior(inputs, draws: int = 6) -> xr.Dataset:
    """Prior draws in the place of a posterior, one chain."""
    model, rng = inputs.joint, np.random.default_rng(8)
    shape = model.table.shape
    found = model.priors.sample(shape.causes, len(shape.months), len(shape.arms), draws, rng=rng)
    log_hazard = model.base.prior(draws, rng=rng)["log_hazard"]
    dims = {"status_level": ("visit",), "status_log_odds_ratio": ("visit",), "status_persistence": ("later",),
            "log_mrd_hazard_ratio": ("acting",), "log_odds_missing": ("visit",)}  # fmt: skip
    variables = {name: (("chain", "draw", *dims.get(name, ())), values[None]) for name, values in found.items()}
    return xr.Dataset(variables | {"log_hazard": (("chain", "draw", "arm", "cause", "interval"), log_hazard[None])})


@checks("mrd.missing_log_odds")
def test_a_missing_result_tells_of_the_status(joint) -> None:
    """Odds of a missing result are e^1.5 as large among the negative: the ratio of the two weights of a missing one."""
    inputs = joint(missing_log_odds=1.5)
    posterior = prior_posterior(inputs)
    law = inputs.joint.law(posterior)
    weight = inputs.joint.known(posterior)
    who = list(inputs.patients.patient).index("005")  # nothing known at either visit
    base = posterior["log_odds_missing"].mean(("chain", "draw")).values
    missing = 1 / (1 + np.exp(-(base + 1.5 * law.states)))
    assert weight[who] - weight[who][0] == pytest.approx(np.log(missing).sum(axis=1) - np.log(missing[0]).sum())


@checks("mrd.milestone.month", "mrd.milestone.delta_min")
def test_milestone(joint) -> None:
    """The difference in survival at the month, of everyone; a proportion only where it is above delta_min."""
    from smm_bayes.analysis.mrd.result import _milestone

    found = {}
    for month, least in ((24, 0.0), (36, 0.0), (36, 0.9)):
        inputs = joint(milestone={"month": month, "delta_min": least})
        law = inputs.joint.law(prior_posterior(inputs, 60))
        found[month, least] = _milestone(law, inputs.spec.mrd.milestone)
        survival = law.survival(float(month))
        difference = np.median((survival[..., 1, 0] - survival[..., 0, 0]).ravel())
        assert found[month, least].difference.median == pytest.approx(difference, abs=1e-9)
        assert found[month, least].month == month
    assert "0.9" in found[36, 0.9].note
    assert found[36, 0.9].proportion is None


@checks("mrd.primary")
def test_the_primary_answer_is_named(joint) -> None:
    assert joint().primary == "events"
    assert joint(primary="mrd").primary == "mrd"


@checks("mrd.surrogacy.visit", "mrd.surrogacy.horizon", "mrd.surrogacy.tipping")
def test_surrogacy_is_of_a_visit_and_a_horizon(joint) -> None:
    inputs = joint(surrogacy={"visit": 4, "horizon": 30, "tipping": 0.4, "pairs": {"facts": PAIRS}})
    factor, law = inputs.joint.factor, inputs.joint.law(prior_posterior(inputs))
    assert factor.visit == 0
    survival = law.survival(30.0)
    expected = np.log(np.log(survival[..., 1, 0]) / np.log(survival[..., 0, 0]))
    assert law.event_effect(factor.horizon) == pytest.approx(expected, abs=1e-9)
    assert inputs.spec.tipping == 0.4


@checks("mrd.surrogacy.weight")
def test_weight_of_the_relation(joint) -> None:
    """A draw weighs (1 − w) + w·f/q: linear in w, one half where nothing is said, and 1 with weight 0."""
    surrogacy = {"visit": 4, "horizon": 30, "pairs": {"facts": PAIRS}}
    factors = [joint(surrogacy=surrogacy | {"weight": w}).joint.factor for w in (0.0, 0.3, 1.0)]
    x, y = np.random.default_rng(1).normal([[0.8], [-0.2]], 0.5, (2, 50))
    none, some, whole = (np.exp(factor.log_density(x, y)) for factor in factors)
    assert np.array_equal(none, np.ones(50))
    assert some == pytest.approx(0.7 + 0.3 * whole)
    assert np.ptp(whole) > 0.1
    assert joint(surrogacy=surrogacy).joint.factor.weight == 0.5
    for wrong in (-0.1, 1.5):
        with pytest.raises(SpecificationError, match="weight"):
            joint(surrogacy=surrogacy | {"weight": wrong})


def test_the_prior_that_the_relation_replaces_is_the_models_own(joint) -> None:
    """Marginal effects of draws of the prior at the visit and the horizon named, without MRD's data or the events'."""
    inputs = joint(surrogacy={"visit": 4, "horizon": 30, "pairs": {"facts": PAIRS}})
    density, law = inputs.joint.factor.prior.density, inputs.joint.law(prior_posterior(inputs, 2000))
    x, y = law.status_effect(0).ravel(), law.event_effect(30.0).ravel()
    drawn = inputs.joint.base.prior(50, rng=(rng := np.random.default_rng(4)))
    drawn |= inputs.joint.priors.sample(("progression", "death"), 2, 2, 50, rng=rng)
    alone = JointLaw.of(drawn, inputs.joint.table.shape, inputs.joint.priors)
    sampled = inputs.joint.factor.prior.sample(50, np.random.default_rng(4))
    assert np.array_equal(sampled, [alone.status_effect(0), alone.event_effect(30.0)])
    line = np.linspace(-6, 6, 1201)
    cdf = np.cumsum(np.exp(density.log_density(x[:, None], line)), axis=1) * (line[1] - line[0])
    rank = np.array([np.interp(value, line, row) for value, row in zip(y, cdf, strict=True)])
    for decile in (0.1, 0.3, 0.5, 0.7, 0.9):
        assert_quantile(rank, decile, decile)


@checks("mrd.surrogacy.pairs.facts", "mrd.surrogacy.pairs.trust", "mrd.surrogacy.pairs.form",
        "mrd.surrogacy.pairs.correlation")  # fmt: skip
@pytest.mark.parametrize(("form", "correlation"), [("bivariate", 0.0), ("bivariate", 0.4), ("daniels_hughes", 0.0)])
def test_relation_from_pairs(joint, form: str, correlation: float) -> None:
    """Slope of a bivariate normal or of a regression on the pairs named, by a fit of its own with other draws."""
    pairs = {"facts": PAIRS[:8], "form": form, "correlation": correlation}
    found = joint(surrogacy={"horizon": 30, "pairs": pairs}).joint.factor.transported.relation
    named = TrialPairs.from_facts(load_facts(), PAIRS[:8], trust="derived")
    other = AcrossTrials(named, correlation=correlation, form=form)
    again = Relation.from_pairs(other, 4000, rng=np.random.default_rng(77))
    for name in ("slope", "intercept", "residual_sd"):
        one, two = getattr(found, name), getattr(again, name)
        assert abs(np.median(one) - np.median(two)) < 4 * 1.2533 * two.std() / math.sqrt(len(one)) * 1.5
    assert found.trials == 4
    with pytest.raises(SpecificationError, match="trust"):
        joint(surrogacy={"horizon": 30, "pairs": {"facts": PAIRS, "trust": "published"}})


@checks("mrd.surrogacy.published.trials", "mrd.surrogacy.published.slope", "mrd.surrogacy.published.r_squared",
        "mrd.surrogacy.published.odds_ratio", "mrd.surrogacy.published.hazard_ratio",
        "mrd.surrogacy.published.trust")  # fmt: skip
def test_relation_from_a_published_regression(joint) -> None:
    """Slope b with error |b|·√((1 − R²)/(R²(n − 2))); the line passes through the pooled log ratios."""
    named = {"slope": "ash2024-4696-meta-001", "r_squared": "ash2024-4696-meta-007",
             "odds_ratio": "ash2024-4696-meta-004", "hazard_ratio": "ash2024-4696-meta-005"}  # fmt: skip
    value = {key: load_facts().require([name])[0].value for key, name in named.items()}
    found = joint(surrogacy={"horizon": 30, "published": {"trials": 29, **named}}).joint.factor.transported.relation
    slope, squared = value["slope"], value["r_squared"]
    error = abs(slope) * math.sqrt((1 - squared) / squared / 27)
    size = math.sqrt(len(found))
    assert abs(found.slope.mean() - slope) < 4 * error / size
    assert found.slope.std() == pytest.approx(error, rel=4 / size)
    on_line = found.intercept + found.slope * math.log(value["odds_ratio"])
    assert abs(on_line.mean() - math.log(value["hazard_ratio"])) < 4 * on_line.std() / size
    assert found.trials == 29
    second_hand = {"slope": "clml2023-meta-001", "r_squared": "clml2023-meta-002", "odds_ratio": "ash2024-4696-meta-004",
                   "hazard_ratio": "ash2024-4696-meta-005"}  # fmt: skip
    with pytest.raises(SpecificationError, match="slope: clml2023-meta-001 is secondary"):
        joint(surrogacy={"horizon": 30, "published": {"trials": 13, "trust": "published", **second_hand}})
    made = joint(surrogacy={"horizon": 30, "published": {"trials": 13, **second_hand}}).joint.factor.transported.relation
    assert made.trust == "secondary"


@checks("mrd.surrogacy.transport.scale.median", "mrd.surrogacy.transport.scale.upper",
        "mrd.surrogacy.transport.shift.mean", "mrd.surrogacy.transport.shift.sd",
        "mrd.surrogacy.transport.extra_sd.half_normal")  # fmt: skip
def test_transport(joint) -> None:
    """c = a + s, d = k·b and v² = ψ² + g² draw by draw, so that k, s and g can be taken out again."""
    transport = {"scale": {"median": 0.6, "upper": 1.3}, "shift": {"mean": -0.1, "sd": 0.25},
                 "extra_sd": {"half_normal": 0.35}}  # fmt: skip
    moved = joint(surrogacy={"horizon": 30, "pairs": {"facts": PAIRS}, "transport": transport}).joint.factor.transported
    relation = moved.relation
    scale, shift = moved.slope / relation.slope, moved.intercept - relation.intercept
    extra = np.sqrt(np.maximum(moved.sd**2 - relation.residual_sd**2, 0))
    assert_quantile(scale, 0.5, 0.6)
    assert_quantile(scale, 0.975, 1.3)
    assert abs(shift.mean() + 0.1) < 4 * 0.25 / math.sqrt(len(shift))
    assert_quantile(shift, 0.975, -0.1 + 1.959964 * 0.25)
    assert_quantile(extra, 0.95, 1.959964 * 0.35)
