"""Operating characteristics of designs that borrow."""
