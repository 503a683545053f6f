"""Published results forecast from what was published before them, by variants of one model, and scored."""

from smm_bayes.analysis.backtest.declared import Backtest, Variant, load_backtest
from smm_bayes.analysis.backtest.run import backtest
from smm_bayes.analysis.backtest.summary import against, by_axis, by_variant, chosen, compared, group, selected

__all__ = ["Backtest", "Variant", "against", "backtest", "by_axis", "by_variant", "chosen", "compared", "group",
           "load_backtest", "selected"]  # fmt: skip
