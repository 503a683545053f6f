"""What is printed of an interim analysis, and the sections of its report: what does not apply is not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes import markup
from smm_bayes.analysis.interim import Interim
from smm_bayes.reporting.borrowing import borrowing_rows
from smm_bayes.reporting.by_source import answer_rows, relation_rows
from smm_bayes.reporting.endpoints import endpoint_rows, estimate_rows
from smm_bayes.reporting.sensitivity import most_rows
from smm_bayes.reporting.words import Rows, condition_rows, mostly_prior_rows, outcome_rows

if TYPE_CHECKING:
    import pandas as pd

SAID_BEFORE = "probability of success"  # of a prediction's summary


def printed(interim: Interim, *, seed: int) -> str:
    """Give what the command line prints of a finished analysis, the answer with its conditions first.

    Parameters
    ----------
    interim : Interim
    seed : int
        Of the draws from the prior that the posterior is compared with.
    """
    decision = interim.decision
    first = condition_rows(decision)
    parts = {
        "": Rows([*first, *interim.inputs.patients.summary(), *prediction_rows(interim)]),
        "What would change the answer most:": most_rows(decision),
        "Estimated now (median and 95 % credible interval):": estimate_rows(decision),
        "Endpoints:": endpoint_rows(decision),
        "Borrowed, and conflict with what the others predict:": borrowing_rows(decision),
        "Probability of success by source of information:": answer_rows(decision),
        "Surrogacy across trials, and what it rests on:": relation_rows(decision),
        "WARNING: where the data say little, and the share of the answer there that is prior:":
            mostly_prior_rows(interim, rng=np.random.default_rng(seed)),
        "What happened:": outcome_rows(interim),
    }  # fmt: skip
    return "\n\n".join(f"{heading}\n{rows}".lstrip("\n") for heading, rows in parts.items() if rows)


def prediction_rows(interim: Interim) -> Rows:
    """Give what is predicted apart from what stands among the answer's conditions."""
    first = condition_rows(interim.decision)
    return Rows(row for row in interim.prediction.summary() if row[0] != SAID_BEFORE and row not in first)


@dataclass(frozen=True)
class Section:
    """A part of a report: a heading, sentences and tables, in which every name is text.

    Attributes
    ----------
    heading : str
        Nothing where it is empty.
    parts : tuple of str, Rows or pandas.DataFrame
    """

    heading: str
    parts: tuple[str | Rows | pd.DataFrame, ...]

    def __repr__(self) -> str:
        return "\n\n".join([self.heading, *map(str, self.parts)] if self.heading else map(str, self.parts))

    def _repr_html_(self) -> str:
        return (markup.paragraph(self.heading, "h3") if self.heading else "") + "".join(map(_shown, self.parts))


def section(heading: str, *parts: str | Rows | pd.DataFrame | None) -> Section | None:
    """Put a section together; None where it has no table, so that a heading never stands alone.

    Parameters
    ----------
    heading : str
    *parts : str, Rows, pandas.DataFrame or None
        What is None or an empty table is left out; sentences are there with a table only.
    """
    kept = tuple(part for part in parts if part is not None and len(part))
    return Section(heading, kept) if any(not isinstance(part, str) for part in kept) else None


def paragraphs(*sentences: str) -> Section:
    """Show sentences."""
    return Section("", sentences)


def _shown(part: str | Rows | pd.DataFrame) -> str:
    if isinstance(part, str):
        return markup.paragraph(part)
    return part._repr_html_() if isinstance(part, Rows) else markup.frame(part)


def limits(interim: Interim) -> Section:
    """Say what the answer does not know: those limits that apply."""
    decision = interim.decision
    said = [
        "The prediction assumes that patients still to be followed have the hazards of those already followed: the "
        "same treatment, the same ascertainment, no change of practice with calendar time.",
        "Censoring for other than administrative reasons is taken as it is and is assumed to say nothing about the "
        "outcome.",
        *decision.assumptions,
        "Beyond the last interval with data the hazard is mostly its prior (see the prior statements above).",
        "The Monte Carlo error is that of simulation"
        + (" and of the number of reconstructions" if decision.sources else "") + ", not of the model.",
    ]  # fmt: skip
    if decision.mrd is not None and decision.mrd.relation is not None:
        said.append("The relation across trials comes from other trials. That it holds here is assumed, by the "
                    "transport that is stated.")  # fmt: skip
    return paragraphs(*said)
