"""Search for good settings of a config: what may vary, the study that chooses, trials in one pass, results."""
