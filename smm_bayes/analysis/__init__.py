"""Pre-specified analyses: a new trial's folder, the specification and its check, the pipeline, what is written."""

from importlib import import_module
from typing import Any

from smm_bayes.analysis.answers import predict
from smm_bayes.analysis.check import checked_inputs
from smm_bayes.analysis.interim import Interim, InterimInputs, decide, read_inputs, run_interim
from smm_bayes.analysis.new import new_trial
from smm_bayes.analysis.spec import AnalysisSpec

# loaded when they are used: modules that are also run by themselves
_LATER = {
    "Declaration": "simulation", "Forecast": "forecast", "load_forecast": "forecast",
    "make_forecast": "forecast", "open_interim": "outputs", "read_forecast": "forecast", "records": "forecast",
}  # fmt: skip

__all__ = [
    "AnalysisSpec", "Interim", "InterimInputs", "checked_inputs", "decide", "freeze", "new_trial", "predict",
    "read_inputs", "run_interim", "verify", *sorted(_LATER),
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Load what a name stands for."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
