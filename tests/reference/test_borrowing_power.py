"""Power priors against numbers computed elsewhere."""

import json
from pathlib import Path

import numpy as np

from smm_bayes.borrowing import PowerPrior, ResponseHistory
from smm_bayes.priors.mixtures import BetaMixture

NUMBERS = json.loads((Path(__file__).parent / "borrowing_power.json").read_text())


def test_fixed_powers_of_response_rates():
    said = NUMBERS["fixed_bernoulli"]
    history = ResponseHistory.of({str(index): row[:2] for index, row in enumerate(said["historical"])})
    prior = PowerPrior(history, [row[2] for row in said["historical"]])
    (posterior,) = prior.update((said["y"], said["n"]))
    a, b = said["posterior_beta"]
    assert isinstance(posterior, BetaMixture)
    np.testing.assert_allclose([posterior.parameters["a"][0], posterior.parameters["b"][0]], [a, b], rtol=1e-13)
