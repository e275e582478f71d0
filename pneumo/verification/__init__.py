"""Every committed figure recomputed from the committed scores; the gate; marked tables."""
