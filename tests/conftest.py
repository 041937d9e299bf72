"""Strict from the start: eight fake devices, no silent broadcasting across ranks, every warning an error (pyproject)."""
import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JAX_NUM_CPU_DEVICES"] = "8"
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
