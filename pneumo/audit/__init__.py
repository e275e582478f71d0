"""Defects of the data, found before any model is trained: copies, leaks, shortcuts, shift, wrong labels."""
