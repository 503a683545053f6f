"""Published facts: one number each, with its source and how far it is trusted.

``load_facts`` reads the tables with the standard library and NumPy and reports every problem at once. Quarantined
facts are held and shown; ``select``, ``one`` and ``require`` give them to no model unless they are named with a reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from smm_bayes import markup
from smm_bayes.errors import DataError, Problems, SpecificationError
from smm_bayes.evidence.asked import as_tuple, first_names
from smm_bayes.evidence.trials import FOLDER, REGISTERED, TRIALS, load_trials
from smm_bayes.evidence.vocabulary import COLUMNS, ENDPOINTS, MEASURES, QUARANTINED, TRUST, broken_rules, suggest
from smm_bayes.files import register_value
from smm_bayes.trial.table import Table, is_missing, numbers, read_csv, require, texts

if TYPE_CHECKING:
    import pandas as pd

KNOWN = "known_inconsistencies.csv"

type OneOrMany[T] = T | tuple[T, ...] | None


@dataclass(frozen=True)
class Fact:
    """One published number.

    Attributes
    ----------
    id : str
        Its own name, such as ``trial-017``.
    trial, arm, endpoint, measure : str
        What it is about; a comparison's arm is ``A_vs_B``. Endpoints and measures are those of
        :mod:`smm_bayes.evidence.vocabulary`.
    time : float or None
        Months to the landmark; None when the number has none.
    value : float or None
        The number, in ``unit``; None only for a median that was not reached.
    lower, upper : float or None
        Its interval, in ``unit``.
    level : float or None
        Level of the interval; None beside an interval means a range.
    unit : str
        A unit of the vocabulary.
    n, events : int or None
        Denominator and numerator, patients.
    sensitivity : float or None
        Threshold of the MRD assay, such as 1e-5.
    cut : str
        Data cut of the trial; empty when there is only one.
    trust : str
        One of ``TRUST``.
    source, note : str
        Where it is printed; remarks.

    Raises
    ------
    DataError
        With every rule it breaks.
    """

    id: str
    trial: str
    arm: str
    endpoint: str
    measure: str
    time: float | None
    value: float | None
    lower: float | None
    upper: float | None
    level: float | None
    unit: str
    n: int | None
    events: int | None
    sensitivity: float | None
    cut: str
    trust: str
    source: str
    note: str

    def __post_init__(self) -> None:
        """Check every rule."""
        with Problems(f"fact {self.id}").collecting() as problems:
            for column, rule, remedy in broken_rules(vars(self)):
                problems.add(f"{column}: {rule}; {remedy}")

    def __str__(self) -> str:
        """Give the number with what it is."""
        return " ".join(filter(None, (self.trial, self.arm, self.endpoint, self.measure, self.words(), self.cut)))

    def words(self) -> str:
        """Say time, value and interval, such as ``at 36 mo 0.77 (95 %: 0.62 to 0.88)``."""
        time = "" if self.time is None else f"at {self.time:g} mo "
        value = "not reached" if self.value is None else f"{self.value:g}"
        return f"{time}{value}{self.interval()}"

    def interval(self) -> str:
        """Say the interval, or nothing."""
        if self.lower is None and self.upper is None:
            return ""
        low, high = ("?" if limit is None else f"{limit:g}" for limit in (self.lower, self.upper))
        return f" ({'range' if self.level is None else f'{100 * self.level:g} %'}: {low} to {high})"


@dataclass(frozen=True, repr=False)
class Facts(Sequence[Fact]):
    """Facts, in the order of their tables.

    Iterating, ``len`` and the tables show all of them, the quarantined too; ``select``, ``one`` and ``require`` are for
    models and leave out the quarantined that are not admitted.

    Attributes
    ----------
    items : tuple of Fact
        All facts, each id once.
    admitted : tuple of (str, str)
        Quarantined trials or ids that may be used, each with the reason.

    Raises
    ------
    DataError
        For an id that appears twice.
    SpecificationError
        For an admission without a reason, or of something that is not quarantined.
    """

    items: tuple[Fact, ...]
    admitted: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Check ids and admissions."""
        with Problems("facts").collecting() as problems:
            for name, count in Counter(fact.id for fact in self.items).items():
                if count > 1:
                    problems.add(f"id {name!r} appears {count} times; give each fact an id of its own")
        with Problems("quarantined", SpecificationError).collecting() as problems:
            for name, reason in self.admitted:
                if not isinstance(reason, str) or not reason.strip():
                    problems.add(f"{name!r} has no reason; say why it may be used although it is quarantined")

    @overload
    def __getitem__(self, index: int) -> Fact: ...
    @overload
    def __getitem__(self, index: slice) -> Facts: ...
    def __getitem__(self, index: int | slice) -> Fact | Facts:
        """Give one fact by position, or some."""
        return self._with(self.items[index]) if isinstance(index, slice) else self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Fact]:
        return iter(self.items)

    def _with(self, items: Iterable[Fact]) -> Facts:
        return Facts(tuple(items), self.admitted)

    @property
    def trials(self) -> tuple[str, ...]:
        """Names of the trials, each once."""
        return tuple(dict.fromkeys(fact.trial for fact in self.items))

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources, each once."""
        return tuple(dict.fromkeys(fact.source for fact in self.items))

    def is_usable(self, fact: Fact) -> bool:
        """Whether a model may use a fact: it is not quarantined, or it was admitted with a reason."""
        names = {name for name, _ in self.admitted}
        return fact.trust != QUARANTINED or fact.id in names or fact.trial in names

    def usable(self) -> Facts:
        """Leave out the quarantined facts that are not admitted."""
        return self._with(filter(self.is_usable, self.items))

    def quarantined(self) -> Facts:
        """Only the quarantined facts, for showing."""
        return self._with(fact for fact in self.items if fact.trust == QUARANTINED)

    def select(
        self,
        *,
        trial: OneOrMany[str] = None,
        arm: OneOrMany[str] = None,
        endpoint: OneOrMany[str] = None,
        measure: OneOrMany[str] = None,
        cut: OneOrMany[str] = None,
        time: OneOrMany[float] = None,
        sensitivity: OneOrMany[float] = None,
        trust: str | None = None,
    ) -> Facts:
        """Choose the usable facts that meet every criterion, each a value or a tuple of values.

        Parameters
        ----------
        trial, arm, endpoint, measure, cut : str or tuple of str, optional
            Names; ``cut=""`` asks for facts without a cut.
        time : float or tuple of float, optional
            Landmarks, months.
        sensitivity : float or tuple of float, optional
            Thresholds of MRD.
        trust : str, optional
            The lowest trust that will do. Quarantined facts need an admission besides.

        Raises
        ------
        SpecificationError
            For an endpoint, measure or trust that does not exist, and for a trial named here whose facts are
            quarantined and not admitted.
        """
        wanted = {"trial": trial, "arm": arm, "endpoint": endpoint, "measure": measure, "cut": cut,
                  "time": time, "sensitivity": sensitivity}  # fmt: skip
        chosen = {name: as_tuple(value) for name, value in wanted.items() if value is not None}
        _check_words(chosen, trust)
        lowest = len(TRUST) - 1 if trust is None else TRUST.index(trust)
        found = [
            fact
            for fact in self.items
            if all(getattr(fact, name) in values for name, values in chosen.items())
            and (TRUST.index(fact.trust) <= lowest or fact.trust == QUARANTINED)
        ]
        refused = [fact for fact in found if not self.is_usable(fact)]
        if refused and trial is not None:
            self._refuse(refused)
        return self._used(fact for fact in found if self.is_usable(fact))

    def one(self, **criteria: Any) -> Fact:
        """Give the one fact that meets the criteria of :meth:`select`.

        Raises
        ------
        SpecificationError
            If there is none, or more than one: their ids are named.
        """
        found = self.select(**criteria)
        if len(found) != 1:
            asked = ", ".join(f"{name}={value!r}" for name, value in criteria.items())
            what = "none" if not found else f"{len(found)}: {first_names(fact.id for fact in found)}"
            remedy = "loosen the criteria" if not found else "add a criterion, such as cut or time"
            raise SpecificationError(f"facts with {asked or 'no criterion'}: wanted one, found {what}; {remedy}")
        return found[0]

    def require(self, ids: Iterable[str]) -> Facts:
        """Give the facts of these ids, in this order.

        Raises
        ------
        SpecificationError
            Naming every id that is missing and every one that is quarantined.
        """
        by_id = {fact.id: fact for fact in self.items}
        ids = (ids,) if isinstance(ids, str) else tuple(ids)
        with Problems("facts", SpecificationError).collecting() as problems:
            missing = [name for name in ids if name not in by_id]
            if missing:
                problems.add(f"there is no fact {first_names(missing)}; take ids from the evidence tables")
            refused = [by_id[name] for name in ids if name in by_id and not self.is_usable(by_id[name])]
            if refused:
                problems.add(_refusal(refused))
        return self._used(by_id[name] for name in dict.fromkeys(ids))

    def _used(self, chosen: Iterable[Fact]) -> Facts:
        """Give facts to a model, and register what it was given."""
        found = self._with(chosen)
        for fact in found:
            register_value(fact.id, astuple(fact))
        return found

    @staticmethod
    def _refuse(refused: Sequence[Fact]) -> None:
        raise SpecificationError(_refusal(refused))

    def by_trust(self) -> dict[str, int]:
        """Number of facts of each trust, most trusted first."""
        count = Counter(fact.trust for fact in self.items)
        return {trust: count[trust] for trust in TRUST if count[trust]}

    def summary(self) -> str:
        """Say how many facts there are, of how many trials, and how far they are trusted."""
        trust = ", ".join(f"{count} {word}" for word, count in self.by_trust().items())
        trials = f"{len(self.trials)} trial{'s' if len(self.trials) != 1 else ''}"
        return f"{len(self)} fact{'s' if len(self) != 1 else ''} of {trials}: {trust or 'none'}"

    def __repr__(self) -> str:
        """Say what it holds, and the facts themselves when they are few."""
        lines = [f"\n  admitted from quarantine: {name} ({reason})" for name, reason in self.admitted]
        if len(self) <= 20:
            lines += [f"\n  {fact.id}: {fact} [{fact.trust}]" for fact in self.items]
        return self.summary() + "".join(lines)

    def _repr_html_(self) -> str:
        columns = ("id", "trial", "arm", "endpoint", "measure", "time", "value", "n", "events", "cut", "trust")
        rows = [[_cell(fact, column) for column in columns] for fact in self.items]
        return markup.paragraph(self.summary()) + markup.table(rows, head=columns, labels=0)

    def table(self) -> pd.DataFrame:
        """Turn into a pandas frame with the columns of the tables."""
        import pandas as pd

        names = [column.name for column in COLUMNS]
        frame = pd.DataFrame([astuple(fact) for fact in self.items], columns=names)
        kinds = {"number": "float64", "integer": "Int64", "text": "str"}
        return frame.astype({column.name: kinds[column.kind] for column in COLUMNS})


def _cell(fact: Fact, column: str) -> str:
    if column == "value":
        return ("not reached" if fact.value is None else f"{fact.value:g}") + fact.interval()
    value = getattr(fact, column)
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _refusal(refused: Sequence[Fact]) -> str:
    return (f"quarantined, so for no model: {first_names(fact.id for fact in refused)}; "
            "leave them out, or name trial or id with a reason under quarantined")  # fmt: skip


def _check_words(chosen: Mapping[str, tuple[Any, ...]], trust: str | None) -> None:
    known = {"endpoint": ENDPOINTS, "measure": tuple(MEASURES), "trust": TRUST}
    asked = {**chosen, **({} if trust is None else {"trust": (trust,)})}
    with Problems("facts", SpecificationError).collecting() as problems:
        for name, words in known.items():
            for word in asked.get(name, ()):
                if word not in words:
                    problems.add(f"there is no {name} {word!r}; {suggest(str(word), words)}")


def load_facts(folder: Path | None = None, *, quarantined: Mapping[str, str] | None = None) -> Facts:
    """Read every table of facts in a folder, or report every problem of all of them.

    Parameters
    ----------
    folder : path, optional
        Where the tables are; by default ``data/evidence`` of the checkout.
    quarantined : mapping of str to str, optional
        Quarantined trials or ids that models may use, each with the reason.

    Raises
    ------
    DataError
        Naming file, row, column and remedy of every problem.
    SpecificationError
        If there is no such folder, or an admission is empty or of something that is not quarantined.

    Examples
    --------
    >>> import smm_bayes as smm
    >>> smm.load_facts().select(measure="hazard_ratio").table().columns[:5].tolist()
    ['id', 'trial', 'arm', 'endpoint', 'measure']
    """
    folder = FOLDER if folder is None else Path(folder)
    paths = sorted(path for path in folder.glob("*.csv") if path.name not in (TRIALS, REGISTERED, KNOWN))
    if not paths:
        raise SpecificationError(f"{folder}: no evidence tables are there; give the folder data/evidence of a checkout")
    problems = Problems(str(folder))
    rows: list[tuple[str, int, dict[str, Any]]] = []
    for path in paths:
        try:
            rows += [(path.name, row, values) for row, values in _read(path)]
        except DataError as error:
            problems.add(str(error).removeprefix(f"{path.parent}/"))
    _check_across(rows, folder / TRIALS, problems)
    problems.raise_if_any()
    admitted = tuple((quarantined or {}).items())
    facts = Facts(tuple(Fact(**values) for _, _, values in rows), admitted)
    _check_admitted(facts)
    return facts


def _read(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """Read one table; give the row in the file and the values of each fact."""
    table = read_csv(path)
    with Problems(str(path)).collecting() as problems:
        require(table, [(column.name, column.role) for column in COLUMNS], problems)
        for name in table.columns:
            if name not in {column.name for column in COLUMNS}:
                problems.add(f"column {name!r} is not one of an evidence table; remove it")
        problems.raise_if_any()
        rows = _values(table, problems)
        found: dict[tuple[str, str, str], list[int]] = {}
        for row, values in rows:
            unread = {name for name, value in values.items() if value is not None and value != value}  # noted already
            for broken in broken_rules({name: None if name in unread else value for name, value in values.items()}):
                if broken[0] not in unread:
                    found.setdefault(broken, []).append(row)
        for (name, rule, remedy), where in found.items():
            problems.add_rows(name, where, rule, remedy)
    return rows


def _values(table: Table, problems: Problems) -> list[tuple[int, dict[str, Any]]]:
    """Turn cells into values: text, numbers, None where a number is empty, NaN where it cannot be read."""
    columns: dict[str, list[Any]] = {}
    for column in COLUMNS:
        if column.kind == "text":
            columns[column.name] = texts(table, column.name, problems, required=False)
            continue
        read = numbers(table, column.name, problems, required=False).tolist()
        columns[column.name] = [
            None if is_missing(cell) else int(value) if column.kind == "integer" and value.is_integer() else value
            for cell, value in zip(table.cells(column.name), read, strict=True)
        ]
    cells = zip(*(columns[column.name] for column in COLUMNS), strict=True)
    return [(row, dict(zip(columns, values, strict=True))) for row, values in zip(table.rows, cells, strict=True)]


def _check_across(rows: Sequence[tuple[str, int, dict[str, Any]]], trials: Path, problems: Problems) -> None:
    """Rules between rows: an id once, a cut for every fact of a trial with several, trials and cuts that are listed."""
    where: dict[str, list[str]] = {}
    cuts: dict[str, set[str]] = {}
    for file, row, values in rows:
        where.setdefault(values["id"], []).append(f"{file} row {row}")
        cuts.setdefault(values["trial"], set()).add(values["cut"])
    for name, places in where.items():
        if name and len(places) > 1:
            problems.add(f"id {name!r} is in {' and '.join(places)}; give each fact an id of its own")
    listed = None
    if trials.is_file():
        try:
            listed = {(trial.trial, trial.cut) for trial in load_trials(trials.parent)}
        except DataError as error:
            problems.add(str(error).removeprefix(f"{trials.parent}/"))
    for file, row, values in rows:
        trial, cut = values["trial"], values["cut"]
        if not cut and len(cuts[trial]) > 1:
            problems.add(f"{file} row {row}: column 'cut' is empty but {trial} has several cuts; say which")
        elif listed is not None and (trial, cut) not in listed:
            problems.add(f"{file} row {row}: {trial!r} with cut {cut!r} is not in {TRIALS}; add it there or correct it")


def _check_admitted(facts: Facts) -> None:
    """Refuse to admit what is not quarantined, such as a misspelt trial."""
    held = {name for fact in facts.quarantined() for name in (fact.id, fact.trial)}
    with Problems("quarantined", SpecificationError).collecting() as problems:
        for name, _ in facts.admitted:
            if name not in held:
                trials = ", ".join(facts.quarantined().trials) or "none"
                problems.add(f"{name!r} is not quarantined; name a quarantined trial ({trials}) or one of their ids")
