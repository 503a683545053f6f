"""The simulated trial does what its declaration says: shares, rates and hazards of many patients, within 4 standard errors."""

import csv
import datetime
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smm_bayes.analysis.simulated_trial import simulate_trial
from smm_bayes.analysis.simulation import Declaration
from smm_bayes.errors import SpecificationError
from smm_bayes.trial import Patients

ROOT = Path(__file__).parents[2]
FILE = ROOT / "models/krd_vs_rd/simulation.toml"
DATA = ROOT / "data/patients"
DECLARED = Declaration.load(FILE)
DESIGN = DECLARED.design
MANY = replace(DESIGN, planned=(50_000, 100_000), rate=1500.0, cutoff=None)
MRD = DESIGN.mrd
DAY = 12 / 365.25
PLANNED = np.array(MRD.days) * DAY


@pytest.fixture(scope="module")
def many():
    return simulate_trial(MANY, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def assessed():
    """Nobody misses an assessment, so that every patient's state is known."""
    return simulate_trial(replace(MANY, mrd=replace(MRD, missing=(0.0, 0.0))), rng=np.random.default_rng(2))


def share_is(count, size, probability):
    assert abs(count - size * probability) < 4 * math.sqrt(size * probability * (1 - probability)), count / size


def number_of(patients):
    """Which of the planned assessments each result is of."""
    return np.abs(patients.mrd.time[:, None] - PLANNED).argmin(axis=1)


def misfit(patients, design):
    """Standard errors between events and expectation: progression by arm, MRD state and interval."""
    size = len(patients)
    negative = np.zeros((size, 2), bool)
    end = np.repeat(patients.time[:, None], 2, axis=1)  # of the state before each assessment
    k = number_of(patients)
    negative[patients.mrd.row, k], end[patients.mrd.row, k] = patients.mrd.negative, patients.mrd.time
    bounds = np.column_stack([np.zeros(size), end, patients.time])
    state = np.column_stack([np.zeros(size, bool), negative])
    events, exposure = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    for part in range(3):
        low, high = bounds[:, part], bounds[:, part + 1]
        cell = (patients.arm, state[:, part].astype(int))
        np.add.at(exposure, cell, design.grid.exposure(high, low))
        here = (patients.cause == 0) & (low < patients.time) & (patients.time <= high)
        np.add.at(events, (cell[0][here], cell[1][here], design.grid.index(patients.time[here])), 1)
    ratio = np.array([1.0, design.mrd.hazard_ratio])
    expected = exposure * design.level[:, None, None] * ratio[:, None] * np.array(design.shape)
    assert np.all(expected > 25)
    return float(np.abs((events - expected) / np.sqrt(expected)).max())


@pytest.mark.parametrize("arm", [0, 1])
@pytest.mark.parametrize("month", [36.0, 60.0])
def test_share_free_of_progression(many, arm, month):
    """Deaths and losses are independent of progression, so the share still followed is a product."""
    free = DESIGN.free(arm, month)
    if month == 36:
        assert free == pytest.approx((0.77**1.3, 0.77 ** (1.3 * 0.5))[arm], rel=1e-10)
    mine = many.time[many.arm == arm]
    gone = month * (DESIGN.loss[arm] + DESIGN.death[arm][0])
    share_is((mine > month).sum(), len(mine), free * math.exp(-gone))


@pytest.mark.parametrize("arm", [0, 1])
def test_mrd_shares(many, arm):
    k, mine = number_of(many), many.arm[many.mrd.row] == arm
    for when in (0, 1):
        results = many.mrd.negative[mine & (k == when)]
        share_is(results.sum(), len(results), MRD.negative[arm][when])
        due = (many.arm == arm) & (many.time > PLANNED[when] + (MRD.scatter + 1) * DAY)
        done = np.isin(np.flatnonzero(due), many.mrd.row[k == when]).sum()
        share_is(done, due.sum(), 1 - MRD.missing[when])
    state = np.full((len(many), 2), -1)
    state[many.mrd.row, k] = many.mrd.negative
    before = state[(state >= 0).all(axis=1) & (state[:, 0] == 1) & (many.arm == arm)]
    share_is(before[:, 1].sum(), len(before), MRD.stays[0])


def test_hazard_of_progression_by_mrd_state(assessed):
    assert misfit(assessed, DESIGN) < 4


def test_association_ignored_is_caught():
    ignoring = replace(MANY, mrd=replace(MRD, missing=(0.0, 0.0), hazard_ratio=1.0))
    assert misfit(simulate_trial(ignoring, rng=np.random.default_rng(3)), DESIGN) > 4


def test_months_before_negativity_counted_as_negative_are_caught(assessed):
    early = np.where(assessed.mrd.negative, PLANNED[number_of(assessed)] - 3.0, assessed.mrd.time)
    assert misfit(replace(assessed, mrd=replace(assessed.mrd, time=early)), DESIGN) > 4


def test_level_not_solved_is_caught():
    """As if nobody were ever negative: the share free of progression is then missed."""
    wrong = replace(MANY)
    level = -np.log(DESIGN.free_of_progression) / DESIGN._reached(36.0)
    wrong.__dict__["_solved"] = (level, DESIGN.gain)
    with pytest.raises(AssertionError):
        test_share_free_of_progression(simulate_trial(wrong, rng=np.random.default_rng(3)), 1, 36.0)


def test_assessed_only_when_free_and_followed(many, assessed):
    for patients in (many, assessed):
        mrd = patients.mrd
        assert np.all(mrd.time < patients.time[mrd.row] - DAY / 2)
        assert np.all(np.abs(mrd.time - PLANNED[number_of(patients)]) <= (MRD.scatter + 1e-6) * DAY)
        pair = mrd.row * 2 + number_of(patients)
        assert len(np.unique(pair)) == len(pair)
    days = np.round((assessed.mrd.time - PLANNED[number_of(assessed)]) / DAY).astype(int)
    assert set(days) == set(range(-MRD.scatter, MRD.scatter + 1))


def test_allocation_is_by_permuted_blocks(many):
    blocks = many.arm.reshape(-1, sum(DESIGN.block))
    assert np.all(blocks.sum(axis=1) == DESIGN.block[1])
    for place in range(blocks.shape[1]):
        share_is(blocks[:, place].sum(), len(blocks), DESIGN.block[1] / sum(DESIGN.block))
    assert len(np.unique(blocks, axis=0)) == math.comb(sum(DESIGN.block), DESIGN.block[0])


def test_accrual_is_poisson():
    patients = simulate_trial(replace(MANY, rate=DESIGN.rate), rng=np.random.default_rng(4))
    gaps = np.diff(patients.enrolled)
    error = 4 / math.sqrt(len(gaps))
    assert gaps.mean() * DESIGN.rate == pytest.approx(1, abs=error)
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=error)  # standard error of the ratio: 1/sqrt(n)
    assert np.all(gaps >= 0)
    assert patients.enrolled[0] == 0
    assert patients.origin >= DESIGN.start


