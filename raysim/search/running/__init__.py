"""Running of a plan under Ray Tune: the run in its folder, the trial process, and trackers."""
