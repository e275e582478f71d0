"""Defects of the data themselves, found before any model is trained: copies, leaks, shortcuts, shift, wrong labels."""
