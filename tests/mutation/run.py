"""Mutation score of the numerical core: how many small faults put into it do its tests see?

    python tests/mutation/run.py [FILE ...] [--seed N] [--sample N] [--results out/mutation.jsonl] [--write]

Modules and their tests are in ``modules.toml``; mutants known to change nothing, and the survivors, each with its
reason, in ``survivors.csv``. Results are added to a file as they come, and a later run takes from it what it can: a
caught mutant as long as its module is the same, a survivor as long as its tests are too. ``--write`` stores the score
in ``score.json``. The exit code is 1 where a group's score is below 95 %, or a survivor has no reason.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import difflib
import hashlib
import json
import math
import platform
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mutants import PACKAGE, ROOT, Mutant, digest, mutants, sample
from server import prepare, put_to_tests

HERE = Path(__file__).parent
LEAST = 0.95


@dataclass(frozen=True)
class Module:
    """A module of the table, with the sample of its mutants."""

    group: str
    file: str
    tests: tuple[str, ...]
    of: int
    mutants: tuple[Mutant, ...]

    @classmethod
    def read(cls, entry: Mapping[str, Any], size: int, seed: int) -> Module:
        found = mutants(entry["file"], entry.get("only", ()))
        chosen = sample(found, entry.get("sample", size), seed)
        return cls(entry["group"], entry["file"], tuple(entry["tests"]), len(found), tuple(chosen))

    @property
    def hashes(self) -> tuple[str, str]:
        """Hashes of the module and of its tests."""
        files = sorted({test.partition("::")[0] for test in self.tests} | {"conftest.py"})
        tests = hashlib.sha256(b"".join((ROOT / "tests" / file).read_bytes() for file in files))
        return digest(PACKAGE / self.file), tests.hexdigest()[:16]


def known(path: Path) -> dict[str, tuple[str, str]]:
    """Read kind (``equivalent`` or ``survivor``) and reason of the mutants in ``survivors.csv``, by their key."""
    with path.open(newline="") as source:
        return {"|".join(row[name] for name in ("file", "function", "line", "operator", "nth")): (row["kind"], row["reason"])
                for row in csv.DictReader(source)}  # fmt: skip


def outcomes(
    module: Module, stored: Path, skipped: Mapping[str, Any], slow: Sequence[str]
) -> Iterator[tuple[Mutant, str]]:
    """Outcome of every mutant of the sample that is not equivalent, from the file or from its tests."""
    code, tests = module.hashes
    earlier = {}
    for line in stored.read_text().splitlines() if stored.exists() else ():
        row = json.loads(line)
        if row["module"] == code and (row["outcome"] != "survived" or row["tests"] == tests):
            earlier[row["key"]] = row["outcome"]
    wanted = [mutant for mutant in module.mutants if mutant.key not in skipped]
    yield from ((mutant, earlier[mutant.key]) for mutant in wanted if mutant.key in earlier)
    left: list[Mutant | None] = [None, *(mutant for mutant in wanted if mutant.key not in earlier)]
    if len(left) == 1:
        return
    told = 0
    with stored.open("a") as target:
        for index, outcome, seconds in put_to_tests(module.file, left, module.tests, slow):
            mutant, told = left[index], told + 1
            if mutant is None:
                print(f"  {module.file}: {len(left) - 1} mutants, tests take {seconds:.1f} s", file=sys.stderr, flush=True)
                if outcome != "survived":
                    raise SystemExit(f"{module.file}: its tests fail without a mutation; set MUTATION_LOG to see why")
                continue
            row = {"key": mutant.key, "outcome": outcome, "seconds": seconds, "module": code, "tests": tests}
            print(json.dumps(row), file=target, flush=True)
            yield mutant, outcome
    if told < len(left):
        raise SystemExit(f"{module.file}: not imported by its tests, or these ended early")


def interval(hits: int, of: int) -> tuple[float, float]:
    """Exact binomial (Clopper-Pearson) 95 % interval."""
    from scipy.stats import beta

    low = 0.0 if hits == 0 else float(beta.ppf(0.025, hits, of - hits + 1))
    return low, 1.0 if hits == of else float(beta.ppf(0.975, hits + 1, of - hits))


def counted(results: Sequence[str]) -> dict[str, Any]:
    """Caught (a timeout too), survived and the score with its interval."""
    caught = len(results) - results.count("survived")
    low, high = interval(caught, len(results))
    return {"mutants": len(results), "caught": caught, "timeout": results.count("timeout"),
            "survived": results.count("survived"), "score": round(caught / max(len(results), 1), 4),
            "low": round(low, 4), "high": round(high, 4)}  # fmt: skip


def line(name: str, row: Mapping[str, Any], more: str = "") -> str:
    """One line of the table that is printed."""
    return (f"{name:42} {row['mutants']:5} {row['caught']:6} {row['timeout']:7} {row['survived']:8}   {row['score']:6.1%}"
            f"  ({row['low']:.1%} to {row['high']:.1%}){more}")  # fmt: skip


def shown(mutant: Mutant, reason: str) -> str:
    """A survivor: where it is, what was changed, and why it is allowed to."""
    diff = list(difflib.unified_diff([mutant.text], [mutant.changed()], lineterm="", n=0))[3:]
    return "\n".join([f"{mutant.module}:{mutant.line} {mutant.function}, {mutant.operator} {mutant.nth}: {reason}",
                      *(f"    {row}" for row in diff)])  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for, print the scores, and say whether they suffice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="modules of the table, below the package; all by default")
    parser.add_argument("--results", type=Path, default=ROOT / "out" / "mutation.jsonl")
    parser.add_argument("--seed", type=int, help="another sample, which no test was written for")
    parser.add_argument("--sample", type=int, help="mutants of every module")
    parser.add_argument("--write", action="store_true", help="store the score in score.json")
    given = parser.parse_args(arguments)
    table = tomllib.loads((HERE / "modules.toml").read_text())
    table["seed"] = given.seed if given.seed is not None else table["seed"]
    own = {"sample": given.sample} if given.sample else {}
    explained = known(HERE / "survivors.csv")
    equivalent = {key: reason for key, (kind, reason) in explained.items() if kind == "equivalent"}
    given.results.parent.mkdir(parents=True, exist_ok=True)
    prepare()
    rows, lived, same = [], [], []
    for entry in table["module"]:
        if given.files and entry["file"] not in given.files:
            continue
        module = Module.read(entry | own, table["sample"], table["seed"])
        found = list(outcomes(module, given.results, equivalent, table["slow"]))
        unused = [mutant for mutant in module.mutants if mutant.key in equivalent]
        rows.append((module, [outcome for _, outcome in found], len(unused)))
        lived += [mutant for mutant, outcome in found if outcome == "survived"]
        same += unused
        print(line(module.file, counted(rows[-1][1]), f", {len(unused)} equivalent, of {module.of}"), file=sys.stderr)
    return report(rows, lived, same, explained, table, given)


def report(
    rows: Sequence[tuple[Module, list[str], int]], lived: Sequence[Mutant], same: Sequence[Mutant],
    explained: Mapping[str, tuple[str, str]], table: Mapping[str, Any], given: argparse.Namespace,
) -> int:  # fmt: skip
    """Print scores, equivalents and survivors; store the score; give the exit code."""
    groups = {group: counted([o for module, found, _ in rows if module.group == group for o in found])
              for group in dict.fromkeys(module.group for module, _, _ in rows)}  # fmt: skip
    total = counted([outcome for _, found, _ in rows for outcome in found])
    modules = {module.file: {"group": module.group, "of": module.of, "equivalent": unused, "hash": module.hashes[0],
                             **counted(found)} for module, found, unused in rows}  # fmt: skip
    print(f"\nEquivalent, by {HERE.name}/survivors.csv:", *(shown(one, explained[one.key][1]) for one in same), sep="\n")
    print("\nSurvived:", *(shown(one, explained.get(one.key, ("", "NO REASON"))[1]) for one in lived), sep="\n")
    print(f"\n{'':42} {'of':>5} {'caught':>6} {'timeout':>7} {'survived':>8}    score  (95 % interval)")
    for name, row in modules.items():
        print(line(name, row, f", {row['equivalent']} equivalent, of {row['of']}"))
    for name, row in {**groups, "total": total}.items():
        print(line(name, row))
    if given.write:
        versions = {"python": platform.python_version(), **{name: version(name) for name in ("cosmic-ray", "numpy")}}
        content = {"date": f"{datetime.date.today()}", "seed": table["seed"], "sample": table["sample"],
                   "versions": versions, "total": total, "groups": groups, "modules": modules,
                   "survivors": [one.key for one in lived], "equivalent": [one.key for one in same]}  # fmt: skip
        (HERE / "score.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    bad = [name for name, row in groups.items() if row["score"] < LEAST or math.isnan(row["score"])]
    silent = [one for one in lived if not explained.get(one.key, ("", ""))[1]]
    print(f"\nbelow {LEAST:.0%}: {', '.join(bad) or 'none'}; survivors without a reason: {len(silent)}")
    return int(bool(bad or silent))


if __name__ == "__main__":
    sys.exit(main())
