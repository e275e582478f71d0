"""Pixels -> weights."""
