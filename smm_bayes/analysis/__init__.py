"""Pre-specified analyses: a new trial's folder, the specification and its check, the pipeline, what is written."""

from smm_bayes.analysis.check import checked_inputs
from smm_bayes.analysis.interim import Interim, InterimInputs, read_inputs, run_interim
from smm_bayes.analysis.new import new_trial
from smm_bayes.analysis.spec import AnalysisSpec

__all__ = ["AnalysisSpec", "Interim", "InterimInputs", "checked_inputs", "new_trial", "read_inputs", "run_interim"]
