"""Fingerprints of models and machines: what differs is told apart, what is the same is the same in every process."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pymc as pm
import pytest

from smm_bayes.analysis import read_inputs
from smm_bayes.analysis.sections import SamplingSection
from smm_bayes.errors import SpecificationError
from smm_bayes.inference import fit
from smm_bayes.inference.compiled import CompiledModel
from smm_bayes.inference.fingerprint import machine, package_state
from smm_bayes.inference.made_for import MADE_FOR, hash_values
from smm_bayes.inference.model_hash import hash_model
from smm_bayes.inference.sampling import Attempt, check_settings, fingerprint_of
from smm_bayes.survival import (
    BaselinePrior,
    EventTable,
    GammaPrior,
    HazardRatioPrior,
    SurvivalPriors,
    TimeGrid,
    model_data,
    piecewise_exponential_model,
)
from smm_bayes.survival.effects import Varying, Waning
from smm_bayes.validation.designs import VARIANTS

ROOT = Path(__file__).parents[2]
GRID = TimeGrid((12, 24))
TABLE = EventTable(np.ones((2, 1, 3)), np.full((2, 3), 90.0), GRID, ("control", "experimental"), ("progression",))
PRIORS = SurvivalPriors({"progression": BaselinePrior(24, 96)})
OTHERS = [
    replace(PRIORS, baseline={"progression": BaselinePrior(24, 97)}),
    replace(PRIORS, hazard_ratio={"progression": HazardRatioPrior(1.0, 2.0)}),
    replace(PRIORS, effect=Varying()),
    replace(PRIORS, effect=Waning(stops=12, median=12, upper=48)),
    GammaPrior(0.1, 0.1),
    GammaPrior(0.1, 0.2),
]


class NotCompiled(CompiledModel):
    """A model of which nothing was compiled, to see what is refused before anything is touched."""

    def __init__(self, model):
        super().__init__(model, None)


def fingerprint(model):
    return fingerprint_of(NotCompiled(model), [Attempt(0.95, 500, 1000)], 1, 4)


def test_models_that_differ_in_a_prior_have_different_fingerprints():
    models = [piecewise_exponential_model(TABLE, priors) for priors in (PRIORS, *OTHERS)]
    assert len({hash_model(model) for model in models}) == len(models)
    assert len({fingerprint(model) for model in models}) == len(models)


def test_the_same_model_has_the_same_hash_and_data_have_no_part_in_it():
    more = replace(TABLE, events=TABLE.events + 1)
    assert hash_model(piecewise_exponential_model(TABLE, PRIORS)) == hash_model(piecewise_exponential_model(more, PRIORS))
    assert fingerprint(piecewise_exponential_model(TABLE, PRIORS)) == fingerprint(piecewise_exponential_model(TABLE, PRIORS))
    assert fingerprint(piecewise_exponential_model(TABLE, PRIORS)) != fingerprint(piecewise_exponential_model(more, PRIORS))


def test_constants_operations_and_bounds_count():
    def model(sd=1.0, upper=2.0, of=pm.math.exp):
        with pm.Model() as made:
            bounded = pm.Truncated("bounded", pm.Normal.dist(0, sd), lower=-1, upper=upper)
            pm.Deterministic("made", of(bounded))
        return made

    found = [hash_model(model()), hash_model(model(sd=1.0 + 1e-12)), hash_model(model(upper=3.0)),
             hash_model(model(of=pm.math.log1pexp))]  # fmt: skip
    assert len(set(found)) == 4
    assert found[0] == hash_model(model())


def test_hashes_are_the_same_in_every_process():
    program = ("from test_fingerprint import *;"
               "print(hash_model(piecewise_exponential_model(TABLE, PRIORS)), hash_values(PRIORS, {'b': 1, 'a': 2.0}))")
    found = {subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}, text=True,
                            capture_output=True, check=True, cwd=Path(__file__).parent).stdout for seed in ("1", "2")}  # fmt: skip
    assert found == {f"{hash_model(piecewise_exponential_model(TABLE, PRIORS))} {hash_values(PRIORS, {'a': 2.0, 'b': 1})}\n"}


def test_values_of_no_known_kind_have_no_hash():
    @dataclass
    class Odd:
        of: object

    assert hash_values(0.0) == hash_values(-0.0) != hash_values(0)
    assert hash_values((1, (2, 3))) != hash_values(((1, 2), 3))
    with pytest.raises(TypeError, match="no hash is known of object"):
        hash_values(Odd(object()))


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_data_made_under_other_priors_are_refused(other):
    with pytest.raises(SpecificationError, match="made for other priors than are compiled into the model"):
        NotCompiled(piecewise_exponential_model(TABLE, PRIORS)).with_data(model_data(TABLE, other))


def test_data_made_for_other_intervals_arms_or_causes_are_refused():
    compiled = NotCompiled(piecewise_exponential_model(TABLE, GammaPrior()))
    for part, other in (("intervals", replace(TABLE, grid=TimeGrid((12, 36)))),
                        ("arms", replace(TABLE, arms=("experimental", "control"))),
                        ("causes", replace(TABLE, causes=("death",)))):  # fmt: skip
        with pytest.raises(SpecificationError, match=f"made for other {part} than are compiled"):
            compiled.with_data(model_data(other, GammaPrior()))


def _joint_with_earlier_trials():
    inputs = read_inputs(ROOT / "models/krd_vs_rd/spec.toml")
    return inputs.joint.build(), inputs.joint.data()[0]


def _of_a_design(name):
    design, rng = VARIANTS[name](), np.random.default_rng(1)
    return design.build(), design.simulate(design.prior(1, rng=rng), rng=rng).data()[0]


@pytest.mark.parametrize("name", [*VARIANTS, "joint with earlier trials"])
def test_every_model_says_what_it_was_built_for(name):
    model, data = _of_a_design(name) if name in VARIANTS else _joint_with_earlier_trials()
    compiled, said = NotCompiled(model), [key for key in data if key.endswith(MADE_FOR)]
    assert said
    assert set(said) == {variable.name for variable in model.data_vars if variable.name.endswith(MADE_FOR)}
    for key, values in data.items():
        compiled._check(key, values)  # its own data are taken
    for key in said:
        with pytest.raises(SpecificationError, match="were made for other"):
            compiled.with_data({**data, key: data[key] + 1})


def test_settings_without_end_are_refused():
    good = {"draws": 1000, "tune": 500, "chains": 4, "attempts": 3, "target_accept": 0.95}
    check_settings(**good)
    for name, value in (("draws", 10**9), ("tune", 10**9), ("chains", 10**6), ("attempts", 1000), ("draws", 3),
                        ("draws", 100.5), ("chains", True), ("draws", float("nan")), ("tune", float("inf"))):  # fmt: skip
        with pytest.raises(SpecificationError, match=f"{name} must be a whole number from"):
            check_settings(**{**good, name: value})
    for value in (0.0, 1.0, float("nan")):
        with pytest.raises(SpecificationError, match="target_accept must be above 0 and below 1"):
            check_settings(**{**good, "target_accept": value})
    with pytest.raises(SpecificationError, match="3 problems"):
        fit(piecewise_exponential_model(TABLE, PRIORS), seed=1, draws=10**9, tune=10**9, chains=10**6)


def test_a_specification_has_the_limits_too():
    for name, value in (("draws", 10**9), ("tune", 10**9), ("chains", 10**6)):
        with pytest.raises(ValueError, match=f"{name}\n.*less than or equal to"):
            SamplingSection(**{name: value})


def test_the_machine_and_the_package_are_named(monkeypatch):
    assert machine() == machine()
    assert machine().count(",") == 2
    assert set(package_state()) >= {"version", "source"}
    assert len(package_state()["source"]) == 64
    kind = machine()
    machine.cache_clear()
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    assert machine() != kind
    assert "generic" in machine()
    machine.cache_clear()
