"""Kills at random moments and damaged files, each followed by `--resume`: nothing is lost, nothing hangs."""
