"""Tables, plots and the report notebook; the modules that a notebook uses are named."""

__all__ = [
    "answer", "backtest", "borrowing", "by_source", "checks", "drift", "endpoints", "forest", "graph", "mrd", "plan",
    "plots", "priors", "sensitivity", "surrogacy", "transport", "words",
]  # fmt: skip
