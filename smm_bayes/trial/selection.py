"""Which rows of a table are read: one parameter, by analysis flags, without the arms that are left out; with counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from smm_bayes.errors import Problems
from smm_bayes.trial.columns import spelled
from smm_bayes.trial.identity import normal_form, one_slip_apart
from smm_bayes.trial.table import Table, first_of

LeftOut = list[tuple[str, int]]


def select_parameter(
    table: Table, columns: Mapping[str, str], parameter: str, problems: Problems
) -> tuple[Table, LeftOut]:
    """Keep the rows of one parameter, and count the patients who have none.

    A code that is empty, is the parameter's but for case, white space or the like, or is one slip away and of patients
    who lack the parameter, is noted: nobody's row is lost for a misprint.
    """
    column = columns["parameter"]
    codes, names = table.words(column), [normal_form(name) for name in table.words(columns["patient"])]
    hit = [code == parameter.strip() for code in codes]
    if not any(hit):
        there = ", ".join(repr(code) for code in sorted(set(codes) - {""})[:8])
        problems.add(f"column '{column}' has no row with {parameter!r}; ask for what it has: {there or 'nothing'}")
    have = {name for name, yes in zip(names, hit, strict=True) if yes}
    also = {code for code, name in zip(codes, names, strict=True) if name in have}
    wanted = normal_form(parameter)
    almost = [
        bool(code)
        and not yes
        and (normal_form(code) == wanted or (code not in also and one_slip_apart(normal_form(code), wanted)))
        for code, yes in zip(codes, hit, strict=True)
    ]
    if any(hit):
        problems.add_rows(
            column,
            table.where([not code for code in codes]),
            "no value",
            "say of which parameter the row is, or remove it",
        )
        problems.add_rows(
            column,
            table.where(almost),
            f"almost {parameter!r}",
            "correct the code: is the row meant?",
            first_of(table.cells(column), almost),
        )
    without = len(set(names) - have - {""})
    return table.take(hit), [(f"without a row of {parameter}", without)] if without else []


def select_rows(
    table: Table,
    columns: Mapping[str, str],
    flags: Mapping[str, str] | None,
    leave_out: Sequence[str],
    arms: Mapping[str, str],
    problems: Problems,
) -> tuple[Table, LeftOut]:
    """Keep the rows that all flags name and whose arm is not left out; count what is not kept."""
    left: LeftOut = []
    for name, value in (flags or {}).items():
        column = spelled(table, name, problems)
        if column not in table:
            problems.add(f"column '{name}' is missing: it holds a flag (flags); correct its name or remove the flag")
            continue
        keep = [normal_form(word) == normal_form(value) for word in table.words(column)]
        if not any(keep):
            problems.add(f"column '{column}' has no row with {value!r} (flags); correct the value or remove the flag")
            continue
        left.append((f"rows without {column} = {value}", len(table) - sum(keep)))
        table = table.take(keep)
    declared = set(map(normal_form, arms.values()))
    for arm in leave_out:
        words = [normal_form(word) == normal_form(arm) for word in table.words(columns["arm"])]
        if normal_form(arm) in declared:
            problems.add(f"leave_out: {arm!r} is an arm that is declared; remove it from leave_out or from arms")
        elif not any(words):
            problems.add(f"leave_out: column '{columns['arm']}' has no arm {arm!r}; correct its name or remove it")
        else:
            left.append((f"arm {arm}", sum(words)))
            table = table.take([not hit for hit in words])
    return table, [(what, number) for what, number in left if number]
