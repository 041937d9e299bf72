"""Starts experiments as a user does, in processes of their own, which share what they compile within one test session."""
import atexit
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from transformer.training import records

HERE = Path(__file__).parent


def begun(*arguments: Any, where: Path, devices: int = 1) -> subprocess.Popen[str]:
    """`python *arguments` in the folder `where`, on so many fake devices."""
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "JAX_NUM_CPU_DEVICES": str(devices),
                   "JAX_ENABLE_COMPILATION_CACHE": "true"}
    process = subprocess.Popen([sys.executable, *map(str, arguments)], cwd=where, env=environment, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    atexit.register(process.kill)  # whatever becomes of the test
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit status, what was printed, and what was complained about."""
    try:
        said, complained = process.communicate(timeout=600)
    finally:
        process.kill()
    return process.returncode, said, complained


def wait_for_step(process: subprocess.Popen[str], runs: Path, step: int) -> None:
    """Until some run in the folder has written down this step."""
    until = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < until:
        for lines in runs.glob("*/*/metrics.jsonl"):
            if lines.read_text().count('"norm"') >= step:
                return
        time.sleep(0.02)
    raise AssertionError(f"no step {step}: {ended(process)}")


def killed(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def steps_of(folder: Path, key: str = "norm") -> list[tuple[int, float]]:
    """Every step that was taken (or, with another key, measured), in the order in which it was written down."""
    return [(line["step"], line["loss" if key == "norm" else key]) for line in records.read(folder) if key in line]
