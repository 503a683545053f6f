"""What a decision made by hand says of everything that a test does not look at."""

GROUNDS = {
    "trial": "now", "data": "simulated", "data_cutoff": "2024-01-01", "endpoint": "PFS", "status": "primary",
    "probability_of_success": 0.3, "mcse": 0.005, "success_rule": "rule", "final_analysis": "at 40 events",
    "probability_reached": 0.9, "hazard_ratio": {"median": 0.8, "lower": 0.3, "upper": 1.9},
    "events": {"observed": 17, "planned": 40, "predicted": {"median": 40, "lower": 38, "upper": 40}},
    "information_fraction": 0.4, "sources": [],
    "diagnostics": {"max_rhat": 1.0, "min_ess_bulk": 900, "min_ess_tail": 900, "divergences": 0, "passed": True},
    "fingerprint": "0", "inputs": {"sha256": {}, "seed": 1, "versions": {}},
}  # fmt: skip
