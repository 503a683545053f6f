"""Hazards of several trials: what each observed, and how far the earlier ones inform the current one."""
