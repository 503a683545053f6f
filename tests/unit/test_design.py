"""Doors of the design room: what is refused, and in which words."""

import numpy as np
import pytest

from smm_bayes.design import (
    LogRatioPrior,
    TwoArmDesign,
    conflict_table,
    methods_for,
    operating_characteristics,
    ratio_posterior,
    stopping_errors,
)
from smm_bayes.errors import SpecificationError
from smm_bayes.survival import TimeGrid
from smm_bayes.validation import tables

METHODS, DESIGN = tables.setting()
HAZARD = np.log(tables.HAZARD)


@pytest.mark.parametrize(("change", "message"), [
    ({"log_hazard": [0.1, 0.2]}, "log_hazard must be 4 finite numbers"),
    ({"control": 0}, "a patient in each arm, and accrual in months from 0; got 0, 80 and 18"),
    ({"accrual": -1}, "accrual in months from 0"),
    ({"interim": 70}, "0 < interim <= final <= patients; got 70, 60 and 120"),
    ({"final": 121}, "got 25, 121 and 120"),
])  # fmt: skip
def test_designs_that_cannot_be_carried_out(change, message):
    given = {"grid": DESIGN.grid, "log_hazard": HAZARD, "control": 40, "experimental": 80, "accrual": 18.0, "interim": 25, "final": 60}
    with pytest.raises(SpecificationError, match=message):
        TwoArmDesign(**(given | change))


@pytest.mark.parametrize(("change", "message"), [
    ({"drifts": [0.0, 1.0]}, "drifts must be numbers above 0"), ({"hazard_ratios": []}, "one at least"),
    ({"replicates": 0}, "replicates must be 1 or more"), ({"seed": -1}, "seed 0 or more"),
])  # fmt: skip
@pytest.mark.parametrize("simulate", [operating_characteristics, stopping_errors])
def test_scenarios_that_cannot_be(simulate, change, message):
    given = {"drifts": [1.0], "hazard_ratios": [1.0], "seed": 1, "replicates": 5}
    with pytest.raises(SpecificationError, match=message):
        simulate(METHODS, DESIGN, **(given | change))


def test_rules_and_grids_that_do_not_go_together():
    given = {"drifts": [1.0], "hazard_ratios": [1.0], "seed": 1, "replicates": 5}
    with pytest.raises(SpecificationError, match="probability must be above 0 and below 1; got 1"):
        operating_characteristics(METHODS, DESIGN, probability=1, **given)
    with pytest.raises(SpecificationError, match=r"futility must be within \[0, 1\]"):
        stopping_errors(METHODS, DESIGN, futility=2, **given)
    coarse = TwoArmDesign(TimeGrid((6,)), HAZARD[:2], 40, 80, 18.0, 25, 60)
    with pytest.raises(SpecificationError, match="is on 4 intervals and the design on 2"):
        operating_characteristics(METHODS, coarse, **given)
    with pytest.raises(SpecificationError, match=r"shape \(replicate, 2, 4\)"):
        ratio_posterior(METHODS["robust"], np.ones((3, 2, 2)), np.ones((3, 2, 2)))
    with pytest.raises(SpecificationError, match="an SD above 0; got 0 and -1"):
        LogRatioPrior(0, -1)
    with pytest.raises(SpecificationError, match="difference must be above 0"):
        methods_for(None, None, None, difference=0)


def test_pull_that_is_of_nothing():
    with pytest.raises(SpecificationError, match="2 problems") as caught:
        conflict_table({"robust": METHODS["robust"]}, HAZARD, [0.0, 5.0])
    assert "must include 'no borrowing'" in str(caught.value)
    assert "events and ratio must be above 0" in str(caught.value)
    with pytest.raises(SpecificationError, match="ratio not 1"):
        conflict_table(METHODS, HAZARD, [5.0], ratio=1.0)
