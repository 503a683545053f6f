"""Evidence that the package is right: calibrations and stored tables. It may import everything; nothing imports it."""
