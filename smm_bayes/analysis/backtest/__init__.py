"""Published results forecast from what was published before them, by variants of one model, and scored."""

from smm_bayes.analysis.backtest.declared import Backtest, Variant, load_backtest
from smm_bayes.analysis.backtest.run import backtest
from smm_bayes.analysis.backtest.summary import against, by_axis, by_variant, chosen, compared, group, selected
from smm_bayes.analysis.forecast_scores import FLAT, LAST, PROPORTIONAL, score_record
from smm_bayes.analysis.later import forecast_later, later_effect
from smm_bayes.analysis.scores import Forecast, log_ratio_se, score

__all__ = ["FLAT", "LAST", "PROPORTIONAL", "Backtest", "Forecast", "Variant", "against", "backtest", "by_axis",
           "by_variant", "chosen", "compared", "forecast_later", "group", "later_effect", "load_backtest",
           "log_ratio_se", "score", "score_record", "selected"]  # fmt: skip
