"""Huge memory pages on a CPU: a training step touches hundreds of megabytes anew, and in pages of 4 KB a fifth of it is page faults.

glibc reads its settings once, when a program starts; so the program starts again. Imports nothing that is slow to import.
"""
import os
import sys

SETTING = "glibc.malloc.hugetlb=1"


def huge_pages() -> None:
    """Starts this program again with huge pages, if it runs on Linux and they were not asked for or against."""
    if sys.platform != "linux" or "GLIBC_TUNABLES" in os.environ or not sys.argv or not os.path.exists("/proc/self/cmdline"):
        return
    with open("/proc/self/cmdline", "rb") as file:
        words = [os.fsdecode(word) for word in file.read().split(b"\0")[:-1]]
    os.execve(sys.executable, words, {**os.environ, "GLIBC_TUNABLES": SETTING})
