"""The stored backtest: what forecasts of published results were worth.

``python -P -m smm_bayes.validation.backtest models/backtest`` reads ``backtest.toml`` there and writes ``forecasts.csv``
(a row a forecast and a variant or baseline), ``variants.csv`` (coverage, sharpness and scores of each) and
``backtest.json`` (hashes of the declaration, of every fact used and of the numbers, and versions).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smm_bayes.analysis.backtest import backtest, by_variant, load_backtest
from smm_bayes.files import as_json, collecting, sha256, write_whole
from smm_bayes.inference.fingerprint import versions

if TYPE_CHECKING:
    import pandas as pd

DECLARED, FORECASTS, VARIANTS, RECORD = "backtest.toml", "forecasts.csv", "variants.csv", "backtest.json"
DIGITS = "%.6g"


def as_csv(table: pd.DataFrame) -> str:
    """Give the one text of a table."""
    return str(table.to_csv(index=False, float_format=DIGITS, lineterminator="\n"))


def made(folder: Path) -> dict[str, str]:
    """Text of every stored file, by name."""
    with collecting() as pins:
        table = backtest(load_backtest(folder / DECLARED))
    texts = {FORECASTS: as_csv(table), VARIANTS: as_csv(by_variant(table))}
    record: dict[str, Any] = {
        "schema_version": 1, "forecasts": int(table["fact"].nunique()),
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
