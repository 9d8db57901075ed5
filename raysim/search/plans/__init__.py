"""Plans: which trials a sweep runs, in which order, and which rows of a resumed sweep stay valid."""
