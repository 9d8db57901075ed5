"""Figures of the open choices: contrasts, winners, gaps, indices, interactions, ranks and responses."""
