"""The rules of the evidence tables, written once: columns, words, units, ranges, order.

The light check of :mod:`smm_bayes.evidence.facts` and its pandera schema are both made from this.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from re import fullmatch
from typing import Any, Final

TRUST = ("registry", "published", "secondary", "derived", "recalled", "quarantined")  # most to least trusted
QUARANTINED = TRUST[-1]
PRIMARY: Final = "derived"  # the lowest trust that enters a primary analysis unless a specification names another


def may_enter(trust: str, lowest: str = PRIMARY) -> bool:
    """Whether a fact of this trust enters an analysis that lets the lowest in; quarantined ones need an admission."""
    return trust == QUARANTINED or TRUST.index(trust) <= TRUST.index(lowest)


@dataclass(frozen=True)
class Bounds:
    """A closed range of numbers; ``above`` and ``below`` leave out the ends."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value is finite and lies within."""
        low = value > self.low if self.above else value >= self.low
        return math.isfinite(value) and low and (value < self.high if self.below else value <= self.high)

    def __str__(self) -> str:
        """Say the range, as in ``in [0, 1]``."""
        if math.isinf(self.high):
            return f"above {self.low:g}" if self.above else f"{self.low:g} or more"
        return f"in {'(' if self.above else '['}{self.low:g}, {self.high:g}{')' if self.below else ']'}"


@dataclass(frozen=True)
class Column:
    """One column of an evidence table.

    Attributes
    ----------
    name : str
        Header.
    kind : {"text", "number", "integer"}
        What its cells are.
    role : str
        What it holds, for the message that it is missing.
    required : bool
        Whether a cell may be empty.
    words : tuple of str
        Allowed words; empty when any text will do.
    pattern : str
        Regular expression a text has to match; empty for any.
    bounds : Bounds
        Allowed numbers.
    """

    name: str
    kind: str
    role: str
    required: bool = False
    words: tuple[str, ...] = ()
    pattern: str = ""
    bounds: Bounds = Bounds()


# of the value, the lower and the upper limit, by unit
UNITS = {
    "probability": Bounds(0, 1),
    "fraction": Bounds(0, 1),
    "r_squared": Bounds(0, 1),
    "difference": Bounds(-1, 1),
    "ratio": Bounds(0, above=True),
    "patients": Bounds(0),
    "months": Bounds(0),
    "per_year": Bounds(0),
    "person_years": Bounds(0),
    "points": Bounds(),
    "slope": Bounds(),
    "years": Bounds(0),
    "cycles": Bounds(0),
    "votes": Bounds(0),
    "g_per_dL": Bounds(0),
    "mg_per_m2": Bounds(0),
}

SURVIVAL = (
    "TTP", "PFS", "PFS_high_risk", "PFS_lower_risk", "PFS2", "OS", "OS_from_diagnosis", "post_progression_OS",
    "time_to_first_line", "biochemical_progression", "progression_type",
)  # fmt: skip
RESPONSE = ("response", "response_induction", "response_maintenance", "response_best")
TOXICITY = ("toxicity", "toxicity_induction", "toxicity_maintenance")
SURROGACY = ("MRD_to_PFS", "MRD_to_OS")
COURSE = ("treatment", "next_treatment", "baseline", "quality_of_life", "regulatory")
ENDPOINTS = (*SURVIVAL, *RESPONSE, "MRD", *TOXICITY, *SURROGACY, *COURSE, "risk_score", "design")

