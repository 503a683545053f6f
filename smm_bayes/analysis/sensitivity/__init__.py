"""Where the answer moves: what is changed, by default and by a specification, and what each change does."""
