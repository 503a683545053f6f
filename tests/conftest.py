"""Things that many tests use: the real patients, and small made-up trials; and what ``--quick`` leaves out."""

import datetime
import os
from pathlib import Path

import numpy as np
import pytest

from smm_bayes.survival import BaselinePrior, SurvivalPriors, TimeGrid
from smm_bayes.trial import Patients, cut_by_date

ROOT = Path(__file__).parents[1]
LONG = ROOT / "tests/long.txt"
ARMS = {"control": "M-protein 1.5 g/dL or more", "experimental": "M-protein below 1.5 g/dL"}


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="leave out what tests/long.txt names; nothing compiles a model")


def pytest_configure(config):
    """With --quick a test that compiles a PyMC model fails, so that the list of long tests stays complete."""
    if not config.getoption("--quick"):
        return
    from pytensor.compile.maker import FunctionMaker

    def refuse(*_, **__):
        test = os.environ.get("PYTEST_CURRENT_TEST", "collection").rpartition(" ")[0].partition("[")[0]
        pytest.fail(f"{test} compiles a model; name it in tests/long.txt, which make quick leaves out", pytrace=False)

    FunctionMaker.__init__ = refuse


def pytest_collection_modifyitems(config, items):
    """Leave out the long tests of a quick run: whole files, or single tests of them."""
    if not config.getoption("--quick"):
        return
    named = set(LONG.read_text().split())
    long = [item for item in items if named & {str(item.path.relative_to(ROOT)), item.nodeid.partition("[")[0]}]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in set(long)]


@pytest.fixture(scope="session")
def mgus2():
    return Patients.from_adtte(
        ROOT / "data/patients/mgus2_adtte.csv", "PFS", arms=ARMS,
        causes={"progression": ["Progression"], "death": ["Death without progression"]},
        censoring={"Alive at last contact": "administrative"},
    )  # fmt: skip


@pytest.fixture(scope="session")
def mgus2_1985(mgus2):
    return cut_by_date(mgus2, datetime.date(1985, 1, 1))


@pytest.fixture(scope="session")
def grid12():
    return TimeGrid((6, 12, 24, 36, 48, 60, 84, 108, 132, 156, 192))


@pytest.fixture(scope="session")
def priors():
    return SurvivalPriors({"progression": BaselinePrior(500, 5000), "death": BaselinePrior(120, 480)})


@pytest.fixture
def simulate():
    """A made-up trial: two arms, exponential times by cause, staggered enrolment, cut at a calendar time."""

    def make(size=120, hazards=((0.03, 0.005), (0.018, 0.005)), accrual=24.0, cutoff=30.0, seed=1, digits=None):
        rng = np.random.default_rng(seed)
        arm = np.arange(size) % 2
        rates = np.asarray(hazards)[arm]
        times = rng.exponential(1 / rates)
        time, cause = times.min(axis=1), times.argmin(axis=1)
        if digits is not None:
            time = np.maximum(np.round(time, digits), 10.0**-digits)
        enrolled = np.sort(rng.uniform(0, accrual, size))
        enrolled -= enrolled[0]
        whole = Patients(
            patient=np.array([f"P{i:04d}" for i in range(size)], dtype=object), arm=arm, time=time,
            event=np.ones(size, bool), cause=cause, censoring=np.full(size, "", dtype=object), enrolled=enrolled,
            arms=("control", "experimental"), arm_names=("control", "experimental"), causes=("progression", "death"),
            provenance="simulated", data_cutoff=float((enrolled + time).max()),
        )  # fmt: skip
        return cut_by_date(whole, cutoff) if cutoff is not None else whole

    return make
