"""Repeat the flagship's analysis with other seeds and fresh reconstructions; compare the spread with the stated errors.

    python tests/calibration/monte_carlo_error.py                       all that is missing of the table beside this file
    python tests/calibration/monte_carlo_error.py --work FOLDER         copies of specification and data are kept there

Every repetition reconstructs the earlier trials anew from the same published numbers, as equally likely as those that
are stored. What differs between repetitions is Monte Carlo alone: their standard deviation is the true error. The answer
named before the data is that without MRD, so MRD is left out here.
"""

import argparse
import csv
import shutil
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).with_suffix(".csv")
SPEC = Path("models/krd_vs_rd/spec.toml")
RECONSTRUCTED = Path("data/patients/reconstructed")
REPEATS = 20
COLUMNS = ("repeat", "answer", "probability", "mcse", "mcse_within")


def anew(folder: Path, repeat: int) -> Path:
    """Copy the specification and its data, with other reconstructions; give the copy of the specification."""
    from smm_bayes.analysis.spec import AnalysisSpec
    from smm_bayes.evidence.declared import load_declarations
    from smm_bayes.evidence.made import make

    (folder / SPEC).parent.mkdir(parents=True)
    shutil.copy(ROOT / SPEC, folder / SPEC)
    shutil.copytree(ROOT / "data", folder / "data")
    declared = load_declarations()
    for trial in AnalysisSpec.load(folder / SPEC).evidence.trial:
        one = declared[Path(trial.file).stem]
        make(one, seed=one.seed + 1000 * repeat).write(folder / RECONSTRUCTED)
    return folder / SPEC


def answers(repeat: int, spec: Path) -> list[tuple[object, ...]]:
    """Every probability of success of one analysis, with what it says of its error."""
    from smm_bayes.analysis.interim import read_inputs, run_interim

    found = run_interim(read_inputs(spec).without_mrd(), seed=repeat, workers=1).decision
    rows: list[tuple[object, ...]] = [(repeat, "answer", found.probability_of_success, found.mcse, found.mcse_within)]
    for one in found.answers:
        if one.how == "left out":
            rows.append((repeat, one.name, one.probability, one.mcse, ""))
            rows.append((repeat, one.name.replace("without", "moved by"), one.moved, one.mcse_moved, ""))
    return rows


def main() -> None:
    """Append what is missing, a repetition at a time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=None)
    parser.add_argument("--table", type=Path, default=TABLE)
    chosen = parser.parse_args()
    work = Path(tempfile.mkdtemp()) if chosen.work is None else chosen.work
    done = set()
    if chosen.table.exists():
        with chosen.table.open(newline="") as file:
            done = {int(row["repeat"]) for row in csv.DictReader(file)}
    for repeat in sorted(set(range(1, REPEATS + 1)) - done):
        folder = work / str(repeat)
        shutil.rmtree(folder, ignore_errors=True)
        rows = answers(repeat, anew(folder, repeat))
        new = not chosen.table.exists()
        with chosen.table.open("a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if new:
                writer.writerow(COLUMNS)
            for number, name, *values in rows:
                writer.writerow([number, name, *(x if x in ("", None) else f"{x:.6g}" for x in values)])
        print(f"{repeat} of {REPEATS}: {rows[0][2]:.4f} +- {rows[0][3]:.4f}", flush=True)


if __name__ == "__main__":
    main()
