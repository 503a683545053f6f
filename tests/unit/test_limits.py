"""No number, date or name of a specification is beyond what any trial could have: refused in words, before sampling."""

import datetime
import typing
import warnings
from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from smm_bayes.analysis import evidence_sections, sections, spec
from smm_bayes.analysis.interim import read_inputs
from smm_bayes.analysis.mrd import sections as mrd_sections
from smm_bayes.errors import SmmBayesError, SpecificationError

MODULES = (sections, evidence_sections, mrd_sections, spec)
NOT_MONTHS = {"draws", "tune", "chains"}  # of the sampler, with bounds of their own
ABSURD = (1e-308, 5e-324, -1e-200, 1e300, 10**18, 10**400, -(10**30))


def numeric(annotation):
    return annotation in (int, float) or any(numeric(inner) for inner in typing.get_args(annotation) if inner is not None)


FIELDS = [
    pytest.param(Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation, id=f"{kind.__name__}.{name}")
    for module in MODULES for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, sections.Section) and kind.__module__ == module.__name__
    for name, info in kind.model_fields.items()
    if name not in NOT_MONTHS | {"schema_version"} and numeric(info.annotation)
]  # fmt: skip


@pytest.mark.parametrize("annotation", FIELDS)
def test_no_numeric_key_takes_an_absurd_value(annotation):
    adapter = TypeAdapter(annotation)
    for value in ABSURD:
        for found in (value, [value], {"control": value}, {"any": value}):
            with pytest.raises((ValidationError, SpecificationError)):
                adapter.validate_python(found)


def test_the_fields_are_there():
    assert len(FIELDS) > 40


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """A small trial with many keys, and how to write it with one value exchanged."""
    arms = ("Observation", "Active")
    rows = [("SMM", f"P{n:02d}", "PFS", 5 + n, "MONTH", int(n % 3 == 0), f"2020-{n:02d}-15",
             "" if n % 3 == 0 else "Disease progression", "Ongoing" if n % 3 == 0 else "", arms[n % 2])
            for n in range(1, 13)]  # fmt: skip
    folder = tmp_path_factory.mktemp("limits")
    head = "STUDYID,USUBJID,PARAMCD,AVAL,AVALU,CNSR,STARTDT,EVNTDESC,CNSDTDSC,TRT01P"
    (folder / "adtte.csv").write_text("\n".join([head, *(",".join(map(str, row)) for row in rows)]))
    text = """
    schema_version = 1
    trial.name = "small"
    snapshot = {{ file = "adtte.csv", parameter = "PFS", provenance = "simulated",
      arms = {{ control = "Observation", experimental = "Active" }}, causes = {{ event = ["Disease progression"] }} }}
    final = {{ at = "date", date = {date}, causes = ["event"] }}
    success = {{ rule = "log_rank", alpha = {alpha} }}
    prediction = {{ replicates = {replicates} }}
    [model]
    cuts = [{cut}]
    prior.baseline.event = {{ median = {median}, upper = {upper} }}
    prior.hazard_ratio.event = {{ median = {ratio}, upper = 3.0 }}
    prior.smoothness = {{ fold_change = {fold}, months = {months} }}
    [enrolment]
    planned = {{ control = {planned}, experimental = 9 }}
    prior_rate = {rate}
    prior_months = {rate_months}
    """
    usual = {"date": datetime.date(2024, 1, 1), "alpha": 0.025, "replicates": 1000, "cut": 12.0, "median": 20, "upper": 80,
             "ratio": 1.0, "fold": 2.0, "months": 12, "planned": 9, "rate": 1.0, "rate_months": 1.0}  # fmt: skip

    def write(**changed):
        # TOML allows an inline table on one line only
        lines = text.format(**{**usual, **changed}).replace('"simulated",\n', '"simulated",')
        (folder / "spec.toml").write_text("\n".join(line.strip() for line in lines.splitlines()))
        return folder / "spec.toml"

    return write, usual


def test_the_small_trial_itself_is_read(case):
    assert read_inputs(case[0]()).patients.events == 8


@pytest.mark.parametrize("value", [1e-308, 1e-7, 1e-6, 1e-3, 0, -1, 1e6, 1e9, 1e10, 1e308, 99999999999, 10**30])
def test_any_size_of_any_number_is_read_or_refused_without_a_warning(case, value):
    write, usual = case
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for key in set(usual) - {"date"}:
            try:
                read_inputs(write(**{key: value}))
            except SmmBayesError as error:
                assert str(error)
            else:
                assert value == 0 or 1e-9 <= value <= 1e9, key


def test_medians_and_dates_say_what_may_be(case):
    write, _ = case
    with pytest.raises(SpecificationError, match=r"median: must be 1e-06 or more \(found 1e-07\)"):
        read_inputs(write(median=1e-7))
    with pytest.raises(SpecificationError, match=r"upper: must be 0, or between 1e-09 and 1e\+09 in size"):
        read_inputs(write(upper=1e10))
    with pytest.raises(SpecificationError, match=r"final\.date: must be a date in the years 1900 to 2100"):
        read_inputs(write(date=datetime.date(9999, 12, 31)))
    with pytest.raises(SpecificationError, match=r"alpha must be 0, or between 1e-09 and 1e\+09 in size"):
        read_inputs(write(alpha=1e-308))


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "\x1b[31m", "\x7f", "x" * 2000])
def test_names_that_nothing_could_print_are_refused(name):
    with pytest.raises(ValidationError, match=r"control characters|1000 characters"):
        TypeAdapter(sections.Word).validate_python(name)


@pytest.mark.parametrize("value", [10**400, 10**12, 1e300, -1e300])
def test_counts_of_events_have_a_size(case, value):
    path = case[0]()
    path.write_text(path.read_text().replace('rule = "log_rank", alpha = 0.025', f'rule = "event_count", at_least = {value}'))
    with pytest.raises(SpecificationError, match=r"success|more than 64 bits"):
        read_inputs(path)
