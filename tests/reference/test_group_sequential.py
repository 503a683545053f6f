"""Group-sequential designs against printed tables, trials and other software, to the printed digit."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from smm_bayes.design import (
    GroupSequential,
    Spending,
    conditional_power,
    predictive_power,
    spending_design,
    wang_tsiatis,
)
from smm_bayes.priors.mixtures import NormalMixture
from smm_bayes.response.exact import OneSampleRule, above
from smm_bayes.response.monitoring import predictive_monitoring, predictive_probabilities
from smm_bayes.response.two_stage import two_stage_designs

STORED = json.loads((Path(__file__).parent / "borrowing_design.json").read_text())["interim"]
FIVE = [0.2, 0.4, 0.6, 0.8, 1.0]
THIRDS = [1 / 3, 2 / 3, 1]

# Jennison and Turnbull 1999, Tables 2.1 and 2.3 (two-sided; Pocock 1977, O'Brien and Fleming 1979)
POCOCK = {
    0.05: [1.960, 2.178, 2.289, 2.361, 2.413, 2.453, 2.485, 2.512, 2.535, 2.555],
    0.1: [1.645, 1.875, 1.992, 2.067, 2.122, 2.164, 2.197, 2.225, 2.249, 2.270],
}
OBRIEN_FLEMING = {2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040, 10: 2.087}
# Tables 2.2 and 2.4, power 0.9, and Table 2.9 with Delta 0.25: recalled
INFLATION = {0.5: {2: 1.100, 3: 1.151, 4: 1.183, 5: 1.207}, 0.0: {2: 1.007, 3: 1.016, 4: 1.022, 5: 1.026}}
QUARTER = {2: 2.038, 3: 2.083, 4: 2.113, 5: 2.136}


@pytest.mark.parametrize("alpha", POCOCK)
@pytest.mark.parametrize("looks", [1, 2, 3, 5, 8])
def test_pocock_bounds_of_the_table(looks, alpha):
    found = wang_tsiatis(np.arange(1, looks + 1) / looks, delta=0.5, alpha=alpha)
    assert found.upper == pytest.approx([POCOCK[alpha][looks - 1]] * looks, abs=5.01e-4)


@pytest.mark.parametrize(("looks", "bound"), OBRIEN_FLEMING.items())
def test_obrien_fleming_bounds_of_the_table(looks, bound):
    found = wang_tsiatis(np.arange(1, looks + 1) / looks, delta=0)
    assert found.upper[-1] == pytest.approx(bound, abs=5.01e-4)
    assert found.upper[0] == pytest.approx(found.upper[-1] * math.sqrt(looks), rel=1e-12)


@pytest.mark.parametrize(("looks", "bound"), QUARTER.items())
def test_wang_tsiatis_bounds_of_the_table(looks, bound):
    assert wang_tsiatis(np.arange(1, looks + 1) / looks, delta=0.25).upper[-1] == pytest.approx(bound, abs=5.01e-4)


@pytest.mark.parametrize("delta", INFLATION)
@pytest.mark.parametrize("looks", [2, 3, 4, 5])
def test_inflation_factors_of_the_table(delta, looks):
    found = wang_tsiatis(np.arange(1, looks + 1) / looks, delta=delta).inflation(0.9)
    assert found == pytest.approx(INFLATION[delta][looks], abs=5.01e-4)


def test_spending_bounds_of_a_program_in_use_since_the_nineties():
    """Five equal looks, two-sided 5 % (ldbounds, vignette); its integration errs by up to 1.2e-4.

    Proschan, Lan and Wittes 2006 print two digits of the same.
    """
    found = spending_design(FIVE, alpha=0.05, sides=2)
    assert found.upper == pytest.approx([4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=1.7e-4)
    assert found.upper == pytest.approx([4.88, 3.36, 2.68, 2.29, 2.03], abs=5.01e-3)
    found = spending_design(FIVE, alpha=0.05, sides=2, spending=Spending("pocock"))
    assert found.upper == pytest.approx([2.4380, 2.4268, 2.4101, 2.3966, 2.3859], abs=1.7e-4)


def test_spending_bounds_of_gsdesign2():
    """Thirds, one-sided 2.5 % (gsDesign2, example of gs_power_npe); its grid is good to 1e-5."""
    found = spending_design(THIRDS)
    assert found.upper[:2] == pytest.approx([3.7103029, 2.5114338], abs=1e-5)


def test_default_design_of_gsdesign():
    """Three looks, Hwang-Shih-DeCani -4 and -2, power 0.9, futility not binding: numbers recalled."""
    found = spending_design(THIRDS, spending=Spending("hwang-shih-decani", -4), beta=0.1,
                            futility=Spending("hwang-shih-decani", -2))  # fmt: skip
    assert found.upper == pytest.approx([3.0107, 2.5465, 1.9992], abs=5.01e-5)
    assert found.lower == pytest.approx([-0.2387, 0.9411, 1.9992], abs=5.01e-5)
    assert found.inflation(0.9) == pytest.approx(1.0699, abs=5.01e-5)


def test_summary_of_a_design_of_rpact():
    """Looks at 30, 60 and 100 %, futility at 0 in the first only: inflation and expected sizes to the printed digit.

    rpact, presentation "Design specification" 2026: inflation factor 1.0718, ASN H1 0.8826, H01 0.8852, H0 0.695.
    """
    upper = spending_design([0.3, 0.6, 1.0]).upper
    design = GroupSequential((0.3, 0.6, 1.0), upper, (0.0, -math.inf, upper[2]))
    inflation, effect = design.inflation(0.8), design.effect_for_power(0.8)
    assert inflation == pytest.approx(1.0718, abs=5.01e-5)
    expected = design.expected_information(np.array([effect, effect / 2, 0.0])) * inflation
    assert expected == pytest.approx([0.8826, 0.8852, 0.695], abs=5.01e-5)
    assert design.type_one_error() == pytest.approx(0.025, abs=1e-12)
    assert Spending()(0.6, 0.025) == pytest.approx(0.0038, abs=5.01e-5)


@pytest.mark.parametrize("case", STORED, ids=lambda case: f"{case['observed_HR']}")
def test_conditional_and_predictive_power_of_other_software(case):
    """rpact and closed forms in R, one final look (the file says how they were made)."""
    d, final, observed = case["interim_events"], case["final_events"], -math.log(case["observed_HR"])
    bound = wang_tsiatis([1.0], delta=0, alpha=case["alpha"], sides=1).upper[0]
    design = GroupSequential((d / 4, final / 4), (math.inf, bound), (-math.inf, bound))
    look = {"look": 1, "z": case["z1"]}
    for name, theta in (("cp_HR0.54", -math.log(0.54)), ("cp_observed", observed), ("cp_null", 0.0)):
        assert conditional_power(design, theta=theta, **look) == pytest.approx(case[name], rel=1e-11)
    assert conditional_power(design, theta=observed, **look) == pytest.approx(case["rpact"]["cp_obs"], rel=1e-11)
    priors = {"pp_flat": None, "pp_prior_logHR_N0_sd2": (0.0, 2.0), "pp_prior_logHR_mean_log.7_sd.5": (-math.log(0.7), 0.5)}
    for name, prior in priors.items():
        mixture = None if prior is None else NormalMixture([1.0], [prior[0]], [prior[1]])
        assert predictive_power(design, prior=mixture, **look) == pytest.approx(case[name], rel=1e-10)


# Simon 1989, Table 1 (alpha 0.05, power 0.8): r1/n1, r/n, E(N|p0), stopping probability; recalled, and enumerated here
SIMON = {
    (0.05, 0.25): ((0, 9, 2, 17, 12.0, 0.63), (0, 12, 2, 16, 13.8, 0.54)),
    (0.1, 0.3): ((1, 10, 5, 29, 15.0, 0.74), (1, 15, 5, 25, 19.5, 0.55)),
    (0.2, 0.4): ((3, 13, 12, 43, 20.6, 0.75), (4, 18, 10, 33, 22.3, 0.72)),
    (0.3, 0.5): ((5, 15, 18, 46, 23.6, 0.72), (6, 19, 16, 39, 25.7, 0.67)),
}


@pytest.mark.parametrize("rates", SIMON)
def test_simon_designs_of_the_table(rates):
    found = two_stage_designs(*rates, alpha=0.05, beta=0.2)
    for design, (r1, n1, r, n, expected, stop) in zip((found.optimal, found.minimax), SIMON[rates], strict=True):
        assert (design.r1, design.n1, design.r, design.n) == (r1, n1, r, n)
        assert design.expected_n() == pytest.approx(expected, abs=0.0501)
        assert design.early_stop_probability() == pytest.approx(stop, abs=0.00501)


def test_predictive_monitoring_of_lee_and_liu():
    """Clinical Trials 2008;5:93-106, Tables 1 and 2: numbers recalled."""
    from smm_bayes.priors.mixtures import BetaMixture

    rule = OneSampleRule(above(0.6, 0.9))
    found = predictive_probabilities(BetaMixture([1], [0.6], [0.4]), rule, patients=23, final=40)[16]
    assert found == pytest.approx(0.5656, abs=5.01e-5)
    design = predictive_monitoring(range(10, 37), BetaMixture([1], [0.2], [0.8]), OneSampleRule(above(0.2, 0.9)), futility=0.001)
    first = {low: n for n, low in reversed([*zip(design.looks, design.futility, strict=True)])}
    assert first == {0: 10, 1: 17, 2: 21, 3: 24, 4: 27, 5: 29, 6: 31, 7: 33, 8: 34, 9: 35, 10: 36}
    at = design.operating_characteristics([0.2, 0.4])
    assert at.success == pytest.approx([0.088, 0.906], abs=5.01e-4)
    assert at.early_stop_probability[0] == pytest.approx(0.86, abs=0.00501)
    assert at.expected_n[0] == pytest.approx(27.67, abs=0.00501)
