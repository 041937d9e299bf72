"""Encoder-decoders: what does this become?"""
