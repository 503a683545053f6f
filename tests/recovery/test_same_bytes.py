"""The same seed gives the same bytes in every process, whether compiled code was kept from an earlier one or not."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import hashlib, sys
import numpy as np, pymc as pm, pytensor, pytensor.tensor as pt
from smm_bayes.inference import fit

covariates = np.arange(60.0).reshape(20, 3) * 7 % 11 - 5
with pm.Model() as model:
    effects = pm.Normal("effects", 0, 1, shape=3)
    events = pm.Data("events", np.arange(20.0) % 3)
    pm.CustomDist("seen", (covariates * effects).sum(axis=1), observed=events,
                  logp=lambda value, log_rate: value * log_rate - pt.exp(log_rate))
before = pytensor.config.numba__fastmath
found = fit(model, seed=1, draws=300, tune=300, chains=2, cores=int(sys.argv[1]), attempts=1)
assert pytensor.config.numba__fastmath == before, "the user's own settings were changed"
draws = np.ascontiguousarray(found.posterior["effects"].values)
print(hashlib.sha256(draws.tobytes()).hexdigest(), found.fingerprint)
"""


def run(folder, seed, *arguments):
    """Run the program with its compiled code in a folder."""
    flags = f"base_compiledir={folder}/pytensor,numba__fastmath=True"
    environment = {**os.environ, "PYTENSOR_FLAGS": flags, "NUMBA_CACHE_DIR": str(folder / "numba"),
                   "PYTHONHASHSEED": str(seed)}  # fmt: skip
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compiled")
    return folder, run(folder, 1, "1")


def test_with_empty_and_with_full_caches(first):
    """Fastmath, which PyTensor's default allows, gave this model other draws in the second process."""
    folder, found = first
    assert list((folder / "pytensor" / "numba").iterdir())
    assert run(folder, 2, "2") == found
