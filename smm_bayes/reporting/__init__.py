"""Tables, plots and the report notebook; the modules that a notebook uses are named."""

__all__ = ["checks", "plan", "plots", "words"]