# a measure and the units it may be given in
NUMBERS = {
    # of survival endpoints
    "survival_probability": ("probability",), "cumulative_incidence": ("probability",),
    "survival_difference": ("difference",), "median_time": ("months",), "median_not_reached": ("months",),
    "hazard_ratio": ("ratio",), "event_rate": ("per_year",), "annual_increment": ("per_year",),
    "hazard_rate": ("per_year",), "events": ("patients",), "fraction": ("fraction",),
    "person_years": ("person_years",), "deaths_without_progression": ("patients",),
    "deaths_after_progression": ("patients",),
    # kinds of progression
    "SLiM": ("fraction", "patients"), "CRAB": ("fraction", "patients"), "biochemical": ("patients",),
    "relapse_from_CR": ("patients",), "ultrasensitive_MRD": ("patients",),
    "rescue_added": ("patients",), "symptomatic_without_rescue": ("patients",),
    # of response: "_only" leaves out what is better
    "overall_response": ("fraction",), "PR_or_better": ("fraction",), "VGPR_or_better": ("fraction",),
    "CR_or_better": ("fraction",), "PR_or_VGPR": ("fraction",), "sCR": ("fraction",), "CR": ("fraction",),
    "CR_only": ("fraction",), "VGPR_only": ("fraction",), "PR_only": ("fraction",), "SD": ("fraction",),
    "not_evaluable": ("fraction",), "deepened": ("fraction",),
    # of MRD
    "negative": ("fraction",), "negative_by_sequencing": ("fraction",), "negative_and_CR": ("fraction",),
    "sustained_negative": ("fraction",), "still_negative": ("fraction",), "median_duration": ("months",),
    "odds_ratio": ("ratio",),
    # of surrogacy
    "r_squared": ("r_squared",), "r_squared_copula": ("r_squared",), "r_squared_rate_difference": ("r_squared",),
    "r_squared_log_median": ("r_squared",), "global_odds_ratio": ("ratio",), "slope_log_hr_on_log_or": ("slope",),
    "slope_log_hr_on_rate_difference": ("slope",), "slope_log_median_on_log_rate": ("slope",),
    # of risk
    "points": ("points",), "share": ("fraction",), "share_high_risk": ("fraction",), "c_statistic": ("probability",),
    "threshold": ("g_per_dL", "points", "fraction"),
    # of the course
    "completed_induction": ("fraction",), "completed_maintenance": ("fraction",), "off_treatment": ("fraction",),
    "off_study": ("patients",), "cycles": ("cycles",), "dose": ("mg_per_m2",), "treatment_duration": ("months",),
    "median_age": ("years",), "votes_for": ("votes",),
    "received": ("fraction",), "received_anti_CD38": ("fraction",), "fatigue_change": ("points",),
    "criterion_M_component_and_plasma_cells": ("patients",),
    "criterion_aberrant_cells_and_immunoparesis": ("patients",), "criterion_both": ("patients",),
    # of the design
    "n_randomised": ("patients",), "n_analysed": ("patients",), "n_planned": ("patients",),
    "n_patients": ("patients",), "n_evaluated": ("patients",), "n_maintenance": ("patients",),
    "median_follow_up": ("months",), "planned_hazard_ratio": ("ratio",), "allocation_ratio": ("ratio",),
    "primary_landmark": ("months",), "time_since_diagnosis_at_most": ("months",),
}  # fmt: skip
ADVERSE_EVENTS = (
    "any_event", "any_related_event", "serious_adverse_event", "discontinuation", "death", "hematologic",
    "nonhematologic", "neutropenia", "thrombocytopenia", "anemia", "cytopenia", "infection", "pneumonia", "rash",
    "asthenia", "constipation", "diarrhea", "deep_vein_thrombosis", "hypertension", "second_primary_malignancy",
    "cytokine_release", "cytokine_release_or_neurotoxicity", "infusion_reaction", "peripheral_neuropathy",
)  # fmt: skip
GRADES = ("", "_grade_1", "_grade_2", "_grade_3", "_grade_4", "_grade_5", "_grade_3_4", "_grade_2_or_more",
          "_grade_3_or_more")  # fmt: skip
MEASURES: dict[str, tuple[str, ...]] = {
    **NUMBERS,
    **{f"{event}{grade}": ("patients", "fraction") for event in ADVERSE_EVENTS for grade in GRADES},
    "second_primary_malignancy_cumulative": ("probability",),
}
WITHOUT_VALUE = ("median_not_reached",)
AT_A_TIME = ("survival_probability", "cumulative_incidence", "survival_difference", "annual_increment", "hazard_rate")

COLUMNS = (
    Column("id", "text", "the fact's own name", required=True, pattern=r"[a-z0-9]+(-[a-z0-9]+)*"),
    Column("trial", "text", "the trial, study or risk model", required=True),
    Column("arm", "text", "the arm, or A_vs_B", required=True),
    Column("endpoint", "text", "what was looked at", required=True, words=ENDPOINTS),
    Column("measure", "text", "which number it is", required=True, words=tuple(MEASURES)),
    Column("time", "number", "months to the landmark", bounds=Bounds(0)),
    Column("value", "number", "the number"),
    Column("lower", "number", "lower limit of the interval"),
    Column("upper", "number", "upper limit of the interval"),
    Column("level", "number", "level of the interval", bounds=Bounds(0, 1, above=True, below=True)),
    Column("unit", "text", "unit of value and interval", required=True, words=tuple(UNITS)),
    Column("n", "integer", "the denominator", bounds=Bounds(0, above=True)),
    Column("events", "integer", "the numerator", bounds=Bounds(0)),
    Column("sensitivity", "number", "threshold of MRD", bounds=Bounds(0, 1, above=True, below=True)),
    Column("cut", "text", "the data cut of the trial"),
    Column("trust", "text", "how far it is trusted", required=True, words=TRUST),
    Column("source", "text", "where it is printed", required=True),
    Column("note", "text", "remarks"),
)
ORDERED = (("lower", "value"), ("value", "upper"), ("lower", "upper"), ("events", "n"))

