"""What the command ``smm-bayes reconstruct`` does: pseudo-patients made, compared and written, told in text."""

from __future__ import annotations

import os
from pathlib import Path

from smm_bayes.errors import DataError, Problems, SpecificationError
from smm_bayes.evidence.declared import Declaration, find, load_declarations
from smm_bayes.evidence.digitised import from_curve, read_at_risk, read_curve
from smm_bayes.evidence.made import make
from smm_bayes.files import write_csv

COLUMNS = ("patient", "arm", "time", "event", "censoring", "provenance")


def check_options(
    name: str | None, seed: int | None, number: int | None, curve: Path | None, at_risk: Path | None,
    events: int | None, n: int | None, out: Path | None,
) -> None:  # fmt: skip
    """Refuse options that do not go together, all at once.

    Raises
    ------
    SpecificationError
    """
    with Problems("options", SpecificationError).collecting() as problems:
        if name is not None and curve is not None:
            problems.add("NAME and --curve are two ways of making patients; give one")
        if curve is None and (at_risk is not None or events is not None or n is not None):
            problems.add("--at-risk, --events and --n belong to a digitised curve; give it with --curve")
        if curve is not None and (seed is not None or number is not None):
            problems.add("--seed and --number do nothing to a digitised curve; leave them out")
        if curve is not None and at_risk is None and n is None:
            problems.add("--curve needs --at-risk or --n")
        if name is None and curve is None and (seed is not None or number is not None or out is not None):
            problems.add("--seed, --number and --out need a NAME; without one, the names are listed")
        if out is not None and os.path.exists(out) and not os.path.isdir(out):  # pathlib fails on a long name
            problems.add(f"--out {out} is a file; give a folder")


def listing() -> str:
    """List the declared reconstructions."""
    declared = load_declarations()
    width = max(map(len, declared), default=0)
    return "\n".join(f"{name:{width}}  {_arms(one)}" for name, one in declared.items())


def _arms(declaration: Declaration) -> str:
    summaries = declaration.summaries.values()
    first = next(iter(summaries))
    return f"{first.trial} {first.endpoint}: " + ", ".join(f"{arm.arm} n = {arm.n}" for arm in summaries)


def from_summaries(name: str, seed: int | None, number: int | None, out: Path | None) -> str:
    """Make the pseudo-patients declared under a name; say how they compare with the summaries.

    Raises
    ------
    SpecificationError
        If there is no such name.
    DataError
        If a summary cannot be met, or the folder cannot be written to.
    """
    declaration = find(name, load_declarations())
    made = make(declaration, seed=seed, number=number)
    lines = [repr(made)]
    if made.hazard_ratios is not None:
        published = declaration.hazard_ratio
        beside = f"; published {published.value:g}{published.interval()}" if published is not None else ""
        lines.append(f"{made.hazard_ratios}{beside}")
    lines += [text for text in (declaration.note, declaration.assumed) if text]
    weak = [fact for fact, trust in declaration.trust.items() if trust == "recalled"]
    if weak:
        lines.append(f"recalled, not read at their source: {', '.join(weak)}")
    if out is not None:
        lines.append(f"\nWritten to {out}: " + ", ".join(path.name for path in made.write(out)))
    return "\n".join(lines)


def from_figure(curve: Path, at_risk: Path | None, events: int | None, n: int | None, out: Path | None) -> str:
    """Make pseudo-patients from a digitised curve; say how they fit it.

    Raises
    ------
    DataError
        Naming every problem of the files, or that the folder cannot be written to.
    """
    arm = from_curve(
        read_curve(curve), n=n, at_risk=read_at_risk(at_risk) if at_risk is not None else None, events=events
    )
    width = max(len(label) for label, _ in arm.overview())
    lines = [f"{label:{width}}  {value}" for label, value in arm.overview()]
    if arm.asked is not None:
        lines.append("\n month   asked     got")
        lines += [f"{month:>6}  {asked:>6}  {got:>6}" for month, asked, got in arm.at_risk_rows()]
    if out is not None:
        rows = ((f"D{i + 1:04d}", curve.stem, f"{arm.time[i]:.3f}", int(arm.event[i]),
                 "" if arm.event[i] else "other", "reconstructed") for i in range(len(arm)))  # fmt: skip
        try:
            out.mkdir(parents=True, exist_ok=True)
            path = write_csv(out / f"{curve.stem}_patients.csv", COLUMNS, rows)
        except OSError as error:
            raise DataError(f"{out}: cannot be written ({error.strerror}); give another folder") from None
        lines.append(f"\nWritten to {out}: {path.name}")
    return "\n".join(lines)
