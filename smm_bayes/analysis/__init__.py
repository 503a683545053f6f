"""Pre-specified analyses: the specification, the pipeline, what is written."""

from smm_bayes.analysis.interim import Interim, InterimInputs, read_inputs, run_interim
from smm_bayes.analysis.spec import AnalysisSpec

__all__ = ["AnalysisSpec", "Interim", "InterimInputs", "read_inputs", "run_interim"]
