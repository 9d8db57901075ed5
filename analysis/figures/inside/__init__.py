"""Figures of the inside of runs: class ratios, D_CKA, masks and failure signatures."""
