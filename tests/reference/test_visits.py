"""Maximum likelihood of interval-censored data against SciPy and statsmodels."""

import numpy as np
import pytest
from scipy.optimize import fmin, minimize, minimize_scalar
from scipy.stats import CensoredData, expon

from smm_bayes.survival import TimeGrid, VisitSchedule, VisitTable, visits_log_likelihood

YEARLY = VisitSchedule.every((12, 480))
CUTS = (24, 60, 120)


@pytest.fixture(scope="module")
def yearly(mgus2):
    """Real patients, had progression been looked for once a year; death is censoring."""
    alone = mgus2.count_only("progression")
    return alone.take(np.ones(len(alone), bool), time=np.where(alone.event, YEARLY.at_or_after(alone.time), alone.time))


def test_an_exponential_is_scipys(yearly):
    """One rate for everybody: scipy.stats fits intervals and censored times with a density of its own."""
    table = VisitTable.of(yearly, TimeGrid(), cause="progression", schedule=YEARLY)
    ours = minimize_scalar(lambda h: -visits_log_likelihood(np.full((2, 1, 1), h), table), bracket=(-8, -5), tol=1e-12)
    found, censored = yearly.time[yearly.event], yearly.time[~yearly.event]
    data = CensoredData(interval=np.c_[found - 12, found], right=censored)
    _, scale = expon.fit(data, floc=0, optimizer=lambda *given, **_: fmin(*given[:2], **_ | {"xtol": 1e-9, "ftol": 1e-12}))
    assert ours.x == pytest.approx(-np.log(scale), abs=1e-6)

    def density(h):  # and written out
        rate = np.exp(h)
        return -np.log(np.exp(-rate * (found - 12)) - np.exp(-rate * found)).sum() + rate * censored.sum()

    by_hand = minimize_scalar(density, bracket=(-8, -5), tol=1e-12)
    assert ours.x == pytest.approx(by_hand.x, abs=1e-6)
    assert ours.fun == pytest.approx(by_hand.fun, rel=1e-12)
    as_exact = np.log(yearly.event.sum() / yearly.time.sum())
    assert as_exact < ours.x - 0.005  # the dates taken as exact: half a year more at risk for each progression


def test_proportional_hazards_are_a_binomial_regression(yearly):
    """Each patient's years are trials with probability 1 − exp(−λw): a complementary log-log link with offset log w.

    Prentice RL, Gloeckler LA. Biometrics 1978;34:57-67 (grouped data from the proportional hazards model).
    """
    import statsmodels.api as sm

    rows = []
    for time, event, arm in zip(yearly.time, yearly.event, yearly.arm, strict=True):
        for start in np.arange(0, time, 12):
            width = min(12, time - start)
            rows.append((np.searchsorted(CUTS, start, side="right"), arm, width, event and start + width == time))
    interval, arm, width, hit = map(np.array, zip(*rows, strict=True))
    design = np.c_[np.eye(4)[interval], arm]
    family = sm.families.Binomial(link=sm.families.links.CLogLog())
    known = sm.GLM(hit.astype(float), design, family=family, offset=np.log(width)).fit(method="newton", tol=1e-12)

    table = VisitTable.of(yearly, TimeGrid(CUTS), cause="progression", schedule=YEARLY)

    def negative(at):
        return -visits_log_likelihood(np.stack([at[:4], at[:4] + at[4]])[:, None], table)

    ours = minimize(negative, np.r_[np.full(4, -7.0), 0], method="BFGS", options={"gtol": 1e-7})
    np.testing.assert_allclose(ours.x, known.params, atol=1e-5)
    assert -ours.fun == pytest.approx(known.llf, rel=1e-10)

    steps = np.eye(5) * 1e-3
    hessian = np.array([[(negative(ours.x + a + b) - negative(ours.x + a - b) - negative(ours.x - a + b)
                          + negative(ours.x - a - b)) / 4e-6 for a in steps] for b in steps])  # fmt: skip
    errors = np.sqrt(np.diag(np.linalg.inv(hessian)))
    np.testing.assert_allclose(errors, known.bse, rtol=1e-3)
