"""What is known of each patient's path when the trial is completed: results, missing results, results of early windows."""

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from smm_bayes.analysis.mrd.model import WithMrd
from smm_bayes.errors import SpecificationError
from smm_bayes.priors.clinical import HazardRatioPrior
from smm_bayes.surrogacy import MISSING, NOT_YET, JointLaw, JointPriors, MrdSchedule, MrdStatus
from smm_bayes.survival.grid import TimeGrid

SCHEDULE = MrdSchedule((6.0, 12.0), 1.0, 1.0)
LEVEL, MORE = np.array([-1.0, 0.5]), 1.5  # log odds of a missing result by visit; more where negative
SHARE, STAYS = 0.35, np.array([0.2, 0.75])  # negative at the first visit; at the second, by the first


def law():
    states = (np.arange(4)[:, None] >> np.arange(2)) & 1
    first = np.where(states[:, 0], SHARE, 1 - SHARE)
    second = np.where(states[:, 1], STAYS[states[:, 0]], 1 - STAYS[states[:, 0]])
    log_share = np.broadcast_to(np.log(first * second), (1, 2, 2, 4))
    return JointLaw(np.full((1, 2, 2, 4, 1, 3), -4.0), log_share, TimeGrid([6.0, 12.0]), ("control", "experimental"),
                    ("progression",), np.array([6.0, 12.0]))


def model(code, at_risk, more=MORE):
    priors = JointPriors({"progression": HazardRatioPrior(0.5, 1.0)}, missing_log_odds=more)
    return WithMrd(None, MrdStatus(SCHEDULE, np.array(code), np.array(at_risk)), SimpleNamespace(), priors)


def posterior(level=LEVEL):
    return xr.Dataset({"log_odds_missing": (("chain", "draw", "visit"), np.broadcast_to(level, (1, 2, 2)))})


def shares(weight):
    whole = np.exp(law().log_share[0, 0, 0] + weight)
    return whole / whole.sum(axis=-1, keepdims=True)


def test_a_missing_result_tells_of_the_status_where_it_depends_on_it():
    """By simulating patients, their statuses and which results are missing."""
    size, rng = 400_000, np.random.default_rng(4)
    first = rng.random(size) < SHARE
    second = rng.random(size) < STAYS[first.astype(int)]
    missing = np.stack([rng.random(size) < 1 / (1 + np.exp(-(LEVEL[k] + MORE * z))) for k, z in enumerate((first, second))])
    path = first + 2 * second
    code = [[MISSING, MISSING], [MISSING, 1], [0, MISSING], [1, 1]]
    alike = [missing[0] & missing[1], missing[0] & ~missing[1] & second, ~missing[0] & ~first & missing[1],
             ~missing[0] & ~missing[1] & first & second]  # fmt: skip
    found = shares(model(code, [[True, True]] * 4).known(posterior()))
    for row, rows in enumerate(alike):
        seen = np.bincount(path[rows], minlength=4) / rows.sum()
        assert np.all(np.abs(found[row] - seen) <= 4 * np.sqrt(found[row] * (1 - found[row]) / rows.sum()))
    ignored = shares(model(code, [[True, True]] * 4, more=0.0).known())
    assert abs(ignored[0] - found[0]).max() > 0.1  # as it would be, were they missing at random


def test_visits_to_come_and_results_of_early_windows():
    """A visit that is still to come says nothing; a result from its window, before the visit, does."""
    code = [[0, NOT_YET], [0, 1], [0, MISSING]]
    found = model(code, [[True, False]] * 3).known(posterior())
    assert found[0] == pytest.approx([0, -np.inf, 0, -np.inf])
    assert found[1] == pytest.approx([-np.inf, -np.inf, 0, -np.inf])
    assert found[2] == pytest.approx([0, -np.inf, 0, -np.inf])  # missing already, and not at risk at the visit yet


def test_missing_at_random_needs_no_posterior():
    one = model([[MISSING, 1]], [[True, True]], more=0.0)
    assert one.known()[0] == pytest.approx([-np.inf, -np.inf, 0, 0])
    with pytest.raises(SpecificationError, match="give the posterior"):
        model([[MISSING, 1]], [[True, True]]).known()
