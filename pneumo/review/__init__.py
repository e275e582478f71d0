"""Is the difference between two commits real? What they changed, paired intervals and tests, and a verdict."""