# of trials.csv: name, role, allowed words
TRIAL_COLUMNS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("trial", "the name the facts use", ()),
    ("name", "the full name", ()),
    ("registry", "the registry's number", ()),
    ("phase", "the phase", ("", "1/2", "2", "3")),
    ("disease", "smoldering, newly diagnosed, relapsed or any myeloma", ("SMM", "NDMM", "RRMM", "MM")),
    ("design", "the kind of study",
     ("randomised", "single_arm", "meta_analysis", "risk_model", "cohort", "guidance", "unidentified")),
    ("regimens", "the arms with their role", ()),
    ("accrual_start", "date of the first enrolment", ()),
    ("accrual_end", "date of the last enrolment", ()),
    ("cut", "the label of the data cut", ()),
    ("data_cutoff", "date of the data cut-off", ()),
    ("progression", "what counts as progression", ("symptomatic", "end_organ", "slim_crab", "not_stated")),
    ("source", "where it is printed", ()),
    ("note", "remarks", ()),
)  # fmt: skip


def broken_rules(values: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield (column, rule, remedy) for every rule a row of values breaks; an empty cell is ``None`` or ``""``."""
    for column in COLUMNS:
        value = values[column.name]
        if value in (None, ""):
            if column.required:
                yield column.name, "no value", f"give {column.role}"
        elif column.kind == "text":
            if column.words and value not in column.words:
                yield column.name, f"unknown word {value!r}", suggest(value, column.words)
            if column.pattern and not fullmatch(column.pattern, value):
                yield column.name, f"not a name of this form: {value!r}", "use small letters, digits and hyphens"
        elif not column.bounds.holds(value):
            yield column.name, f"{value:g} is not {column.bounds}", f"correct {column.role}"
        elif column.kind == "integer" and value != int(value):
            yield column.name, f"{value:g} is not a whole number", f"correct {column.role}"
    yield from broken_between(values)


def broken_between(values: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the rules between columns that a row breaks, as :func:`broken_rules` does."""
    unit = values["unit"]
    if unit in UNITS:
        for name in ("value", "lower", "upper"):
            value = values[name]
            if value is not None and not UNITS[unit].holds(value):
                yield name, f"{value:g} is not {UNITS[unit]}, as a {unit} has to be", "correct the number or the unit"
    yield from _broken_by_measure(values)
    for low, high in ORDERED:
        if values[low] is not None and values[high] is not None and values[low] > values[high]:
            yield low, f"{low} {values[low]:g} is above {high} {values[high]:g}", "correct one of them"
    if values["level"] is not None and values["lower"] is None and values["upper"] is None:
        yield "level", "a level without an interval", "give lower and upper or leave level empty"
    if unit == "patients" and None not in (values["value"], values["events"]) and values["value"] != values["events"]:
        yield "events", "differs from the count in value", "write the same count in both"


def _broken_by_measure(values: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the rules that a row breaks of what its measure needs."""
    measure, unit = values["measure"], values["unit"]
    if measure in MEASURES and unit in UNITS and unit not in MEASURES[measure]:
        yield "unit", f"{measure} in {unit}", f"give it in {' or '.join(MEASURES[measure])}"
    if measure in WITHOUT_VALUE and values["value"] is not None:
        yield "value", f"{measure} has a value", "leave it empty or change the measure"
    if measure in MEASURES and measure not in WITHOUT_VALUE and values["value"] is None:
        yield "value", "no value", f"give the number, or use {WITHOUT_VALUE[0]} for a median that was not reached"
    if measure in AT_A_TIME and values["time"] is None:
        yield "time", f"{measure} without a time", "give the months to the landmark"


def suggest(word: str, words: Sequence[str]) -> str:
    """Say what a word that is not known may have been."""
    close = get_close_matches(word, words, n=3)
    return f"did you mean {' or '.join(close)}?" if close else f"use one of the {len(words)} known, such as {words[0]}"
