"""Numerical schemes, each once: quadrature panels and adaptive quadrature."""
