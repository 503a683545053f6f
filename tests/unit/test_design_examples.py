"""Examples in the docstrings of the rooms of designs: they run, and print what they say."""

import doctest
from importlib import import_module

import pytest

MODULES = ["response.two_stage", "response.two_stage_result"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run_and_print_what_they_say(name):
    found = doctest.testmod(import_module(f"smm_bayes.{name}"), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 0
    assert found.failed == 0
