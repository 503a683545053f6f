"""Delayed entry against other software, on the 3882 patients of the Mayo Clinic with multiple myeloma."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq
from sksurv.nonparametric import kaplan_meier_estimator

from smm_bayes.reporting import plots
from smm_bayes.survival import TimeGrid, maximum_likelihood
from smm_bayes.trial import Patients
from smm_bayes.trial.calendar import DAYS_PER_MONTH
from smm_bayes.trial.curves import kaplan_meier

DATA = Path(__file__).parents[2] / "data/patients/myeloma_frame.csv"


@pytest.fixture(scope="module")
def myeloma():
    return Patients.from_frame(DATA, arms={"control": "1947-1981", "experimental": "1982-1996"}, unit="day",
                               censoring="administrative")  # fmt: skip


def period_effect(patients, cuts):
    """Maximum likelihood of a piecewise-exponential model with very many intervals, made from patients in parts."""
    grid, rows = TimeGrid(cuts), np.arange(len(patients))
    tables = [grid.tabulate(patients.take(rows % 12 == part)) for part in range(12)]
    events, exposure = sum(t.events[:, 0] for t in tables), sum(t.exposure for t in tables)
    used = events.sum(axis=0) > 0  # intervals without an event say nothing of a ratio
    return maximum_likelihood(events[:, used], exposure[:, used])


def in_days(patients):
    return np.round(patients.time * DAYS_PER_MONTH), np.round(patients.entry * DAYS_PER_MONTH)


@pytest.fixture(scope="module")
def cox(myeloma):
    """Cox's model by statsmodels, Breslow's ties, with and without entry.

    It takes who enters on the day of a death to be at risk of it; half a day later they are not, as in (entry, time].
    """
    from statsmodels.duration.api import PHReg

    day, entry = in_days(myeloma)
    later = np.where(entry > 0, entry + 0.5, 0.0)
    arm, status = myeloma.arm[:, None].astype(float), myeloma.event.astype(int)
    fits = {name: PHReg(day, arm, status=status, entry=given, ties="breslow").fit()
            for name, given in {"entry": later, "as it is": entry, "ignored": None}.items()}  # fmt: skip
    return {name: (float(fit.params[0]), float(fit.bse[0])) for name, fit in fits.items()}


def test_intervals_of_half_a_day_before_each_death_are_coxs_model(myeloma, cox):
    """Exposure there is half the risk set, so that the likelihood is Breslow's partial likelihood exactly."""
    deaths = np.unique(myeloma.time[myeloma.event])
    cuts = np.union1d(deaths, deaths - 0.5 / DAYS_PER_MONTH)
    for name, patients in {"entry": myeloma, "ignored": replace(myeloma, entry=None)}.items():
        found = period_effect(patients, cuts)
        assert found.log_hazard_ratio == pytest.approx(cox[name][0], abs=1e-6)
        assert found.standard_error == pytest.approx(cox[name][1], abs=1e-6)
    assert cox["entry"][0] == pytest.approx(-0.16210, abs=1e-5)
    assert cox["ignored"][0] == pytest.approx(-0.32151, abs=1e-5)  # twice the effect, of who was never seen


def test_months_are_fine_enough(myeloma, cox):
    found = period_effect(myeloma, np.arange(1.0, myeloma.time.max()))
    for name in ("entry", "as it is"):
        assert found.log_hazard_ratio == pytest.approx(cox[name][0], abs=0.002)
        assert found.standard_error == pytest.approx(cox[name][1], abs=1e-4)


def test_the_score_written_out(myeloma, cox):
    """Σ over deaths of d₁ − d·r₁e^β/(r₀ + r₁e^β), with r(u) = #{entry < u ≤ time}, is 0 at the same β."""
    day, entry = in_days(myeloma)
    steps, deaths = np.unique(day[myeloma.event], return_counts=True)
    late = np.searchsorted(steps, day[myeloma.event & (myeloma.arm == 1)])
    experimental = np.bincount(late, minlength=len(steps))
    r0, r1 = (np.array([((myeloma.arm == arm) & (entry < u) & (u <= day)).sum() for u in steps]) for arm in (0, 1))
    beta = brentq(lambda b: (experimental - deaths * r1 * np.exp(b) / (r0 + r1 * np.exp(b))).sum(), -2, 2, xtol=1e-12)
    assert beta == pytest.approx(cox["entry"][0], abs=1e-6)


def test_kaplan_meier(myeloma):
    for arm in (0, 1):
        rows = myeloma.arm == arm
        steps, survival = kaplan_meier_estimator(myeloma.event[rows], myeloma.time[rows], time_enter=myeloma.entry[rows])
        curve = plots.kaplan_meier(myeloma, arm)
        at = np.searchsorted(curve["time"], steps, side="right") - 1
        np.testing.assert_allclose(curve["survival"].to_numpy()[at], survival, atol=1e-12)


def test_half_survive_25_months_and_not_33(myeloma):
    """The median from diagnosis; leaving delayed entry out lengthens it by a third."""
    curve = kaplan_meier(myeloma.time, myeloma.event, myeloma.entry)
    steps, survival = kaplan_meier_estimator(myeloma.event, myeloma.time, time_enter=myeloma.entry)
    assert curve.median == steps[survival <= 0.5][0] == pytest.approx(25.1, abs=0.05)
    assert kaplan_meier(myeloma.time, myeloma.event).median == pytest.approx(33.0, abs=0.05)
