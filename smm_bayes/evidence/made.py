"""Many reconstructions of one declaration: made, compared with their summaries, written and read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from smm_bayes.errors import DataError, Problems
from smm_bayes.evidence.declared import Declaration, load_declarations
from smm_bayes.evidence.origin import (
    Origin,
    causes_of,
    hashes_of,
    origin_path,
    read_origin,
    told_apart,
)
from smm_bayes.evidence.pairs import HazardRatioRange
from smm_bayes.evidence.pseudo import PseudoArm, _shown, check
from smm_bayes.evidence.reconstruct import reconstruct
from smm_bayes.files import write_csv, write_whole
from smm_bayes.trial.patients import Patients
from smm_bayes.trial.readers import read_frame
from smm_bayes.trial.table import Table, numbers, read_csv, require, texts

COLUMNS = ("reconstruction", "patient", "trial", "arm", "regimen", "time", "event", "cause", "censoring", "enrolled",
           "provenance")  # fmt: skip
ROLES_OF_COLUMNS = {
    "reconstruction": "the number of the reconstruction",
    "patient": "the patient",
    "trial": "the trial",
    "arm": "the arm",
    "regimen": "what the patient was given",
    "time": "the time to event or censoring, in months",
    "event": "1 for an event, 0 for censoring",
    "cause": "the cause of the event",
    "provenance": "what the patients are",
}


@dataclass(frozen=True, eq=False)
class Reconstructions:
    """Reconstructions of the arms of one trial, cut and endpoint.

    Attributes
    ----------
    declaration : Declaration
    arms : dict of str to tuple of PseudoArm
        By role; reconstruction r is the r-th of each.
    seed : int
    """

    declaration: Declaration
    arms: dict[str, tuple[PseudoArm, ...]]
    seed: int

    @property
    def number(self) -> int:
        """How many reconstructions there are."""
        return len(self.arms["experimental"])

    @property
    def hazard_ratios(self) -> HazardRatioRange | None:
        """Range of the hazard ratio over all pairs of arms; None for one arm."""
        if "control" not in self.arms:
            return None
        return HazardRatioRange.of(self.arms["control"], self.arms["experimental"])

    def rows(self) -> list[tuple[str, str, float, float, float, int]]:
        """Arm, number, target, lowest and highest achieved, and in how many reconstructions it is met."""
        found = []
        for arms in self.arms.values():
            for checks in zip(*(check(arm).rows for arm in arms), strict=True):
                values = [row.achieved for row in checks]
                found.append((arms[0].summary.arm, checks[0].what, checks[0].target, min(values), max(values),
                              sum(row.within for row in checks)))  # fmt: skip
        return found

    def open_counts(self) -> str:
        """What the summaries leave open and differs between reconstructions, in words."""
        parts = []
        for arms in self.arms.values():
            events = [int(arm.event.sum()) for arm in arms]
            lost = [int((arm.censoring == "lost").sum()) for arm in arms]
            parts.append(f"{arms[0].summary.arm}: {_span(events)} events, {_span(lost)} lost before the data cut")
        return "; ".join(parts)

    def __repr__(self) -> str:
        rows = self.rows()
        arm, what = max(len(row[0]) for row in rows), max(len(row[1]) for row in rows)
        heads = ("target", "lowest", "highest", "lowest diff", "highest diff")
        lines = [f"{self.declaration.name}: {self.number} reconstructions, seed {self.seed}",
                 f"{'':{arm}}  {'':{what}} " + " ".join(f"{head:>12}" for head in heads) + "  met in"]  # fmt: skip
        for name, label, target, low, high, met in rows:
            apart = [0.0 if value == target else value - target for value in (low, high)]
            values = " ".join(f"{_shown(x):>12}" for x in (target, low, high, *apart))
            lines.append(f"{name:{arm}}  {label:{what}} {values}  {met} of {self.number}")
        lines.append(f"left open: {self.open_counts()}")
        return "\n".join(lines)

    def lines(self) -> Iterator[tuple[object, ...]]:
        """Rows of the table of patients."""
        for number in range(self.number):
            for role, arms in self.arms.items():
                arm, regimen = arms[number], self.declaration.regimens[role]
                width = len(str(len(arm)))
                for i in range(len(arm)):
                    yield (number + 1, f"{role[0].upper()}{i + 1:0{width}d}", arm.summary.trial, arm.summary.arm,
                           regimen, f"{arm.time[i]:.2f}", int(arm.cause[i] != ""), arm.cause[i], arm.censoring[i],
                           f"{arm.enrolled[i]:.2f}", "reconstructed")  # fmt: skip

    def origin(self) -> dict[str, object]:
        """What the patients were made from, for the file beside them."""
        declared, ratios = self.declaration, self.hazard_ratios
        first = self.arms["experimental"][0].summary
        window = first.follow_up
        return {
            "name": declared.name, "trial": first.trial, "endpoint": first.endpoint, "provenance": "reconstructed",
            "number": self.number, "seed": self.seed, "note": declared.note,
            "arms": {role: {"arm": made[0].summary.arm, "regimen": declared.regimens[role], "patients": len(made[0])}
                     for role, made in self.arms.items()},
            "causes": causes_of(declared),
            "facts": declared.trust,
            "follow_up": {**{name: round(getattr(window, name), 2) for name in ("low", "high", "accrual", "cutoff")},
                          "median": window.median, "assumed": declared.assumed},
            "lost_at_most": {arms[0].summary.arm: arms[0].summary.lost for arms in self.arms.values()},
            "left_open": self.open_counts(),
            "met": [{"arm": arm, "what": what, "target": _finite(target), "lowest": _finite(low),
                     "highest": _finite(high), "within_print": met}
                    for arm, what, target, low, high, met in self.rows()],
            "hazard_ratio": None if ratios is None else {
                "published": declared.hazard_ratio.value if declared.hazard_ratio else None,
                "fact": declared.hazard_ratio.id if declared.hazard_ratio else None, "pairs": ratios.pairs,
                "min": round(ratios.minimum, 3), "q05": round(ratios.lower, 3), "median": round(ratios.median, 3),
                "q95": round(ratios.upper, 3), "max": round(ratios.maximum, 3)},
        }  # fmt: skip

    def write(self, folder: Path) -> list[Path]:
        """Write the patients (CSV) and what they were made from (JSON), each under a temporary name, then moved."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            table = write_csv(folder / f"{self.declaration.name}.csv", COLUMNS, self.lines())
            hashes = hashes_of(self.declaration, table).model_dump()
            origin = json.dumps(self.origin() | {"sha256": hashes}, indent=1) + "\n"
            return [table, write_whole(origin_path(table), origin)]
        except OSError as error:
            raise DataError(f"{folder}: cannot be written ({error.strerror}); give another folder") from None


