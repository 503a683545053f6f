"""Examples in the docstrings of the names that one import shows: they run, and print what they say."""

import doctest
import inspect

import pytest

import smm_bayes as smm

OWNED = {"Fit", "OneTrial", "check_fit", "compare", "cut", "fit", "kaplan_meier", "loo", "read_patients"}


def examples(name):
    """Examples of a name, and of what a class offers."""
    found = getattr(smm, name)
    return [test for test in doctest.DocTestFinder(recurse=inspect.isclass(found)).find(found, name) if test.examples]


@pytest.mark.parametrize("name", [name for name in smm.__all__ if examples(name)])
def test_examples_run_and_print_what_they_say(name):
    runner, said = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE), []
    for test in examples(name):
        runner.run(test, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)


@pytest.mark.parametrize("name", sorted(OWNED))
def test_names_of_fits_and_of_patients_have_an_example(name):
    assert examples(name)
