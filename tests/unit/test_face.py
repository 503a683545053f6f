"""What one import shows: every name resolves when it is used, and nothing heavy is loaded before."""

import json
import pkgutil
import subprocess
import sys
import time
from importlib import import_module

import pytest

import smm_bayes as smm

# rooms within rooms, and modules that their room offers
ROOM = {"BetaMixture": "priors.mixtures", "NormalMixture": "priors.mixtures", "OneSampleDesign": "response.exact",
        "TwoSampleDesign": "response.exact"}  # fmt: skip
PLOTS = {"plot_survival", "plot_prediction"}
HEAVY = {"pymc", "pytensor", "nutpie", "arviz", "xarray", "pandas", "numba", "matplotlib", "scipy", "numpy"}
SAY = "import json, sys, time; start = time.perf_counter(); import smm_bayes; spent = time.perf_counter() - start; " \
      "print(json.dumps([sorted(sys.modules), spent, dir(smm_bayes)]))"  # fmt: skip


def loaded():
    said = subprocess.run([sys.executable, "-P", "-c", SAY], check=True, capture_output=True, text=True).stdout
    return json.loads(said)


def test_the_import_loads_nothing_heavy():
    modules, _, shown = loaded()
    assert not HEAVY & set(modules)
    assert {"fit", "Patients", "probability_of_success"} <= set(shown)


def test_the_import_takes_less_than_a_third_of_a_second():
    """The shortest of five, since other work may go on beside."""
    started = time.perf_counter()
    assert min(loaded()[1] for _ in range(5)) < 0.3
    assert time.perf_counter() - started < 120


@pytest.mark.parametrize("name", smm.__all__)
def test_a_name_stands_for_something_with_a_docstring_that_starts_with_a_sentence(name):
    found = getattr(smm, name)
    module, attribute = smm._NAMES[name].split(":")
    assert found is getattr(import_module(f"smm_bayes.{module}"), attribute)
    first = (found.__doc__ or "").strip().split("\n\n")[0]
    assert first.endswith("."), name


def test_every_name_is_offered_by_its_room_and_none_is_a_rooms_own():
    """A function named as a room would be replaced by it as soon as the room is imported."""
    rooms = {module.name for module in pkgutil.iter_modules(smm.__path__)}
    assert not rooms & set(smm.__all__)
    for name in set(smm.__all__) - PLOTS:
        module, attribute = smm._NAMES[name].split(":")
        room = import_module(f"smm_bayes.{ROOM.get(name, module.partition('.')[0])}")
        assert attribute in room.__all__, name


def test_what_is_shown_is_the_names():
    assert dir(smm) == sorted([*smm.__all__, "__version__"])
    assert smm.__all__ == sorted(smm._NAMES)
    assert 36 <= len(smm.__all__) <= 44


def test_what_is_not_there_is_said_as_python_says_it():
    with pytest.raises(AttributeError, match="module 'smm_bayes' has no attribute 'nothing'"):
        _ = smm.nothing
