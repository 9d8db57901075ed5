"""Figures of outcomes: accuracies by configuration, class, client and round, and what is sent."""
