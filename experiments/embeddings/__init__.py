"""Embeddings: a vector for every word."""
