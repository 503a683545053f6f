"""Fits of the mixture cure model: an exact posterior, recovery with long follow-up, and saying so with short."""

import numpy as np
import pytest

from smm_bayes.inference import fit
from smm_bayes.survival import (
    BaselinePrior,
    Cure,
    CuredPrior,
    CurePriors,
    CureTable,
    Estimands,
    LateHazardPrior,
    SurvivalPriors,
    TimeGrid,
    cure_data,
    cure_law,
    cure_log_likelihood,
    cure_model,
    cure_summary,
    follow_up_horizon,
)
from smm_bayes.survival.summary import monte_carlo_error
from smm_bayes.trial import Patients, cut_by_date

GRID, SIZE = TimeGrid((6, 12, 24, 36, 60)), 300
PRIORS = CurePriors(CuredPrior(0.3, 0.6), LateHazardPrior(15, 40),
                    others=SurvivalPriors({"death": BaselinePrior(150, 600)}))  # fmt: skip
SHORT = {"draws": 500, "chains": 2, "log_densities": False}
LITTLE = "The data say little about cure; what is shown is mostly the prior."


def trial(truth, cutoff, rng):
    """Two arms of 150 enrolled over two years."""
    arm, enrolled = np.arange(SIZE) % 2, np.linspace(0, 24, SIZE)
    time, cause, _ = cure_law(truth, GRID, ("progression", "death")).sample(arm, rng=rng)
    names = ("control", "experimental")
    whole = Patients(
        patient=np.arange(SIZE).astype(str).astype(object), arm=arm, time=time, event=np.ones(SIZE, bool), cause=cause,
        censoring=np.full(SIZE, "", dtype=object), enrolled=enrolled, arms=names, arm_names=names,
        causes=("progression", "death"), provenance="simulated", data_cutoff=float((enrolled + time).max()),
    )  # fmt: skip
    return cut_by_date(whole, cutoff)


def constant(cured, hazard):
    """Parameters with constant hazards, the same in both arms."""
    return {"cured": np.full(2, cured), "log_hazard_uncured": np.full((2, 6), np.log(hazard)),
            "log_hazard_other": np.full((2, 1, 6), np.log(0.004))}  # fmt: skip


@pytest.fixture(scope="module")
def refitted():
    """Compile once; then refit to any trial."""
    model = []

    def refit(patients, seed, **settings):
        table = CureTable.of(patients, GRID, "progression", rows=SIZE)
        if not model:
            model.append(cure_model(table, PRIORS))
        return table, fit(model[0], seed=seed, data=cure_data(table, PRIORS), **settings).require_convergence()

    return refit


def test_the_posterior_is_the_exact_one():
    """One arm, one cause, one interval: two parameters, integrated on a lattice."""
    rng, size = np.random.default_rng(1), 80
    time, entry = np.where(rng.random(size) < 0.3, np.inf, rng.exponential(15, size)), rng.uniform(0, 6, size)
    seen = time > entry  # who had the event before entry is not in the table
    time, entry = time[seen], entry[seen]
    followed, size = entry + rng.uniform(10, 40, len(time)), len(time)
    event = time <= followed
    patients = Patients(
        patient=np.arange(size).astype(str).astype(object), arm=np.zeros(size, int), time=np.minimum(time, followed),
        event=event, cause=np.where(event, 0, -1), censoring=np.where(event, "", "administrative").astype(object),
        enrolled=None, arms=("experimental",), arm_names=("all",), causes=("progression",), entry=entry,
        provenance="simulated",
    )  # fmt: skip
    priors = CurePriors(CuredPrior(0.25, 0.6), LateHazardPrior(12, 36))
    table = CureTable.of(patients, TimeGrid(), "progression")
    fitted = fit(cure_model(table, priors), seed=2, draws=3000).require_convergence()
    odds, late = np.meshgrid(np.linspace(-6, 4, 401), np.linspace(-5.5, -1, 401), indexing="ij")
    share = 1 / (1 + np.exp(-odds))
    density = cure_log_likelihood({"cured": share[..., None], "log_hazard_uncured": late[..., None, None]}, table)
    for values, prior in ((odds, priors.cured), (late, priors.late_hazard)):
        density = density - 0.5 * ((values - prior.mean) / prior.sd) ** 2
    weight = np.exp(density - density.max())
    weight /= weight.sum()
    for name, exact in (("cured", share), ("log_hazard_uncured", late)):
        draws = fitted.posterior[name].squeeze(drop=True)
        mean = float((weight * exact).sum())
        sd = float(np.sqrt((weight * (exact - mean) ** 2).sum()))
        assert abs(float(draws.mean()) - mean) < 4 * float(monte_carlo_error(draws, "mean")), name
        assert abs(float(draws.std()) - sd) < 4.5 * float(monte_carlo_error(draws, "sd")), name


