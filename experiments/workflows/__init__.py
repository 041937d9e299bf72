"""Workflows: what is built from trained models."""
