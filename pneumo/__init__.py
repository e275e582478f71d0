"""Pneumonia detection from chest X-rays: a reproducible pipeline with data versioning."""

__version__ = "0.1.0"
