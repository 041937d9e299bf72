"""Strict from the start: eight fake devices, no silent broadcasting across ranks, every warning an error (pyproject)."""
import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JAX_NUM_CPU_DEVICES"] = "8"
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"  # XLA has crashed writing it, which would take every test along
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # for children too, which compile far more than they compute
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="cache-of-tests-")  # what tests keep is not the user's
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)
os.environ["PYTHONDONTWRITEBYTECODE"] = ""  # what one child compiles of Python, all others need
os.environ.setdefault("GLIBC_TUNABLES", "")  # huge pages are for speed, and asking for them starts every child twice


# Nothing that imports JAX is imported before it is told all that above.


def pytest_configure():
    from transformer.training.machine import compile_in_haste

    compile_in_haste()


@pytest.fixture(autouse=True, scope="module")
def forgotten():
    """Programs go between files when there are many: they lie in maps of memory, of which a process may have 65530; 8400 were 6 GB."""
    import jax

    yield
    maps = Path("/proc/self/maps")
    if not maps.exists() or maps.read_bytes().count(b"\n") > 6000:
        jax.clear_caches()


@pytest.fixture
def optimized():
    """Programs as users compile them."""
    import jax

    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where there is a directory for each of some little models."""
    from speakers import written

    place = tmp_path_factory.mktemp("models")
    written(place)
    return place


@pytest.fixture
def said(capsys):
    """What `generate` prints, and that it complains of nothing."""
    from transformer.__main__ import main

    def said(place, name, *words):
        assert main(["generate", str(place / name), *words]) == 0
        out, complained = capsys.readouterr()
        assert complained == ""
        return out

    return said