def test_long_follow_up_recovers_the_cured_shares(refitted):
    """Over truths from the prior the errors of posterior means average to zero; so do those of what follows from them."""
    rng, trials = np.random.default_rng(3), 16
    prior = PRIORS.sample(("death",), 2, GRID, trials, rng=rng)
    errors, known = [], []
    for index in range(trials):
        truth = {name: prior[name][index] for name in ("cured", "log_hazard_uncured", "log_hazard_other")}
        table, fitted = refitted(trial(truth, 144, rng), index, **SHORT)
        posterior = fitted.posterior
        of = Cure(table, PRIORS).law(posterior)
        found, law = Estimands(of, extrapolate=True), cure_law(truth, GRID, ("progression", "death"))
        errors.append(np.concatenate([
            posterior["cured"].mean(("chain", "draw")).values - truth["cured"],
            [float(posterior["log_odds_ratio"].mean()) - prior["log_odds_ratio"][index],
             float(posterior["log_hazard_ratio_uncured"].mean()) - prior["log_hazard_ratio_uncured"][index]],
            found.rmst(60).mean(("chain", "draw")).values - law.rmst(60),
            of.shares(24)[..., 0, 0].mean(axis=(0, 1)) - law.shares(24)[:, 0, 0],
        ]))  # fmt: skip
        known.append(truth["cured"])
    errors, known = np.array(errors), np.array(known)
    z = errors.mean(axis=0) / (errors.std(axis=0, ddof=1) / np.sqrt(trials))
    assert np.abs(z).max() < 4, z
    left = (errors[:, :2] ** 2).mean(axis=0) / known.var(axis=0)
    assert (left < 0.3).all(), left  # and they are small beside what the prior leaves open


def test_long_follow_up_contracts_and_short_follow_up_says_that_it_does_not(refitted):
    rng = np.random.default_rng(4)
    prior = PRIORS.sample(("death",), 2, GRID, 100_000, rng=rng)["cured"]
    truth = constant(0.45, 0.045)
    long, short = trial(truth, 144, rng), trial(truth, 10, rng)
    table, fitted = refitted(long, 1)
    said = cure_summary(fitted.posterior, table, PRIORS, rng=rng).loc["cured share"]
    assert (said["contraction"] > 0.75).all()
    assert (said["note"] == "").all()
    assert ((said["lower"] < 0.45) & (said["upper"] > 0.45)).all()
    table, fitted = refitted(short, 2)
    said = cure_summary(fitted.posterior, table, PRIORS, rng=rng).loc["cured share"]
    assert (said["contraction"] < 0.3).all()
    assert (said["note"] == LITTLE).all()
    moved = np.abs(said["median"].to_numpy() - np.median(prior, axis=0)) / prior.std(axis=0)
    assert (moved < 0.5).all()
    assert follow_up_horizon(short) < 10


def test_short_follow_up_does_not_tell_many_cured_from_a_low_hazard(refitted):
    """The event-free share falls as steeply at first: few cured with a low hazard, or many with a high one.

    Followed for 5 months on average, when the uncured take 12 or 21 to lose half; and, to show that it could, for long.
    """
    moved = {}
    for cutoff in (10, 144):
        found = np.empty((3, 2, 2))
        for seed, which in np.ndindex(3, 2):
            cured = (0.1, 0.5)[which]
            patients = trial(constant(cured, 0.03 / (1 - cured)), cutoff, np.random.default_rng(5 + seed))
            _, fitted = refitted(patients, seed, **SHORT)
            found[seed, which] = fitted.posterior["cured"].mean(("chain", "draw")).values
        moved[cutoff] = (found[:, 1] - found[:, 0]).mean(axis=0)
    assert (np.abs(moved[10]) < 0.1).all(), moved  # of the 0.4 between the truths
    assert (moved[144] > 0.3).all(), moved
