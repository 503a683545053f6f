"""MRD at scheduled visits: each patient's status, and rates with their denominators."""
