"""Latent exchangeability: the sampler against the sum over all memberships of a few patients."""

from itertools import product

import numpy as np
import pytest
from scipy.special import gammaln, logsumexp

from smm_bayes.borrowing import (
    HistoricalRows,
    LatentPriors,
    ShareOfPatients,
    latent_exchangeability_data,
    latent_exchangeability_model,
)
from smm_bayes.inference import fit
from smm_bayes.survival import BaselinePrior, EventTable, SurvivalPriors, TimeGrid
from smm_bayes.trial import Patients

GRID, CAUSES = TimeGrid(), ("event",)
BASELINE, OTHER = BaselinePrior(12, 48), BaselinePrior(30, 150)
NOW = EventTable(np.array([[[6.0]]]), np.array([[60.0]]), GRID, ("control",), CAUSES)
TIMES = np.array([3.0, 8.0, 5.0, 40.0, 45.0, 11.0, 50.0, 38.0])
EVENTS = np.array([1, 1, 1, 0, 1, 1, 0, 0], bool)
SHARE = ShareOfPatients(0.6, 3)
X = np.linspace(-9, 2, 1200)


def patients(times=TIMES, events=EVENTS):
    size = len(times)
    return Patients(
        patient=np.arange(size).astype(str).astype(object), arm=np.zeros(size, int), time=times, event=events,
        cause=np.where(events, 0, -1), censoring=np.where(events, "", "administrative").astype(object), enrolled=None,
        arms=("control",), arm_names=("control",), causes=CAUSES, provenance="simulated",
    )  # fmt: skip


def rows(**given):
    return HistoricalRows.of(patients(**given), GRID, simulated=True)


def priors(share=SHARE, classes=2):
    return LatentPriors(SurvivalPriors({"event": BASELINE}), share, {"event": OTHER}, classes)


def moments(prior, events, exposure):
    """Log marginal likelihood, mean and mean square of the log hazard, for arrays of events and exposure."""
    log_density = events[:, None] * X - exposure[:, None] * np.exp(X) - 0.5 * ((X - prior.mean) / prior.sd) ** 2
    log_density = log_density - np.log(prior.sd * np.sqrt(2 * np.pi)) + np.log(X[1] - X[0])
    total = logsumexp(log_density, axis=1)
    weight = np.exp(log_density - total[:, None])
    return total, weight @ X, weight @ X**2


def exact(share=SHARE, classes=2, times=TIMES, events=EVENTS):
    """Posterior over all memberships: mean and SD of the current log hazard, of the share, and the expected number.

    Given who belongs where, hazards are apart and one-dimensional, and shares are Dirichlet.
    """
    size = len(times)
    subsets = np.array(list(product([0, 1], repeat=size)))
    d, e = subsets @ events.astype(float), subsets @ times
    first, mean, square = moments(BASELINE, d + NOW.events[0, 0, 0], e + NOW.exposure[0, 0])
    other = moments(OTHER, d, e)[0]
    belongs = np.array(list(product(range(classes), repeat=size)))
    code = 2 ** np.arange(size)[::-1]
    of_class = [(belongs == k) @ code for k in range(classes)]
    number = np.stack([(belongs == k).sum(axis=1) for k in range(classes)])
    prior = np.array([share.a, *[share.b / (classes - 1)] * (classes - 1)])[:, None]
    weight = first[of_class[0]] + sum(other[index] for index in of_class[1:]) + gammaln(prior + number).sum(axis=0)
    weight = np.exp(weight - logsumexp(weight))
    found = {"log_hazard": weight @ mean[of_class[0]], "exchangeable_patients": weight @ number[0]}
    found["log_hazard_sd"] = np.sqrt(weight @ square[of_class[0]] - found["log_hazard"] ** 2)
    a, n = share.a + number[0], share.patients + size
    found["share"] = weight @ (a / n)
    found["share_sd"] = np.sqrt(weight @ ((a / n - found["share"]) ** 2 + a * (n - a) / n**2 / (n + 1)))
    return found


def compare(posterior, known):
    import arviz as az

    draws = {"log_hazard": posterior["log_hazard"].squeeze(drop=True), "share": posterior["exchangeable_share"]}
    number = {name: posterior[name] for name in ("exchangeable_patients",) if name in posterior}
    for name, values in (draws | number).items():
        assert abs(float(values.mean()) - known[name]) < 4 * float(az.mcse(values)), name
    for name, values in draws.items():
        assert float(values.std()) == pytest.approx(known[f"{name}_sd"], rel=0.05)


@pytest.fixture(scope="module")
def model():
    """Two classes, compiled once."""
    return latent_exchangeability_model(NOW, rows(), priors(), rows=len(TIMES))


def test_two_classes_are_exact(model):
    known = exact()
    fitted = fit(model, seed=3, draws=4000).require_convergence()
    compare(fitted.posterior, known)
    alone, together = exact(times=TIMES[:0], events=EVENTS[:0]), exact(ShareOfPatients(1 - 1e-5, 1e8))
    assert alone["log_hazard"] - 0.02 > known["log_hazard"] > together["log_hazard"] + 0.1
    assert set(fitted.data["log_prior"].data_vars) >= {"exchangeable_share", "other_level", "log_baseline"}
    assert fitted.data["cell_log_likelihood"]["patients"].shape == (4, 4000, len(TIMES) + 1)


def test_nobody_earlier_is_no_borrowing(model):
    nobody = {"times": TIMES[:0], "events": EVENTS[:0]}
    data = latent_exchangeability_data(NOW, rows(**nobody), priors(), rows=len(TIMES))
    fitted = fit(model, seed=4, data=data, draws=3000).require_convergence()
    compare(fitted.posterior.drop_vars("exchangeable_patients"), exact(**nobody))
    assert not fitted.posterior["exchangeable_patients"].any()


def test_three_classes_are_exact_and_in_order():
    known = exact(classes=3)
    fitted = fit(latent_exchangeability_model(NOW, rows(), priors(classes=3)), seed=5, draws=4000).require_convergence()
    compare(fitted.posterior, known)
    other = fitted.posterior["log_hazard_other"].squeeze(drop=True)
    assert bool((other[..., 1] > other[..., 0]).all())
    assert abs(known["log_hazard"] - exact()["log_hazard"]) > 0.001  # the number of classes matters


def test_a_share_near_1_is_pooling():
    """The prior cut off below 0.999."""
    import arviz as az

    near = priors(ShareOfPatients(0.6, 3, lower=0.999))
    posterior = fit(latent_exchangeability_model(NOW, rows(), near), seed=6, draws=2000).require_convergence().posterior
    _, mean, _ = moments(BASELINE, np.array([6.0 + EVENTS.sum()]), np.array([60.0 + TIMES.sum()]))
    draws = posterior["log_hazard"].squeeze(drop=True)
    assert abs(float(draws.mean()) - mean[0]) < 4 * float(az.mcse(draws)) + 0.005  # 0.005 for the share that is left
    assert float(posterior["exchangeable_patients"].mean()) > 7.9
