"""Patients' MRD and surrogacy across trials in an interim analysis: from the specification to the ladder of sources."""
