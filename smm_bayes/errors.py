"""What can go wrong, and a collector that tells a user everything at once.

Every error a user can cause derives from :class:`SmmBayesError`. The command line turns it into one message
and an exit code; nothing else is caught there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches


class SmmBayesError(Exception):
    """Base of every error that is the user's to mend; ``exit_code`` is what the command line returns."""

    exit_code = 2


class DataError(SmmBayesError, ValueError):
    """The patients' table (or another data file) breaks a rule."""


class SpecificationError(SmmBayesError, ValueError):
    """The specification of an analysis breaks a rule, or asks for what the data cannot give."""


class ConvergenceError(SmmBayesError, RuntimeError):
    """A fit did not converge: no decision may rest on it."""

    exit_code = 1


class IncompleteError(ConvergenceError):
    """A fit was interrupted: it holds the draws until then, and no decision may rest on it."""


class ReportError(SmmBayesError, RuntimeError):
    """The report of a finished analysis could not be written."""

    exit_code = 3


class OutputError(SmmBayesError, RuntimeError):
    """The results of a finished analysis could not be written to where they belong."""

    exit_code = 3


class Problems:
    """Collects every problem found in one thing, then raises once.

    Parameters
    ----------
    subject : str
        What is being checked, as the user knows it (a file name, ``"spec.toml"``).
    error : type of SmmBayesError
        What to raise.

    Examples
    --------
    >>> problems = Problems("snapshot.csv")
    >>> problems.add("column 'AVAL' is missing; add the time to event or censoring")
    >>> problems.raise_if_any()
    Traceback (most recent call last):
    smm_bayes.errors.DataError: snapshot.csv: 1 problem: column 'AVAL' is missing; add the time to event or censoring
    """

    def __init__(self, subject: str, error: type[SmmBayesError] = DataError) -> None:
        self.subject = subject
        self.error = error
        self._found: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def add(self, text: str) -> None:
        """Note one problem: the rule, what was found, what to do."""
        if text not in self._found:
            self._found.append(text)

    def add_rows(self, column: str, rows: Sequence[int], rule: str, remedy: str, found: str = "") -> None:
        """Note one problem with the rows it is in; does nothing when there are none."""
        if len(rows):
            value = f" (found {found})" if found else ""
            self.add(f"column '{column}', {name_rows(rows)}: {rule}{value}; {remedy}")

    def raise_if_any(self) -> None:
        """Raise one error naming everything noted so far."""
        if not self._found:
            return
        if len(self._found) == 1:
            raise self.error(f"{self.subject}: 1 problem: {self._found[0]}")
        lines = "".join(f"\n  {number}. {text}" for number, text in enumerate(self._found, 1))
        raise self.error(f"{self.subject}: {len(self._found)} problems:{lines}")

    @contextmanager
    def collecting(self) -> Iterator[Problems]:
        """Raise at the end of a ``with`` block if anything was noted in it."""
        yield self
        self.raise_if_any()


def nearest(word: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """Ask whether the known word nearest to ``word`` was meant; empty where none is as like it.

    >>> nearest("Observaton", ["observation", "treatment"])
    " (did you mean 'observation'?)"
    >>> nearest("knots", ["cuts"])
    ''
    """
    folded = {name.casefold(): name for name in known}
    found = get_close_matches(word.casefold(), folded, n=1, cutoff=likeness)
    return f" (did you mean {folded[found[0]]!r}?)" if found else ""


def name_rows(rows: Sequence[int], most: int = 8) -> str:
    """Say which rows, as a reader of the file counts them.

    >>> name_rows([2])
    'row 2'
    >>> name_rows(list(range(2, 14)))
    'rows 2, 3, 4, 5, 6, 7, 8, 9 and 4 more'
    """
    if len(rows) == 1:
        return f"row {rows[0]}"
    shown = ", ".join(str(row) for row in rows[:most])
    more = f" and {len(rows) - most} more" if len(rows) > most else ""
    return f"rows {shown}{more}"
