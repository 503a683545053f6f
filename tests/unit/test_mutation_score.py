"""The mutation score on record: high enough, of the modules as they are, and every survivor has a reason."""

import csv
import importlib.util
import json
import sys
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1] / "mutation"
SCORE = json.loads((HERE / "score.json").read_text())
TABLE = tomllib.loads((HERE / "modules.toml").read_text())
MODULES = {entry["file"]: entry for entry in TABLE["module"]}
MOST_CHANGED = 1 / 4  # of the modules may have changed since the score was measured


@pytest.fixture(scope="module")
def mutants():
    spec = importlib.util.spec_from_file_location("mutants", HERE / "mutants.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutants"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    yield module
    del sys.modules["mutants"]


def reasons():
    with (HERE / "survivors.csv").open(newline="") as source:
        return {"|".join(row[name] for name in ("file", "function", "line", "operator", "nth")): row
                for row in csv.DictReader(source)}  # fmt: skip


def test_every_group_catches_95_percent():
    assert len(SCORE["groups"]) == 5
    for group in SCORE["groups"].values():
        assert group["score"] >= 0.95


def test_scores_are_the_shares_of_their_counts():
    for part in (*SCORE["groups"].values(), *SCORE["modules"].values(), SCORE["total"]):
        assert part["caught"] + part["survived"] == part["mutants"]
        assert part["score"] == pytest.approx(part["caught"] / max(part["mutants"], 1), abs=5e-5)
        assert part["low"] <= part["score"] <= part["high"]
    for name in ("mutants", "caught", "survived", "timeout"):
        for group, part in SCORE["groups"].items():
            assert part[name] == sum(m[name] for m in SCORE["modules"].values() if m["group"] == group)
        assert SCORE["total"][name] == sum(part[name] for part in SCORE["groups"].values())
    assert SCORE["total"]["survived"] == len(SCORE["survivors"])


def test_the_score_is_of_the_modules_of_the_table(mutants):
    assert set(SCORE["modules"]) == set(MODULES), "a module was added, moved or left out: make validate"
    for file, entry in MODULES.items():
        assert (mutants.PACKAGE / file).is_file(), file
        assert SCORE["modules"][file]["group"] == entry["group"]
        for test in entry["tests"]:
            assert (HERE.parent / test.partition("::")[0]).is_file(), test
    changed = [file for file in MODULES if mutants.digest(mutants.PACKAGE / file) != SCORE["modules"][file]["hash"]]
    said = f"changed since the score was measured, which make validate does anew: {', '.join(changed)}"
    assert len(changed) <= MOST_CHANGED * len(MODULES), said


def test_survivors_and_equivalents_have_a_reason():
    known = reasons()
    for key in SCORE["survivors"]:
        assert known[key]["kind"] == "survivor"
    for key in SCORE["equivalent"]:
        assert known[key]["kind"] == "equivalent"
    for key, row in known.items():
        assert len(row["reason"].split()) >= 4, key


def test_docstrings_and_comments_are_no_change(mutants, tmp_path):
    path, hashes = tmp_path / "module.py", []
    for text in ('"""One."""\nx = 1\n', '"""Two."""\n\n# why\nx = 1\n', "x = 2\n"):
        path.write_text(text)
        hashes.append(mutants.digest(path))
    assert hashes[0] == hashes[1] != hashes[2]
