"""Medians of Kaplan–Meier curves as R's survfit and SAS's PROC LIFETEST print them."""

import numpy as np
import pytest

from smm_bayes.trial.curves import SurvivalCurve, kaplan_meier

NEVER = float("inf")  # R prints NA


def test_veterans():
    """Veterans' lung cancer trial: R prints 103 and 52.5 days; survival is a half from day 52 to day 53."""
    from sksurv.datasets import load_veterans_lung_cancer

    covariates, outcome = load_veterans_lung_cancer()
    medians = {}
    for arm in ("standard", "test"):
        mine = (covariates["Treatment"] == arm).to_numpy()
        medians[arm] = kaplan_meier(outcome["Survival_in_days"][mine], outcome["Status"][mine]).median
    assert medians == {"standard": 103.0, "test": 52.5}


# time, event, median by survfit's rule: the first time at or below a half, or the middle of a piece at exactly a half
BY_HAND = [
    ([1, 2, 3, 4], [1, 1, 1, 1], 2.5),  # ¾, ½ on [2, 3), ¼
    ([1, 2, 3], [1, 1, 1], 2.0),  # ⅔, ⅓
    ([1, 2, 3, 4], [1, 1, 0, 0], 2.0),  # ½ from 2 on for good: its start
    ([1, 2, 5, 9], [1, 1, 0, 1], 5.5),  # ½ on [2, 9): censoring at 5 does not end it
    ([1, 2, 3, 4], [1, 0, 0, 0], NEVER),
    ([2, 2, 7, 9], [1, 1, 1, 0], 4.5),  # a tie comes down to ½ at once, ¼ at 7
    ([4, 4, 4, 9], [1, 1, 1, 1], 4.0),  # past ½ at once
    ([1, 3, 3, 6, 8, 10], [1, 1, 0, 1, 1, 1], 6.0),  # 5/6, 2/3, 4/9
    (list(range(1, 99)), [1] * 98, 49.5),  # 49 of 98, a product of 49 floats
]


@pytest.mark.parametrize(("time", "event", "median"), BY_HAND)
def test_by_hand(time, event, median):
    curve = kaplan_meier(np.array(time, float), np.array(event, bool))
    assert curve.median == median


def test_a_curve_that_touches_a_half_between_steps():
    flat = SurvivalCurve(np.array([1.0, 2.0, 3.0, 6.0]), np.array([0.7, 0.5, 0.5, 0.2]))
    assert flat.median == 4.0
