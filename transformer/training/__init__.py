"""Training: a pure step, a generator of steps, and what a run does with them."""
