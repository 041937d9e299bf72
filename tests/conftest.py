"""Strict from the start: eight fake devices, no silent broadcasting across ranks, every warning an error (pyproject)."""
import os

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JAX_NUM_CPU_DEVICES"] = "8"
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
os.environ.setdefault("GLIBC_TUNABLES", "")  # huge pages are for speed, and asking for them starts every child twice


def pytest_configure(config: pytest.Config) -> None:
    """The inner loop spends its time compiling, so it compiles carelessly; the whole suite compiles as users do."""
    if config.option.markexpr == "not slow":
        os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
