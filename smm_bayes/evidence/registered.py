"""Endpoints as trials registered them: each in its own sentence, with what this package makes of it.

Trials that use one name mean different things by it: a duration of response ends at progression or death in one, at
progression only in another; clocks start at study entry, at randomisation or at consent. So every registered endpoint
is a row of ``endpoints.csv``. Where it is a time to an event its row makes an
:class:`~smm_bayes.trial.endpoints.Endpoint`; otherwise the row says why not. A sentence that can be read in two ways
says so and states the reading.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.evidence.trials import FOLDER, REGISTERED, load_trials
from smm_bayes.trial.endpoints import NEW_THERAPY, ZERO, Endpoint
from smm_bayes.trial.table import Table, numbers, read_csv, require, texts

COLUMNS = (
    ("trial", "the name the facts use"), ("registry", "the registry's number"), ("endpoint", "its name"),
    ("role", "primary, secondary or reported"), ("sentence", "the registered sentence, in short"),
    ("source", "where it is printed"), ("start", "where the clock starts, as registered"),
    ("zero", "the start of the endpoint that is made"),
    ("events", "milestones that stop the clock, with spaces between"), ("competing", "those that compete"),
    ("censored_at", "last_alive, or empty for the last assessment"), ("month", "months to the landmark"),
    ("condition", "of whom or when a rate is"), ("ambiguous", "yes or no"), ("reading", "how an ambiguity is read"),
    ("reason", "why there is no time to an event"),
)  # fmt: skip
REQUIRED = ("trial", "endpoint", "role", "sentence", "source", "ambiguous")
WORDS = {
    "role": ("primary", "secondary", "reported"),
    "ambiguous": ("yes", "no"),
    "censored_at": ("", "last_alive"),
    "start": ("", "study entry", "randomisation", "enrolment", "consent", "response", "not stated"),
    "zero": ("", *ZERO),
}
# registered word: start of an Endpoint; enrolment is the day of randomisation where the trial randomises
STARTS = {"study entry": "study_entry", "randomisation": "enrolment", "enrolment": "enrolment", "consent": "consent",
          "response": "response", "": ""}  # fmt: skip


@dataclass(frozen=True)
class RegisteredEndpoint:
    """One registered endpoint of a trial.

    Attributes
    ----------
    trial, registry, endpoint, role : str
        The name the facts use, the registry's number, the endpoint's name, and ``primary``, ``secondary`` or
        ``reported`` (a definition of a report, not of the register).
    sentence, source : str
        The registered sentence in short, and where it is printed.
    start : str
        Where the clock starts, in the registered word; empty without a time to an event.
    condition : str
        Of whom, or when, a rate is, such as ``complete remission``.
    month : float or None
        Landmark.
    ambiguous : bool
        Whether the sentence can be read in two ways.
    reading : str
        How it is read; empty where nothing is ambiguous.
    definition : Endpoint or None
        The time to an event, as the sentence is read.
    reason : str
        Why there is none; empty where there is one.
    """

    trial: str
    registry: str
    endpoint: str
    role: str
    sentence: str
    source: str
    start: str
    condition: str
    month: float | None
    ambiguous: bool
    reading: str
    definition: Endpoint | None
    reason: str

    def __str__(self) -> str:
        """Give the sentence and what is made of it."""
        made = f"no time to an event: {self.reason}" if self.definition is None else self.definition.summary()
        reading = f" Ambiguous: {self.reading}" if self.ambiguous else ""
        return f"{self.endpoint} ({self.role}): {self.sentence}{reading} -> {made}"


def registered_endpoints(trial: str | None = None, folder: Path | None = None) -> tuple[RegisteredEndpoint, ...]:
    """Read the registered endpoints of all trials, or of one.

    Parameters
    ----------
    trial : str, optional
        The name the facts use.
    folder : path, optional
        Where ``endpoints.csv`` and ``trials.csv`` are; by default ``data/evidence`` of the checkout.

    Raises
    ------
    DataError
        With every problem of the table: words that are not known, an ambiguity without its reading, a row with neither
        events nor a reason, a trial or registry number that ``trials.csv`` does not have.
    SpecificationError
        For a trial without registered endpoints.
    """
    folder = FOLDER if folder is None else Path(folder)
    table = read_csv(folder / REGISTERED)
    with Problems(table.name).collecting() as problems:
        require(table, COLUMNS, problems)
        problems.raise_if_any()
        _check(table, problems)
        _check_trials(table, {one.trial: one.registry for one in load_trials(folder)}, problems)
        months = numbers(table, "month", problems, required=False)
        problems.raise_if_any()
        found = [_row(table, row, float(month), problems) for row, month in enumerate(months)]
    rows = tuple(one for one in found if one is not None)
    if trial is None:
        return rows
    if not any(one.trial == trial for one in rows):
        names = ", ".join(dict.fromkeys(one.trial for one in rows))
        raise SpecificationError(f"there are no registered endpoints of {trial!r}; the trials are {names}")
    return tuple(one for one in rows if one.trial == trial)


def _check(table: Table, problems: Problems) -> None:
    for name in REQUIRED:
        texts(table, name, problems)
    for name, words in WORDS.items():
        unknown = [cell not in words for cell in table.cells(name)]
        problems.add_rows(name, table.where(unknown), "unknown word", f"use one of {', '.join(filter(None, words))}")
    rows = [{name: table.cells(name)[row] for name, _ in COLUMNS} for row in range(len(table))]
    rules = (
        ("reading", lambda cell: (cell["ambiguous"] == "yes") == bool(cell["reading"]),
         "goes with ambiguous = yes", "state how the sentence is read"),
        ("events", lambda cell: bool(cell["events"]) != bool(cell["reason"]),
         "events or a reason, one of them", "say which milestones stop the clock, or why there is none"),
        ("start", lambda cell: bool(cell["events"]) == bool(cell["start"]),
         "goes with events", "say where the clock starts, or 'not stated'"),
        ("zero", lambda cell: STARTS.get(cell["start"], cell["zero"] or "none") == cell["zero"],
         "not where the registered clock starts", "correct start or zero"),
        ("ambiguous", lambda cell: cell["start"] != "not stated" or cell["ambiguous"] == "yes",
         "a start that is not stated is ambiguous", "state the reading"),
    )  # fmt: skip
    for name, holds, rule, remedy in rules:
        problems.add_rows(name, table.where([not holds(cell) for cell in rows]), rule, remedy)


def _check_trials(table: Table, listed: dict[str, str], problems: Problems) -> None:
    trials, numbers_given = table.cells("trial"), table.cells("registry")
    unknown = [trial not in listed for trial in trials]
    problems.add_rows("trial", table.where(unknown), "not in trials.csv", "add it there or correct it")
    other = [listed.get(trial, given) != given for trial, given in zip(trials, numbers_given, strict=True)]
    problems.add_rows("registry", table.where(other), "not the number of trials.csv", "correct either")


def _row(table: Table, row: int, month: float, problems: Problems) -> RegisteredEndpoint | None:
    cell = {name: table.cells(name)[row] for name, _ in COLUMNS}
    try:
        definition = _definition(cell) if cell["events"] else None
    except SpecificationError as error:
        problems.add(f"row {table.rows[row]}: {error}")
        return None
    return RegisteredEndpoint(
        **{name: cell[name] for name in ("trial", "registry", "endpoint", "role", "sentence", "source", "start",
                                         "condition", "reading", "reason")},
        month=None if month != month else month, ambiguous=cell["ambiguous"] == "yes", definition=definition,
    )  # fmt: skip


def _definition(cell: dict[str, str]) -> Endpoint:
    milestones = cell["events"].split()
    plain = Endpoint(
        cell["endpoint"], {name: (name,) for name in milestones}, competing=tuple(cell["competing"].split()),
        start=cell["zero"], new_therapy="event" if NEW_THERAPY in milestones else "ignored",  # type: ignore[arg-type]
    )  # fmt: skip
    return replace(plain, censored_at="last_alive") if cell["censored_at"] else plain
