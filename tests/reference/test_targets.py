"""Published and outside numbers of designs, predictions and comparisons (``targets.json``), each computed anew.

A number is held to the digits printed at its source; where an exact value is known too (``exact``), to that.
"""

import csv
import json
import math
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from smm_bayes.borrowing import HalfNormal, Normal, meta_analytic_predictive
from smm_bayes.design import (
    Accrual,
    GroupSequential,
    assurance_after,
    average_hazard_ratio,
    enthusiastic_and_sceptical,
    event_information,
    events_needed,
    expected_events,
    predictive_power,
    spending_design,
    time_of_events,
    wang_tsiatis,
)
from smm_bayes.priors.mixtures import BetaMixture, NormalMixture
from smm_bayes.response.baskets import SharingBaskets
from smm_bayes.response.exact import BinaryArm, NormalArm, OneSampleDesign, OneSampleRule, above
from smm_bayes.response.monitoring import MonitoringDesign, predictive_probabilities
from smm_bayes.response.two_stage import two_stage_designs
from smm_bayes.surrogacy import TrialPairs, weighted_regression
from smm_bayes.survival import PiecewiseExponential, TimeGrid
from smm_bayes.trial.comparison import log_rank_test, restricted_mean

HERE = Path(__file__).parent
TARGETS = {one["id"]: one for one in json.loads((HERE / "targets.json").read_text())}
CASES = {name: [pytest.param(one, id=one["id"]) for one in TARGETS.values() if one["area"] == name]
         for name in {one["area"] for one in TARGETS.values()}}  # fmt: skip


def near(found, wanted, tolerance):
    assert found == pytest.approx(wanted, rel=0, abs=tolerance)


def law(hazard, cuts=()):
    return PiecewiseExponential(np.log(np.asarray(hazard, float)), TimeGrid(cuts))


@pytest.mark.parametrize("case", CASES["two-stage"])
def test_simon_minimax_designs(case):
    given, value, exact = case["inputs"], case["value"], case["exact"]
    found = two_stage_designs(given["p0"], given["p1"], alpha=given["alpha"], beta=given["beta"]).minimax
    assert (found.r1, found.n1, found.r, found.n) == tuple(value[key] for key in ("r1", "n1", "r", "n"))
    near(found.expected_n(), value["EN_p0"], 0.0501)
    near(found.early_stop_probability(), value["PET_p0"], 0.00501)
    numbers = found.expected_n(), found.early_stop_probability(), found.type_one_error(), found.power()
    for number, key in zip(numbers, ("EN_p0", "PET_p0", "alpha", "power"), strict=True):
        near(number, exact[key], 1e-6)


def test_boundaries_of_a_trial_in_its_analysis_plan():
    case = TARGETS["T016"]
    given, value, exact = case["inputs"], case["value"], case["exact"]
    r, n = given["success_if_at_least"] - 1, given["N"]
    design = MonitoringDesign((given["n1"], n), (given["stop_if_at_most"], r), (given["n1"] + 1, r + 1))
    found = design.operating_characteristics([given["p0"], given["p1"]])
    numbers = {"power": found.success[1], "type_I": found.success[0], "PET_p0": found.early_stop_probability[0]}
    for key, number in numbers.items():
        near(number, value[key], 0.0051)  # 0.8151 is printed as 0.81
        near(number, exact[key], 1e-6)
    as_two_stage = design.two_stage(p0=given["p0"], p1=given["p1"])
    near(as_two_stage.power(), found.success[1], 1e-14)


def test_predictive_probability_of_responders():
    case = TARGETS["T018"]
    given = case["inputs"]
    prior, rule = BetaMixture([1], [given["prior"][0]], [given["prior"][1]]), OneSampleRule(above(given["p0"], given["theta"]))
    found = predictive_probabilities(prior, rule, patients=given["n1"], final=given["N"])[given["r"]]
    near(found, case["value"], 5e-4)
    near(found, case["exact"], 1e-6)
    other = OneSampleDesign(rule, BinaryArm(prior, given["N"]).after(given["r"], patients=given["n1"]))
    near(found, other.probability_of_success(), 1e-12)


