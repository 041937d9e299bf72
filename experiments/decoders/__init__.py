"""Decoders: what comes next?"""
