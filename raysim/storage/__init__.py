"""Files of results: runs, trials, private states, reports, exports, and where a result came from."""
