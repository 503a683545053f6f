"""Examples in docstrings: every name that one import shows has some, they run quickly, and print what they say."""

import doctest
import importlib
import inspect
import time

import matplotlib as mpl
import pytest

import smm_bayes as smm

mpl.use("Agg")

ELSEWHERE = ("errors", "trial.calendar", "survival.exact")  # modules with examples of other names
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
# names whose rooms are being rebuilt: each is to get an example, and then to leave this list
AWAITED = {"Enrolment", "FinalAnalysis", "HazardRatioProbability", "LogRank", "TwoSampleDesign",
           "probability_of_success", "read_inputs", "run_interim"}  # fmt: skip
LONGEST = 2.0  # seconds of the examples of one name


@pytest.fixture(scope="module", autouse=True)
def libraries():
    """Load what is loaded once a session, so that an example is timed by itself."""
    for name in ("arviz", "pymc", "matplotlib.pyplot", "scipy.stats"):
        importlib.import_module(name)


def examples(name):
    """Examples of a name, and of what a class offers."""
    found = getattr(smm, name)
    return [test for test in doctest.DocTestFinder(recurse=inspect.isclass(found)).find(found, name) if test.examples]


def failures(tests):
    """What examples print that they do not say."""
    runner, said = doctest.DocTestRunner(optionflags=FLAGS), []
    for test in tests:
        runner.run(test, out=said.append)
    return "".join(said)


@pytest.mark.parametrize("name", [name for name in smm.__all__ if examples(name)])
def test_examples_run_and_print_what_they_say(name):
    assert not failures(examples(name))


@pytest.mark.parametrize("name", [name for name in smm.__all__ if examples(name)])
def test_examples_are_quick(name):
    """Numba and ArviZ compile at their first call, so the second is timed."""
    failures(examples(name))
    started = time.process_time()
    failures(examples(name))
    assert time.process_time() - started < LONGEST


def test_examples_of_other_modules():
    for name in ELSEWHERE:
        assert doctest.testmod(importlib.import_module(f"smm_bayes.{name}"), optionflags=FLAGS).failed == 0


def test_every_name_has_an_example():
    """An example that is never run shows nothing: one line at least is not skipped."""
    without = {name for name in smm.__all__ if not any(
        not one.options.get(doctest.SKIP) and not one.source.startswith(("import", "from"))
        for test in examples(name) for one in test.examples)}  # fmt: skip
    assert without == AWAITED


def test_an_example_that_prints_something_else_is_seen():
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    assert "Expected:\n    3\nGot:\n    2" in failures([wrong])
