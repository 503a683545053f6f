"""The rules of the evidence tables as a pandera schema, for those who work with frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from smm_bayes.evidence.vocabulary import COLUMNS, Bounds, broken_between

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa


def facts_schema() -> pa.DataFrameSchema:
    """Make a pandera schema of the evidence tables from the same rules as the light check.

    It takes a frame as :meth:`smm_bayes.evidence.Facts.table` gives it, or as pandas reads the tables.
    """
    import pandera.pandas as pa

    def holds(bounds: Bounds) -> pa.Check:
        return pa.Check(bounds.holds, element_wise=True, error=f"is {bounds}")

    columns = {}
    for column in COLUMNS:
        checks = [] if column.kind == "text" else [holds(column.bounds)]
        if column.kind == "text" and column.required:
            checks.append(pa.Check.str_length(min_value=1))
        if column.words:
            checks.append(pa.Check.isin(column.words))
        if column.pattern:
            checks.append(pa.Check.str_matches(f"^(?:{column.pattern})$"))
        kind = {"text": str, "number": float, "integer": "Int64"}[column.kind]
        columns[column.name] = pa.Column(
            kind, checks, nullable=not column.required, coerce=True, unique=column.name == "id"
        )
    between = pa.Check(_rows_hold, error="rules between columns, units and measures")
    return pa.DataFrameSchema(columns, checks=between, strict=True)


def _rows_hold(frame: pd.DataFrame) -> pd.Series:
    """Whether each row of a frame keeps the rules between its columns."""
    import pandas as pd

    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return pd.Series([not any(broken_between(cast(dict[str, Any], row))) for row in rows], frame.index, dtype=bool)