def _span(values: list[int]) -> str:
    return f"{min(values)}" if min(values) == max(values) else f"{min(values)} to {max(values)}"


def _finite(value: float) -> float | str:
    return "not reached" if np.isinf(value) else round(value, 4)


def make(declaration: Declaration, *, seed: int | None = None, number: int | None = None) -> Reconstructions:
    """Make the pseudo-patients of a declaration, the same for the same seed.

    Parameters
    ----------
    declaration : Declaration
    seed, number : int, optional
        The declaration's own if not given. Reconstruction r does not depend on how many there are.

    Raises
    ------
    DataError
        If a summary cannot be met.
    """
    seed = declaration.seed if seed is None else seed
    number = declaration.number if number is None else number
    arms: dict[str, list[PseudoArm]] = {role: [] for role in declaration.summaries}
    for r in range(1, number + 1):
        rng = np.random.default_rng([seed, r])
        for role, summary in declaration.summaries.items():
            arms[role].append(reconstruct(summary, rng=rng))
    return Reconstructions(declaration, {role: tuple(made) for role, made in arms.items()}, seed)


def read_reconstructions(
    path: str | Path,
    *,
    arms: Mapping[str, str],
    by: str = "arm",
    counts: Sequence[Sequence[str]] | None = None,
    ignores: Sequence[str] = (),
    provenance: str = "reconstructed",
    declared: Mapping[str, Declaration] | None = None,
) -> tuple[Patients, ...]:
    """Read the reconstructed patients of one trial, a :class:`~smm_bayes.trial.patients.Patients` a reconstruction.

    Every row goes through the door of all patients, :func:`~smm_bayes.trial.readers.read_frame`. Where the record that
    :meth:`Reconstructions.write` makes is beside the table, the table, its facts and the code are compared with it.

    Parameters
    ----------
    path : str or Path
        CSV with columns ``reconstruction`` (1, 2, …), ``patient``, ``trial``, ``arm``, ``regimen``, ``time`` (months),
        ``event`` (0 or 1), ``cause`` (empty where censored) and ``provenance``; ``censoring`` and ``enrolled`` where
        they are known.
    arms : mapping of str to str
        Role (``control``, ``experimental``) to the name in column ``by``; only ``experimental`` for one arm.
    by : {"arm", "regimen"}
        Which column ``arms`` names.
    counts : sequence of sequence of str, optional
        Causes that are counted, in series that are counted together. Without it the causes are those of the record.
    ignores : sequence of str
        Causes that end a patient's time at risk and are not counted. A cause that is in neither is an error.
    provenance : str
        What column ``provenance`` must say.
    declared : mapping of str to Declaration, optional
        What the record is compared with; the declarations beside the package's facts if not given.

    Returns
    -------
    tuple of Patients
        In the order of their numbers.

    Raises
    ------
    DataError
        Naming every problem with its column, rows and remedy.
    """
    path = Path(path)
    table, problems, origin = read_csv(path), Problems(str(path)), read_origin(path)
    require(table, ROLES_OF_COLUMNS.items(), problems)
    if origin is None and counts is None:
        problems.add(f"{origin_path(path).name}, the record of what the table was made from, is not beside it; put it "
                     "there, or say which causes count")  # fmt: skip
    problems.raise_if_any()
    if origin is not None:
        for text in origin.differences(path, load_declarations() if declared is None else declared):
            problems.add(text)
        for text in told_apart(origin.causes, counts, ignores) if counts is not None else ():
            problems.add(text)
    series = [list(origin.causes)] if origin is not None and counts is None else counts or []
    known = [*dict.fromkeys(cause for causes in series for cause in causes), *ignores]
    before = len(problems)
    number = _check_reconstructions(table, origin, problems)
    _check_words(table, arms, by, known, provenance, origin, problems)
    if len(problems) == before:  # else patients seem to be missing who are only called otherwise
        _check_sizes(table, by, number, origin, problems)
    _check_times(table, origin, problems)
    problems.raise_if_any()
    return _split(table, number, arms, by, known, provenance)


