"""From logits to a sequence, over any model with `start` and `decode`."""
