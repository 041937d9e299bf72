"""Huge memory pages on a CPU: a training step touches hundreds of megabytes anew, and in pages of 4 KB a fifth of it is page faults.

glibc reads its settings once, when a program starts; so the program starts again. Imports nothing that is slow to import.
"""
import os
import sys

SETTING = "glibc.malloc.hugetlb=1"


def huge_pages() -> None:
    """Starts this program again with huge pages, if it runs on Linux and they were not asked for or against."""
    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, "GLIBC_TUNABLES": SETTING})
