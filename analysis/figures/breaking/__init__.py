"""Figures and tables of a stress run: accuracy against severity, and where methods break."""
