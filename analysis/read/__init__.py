"""Readers of result folders: tables, runs and galleries, and the names of files that could not be read."""
