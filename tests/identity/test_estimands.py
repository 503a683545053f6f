"""Estimands: draw by draw, named, equal to the distribution they come from."""

import numpy as np
import pytest
import xarray as xr

from smm_bayes.survival import PiecewiseExponential, TimeGrid, cumulative_incidence
from smm_bayes.survival.estimands import (
    average_hazard_ratio,
    cumulative_incidence_curve,
    rmst,
    summarise,
    survival_curve,
)

GRID = TimeGrid((6, 12))


@pytest.fixture(scope="module")
def log_hazard():
    rng = np.random.default_rng(1)
    values = np.log(rng.uniform(0.01, 0.1, (4, 250, 1, 2, 3)))
    values = np.concatenate([values, values + np.array([np.log(0.5), 0.0])[:, None]], axis=2)
    coords = {"arm": ["control", "experimental"], "cause": ["progression", "death"], "interval": list(GRID.labels)}
    coords.update(chain=range(4), draw=range(250))
    return xr.DataArray(values, dims=("chain", "draw", "arm", "cause", "interval"), coords=coords, name="log_hazard")


def test_survival_is_of_the_summed_hazards(log_hazard):
    time = np.array([0.0, 3, 6, 20])
    curve = survival_curve(log_hazard, GRID, time)
    one = log_hazard.sel(chain=2, draw=7, arm="control").values
    both = PiecewiseExponential(np.log(np.exp(one).sum(axis=0)), GRID)
    np.testing.assert_allclose(curve.sel(chain=2, draw=7, arm="control"), both.survival(time))
    np.testing.assert_allclose(rmst(log_hazard, GRID, 20.0).sel(chain=2, draw=7, arm="control"), both.rmst(20.0))
    net = survival_curve(log_hazard, GRID, time, ("progression",)).sel(chain=2, draw=7, arm="control")
    np.testing.assert_allclose(net, PiecewiseExponential(one[0], GRID).survival(time))


def test_order_of_dims_does_not_matter(log_hazard):
    turned = log_hazard.transpose("interval", "arm", "draw", "cause", "chain")
    time = np.array([5.0, 30.0])
    xr.testing.assert_allclose(survival_curve(turned, GRID, time), survival_curve(log_hazard, GRID, time))
    found = cumulative_incidence_curve(turned, GRID, time)
    assert found.dims == ("chain", "draw", "arm", "cause", "time")
    one = log_hazard.sel(chain=0, draw=3, arm="experimental").values
    np.testing.assert_allclose(found.sel(chain=0, draw=3, arm="experimental"), cumulative_incidence(one, GRID, time))


def test_hazard_ratio_of_one_cause_is_the_parameter(log_hazard):
    for weights in ([1, 1, 1], [5, 0.1, 2]):
        found = average_hazard_ratio(log_hazard, np.array(weights), ("progression",))
        np.testing.assert_allclose(found, 0.5)
    both = average_hazard_ratio(log_hazard, np.ones(3))
    assert ((both > 0.5) & (both < 1)).all()


def test_summaries_carry_their_monte_carlo_error(log_hazard):
    table = summarise(survival_curve(log_hazard, GRID, np.array([12.0])))
    assert list(table.columns) == ["median", "lower", "upper", "mcse"]
    draws = survival_curve(log_hazard, GRID, np.array([12.0])).sel(arm="control").values.ravel()
    row = table.xs("control", level="arm").iloc[0]
    assert row["median"] == pytest.approx(np.median(draws))
    assert row["lower"] < row["median"] < row["upper"]
    # independent draws: the error of a median is about 1.25 standard deviations over the root of their number
    assert row["mcse"] == pytest.approx(1.25 * draws.std() / np.sqrt(len(draws)), rel=0.5)
    assert len(summarise(average_hazard_ratio(log_hazard, np.ones(3)))) == 1
