"""Tables, plots and the report notebook."""
