"""Published results forecast from what was published before them, by variants of one model, and scored."""

from smm_bayes.analysis.backtest.declared import Backtest, load_backtest
from smm_bayes.analysis.backtest.run import backtest, by_variant

__all__ = ["Backtest", "backtest", "by_variant", "load_backtest"]
