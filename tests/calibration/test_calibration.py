"""The check itself, its wrong twins, and the stored evidence of the slow calibrations."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from smm_bayes.inference.calibration import calibrated, rank_of, uniformity
from smm_bayes.validation.calibrate import COUNTED, design_hash
from smm_bayes.validation.validate import Calibration, ranks_of

ROOT = Path(__file__).parents[2]
STORED = Calibration.all(ROOT / "models")


QUANTITIES = 25  # no stored calibration ranks more: the level of each under Holm's correction is at least 0.05 / 25


def conjugate_ranks(twin, replicates=1000, draws=99, seed=1):
    """Rank a Gamma hazard, and the log likelihood, under the exact posterior or a wrong one."""
    rng = np.random.default_rng(seed)
    shape, rate, exposure = 4.0, 200.0, 400.0
    truth = rng.gamma(shape, size=(replicates, 1)) / rate
    events = rng.poisson(truth * exposure)
    after, scale = shape + events, rate + exposure
    posterior = rng.gamma(after, size=(replicates, draws)) / scale
    if twin == "posterior = prior":
        posterior = rng.gamma(shape, size=(replicates, draws)) / rate
    elif twin == "10 % too narrow":
        posterior = after / scale + 0.9 * (posterior - after / scale)
    elif twin == "shifted by a tenth of its SD":
        posterior = posterior + 0.1 * np.sqrt(after) / scale

    def log_likelihood(hazard):
        return events * np.log(hazard) - hazard * exposure

    return {"hazard": (posterior < truth).sum(axis=1),
            "log_likelihood": (log_likelihood(posterior) < log_likelihood(truth)).sum(axis=1)}  # fmt: skip


def test_the_exact_posterior_passes():
    assert min(calibrated(conjugate_ranks(None), 99).values()) > 0.05


@pytest.mark.parametrize("twin", ["posterior = prior", "10 % too narrow", "shifted by a tenth of its SD"])
def test_a_slightly_wrong_posterior_is_caught(twin):
    """At 4000 replicates, the length of the main model's calibration, in at least 95 % of seeds."""
    caught = []
    for seed in range(40):
        ranks = conjugate_ranks(twin, replicates=4000, seed=seed)
        least = min(uniformity(values, 99, simulations=1000) for values in ranks.values())
        caught.append(least < 0.05 / QUANTITIES)
    assert np.mean(caught) >= 0.95


@pytest.mark.parametrize(("twin", "share"), [("10 % too narrow", 0.6), ("shifted by a tenth of its SD", 0.3)])
def test_what_a_thousand_replicates_can_see(twin, share):
    """Half of such small errors are seen at 1000 replicates after Holm's correction; nearly all without it."""
    least = np.array([min(uniformity(values, 99, simulations=1000) for values in
                          conjugate_ranks(twin, seed=seed).values()) for seed in range(40)])  # fmt: skip
    assert np.mean(least < 0.05) >= 0.75
    assert np.mean(least < 0.05 / QUANTITIES) >= share


def test_ranks_of_the_parameter_alone_do_not_see_a_posterior_that_is_the_prior():
    ranks = conjugate_ranks("posterior = prior", replicates=4000)
    assert uniformity(ranks["hazard"], 99) > 0.01
    assert uniformity(ranks["log_likelihood"], 99) < 0.001


def test_rank_of_breaks_ties_at_random():
    rng = np.random.default_rng(1)
    ranks = [rank_of(0.0, np.array([-1.0, 0.0, 0.0, 1.0]), rng=rng) for _ in range(3000)]
    assert sorted(set(ranks)) == [1, 2, 3]
    assert np.mean(ranks) == pytest.approx(2, abs=0.06)


def test_level_of_the_check():
    """Of uniform ranks about 5 % fail at the 5 % level."""
    rng = np.random.default_rng(3)
    p_values = [uniformity(rng.integers(0, 100, 200), 99, simulations=400, seed=9) for _ in range(200)]
    assert 0.01 <= np.mean(np.array(p_values) < 0.05) <= 0.10


@pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored.name)
def test_stored_calibration_is_of_this_code_and_passes(stored):
    """`make validate` computed the ranks; here they are judged anew, and tied to the code by hash."""
    said, (design, wanted) = json.loads(stored.summary.read_text()), stored.design()
    assert said["complete"], "run make validate"
    assert said["design"] == design_hash(design), "the model changed: run make validate"
    assert said["ranks"] == hashlib.sha256(stored.table.read_bytes()).hexdigest()
    assert said["replicates"] == wanted
    rows = stored.rows()
    assert len(rows) == said["replicates"]
    assert len(rows[0]) <= QUANTITIES + len(COUNTED)
    assert said["fits_failed"] == sum(row["failed"] for row in rows) <= 0.02 * len(rows)
    ranks = ranks_of(rows)
    found = calibrated(ranks, said["ranked_among"])
    assert min(found.values()) > 0.05, found
    for name, values in found.items():
        assert said["p_values_holm"][name] == pytest.approx(values, abs=1e-4)
    # and the same ranks, were the posterior shifted by a tenth of the ranks, would not pass
    shifted = {name: np.minimum(values + 10, said["ranked_among"]) for name, values in ranks.items()}
    assert min(calibrated(shifted, said["ranked_among"]).values()) < 0.01


@pytest.mark.parametrize("stored", STORED, ids=lambda stored: stored.name)
def test_truth_is_recovered_as_often_as_intervals_say(stored):
    """Of the simulated truths the central 50, 80 and 90 % posterior intervals hold as many, for every quantity."""
    rows = stored.rows()
    assert len(rows) >= 200
    ranked = json.loads(stored.summary.read_text())["ranked_among"]
    for name, ranks in ranks_of(rows).items():
        for tail in (25, 10, 5):
            inside = np.mean((ranks >= tail) & (ranks <= ranked - tail))
            level = 1 - 2 * tail / (ranked + 1)
            assert abs(inside - level) < 4.5 * np.sqrt(level * (1 - level) / len(rows)), (name, level, inside)


def test_the_hash_sees_what_is_computed_and_not_how_it_is_written(monkeypatch):
    """A prior, a data cut, a likelihood that is wrong by a thousandth: each gives another hash; a rewrite does not."""
    from dataclasses import replace

    from smm_bayes.analysis.interim import read_inputs
    from smm_bayes.survival import SmoothnessPrior, model
    from smm_bayes.validation.designs import InterimDesign

    design = InterimDesign(read_inputs(ROOT / "models/mgus2/spec.toml"))
    known = design_hash(design)
    assert design_hash(InterimDesign(read_inputs(ROOT / "models/mgus2/spec.toml"))) == known

    priors = replace(design.inputs.model.priors, smoothness=SmoothnessPrior(2.001))
    smoother = InterimDesign(replace(design.inputs, model=replace(design.inputs.model, priors=priors)))
    assert design_hash(smoother) != known

    patients = replace(design.inputs.patients, data_cutoff=design.inputs.patients.data_cutoff + 1)
    assert design_hash(InterimDesign(replace(design.inputs, patients=patients))) != known

    cells = model.cell_data
    monkeypatch.setattr(model, "cell_data", lambda table: {name: array.copy() for name, array in cells(table).items()})
    assert design_hash(design) == known
    monkeypatch.setattr(model, "cell_data", lambda table: {**cells(table), "exposure_data": 1.001 * cells(table)["exposure_data"]})
    assert design_hash(design) != known
