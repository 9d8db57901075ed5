"""Figures and tables of the search: its trials, front, race, tuning and optimism gap."""
