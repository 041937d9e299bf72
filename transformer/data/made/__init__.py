"""Data made by rules, so that the best any model could do is known."""
