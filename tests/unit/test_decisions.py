"""Rules, arms and designs: what they refuse and what they say."""

import doctest
import importlib
import math
import subprocess
import sys

import numpy as np
import pytest

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.mixtures import BetaMixture, GammaMixture, NormalMixture
from smm_bayes.response.exact import (
    BinaryArm,
    Criterion,
    NormalArm,
    OneSampleDesign,
    OneSampleRule,
    PoissonArm,
    TrialEffects,
    TwoSampleDesign,
    TwoSampleRule,
    above,
    below,
    exchangeable_effects,
    joint_probability_of_success,
    probability_of_difference,
)

BETA = BetaMixture([0.8, 0.2], [4, 1], [16, 1])
GAMMA = GammaMixture([1], [2], [10])
NORMAL = NormalMixture([1], [0], [2], sigma=2)


def test_criterion_names_every_problem():
    with pytest.raises(SpecificationError, match=r"3 problems(.|\n)*threshold(.|\n)*probability(.|\n)*side"):
        Criterion(math.nan, 1.0, "over")


@pytest.mark.parametrize("rule", [OneSampleRule, TwoSampleRule])
@pytest.mark.parametrize("criteria", [(), (0.2,)])
def test_rule_needs_criteria(rule, criteria):
    with pytest.raises(SpecificationError, match="needs criteria"):
        rule(*criteria)


def test_rule_refuses_an_unknown_link():
    with pytest.raises(SpecificationError, match="link must be one of identity, log, logit; got 'probit'"):
        TwoSampleRule(above(0, 0.9), link="probit")


def test_rules_read_as_sentences():
    assert str(OneSampleRule(above(0.2, 0.975), below(0.6, 0.5))) == (
        "success if a parameter above 0.2 has probability above 0.975, and a parameter below 0.6 has probability above 0.5"
    )
    assert "a log odds ratio (experimental against control) above 0.5" in str(TwoSampleRule(above(0.5, 0.9), link="logit"))


def test_rules_are_values():
    assert OneSampleRule(above(0.2, 0.9)) == OneSampleRule(above(0.2, 0.9))
    assert hash(TwoSampleRule(above(0, 0.9))) == hash(TwoSampleRule(above(0, 0.9)))
    assert TwoSampleRule(above(0, 0.9)) != TwoSampleRule(above(0, 0.9), link="log")


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: BinaryArm(GAMMA, 10.5), r"2 problems(.|\n)*BetaMixture; got GammaMixture(.|\n)*whole number from 0; got 10.5"),
        (lambda: BinaryArm(BETA, -1), "whole number"),
        (lambda: PoissonArm(BETA, 10), "GammaMixture; got BetaMixture"),
        (lambda: PoissonArm(GAMMA, math.inf), "finite number from 0; got inf"),
        (lambda: NormalArm(NORMAL, 0), "above 0; got 0"),
        (lambda: NormalArm.of_patients(NORMAL, -1), "finite number from 0"),
        (lambda: NormalArm.of_patients(NormalMixture([1], [0], [2]), 10), "sigma above 0"),
        (lambda: BinaryArm(BETA, 10).after(3, patients=11), "at most the 10 of the arm; got 11"),
        (lambda: BinaryArm(BETA, 10).after(6, patients=5), "responders <= patients"),
        (lambda: PoissonArm(GAMMA, 10).after(3, exposure=11), "at most the 10"),
        (lambda: NormalArm.of_patients(NORMAL, 10).after(0.1, patients=11), "standard error so far must be at least"),
    ],
)
def test_arms_refuse(make, match):
    with pytest.raises(SpecificationError, match=match):
        make()


def test_designs_refuse():
    one, two = OneSampleRule(above(0.2, 0.9)), TwoSampleRule(above(0, 0.9), link="logit")
    with pytest.raises(SpecificationError, match=r"2 problems(.|\n)*OneSampleRule; got TwoSampleRule(.|\n)*BinaryArm"):
        OneSampleDesign(two, BETA)
    with pytest.raises(SpecificationError, match="TwoSampleRule; got OneSampleRule"):
        TwoSampleDesign(one, BinaryArm(BETA, 10), BinaryArm(BETA, 10))
    with pytest.raises(SpecificationError, match="one family; got Beta and Gamma"):
        TwoSampleDesign(two, BinaryArm(BETA, 10), PoissonArm(GAMMA, 10))
    with pytest.raises(SpecificationError, match="link identity or log; got 'logit'"):
        TwoSampleDesign(two, PoissonArm(GAMMA, 10), PoissonArm(GAMMA, 10))
    with pytest.raises(SpecificationError, match="link identity; got 'log'"):
        probability_of_difference(NORMAL, NORMAL, link="log")


def test_true_values_out_of_range():
    with pytest.raises(SpecificationError, match=r"response rate must be finite and within \[0, 1\]; got \[0.2, 1.2\]"):
        OneSampleDesign(OneSampleRule(above(0.2, 0.9)), BinaryArm(BETA, 10)).operating_characteristics([0.2, 1.2])
    with pytest.raises(SpecificationError, match="rate must be finite"):
        OneSampleDesign(OneSampleRule(above(0.2, 0.9)), PoissonArm(GAMMA, 10)).operating_characteristics(-1)
    with pytest.raises(SpecificationError, match="needs a BetaMixture to average over; got GammaMixture"):
        OneSampleDesign(OneSampleRule(above(0.2, 0.9)), BinaryArm(BETA, 10)).probability_of_success(GAMMA)


