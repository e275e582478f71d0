"""Scores -> calibration, thresholds, metrics, intervals and the choice."""
