"""Association of MRD with a time to event within a trial, and the landmark, companion of the joint model."""
