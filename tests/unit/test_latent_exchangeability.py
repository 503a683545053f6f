"""Latent exchangeability: which patients are taken, which are refused, and what is said."""

from dataclasses import replace

import numpy as np
import pytest

from smm_bayes.borrowing import (
    HistoricalRows,
    LatentPriors,
    ShareOfPatients,
    latent_exchangeability_data,
    latent_exchangeability_model,
)
from smm_bayes.errors import SpecificationError
from smm_bayes.survival import BaselinePrior, TimeGrid

GRID = TimeGrid((6, 12))


@pytest.fixture
def real(simulate):
    """Stands for real patients: what is looked at is what the table says of itself."""
    return replace(simulate(digits=0), provenance="real")


@pytest.fixture
def latent(priors):
    return LatentPriors(priors)


def test_patients_who_are_not_real_are_refused(real, latent):
    current = GRID.tabulate(real)
    for provenance in ("reconstructed", "simulated"):
        pseudo = replace(real, provenance=provenance)
        with pytest.raises(SpecificationError, match=f"they are {provenance}, and latent classes need real ones"):
            HistoricalRows.of(pseudo, GRID)
        for call in (latent_exchangeability_model, latent_exchangeability_data):
            with pytest.raises(SpecificationError, match="is not information"):
                call(current, pseudo, latent)
    with pytest.raises(SpecificationError, match="they are reconstructed"):
        HistoricalRows.of(replace(real, provenance="reconstructed"), GRID, simulated=True)
    assert HistoricalRows.of(replace(real, provenance="simulated"), GRID, simulated=True).patients == 60


def test_everything_wrong_is_said_at_once(real):
    late = replace(real, provenance="reconstructed", entry=real.time * 0.5)
    with pytest.raises(SpecificationError, match=r"(?s)4 problems.*reconstructed.*120 of them have delayed entry"
                       r".*causes progression, death.*relapse.*say which with arm \(got 'other'\)"):  # fmt: skip
        HistoricalRows.of(late, GRID, ("relapse",), arm="other")


def test_rows_are_the_patients_of_one_arm(real):
    for arm, index in (("control", 0), ("experimental", 1)):
        rows = HistoricalRows.of(real, GRID, arm=arm)
        table = GRID.tabulate(real)
        assert rows.patients == 60
        assert len(rows.count) < 60  # months are whole: some patients are alike
        np.testing.assert_array_equal(rows.events, table.events[index])
        np.testing.assert_allclose(rows.months, table.exposure[index])
    single = replace(real.take(real.arm == 1), arms=("experimental",), arm_names=("new",), arm=np.zeros(60, int))
    np.testing.assert_array_equal(HistoricalRows.of(single, GRID).events, rows.events)  # one arm needs no name
    assert repr(rows).startswith(f"HistoricalRows: 60 patients in {len(rows.count)} rows, ")
    assert repr(rows).endswith("they do not collapse to cells, a fit takes time in proportion to rows")
    with pytest.raises(ValueError, match="read-only"):
        rows.count[0] = 2
    with pytest.raises(SpecificationError, match="arrays do not fit each other"):
        replace(rows, cell=rows.cell[1:])


def test_rows_must_fit_the_current_table_and_the_room(real, latent):
    rows = HistoricalRows.of(real, GRID)
    current = GRID.tabulate(real)
    with pytest.raises(SpecificationError, match=r"(?s)2 problems.*grid has cuts \(6.0,\).*causes progression, the current"):
        latent_exchangeability_data(current, HistoricalRows.of(real.count_only("progression"), TimeGrid((6,))), latent)
    size = len(rows.count)
    with pytest.raises(SpecificationError, match=rf"{size} rows of earlier patients do not fit in rows = 5"):
        latent_exchangeability_data(current, rows, latent, rows=5)
    data = latent_exchangeability_data(current, rows, latent, rows=100)
    assert data["row_exposure_data"].shape == (101, 3)
    assert data["count_data"].sum() == 60
    assert data["row_cell_data"].max() == data["row_cell_data"][-1] == 5  # the last cell, from the start
    assert not data["row_exposure_data"][size:].any()
    assert not data["row_event_data"][size:].any()


@pytest.mark.parametrize(("given", "rule"), [
    ({"mean": 0.0}, "mean must be inside"), ({"mean": 1.0}, "mean must be inside"), ({"patients": 0.0}, "patients above 0"),
    ({"lower": 0.5, "upper": 0.5}, "lower < upper"), ({"upper": 1.1}, "lower < upper"),
    ({"mean": 2.0, "lower": -1.0}, "2 problems"),
])  # fmt: skip
def test_shares_that_are_none_are_refused(given, rule):
    with pytest.raises(SpecificationError, match=rf"(?s){rule}"):
        ShareOfPatients(**given)


def test_priors_are_checked_and_said(priors):
    for classes in (1, 2.5):
        with pytest.raises(SpecificationError, match="classes must be a whole number from 2"):
            LatentPriors(priors, classes=classes)
    with pytest.raises(SpecificationError, match="no prior for the baseline of cause 'relapse'"):
        LatentPriors(priors).of_others(("relapse",))
    said = LatentPriors(priors, ShareOfPatients(0.8, 5, lower=0.2), {"death": BaselinePrior(60, 240)}, 3).statements()
    assert said["share of exchangeable patients"] == "mean 0.8, worth 5 patients, between 0.2 and 1"
    assert said["baseline of death, other classes"].startswith("95 % of prior median times between 15 and 240")
    assert said["latent classes"] == "3"
