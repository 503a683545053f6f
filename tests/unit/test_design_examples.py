"""Examples in the docstrings of the rooms of designs: they run, and print what they say."""

import doctest
from importlib import import_module

import pytest

MODULES = [
    "design.across_phases", "design.conditional_power", "design.events", "design.group_sequential", "design.recursion",
    "design.sequential_result", "design.spending", "response.baskets", "response.monitoring", "response.pending",
    "response.two_stage", "response.two_stage_result", "trial.comparison",
]  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_examples_run_and_print_what_they_say(name):
    found = doctest.testmod(import_module(f"smm_bayes.{name}"), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0
