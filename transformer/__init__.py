"""Transformers as pure functions: encoders, decoders and encoder-decoders on one functional core."""
