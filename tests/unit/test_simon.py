"""The command ``smm-bayes simon``: what it prints, what it refuses, and that it starts fast."""

import json
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from smm_bayes.cli import app
from smm_bayes.errors import SpecificationError
from smm_bayes.response.two_stage import two_stage_designs

KEYS = ["r1", "n1", "r", "n", "expected_n", "early_stop_probability", "type_one_error", "power"]
ASKED = ["simon", "--p0", "0.1", "--p1", "0.3", "--alpha", "0.05", "--beta", "0.2"]


def run(*arguments, code=0):
    done = subprocess.run([sys.executable, "-P", "-m", "smm_bayes.cli", *arguments], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


def test_json_holds_every_design_with_its_numbers():
    found = json.loads(run(*ASKED, "--json").stdout)
    assert list(found) == ["optimal", "minimax", "admissible"]
    assert [list(each) for each in (found["optimal"], found["minimax"], *found["admissible"])] == 6 * [KEYS]
    assert found["optimal"] == found["admissible"][-1] == two_stage_designs(0.1, 0.3).optimal.numbers()
    assert found["minimax"] == found["admissible"][0]
    assert all(isinstance(found["optimal"][key], int) for key in KEYS[:4])


def test_the_table_shows_the_designs_and_how_to_read_them():
    said = CliRunner().invoke(app, ASKED).stdout
    lines = said.splitlines()
    assert lines[1].split()[:3] == ["minimax", "1/15", "5/25"]
    assert lines[4].split()[:3] == ["optimal", "1/10", "5/29"]
    assert lines[-1].startswith("Read r1/n1 as: stop after r1 or fewer responses of n1 patients")


@pytest.mark.parametrize(("changes", "messages"), [
    (["--p1", "0.1"], ["p1, the rate worth going on with, must be above p0"]),
    (["--alpha", "0"], ["alpha must be above 0 and below 0.5"]),
    (["--p0", "nan", "--beta", "1", "--largest-n", "1"], ["p0 must be a response rate", "got nan", "beta must be", "largest n"]),
    (["--largest-n", "24"], ["none with up to 24 patients", "allow more patients"]),
    (["--p1", "0.11"], ["none with up to 1000 patients", "rates further apart"]),
])  # fmt: skip
def test_what_cannot_be_is_refused_with_every_problem_named(changes, messages):
    done = run(*ASKED, *changes, "--json", code=2)
    assert done.stdout == ""
    assert all(message in done.stderr for message in messages), done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_heavy_is_imported():
    say = ("import sys; from smm_bayes.response.two_stage import two_stage_designs; import smm_bayes.cli; "
           "two_stage_designs(0.1, 0.3); print(*sys.modules)")  # fmt: skip
    loaded = set(subprocess.run([sys.executable, "-P", "-c", say], capture_output=True, text=True, check=True).stdout.split())
    assert not loaded & {"pandas", "scipy", "pymc", "pytensor", "numba", "matplotlib", "arviz", "xarray", "pydantic"}


def test_all_admissible_designs_of_a_large_search_take_less_than_a_second():
    """The shortest of three, since other work may go on beside."""
    spent = []
    for _ in range(3):
        start = time.perf_counter()
        two_stage_designs(0.3, 0.5, alpha=0.05, beta=0.1)
        spent.append(time.perf_counter() - start)
    assert min(spent) < 1


def test_the_largest_number_of_patients_is_kept():
    """Where the optimal design is larger than allowed, the best allowed one ends the list."""
    found = two_stage_designs(0.1, 0.3, largest=27)
    assert [each.n for each in found.admissible] == [25, 26, 27]
    with pytest.raises(SpecificationError, match="whole number from 2 to 2000"):
        two_stage_designs(0.1, 0.3, largest=27.5)