@pytest.mark.parametrize("arm", [0, 1])
def test_death_and_loss(many, arm):
    mine = many.arm == arm
    months = many.time[mine].sum()
    for count, rate in (
        ((many.cause[mine] == 1).sum(), DESIGN.death[arm][0]),
        ((many.censoring[mine] == "lost").sum(), DESIGN.loss[arm]),
    ):
        assert abs(count - rate * months) < 4 * math.sqrt(rate * months)


def test_snapshot_is_the_whole_trial_as_known_then():
    seed = 5
    whole = simulate_trial(replace(DESIGN, cutoff=None), rng=np.random.default_rng(seed))
    cut = simulate_trial(DESIGN, rng=np.random.default_rng(seed))
    when = (DESIGN.cutoff - whole.origin).days * DAY
    assert cut.data_cutoff == pytest.approx(when)
    assert len(whole) == sum(DESIGN.planned)
    assert len(cut) == (whole.enrolled <= when + 1e-9).sum()
    assert np.all(cut.enrolled + cut.time <= when + 1e-9)
    assert np.all(cut.enrolled[cut.mrd.row] + cut.mrd.time <= when + 1e-9)
    known = whole.event & (whole.enrolled + whole.time <= when + 1e-9)
    assert set(cut.patient[cut.event]) == set(whole.patient[known])
    assert cut.provenance == "simulated"


