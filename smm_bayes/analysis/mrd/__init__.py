"""Patients' MRD and surrogacy across trials in an interim analysis: from the specification to what it says of them."""
