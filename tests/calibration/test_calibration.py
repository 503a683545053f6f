"""The check itself, its wrong twins, and the stored evidence of the slow calibrations."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from smm_bayes.analysis.interim import read_inputs
from smm_bayes.analysis.validate import _read, design_hash
from smm_bayes.inference.calibration import calibrated, rank_of, uniformity

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "models").glob("*/spec.toml"))


def conjugate_ranks(twin, replicates=1000, draws=99, seed=1):
    """Rank a Gamma hazard, and the log likelihood, under the exact posterior or a wrong one."""
    rng = np.random.default_rng(seed)
    shape, rate, exposure = 4.0, 200.0, 400.0
    ranks = {"hazard": np.empty(replicates, int), "log_likelihood": np.empty(replicates, int)}
    for index in range(replicates):
        truth = rng.gamma(shape) / rate
        events = rng.poisson(truth * exposure)
        posterior = rng.gamma(shape + events, size=draws) / (rate + exposure)
        middle = (shape + events) / (rate + exposure)
        if twin == "posterior = prior":
            posterior = rng.gamma(shape, size=draws) / rate
        elif twin == "20 % too narrow":
            posterior = middle + 0.8 * (posterior - middle)
        elif twin == "shifted by a quarter of its SD":
            posterior = posterior + 0.25 * np.sqrt(shape + events) / (rate + exposure)
        ranks["hazard"][index] = rank_of(truth, posterior, rng=rng)
        likelihood = events * np.log(posterior) - posterior * exposure
        ranks["log_likelihood"][index] = rank_of(events * np.log(truth) - truth * exposure, likelihood, rng=rng)
    return ranks


def test_the_exact_posterior_passes():
    assert min(calibrated(conjugate_ranks(None), 99).values()) > 0.05


@pytest.mark.parametrize("twin", ["posterior = prior", "20 % too narrow", "shifted by a quarter of its SD"])
def test_a_wrong_posterior_is_caught(twin):
    ranks = conjugate_ranks(twin)
    assert min(calibrated(ranks, 99).values()) < 0.01
    if twin == "posterior = prior":  # which the parameter's own ranks cannot see
        assert uniformity(ranks["hazard"], 99) > 0.01


def test_level_of_the_check():
    """Of uniform ranks about 5 % fail at the 5 % level."""
    rng = np.random.default_rng(3)
    p_values = [uniformity(rng.integers(0, 100, 200), 99, simulations=400, seed=9) for _ in range(200)]
    assert 0.01 <= np.mean(np.array(p_values) < 0.05) <= 0.10


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_stored_calibration_is_of_this_code_and_passes(folder):
    """`make validate` computed the ranks; here they are judged anew, and tied to the code by hash."""
    said = json.loads((folder / "calibration.json").read_text())
    assert said["complete"], "run make validate"
    assert said["design"] == design_hash(read_inputs(folder / "spec.toml")), "the model changed: run make validate"
    assert said["ranks"] == hashlib.sha256((folder / "calibration.csv").read_bytes()).hexdigest()
    rows = _read(folder / "calibration.csv")
    ranks = {name: np.array([row[name] for row in rows]) for name in rows[0] if name != "divergences"}
    found = calibrated(ranks, said["ranked_among"])
    assert min(found.values()) > 0.05, found
    for name, values in found.items():
        assert said["p_values_holm"][name] == pytest.approx(values, abs=1e-4)
    # and the same ranks, were the posterior shifted by a tenth of the ranks, would not pass
    shifted = {name: np.minimum(values + 10, said["ranked_among"]) for name, values in ranks.items()}
    assert min(calibrated(shifted, said["ranked_among"]).values()) < 0.01


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_truth_is_recovered_as_often_as_intervals_say(folder):
    """Of 1000 simulated truths the central 50, 80 and 90 % posterior intervals hold as many, for every quantity."""
    rows = _read(folder / "calibration.csv")
    assert len(rows) >= 200
    ranked = json.loads((folder / "calibration.json").read_text())["ranked_among"]
    for name in rows[0]:
        if name == "divergences":
            continue
        ranks = np.array([row[name] for row in rows])
        for tail in (25, 10, 5):
            inside = np.mean((ranks >= tail) & (ranks <= ranked - tail))
            level = 1 - 2 * tail / (ranked + 1)
            assert abs(inside - level) < 4.5 * np.sqrt(level * (1 - level) / len(rows)), (name, level, inside)