def test_same_seed_same_patients():
    one, two, other = (simulate_trial(DESIGN, rng=np.random.default_rng(seed)) for seed in (6, 6, 7))
    for name in ("patient", "arm", "time", "event", "cause", "censoring", "enrolled"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name
    for name in ("row", "time", "negative"):
        assert np.array_equal(getattr(one.mrd, name), getattr(two.mrd, name)), name
    assert not np.array_equal(one.time, other.time)


def test_hazards_of_zero_are_allowed():
    quiet = replace(DESIGN, death=((0.0, 0.0), (0.0, 0.0)), loss=(0.0, 0.0), cutoff=None)
    patients = simulate_trial(quiet, rng=np.random.default_rng(8))
    assert set(patients.cause) <= {0, -1}
    assert set(patients.censoring) <= {"", "administrative"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"planned": (40, 81)}, "whole number of blocks"),
        ({"rate": 0.0}, "accrual"),
        ({"rate": math.nan}, "accrual"),
        ({"shape": (1.0,)}, "one an interval"),
        ({"shape": (1.0, -1.0)}, "shape must be above 0"),
        ({"loss": (-0.1, 0.0)}, "must not be negative"),
        ({"free_of_progression": (0.7, 1.0)}, "between 0 and 1"),
        ({"free_month": 8.0}, "after the last MRD assessment"),
        ({"cutoff": datetime.date(2018, 1, 1)}, "not after the start"),
        ({"mrd": {"negative": ((0.05, 0.15), (0.6, 0.3))}}, "experimental: no chain"),
        ({"mrd": {"negative": ((0.05, 0.15), (1.0, 0.95))}}, "experimental: no chain"),
        ({"mrd": {"days": (112, 120)}}, "overlap"),
        ({"mrd": {"days": (), "stays": (), "missing": ()}}, "needs an assessment"),
        ({"mrd": {"missing": (0.1,)}}, "missing 2"),
        ({"mrd": {"negative": ((0.05,), (0.6, 0.7))}}, "negative needs 2"),
        ({"mrd": {"stays": (1.2,)}}, "probabilities"),
        ({"mrd": {"hazard_ratio": 0.0}}, "hazard_ratio"),
    ],
)
def test_impossible_designs_are_refused(change, said):
    with pytest.raises(SpecificationError, match=said):
        replace(DESIGN, **{k: replace(MRD, **v) if k == "mrd" else v for k, v in change.items()})


@pytest.mark.parametrize(
    ("find", "put", "said"),
    [
        ('assumed = "permuted blocks of 6"', "", None),  # the fact is enough
        ('facts = ["EMN15_HOVON147"]', "", "mrd.schedule: names no fact and no assumption"),
        ("scatter_days = 7", "scatter_days = 7\nlag = 1", "mrd.dates.lag"),
        ("per_month = 1.9", 'per_month = "1.9"', "accrual.per_month"),
        ("per_month = 1.9", "per_month = inf", "accrual.per_month"),
        ('control = "Rd"', "", "trial: arms names"),
        ("schema_version = 1", "schema_version = ", "not readable as TOML"),
    ],
)
def test_declarations_are_checked(tmp_path, find, put, said):
    text = FILE.read_text()
    assert find in text
    (tmp_path / "d.toml").write_text(text.replace(find, put))
    if said is None:
        assert Declaration.load(tmp_path / "d.toml").design == DESIGN
    else:
        with pytest.raises(SpecificationError, match=re.escape(said)):
            Declaration.load(tmp_path / "d.toml")


def test_declaration_names_facts_that_exist():
    known = set()
    for path in (ROOT / "data/evidence").glob("*.csv"):
        with path.open(newline="") as source:
            known |= {row[0] for row in csv.reader(source)}
    named = [fact for line in re.findall(r"^facts = \[(.*)\]", FILE.read_text(), re.MULTILINE)
             for fact in re.findall(r'"([^"]+)"', line)]  # fmt: skip
    assert len(named) > 15
    assert set(named) <= known


def test_snapshot_is_made_from_its_declaration(tmp_path):
    run = [sys.executable, "-m", "smm_bayes.analysis.simulation", str(FILE), "--out", str(tmp_path)]
    said = subprocess.run(run, check=True, capture_output=True, text=True)
    assert "simulated" in said.stdout
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["krd_vs_rd_simulated_adtte.csv", "krd_vs_rd_simulated_mrd.csv"]
    for name in names:
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes(), name


def test_snapshot_reads_as_it_was_simulated():
    made = DECLARED.simulate()
    read = Patients.from_adtte(
        DATA / "krd_vs_rd_simulated_adtte.csv", "PFS", arms={"control": "Rd", "experimental": "KRd"},
        causes={"progression": ["Progression"], "death": ["Death without progression"]},
        mrd=DATA / "krd_vs_rd_simulated_mrd.csv", provenance="simulated", data_cutoff=DECLARED.design.cutoff,
    )  # fmt: skip
    assert repr(read) == repr(made)
    assert "SIMULATED" in read.trial
    for name in ("patient", "arm", "event", "cause", "censoring"):
        assert np.array_equal(getattr(read, name), getattr(made, name)), name
    np.testing.assert_allclose(read.time, made.time, atol=1e-9)
    np.testing.assert_allclose(read.enrolled, made.enrolled, atol=1e-9)
    assert read.data_cutoff == pytest.approx(made.data_cutoff)
    assert np.array_equal(read.mrd.row, made.mrd.row)
    assert np.array_equal(read.mrd.negative, made.mrd.negative)
    np.testing.assert_allclose(read.mrd.time, made.mrd.time, atol=1e-9)
