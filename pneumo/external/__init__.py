"""The chosen model at another hospital: measured as it is, with nothing fitted there."""
