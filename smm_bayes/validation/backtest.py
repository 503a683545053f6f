"""The stored backtest: what forecasts of published results were worth.

``python -P -m smm_bayes.validation.backtest models/backtest`` reads ``backtest.toml`` there and writes
``published.csv`` (what was forecast, and from which facts), ``scores.csv`` (a row a forecast and a variant or
baseline), ``variants.csv`` (coverage, sharpness and scores of each, by group of forecasts), ``compared.csv`` (those
that are shown, against the one first specified) and ``backtest.json`` (hashes of the declaration, of every fact used
and of the numbers, and versions).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smm_bayes.analysis.backtest import Backtest, backtest, by_variant, compared, group, load_backtest
from smm_bayes.analysis.backtest.baselines import BASELINES
from smm_bayes.analysis.backtest.summary import AXES, GROUPS
from smm_bayes.files import as_json, collecting, sha256, write_whole
from smm_bayes.inference.fingerprint import versions

if TYPE_CHECKING:
    import pandas as pd

DECLARED, RECORD = "backtest.toml", "backtest.json"
PUBLISHED, SCORES, VARIANTS, SHOWN = "published.csv", "scores.csv", "variants.csv", "compared.csv"
DIGITS, OF_MEANS = "%.4g", "%.6g"
OF_A_FORECAST = ["fact", "trial", "study", "reported", "from", "endpoint", "kind", "month", "arm", "published", "se",
                 "trust", "used"]  # fmt: skip


def as_csv(table: pd.DataFrame, digits: str = DIGITS) -> str:
    """Give the one text of a table."""
    whole = table.assign(**{str(name): table[name].astype(int) for name in table if table[name].dtype == bool})
    return str(whole.to_csv(index=False, float_format=digits, lineterminator="\n"))


def tables(declared: Backtest) -> dict[str, pd.DataFrame]:
    """Compute the stored tables, by name of file."""
    import pandas as pd

    every = backtest(declared)
    groups = [by_variant(group(every, name)).assign(group=name) for name in GROUPS]
    scores = every.drop(columns=[name for name in OF_A_FORECAST if name != "fact"])
    return {
        PUBLISHED: every[OF_A_FORECAST].drop_duplicates("fact"),
        SCORES: scores[["fact", "method", *AXES, *(name for name in scores if name not in ("fact", "method", *AXES))]],
        VARIANTS: pd.concat(groups, ignore_index=True),
        SHOWN: pd.concat([_shown(group(every, name), declared).assign(group=name) for name in GROUPS]),
    }  # fmt: skip


def _shown(table: pd.DataFrame, declared: Backtest) -> pd.DataFrame:
    """Compare the variants that are shown, and the baselines that say something of this group."""
    there = set(table["method"])
    ways = declared.ways | {name: name for name in BASELINES if name in there}
    return compared(table, ways, next(iter(declared.ways))).rename_axis("way").reset_index()


def made(folder: Path) -> dict[str, str]:
    """Text of every stored file, by name."""
    with collecting() as pins:
        found = tables(load_backtest(folder / DECLARED))
    texts = {name: as_csv(table, OF_MEANS if name == SHOWN else DIGITS) for name, table in found.items()}
    record: dict[str, Any] = {
        "schema_version": 1, "forecasts": len(found[PUBLISHED]),
        "sha256": {DECLARED: pins.files[(folder / DECLARED).resolve()],
                   **{name: sha256(text.encode()) for name, text in texts.items()}},
        "facts": dict(sorted(pins.values.items())), "versions": versions("smm-bayes", "numpy", "scipy"),
    }  # fmt: skip
    return texts | {RECORD: as_json(record)}


def main(folder: Path) -> None:
    """Make the stored tables and their record."""
    for name, text in made(folder).items():
        write_whole(folder / name, text)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("models/backtest"))