def _check_reconstructions(table: Table, origin: Origin | None, problems: Problems) -> np.ndarray:
    """Number of the reconstruction of each row; they must be 1, 2, … without a gap."""
    number = numbers(table, "reconstruction", problems)
    found = np.unique(number[~np.isnan(number)])
    most = origin.number if origin is not None else len(found)
    wrong = ~np.isnan(number) & ~np.isin(number, np.arange(1, most + 1))
    said = ", ".join(f"{value:g}" for value in found if value not in range(1, most + 1))
    problems.add_rows("reconstruction", table.where(wrong), f"no whole number from 1 to {most}",
                      "number the reconstructions 1, 2, … without a gap", said)  # fmt: skip
    if missing := sorted(set(range(1, most + 1)) - set(found)):
        problems.add(f"column 'reconstruction': there is no row of {', '.join(map(str, missing))}, and they should go "
                     f"from 1 to {most}; add what is missing")  # fmt: skip
    return np.where(wrong | np.isnan(number), 0, number).astype(int)


def _check_words(
    table: Table,
    arms: Mapping[str, str],
    by: str,
    causes: Sequence[str],
    provenance: str,
    origin: Origin | None,
    problems: Problems,
) -> None:
    """Trial, provenance, arms and causes must be those declared, letter by letter."""
    _same(table, "trial", table.cells("trial")[0] if origin is None else origin.trial, problems)
    _same(table, "provenance", provenance, problems)
    declared = ", ".join(f"{role} = {name!r}" for role, name in arms.items())
    _known(table, by, list(arms.values()), "an arm that is not declared", f"declared are {declared}; correct either",
           problems)  # fmt: skip
    for role, name in arms.items():
        if name not in table.cells(by):
            problems.add(f"column '{by}' never says {name!r} ({role}); correct its name")
    pairs = Counter(zip(table.cells("arm"), table.cells("regimen"), strict=True)).most_common()
    of_arm, of_regimen = ({pair[k]: pair for pair, _ in reversed(pairs)} for k in (0, 1))
    other = [of_arm[pair[0]] != pair or of_regimen[pair[1]] != pair
             for pair in zip(table.cells("arm"), table.cells("regimen"), strict=True)]  # fmt: skip
    problems.add_rows("regimen", table.where(other), "not the regimen that goes with column 'arm' in most rows",
                      "correct either", _first(table.cells("regimen"), other))  # fmt: skip
    _known(table, "cause", ["", *causes], "a cause that is neither counted nor ignored",
           f"declared are {', '.join(map(repr, causes))}; correct the word, or name the cause in counts or ignores",
           problems)  # fmt: skip


