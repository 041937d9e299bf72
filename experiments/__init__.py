"""Each file pairs an architecture with a loss and a data pipeline; `python -m experiments` lists them."""