def test_posterior_probability_of_responders():
    case = TARGETS["T020"]
    given = case["inputs"]
    found = float(BetaMixture([1], [1], [1]).update(given["r"], given["n"]).sf(given["p0"]))
    near(found, case["value"], 1e-4)
    near(found, case["exact"], 1e-6)


@pytest.mark.parametrize("name", ["T022", "T024", "T026"])
def test_boundaries_of_trials(name):
    case = TARGETS[name]
    found = spending_design(case["inputs"]["info_fractions"], alpha=case["inputs"]["alpha_one_sided"]).upper
    near(found, case["value"], case["tolerance"])
    near(found, case["exact"], 1e-6)


def test_boundaries_and_power_of_a_trial_at_its_events():
    case, power = TARGETS["T081"], TARGETS["T083"]
    information = [event_information(d) for d in case["inputs"]["events"]]
    design = spending_design(information, alpha=case["inputs"]["alpha"])
    near(design.upper, case["value"], case["tolerance"])
    near(design.upper, case["exact"], 1e-6)
    effect = -math.log(power["inputs"]["hr"])
    found = [design.crossing(effect).upper[0], design.power(effect)]
    near(found, [power["value"]["interim"], power["value"]["power"]], power["tolerance"])
    near(found, power["exact"], 1e-6)


@pytest.mark.parametrize("case", CASES["events"])
def test_events_that_a_hazard_ratio_needs(case):
    given = case["inputs"]
    found = events_needed(given["hr"], alpha=given["alpha"], power=given["power"], ratio=given["ratio"])
    assert math.ceil(found) == case["value"]
    near(found, case["exact"], 1e-4)
    design = wang_tsiatis([event_information(found, ratio=given["ratio"])], delta=0, alpha=given["alpha"], sides=1)
    near(design.power(-math.log(given["hr"])), given["power"], 1e-9)


def lung():
    with (HERE / "lung.csv").open() as source:
        rows = list(csv.DictReader(source))
    days, died, sex = (np.array([float(row[key]) for row in rows]) for key in ("days", "died", "sex"))
    return days, died == 1, sex == 1, np.array([row["ph_ecog"] for row in rows])


def test_restricted_mean_of_the_veterans():
    datasets = pytest.importorskip("sksurv.datasets")
    case = TARGETS["T035"]
    _, outcome = datasets.load_veterans_lung_cancer()
    found = restricted_mean(outcome["Survival_in_days"], outcome["Status"], case["inputs"]["tau"])
    near(found.value, case["value"]["rmst"], 1e-6)
    near(found.standard_error, case["value"]["se"], 1e-6)


def test_difference_of_restricted_means():
    case = TARGETS["T037"]
    days, died, men, _ = lung()
    first, second = (restricted_mean(days[rows], died[rows], case["inputs"]["tau"]) for rows in (men, ~men))
    wanted = case["value"]
    near([first.value, first.standard_error], [wanted["rmst1"], wanted["se1"]], 1e-6)
    near([second.value, second.standard_error], [wanted["rmst2"], wanted["se2"]], 1e-6)
    difference = first - second
    near([difference.value, difference.standard_error], [wanted["difference"], wanted["se_difference"]], 1e-6)


def test_stratified_log_rank():
    """The patient whose performance is not recorded is left out, as the other software does."""
    case = TARGETS["T040"]
    days, died, men, ecog = lung()
    known = ecog != ""
    found = log_rank_test(days[known], died[known], men[known], ecog[known])
    near([found.chi_squared, found.p_value], [case["value"]["chisq"], case["value"]["p"]], 1e-6)


@pytest.mark.parametrize("name", ["T042", "T044", "T046"])
def test_expected_events(name):
    case = TARGETS[name]
    given = case["inputs"]
    accrual = Accrual(tuple(given["enrol_duration"]), tuple(given["enrol_rate"]))
    cuts = tuple(np.cumsum(given["hazard_duration"])[:-1])
    found = expected_events(accrual, law(given["hazard"], cuts), given["T"], dropout=given["dropout"])
    near(found, np.atleast_1d(case["value"]), 1e-6)