def _known(table: Table, column: str, words: Sequence[str], rule: str, remedy: str, problems: Problems) -> None:
    cells = texts(table, column, problems, required=False)
    unknown = [cell not in words for cell in cells]
    problems.add_rows(column, table.where(unknown), rule, remedy, _first(table.cells(column), unknown))


def _same(table: Table, column: str, expected: str, problems: Problems) -> None:
    other = [bool(word) and word != expected for word in texts(table, column, problems)]
    problems.add_rows(column, table.where(other), f"not {expected!r}", "keep one trial, and patients of one kind, "
                      "to a file", _first(table.cells(column), other))  # fmt: skip


def _first(cells: Sequence[str], chosen: Sequence[bool] | np.ndarray) -> str:
    return next((repr(cell) for cell, hit in zip(cells, chosen, strict=True) if hit), "")


def _check_sizes(table: Table, by: str, number: np.ndarray, origin: Origin | None, problems: Problems) -> None:
    """Every reconstruction must have the same number of patients in an arm: that of the record, or the most common."""
    seen = set(zip(number.tolist(), table.cells(by), table.cells("patient"), strict=True))
    size = Counter((which, name) for which, name, _ in seen)
    for name in dict.fromkeys(table.cells(by)):
        sizes = {which: size[which, name] for which in sorted(set(number.tolist()))}
        usual = Counter(sizes.values()).most_common(1)[0][0]
        made = () if origin is None else origin.arms.values()
        wanted = next((arm.patients for arm in made if getattr(arm, by) == name), usual)
        for which in [which for which, found in sizes.items() if found != wanted]:
            problems.add(f"reconstruction {which} has {sizes[which]} patients of '{name}', not {wanted}; a trial has "
                         "as many in every reconstruction, so add or remove patients")  # fmt: skip


def _check_times(table: Table, origin: Origin | None, problems: Problems) -> None:
    """Nobody is followed beyond the data cut of the record."""
    if origin is None:
        return
    end = origin.follow_up.cutoff
    long = numbers(table, "time", Problems(table.name)) > end + 0.02  # times are printed to two decimals
    problems.add_rows("time", table.where(long), f"more than the {end:g} months to the data cut",
                      "correct the time; it is in months", _first(table.cells("time"), long))  # fmt: skip


def _split(
    table: Table, number: np.ndarray, arms: Mapping[str, str], by: str, causes: Sequence[str], provenance: str
) -> tuple[Patients, ...]:
    """Read all rows through the door of all patients at once, then part the reconstructions."""
    names = table.cells("patient")
    apart = [f"{name} (reconstruction {which})" if name else "" for name, which in zip(names, number, strict=True)]
    whole = Table(table.name, {**table.columns, "patient": apart, "arm": table.cells(by)}, table.rows)
    everyone = read_frame(whole, arms=arms, causes=causes, trial=table.cells("trial")[0], provenance=provenance)
    named = np.array([bool(word) for word in texts(table, "cause", Problems(table.name), required=False)])
    with Problems(table.name).collecting() as problems:
        problems.add_rows("cause", table.where(everyone.event & ~named), "empty although column 'event' says an event",
                          "name the cause, or write event 0")  # fmt: skip
        problems.add_rows("event", table.where(named & ~everyone.event), "0 although column 'cause' names an event",
                          "write event 1, or leave the cause empty")  # fmt: skip
    found = []
    for which in range(1, int(number.max()) + 1):
        mine = number == which
        one = everyone.take(mine, patient=np.array(names, dtype=object)[mine])
        if one.enrolled is not None:
            one = replace(one, data_cutoff=float(np.max(one.enrolled + one.follow_up)))
        found.append(one)
    return tuple(found)
