"""Change valid inputs at random and give them to every reader: nothing but its own errors, no hang, no row lost.

    python tests/fuzz/readers.py                        1,000,000 executions, resumable, in out/fuzz.jsonl
    python tests/fuzz/readers.py --one 123456           one of them again, with its traceback
    python tests/fuzz/readers.py --summary              write summary.json beside this file

Execution number i has random numbers of its own, of (seed, i): a fault is named by its number. The crash of a reader is
any error that is not the package's, or a warning; a hang is more than two seconds of processor time.
"""

import argparse
import collections
import datetime
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from doors import DOORS, Lost

from smm_bayes.errors import SmmBayesError

HERE = Path(__file__).parent
SUMMARY = HERE / "summary.json"
CHUNK, SEED, LONGEST = 1000, 20261128, 2.0


class Hang(BaseException):
    """A reader did not come to an end; no reader catches it."""


def _late(*_: object) -> None:
    raise Hang


def execute(seed: int, number: int, folder: Path, door: str | None = None) -> tuple[str, str]:
    """Give the door and what came of execution ``number``: accepted, refused, or a fault with its words."""
    rng = random.Random(seed * 10**9 + number)
    chosen = rng.choices(list(DOORS), [share for _, share in DOORS.values()])[0]
    chosen = door or chosen
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    try:
        DOORS[chosen][0](rng, folder)
        return chosen, "accepted"
    except SmmBayesError as error:
        return chosen, "refused" if str(error).strip() else "crash: an error without words"
    except Lost as error:
        return chosen, f"lost: {error}"
    except Hang:
        return chosen, "hang"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return chosen, f"crash: {type(error).__name__}: {str(error)[:200]} ({Path(where.filename).name}:{where.lineno})"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def run(seed: int, numbers: range, folder: Path, door: str | None = None) -> dict[str, Any]:
    """Execute a range of numbers and count what came of them."""
    counts: dict[str, collections.Counter[str]] = {}
    faults, slowest = [], 0.0
    signal.signal(signal.SIGPROF, _late)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in numbers:
            began = time.process_time()
            chosen, outcome = execute(seed, number, folder, door)
            slowest = max(slowest, time.process_time() - began)
            kind = outcome.split(":")[0]
            counts.setdefault(chosen, collections.Counter())[kind] += 1
            if kind not in ("accepted", "refused"):
                faults.append({"number": number, "door": chosen, "what": outcome})
    return {"seed": seed, "first": numbers.start, "executions": len(numbers), "faults": faults,
            "slowest_s": round(slowest, 3), "doors": {name: dict(found) for name, found in sorted(counts.items())}}  # fmt: skip


def summary(results: Path) -> dict[str, Any]:
    """Add up the chunks of a file of results."""
    chunks = [json.loads(line) for line in results.read_text().splitlines()]
    total: dict[str, collections.Counter[str]] = {}
    for chunk in chunks:
        for name, found in chunk["doors"].items():
            total.setdefault(name, collections.Counter()).update(found)
    doors = {name: {"executions": found.total(), "accepted": found["accepted"], "refused": found["refused"],
                    "share_accepted": round(found["accepted"] / found.total(), 3)} for name, found in sorted(total.items())}  # fmt: skip
    everything = sum(total.values(), collections.Counter())
    return {"seed": chunks[0]["seed"], "date": datetime.date.today().isoformat(), "executions": everything.total(),
            **{kind: everything[kind] for kind in ("accepted", "refused", "crash", "hang", "lost")},
            "slowest_s": max(chunk["slowest_s"] for chunk in chunks), "doors": doors}  # fmt: skip


def _work(given: argparse.Namespace, folder: Path) -> None:
    """Run the chunks that the file of results has not."""
    given.results.parent.mkdir(parents=True, exist_ok=True)
    lines = given.results.read_text().splitlines() if given.results.exists() else []
    done = {json.loads(line)["first"] for line in lines if json.loads(line)["seed"] == given.seed}
    began, ran = time.monotonic(), 0
    for first in range(given.part * CHUNK, given.executions, given.parts * CHUNK):
        if first in done:
            continue
        found = run(given.seed, range(first, min(first + CHUNK, given.executions)), folder, given.door)
        with given.results.open("a") as file:
            file.write(json.dumps(found) + "\n")
        ran += found["executions"]
        for fault in found["faults"]:
            print(fault, flush=True)
        print(f"{first + CHUNK:,} of {given.executions:,}, {ran / (time.monotonic() - began):.0f} a second", flush=True)


def main() -> int:
    """Run, or show one execution, or sum up; 1 where there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--results", type=Path, default=HERE.parents[1] / "out/fuzz.jsonl")
    parser.add_argument("--part", type=int, default=0, help="with --parts: every so many-th thousand, from this one on")
    parser.add_argument("--parts", type=int, default=1)
    parser.add_argument("--door", choices=list(DOORS))
    parser.add_argument("--one", type=int)
    parser.add_argument("--summary", action="store_true")
    given = parser.parse_args()
    shared = "/dev/shm" if os.path.isdir("/dev/shm") else None  # files in memory
    with tempfile.TemporaryDirectory(dir=shared) as name:
        folder = Path(name)
        if given.one is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                rng = random.Random(given.seed * 10**9 + given.one)
                chosen = rng.choices(list(DOORS), [share for _, share in DOORS.values()])[0]
                DOORS[given.door or chosen][0](rng, folder)
            return 0
        if not given.summary:
            _work(given, folder)
    found = summary(given.results)
    print(json.dumps(found, indent=1))
    if given.summary:
        SUMMARY.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if found["crash"] + found["hang"] + found["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