def test_date_of_an_event():
    """Between the limits of a simulation, at its median within 30 days."""
    case = TARGETS["T048"]
    given = case["inputs"]
    rates = tuple(26 / 9 * k for k in range(1, 10))
    last = (300 - sum(rates)) / 26
    accrual = Accrual((1.0,) * 9 + (last,), (*rates, 26.0))
    months = time_of_events(accrual, [law(given["hazard"], (given["cut"],))], given["target_events"], dropout=-math.log(0.95) / 12)
    days = months * given["days_per_month"]
    near(days, case["value"]["median"], 30)
    near(days, case["exact"], 0.005)


def test_average_hazard_ratio():
    case = TARGETS["T050"]
    given, hazard = case["inputs"], np.array(case["inputs"]["hazard"])
    accrual = Accrual(tuple(given["enrol_duration"]), tuple(rate / 2 for rate in given["enrol_rate"]))
    arms = [law(hazard * ratio, (given["cut"],)) for ratio in (np.ones(2), np.array(given["hr"]))]
    found = average_hazard_ratio(accrual, *arms, given["T"], dropout=given["dropout"])
    near([found.hazard_ratio, found.events, found.information], [case["value"][key] for key in ("ahr", "events", "info")], 1e-5)


def test_probability_of_an_event():
    case = TARGETS["T052"]
    found = 1 - float(law(case["inputs"]["hazard"], (case["inputs"]["cuts"][0],)).survival(case["inputs"]["cuts"][1])[0])
    near(found, case["value"], 1e-5)
    near(found, case["exact"], 1e-7)


@pytest.mark.parametrize(("key", "variance"), [("variance_4_over_d", 4), ("as_coded", 2)])
def test_assurance_across_phases(key, variance):
    """The other software takes 2/d for the variance of a log hazard ratio; with 4/d assurance is lower."""
    case = TARGETS["T054"]
    given = case["inputs"]
    error = math.log(0.91 / 0.31) / (2 * 1.959963984540054)
    found = assurance_after(
        enthusiastic_and_sceptical(math.log(given["target_hr"]), weight=given["omega"]), estimate=math.log(0.53),
        standard_error=error, between=(2 / 32, 2 / 64), final_errors=np.sqrt(variance / np.array(given["events"])),
        bounds=np.log(given["hr_bound"]),
    )  # fmt: skip
    near(found, case["exact"][key], 1e-6)
    if key == "as_coded":
        near(found, case["value"], 0.025)  # printed from 2000 draws


def test_predictive_probability_of_a_final_posterior():
    case = TARGETS["T056"]
    given = case["inputs"]
    d, final = event_information(given["d"]), event_information(given["D"])
    prior = NormalMixture([1.0], [given["prior"][0]], [given["prior"][1]])
    arm = NormalArm(prior, 1 / math.sqrt(final)).after(-math.log(given["hr"]), standard_error=1 / math.sqrt(d))
    found = OneSampleDesign(OneSampleRule(above(0.0, given["threshold"])), arm).probability_of_success()
    near(found, case["value"], 0.005)
    near(found, case["exact"], 1e-6)


@pytest.mark.parametrize("name", ["T058", "T060"])
def test_predictive_probability_of_a_final_test(name):
    case = TARGETS[name]
    given = case["inputs"]
    information = event_information(given["d"]), event_information(given["D"])
    bound = wang_tsiatis([1.0], delta=0, alpha=given["alpha"], sides=1).upper[0]
    design = GroupSequential(information, (math.inf, bound), (-math.inf, bound))
    found = predictive_power(design, look=1, z=-math.log(given["hr"]) * math.sqrt(information[0]))
    near(found, case["value"], case["tolerance"])
    near(found, case["exact"], 1e-6)


def test_power_of_a_trial_of_means():
    case = TARGETS["T062"]
    given = case["inputs"]
    design = wang_tsiatis([given["n"] / (4 * given["sigma"] ** 2)], delta=0, alpha=given["alpha"], sides=1)
    found = design.power(given["delta"])
    near(found, case["value"], 0.005)
    normal = NormalDist()
    near(found, normal.cdf(given["delta"] / (2 * given["sigma"]) * math.sqrt(given["n"]) + normal.inv_cdf(given["alpha"])), 1e-12)


