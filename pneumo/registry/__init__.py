"""Models by the names that the registry gives them: GTO's tags say which commit, DVC brings its files.

Nothing here imports torch, and DVC and GTO are imported only once a model is no folder.
"""

from pneumo.registry.resolve import Resolved, resolve

__all__ = ["Resolved", "resolve"]
