"""Strict from the start: eight fake devices, no silent broadcasting across ranks, every warning an error (pyproject)."""
import atexit
import os
import shutil
import tempfile

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JAX_NUM_CPU_DEVICES"] = "8"
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"  # XLA has crashed writing it, which would take every test along
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="cache-of-tests-")  # what tests keep is not the user's
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)
os.environ.setdefault("GLIBC_TUNABLES", "")  # huge pages are for speed, and asking for them starts every child twice


def pytest_configure(config: pytest.Config) -> None:
    """The inner loop spends its time compiling, so it compiles carelessly; the whole suite compiles as users do."""
    if config.option.markexpr == "not slow":
        os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"


# Nothing that imports JAX is imported before it is told all that above.


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
