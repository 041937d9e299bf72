"""Encoders: what is this?"""
