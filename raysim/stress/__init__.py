"""Stress test: a declared suite of hard cases, which is run on Ray as a sweep is."""