def test_boundary_refuses_impossible_control_outcomes():
    design = TwoSampleDesign(TwoSampleRule(above(0, 0.9)), BinaryArm(BETA, 10), BinaryArm(BETA, 8))
    for wrong in (-1, 9, 2.5):
        with pytest.raises(SpecificationError, match="control counts must be whole numbers from 0 to 8"):
            design.boundary(wrong)
    design = TwoSampleDesign(TwoSampleRule(above(0, 0.9)), NormalArm(NORMAL, 1.0), NormalArm(NORMAL, 1.0))
    with pytest.raises(SpecificationError, match="control estimates must be finite; got nan"):
        design.boundary(math.nan)


def test_too_many_counts_are_refused_with_a_remedy():
    design = TwoSampleDesign(TwoSampleRule(above(0, 0.9)), BinaryArm(BETA, 6000), BinaryArm(BETA, 10))
    with pytest.raises(SpecificationError, match=r"at most 5000 counts(.|\n)*NormalArm"):
        design.operating_characteristics(0.3, 0.2)
    vague = GammaMixture([1], [0.01], [0.01])
    design = TwoSampleDesign(TwoSampleRule(above(0, 0.9)), PoissonArm(vague, 100), PoissonArm(vague, 100))
    with pytest.raises(SpecificationError, match="at most 5000 counts"):
        design.probability_of_success()


def test_regions_say_what_succeeds():
    def region(*criteria, arm=None):
        return str(OneSampleDesign(OneSampleRule(*criteria), arm or BinaryArm(BETA, 20)).boundary)

    assert region(above(0.2, 0.9)).startswith("success from ")
    assert region(below(0.5, 0.9)).startswith("success up to ")
    assert " to " in region(above(0.1, 0.5), below(0.5, 0.9))
    assert region(above(0.999, 0.999)) == "no outcome succeeds"
    assert region(above(0.001, 0.1)) == "every outcome succeeds"
    assert region(below(0, 0.9), above(0.5, 0.9), arm=NormalArm(NORMAL, 1.0)) == "no outcome succeeds"
    both = TwoSampleDesign(TwoSampleRule(above(0, 0.9)), BinaryArm(BETA, 10), BinaryArm(BETA, 10)).boundary([0, 1])
    assert "2 outcomes" in str(both)


def test_meta_analysis_names_every_problem():
    with pytest.raises(SpecificationError, match=r"3 problems(.|\n)*trial 1(.|\n)*between_trial_sd(.|\n)*mean_sd"):
        exchangeable_effects([0.1, 0.2], [0.1, 0], between_trial_sd=-1, mean_sd=0)
    with pytest.raises(SpecificationError, match="2 and 1"):
        exchangeable_effects([0.1], [0.1, 0.2], between_trial_sd=1, mean_sd=1, strata=[1])
    with pytest.raises(SpecificationError, match="at most 2 strata"):
        exchangeable_effects([0, 0, 0], [1, 1, 1], between_trial_sd=[1, 1, 1], mean_sd=1, strata="abc")


def test_joint_probability_refuses():
    effects = exchangeable_effects([0.1], [0.1], between_trial_sd=1, mean_sd=1)
    design = OneSampleDesign(OneSampleRule(above(0.2, 0.9)), BinaryArm(BETA, 10))
    with pytest.raises(SpecificationError, match=r"2 problems(.|\n)*trial 1 is not one of the 1(.|\n)*NormalArm; got BinaryArm"):
        joint_probability_of_success({1: design}, effects)
    with pytest.raises(SpecificationError, match="one trial or more"):
        joint_probability_of_success({}, effects)


def test_effects_refuse():
    with pytest.raises(SpecificationError, match=r"2 problems(.|\n)*sum to 0.5(.|\n)*-1"):
        TrialEffects(np.array([0.5]), np.zeros((1, 2)), np.zeros((1, 2)), np.full((1, 2), -1.0))
    with pytest.raises(SpecificationError, match="must be"):
        TrialEffects(np.ones(1), np.zeros((1, 2)), np.zeros((1, 3)), np.ones((1, 2)))
    two_factors = np.array([[2, 1, 0, 0], [1, 2, 0, 0], [0, 0, 2, 1], [0, 0, 1, 2.0]])[None]
    with pytest.raises(SpecificationError, match="one common factor"):
        TrialEffects.from_covariance(np.ones(1), np.zeros((1, 4)), two_factors)


def test_examples():
    module = importlib.import_module("smm_bayes.response.exact.designs")
    assert doctest.testmod(module).failed == 0


def test_import_is_light():
    heavy = ("scipy", "pymc", "nutpie", "arviz", "pandas", "matplotlib", "numba")
    code = f"import sys, smm_bayes.borrowing; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
