"""Outputs of a network, and the tables of scores."""