def baskets(given, **settings):
    return SharingBaskets(given["k"], given["n"], given["p0"], given.get("lambda_", 0.99), given["epsilon"], given["tau"], **settings)


def test_baskets_that_share():
    case = TARGETS["T064"]
    given, value = case["inputs"], case["value"]
    design, alone = baskets(given), baskets(given | {"tau": 0.999})
    near(design.weights(given["r"])[1, 2], value["weight_2_3"], 1e-7)
    near(design.probabilities(given["r"]), value["P"], 1e-7)
    near(alone.probabilities(given["r"]), value["P_no_borrow"], 1e-7)


@pytest.mark.parametrize("name", ["T066", "T068"])
def test_errors_of_baskets_that_share(name):
    case = TARGETS[name]
    given = case["inputs"]
    two = {"interim": given["n1"], "futility": given["prob_futstop"], "efficacy": given["prob_effstop"]} if "n1" in given else {}
    each, either = baskets(given, **two).operating_characteristics(given.get("p", [given["p0"]] * given["k"]))
    near(each, [case["value"]["per_basket"]] * given["k"], 1e-6)
    near(either, case["value"]["fwer"], 1e-6)


@pytest.mark.parametrize(("name", "scale"), [("T071", 0.5), ("T072", 1.0)])
def test_predictive_priors_of_response(name, scale):
    case = TARGETS[name]
    given, value = case["inputs"], case["value"]
    found = meta_analytic_predictive(responders=given["r"], patients=given["n"], sd_prior=HalfNormal(scale), mean_prior=Normal(0, 2))
    low, middle, high = value["q025_50_975"]
    near([found.mean, found.sd, found.quantile(0.025), found.quantile(0.975)], [value["mean"], value["sd"], low, high], 1e-6)
    near(float(found.quantile(0.5)), middle, 5e-6)
    near([found.between_trial_sd.mean, found.between_trial_sd.sd], [value["tau_mean"], value["tau_sd"]], 1e-6)


def test_meta_analysis_of_two_log_odds_ratios():
    case = TARGETS["T074"]
    value = case["value"]
    a, n1, c, n2 = np.array(case["inputs"]["events"], float).T
    estimates = np.log(a / (n1 - a)) - np.log(c / (n2 - c))
    errors = np.sqrt(1 / a + 1 / (n1 - a) + 1 / c + 1 / (n2 - c))
    found = meta_analytic_predictive(estimates=estimates, standard_errors=errors, sd_prior=HalfNormal(0.5), mean_prior=Normal(0, 4))
    mean, tau, levels = found.population_mean, found.between_trial_sd, (0.025, 0.5, 0.975)
    near([mean.mean, mean.sd, tau.mean, tau.quantile(0.5)], [value["mu_mean"], value["mu_sd"], value["tau_mean"], value["tau_median"]], 1e-4)
    near([mean.quantile(p) for p in levels], value["mu_central"], 1e-4)
    near([found.quantile(p) for p in levels], value["pred_central"], 1e-4)


def test_regression_of_pairs_of_trials():
    case = TARGETS["T076"]
    names = [row[0] for row in case["inputs"]["pairs"]]
    odds, odds_low, odds_high, hazard, low, high = np.log(np.array([row[1:] for row in case["inputs"]["pairs"]], float)).T
    width = 2 * 1.959963984540054
    pairs = TrialPairs.from_arrays(odds, (odds_high - odds_low) / width, hazard, (high - low) / width, names)
    found = weighted_regression(pairs)
    near([found["intercept"], found["slope"], found["r_squared"]], [case["value"][key] for key in ("intercept", "slope", "R2")], 1e-6)


def test_every_number_is_tested_here():
    """Each id stands in a test, or its area is the list of cases of one; what is recalled says so."""
    text = Path(__file__).read_text()
    for name, one in TARGETS.items():
        assert f'"{name}"' in text or f'CASES["{one["area"]}"]' in text, name
        assert {"inputs", "value", "source", "tolerance", "basis"} <= set(one), name
        assert "recalled" in one or "recalled" not in json.dumps(one), name
