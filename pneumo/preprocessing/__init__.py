"""Bytes -> checked pixels, patients and splits."""
