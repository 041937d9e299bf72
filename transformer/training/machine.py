"""The machine a run finds itself on: its other processes, its memory of what it compiled, its name."""
import os
import platform
from pathlib import Path

import jax

CLUSTERS = {"SLURM_NTASKS": "SLURM", "OMPI_COMM_WORLD_SIZE": "Open MPI", "TPU_WORKER_HOSTNAMES": "TPU pod"}


def cache_folder() -> Path:
    """Where what is slow to make and easy to make again is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "transformer"


def remember_compilations() -> None:
    """The second start of the same program compiles nothing."""
    jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def join(coordinator: str | None, processes: int | None, process: int | None) -> None:
    """Joins the other processes of this run, when a launcher or the command line says that there are any."""
    if coordinator is not None:
        jax.distributed.initialize(coordinator, processes, process)
    elif launched():
        jax.distributed.initialize()


def launched() -> str | None:
    """Which launcher started several of us, if one did."""
    for variable, launcher in CLUSTERS.items():
        value = os.environ.get(variable, "")
        if len(value.split(",")) > 1 or (value.isdigit() and int(value) > 1):
            return launcher
    if "KUBERNETES_SERVICE_HOST" in os.environ and "JOB_COMPLETION_INDEX" in os.environ:
        return "Kubernetes"
    return None


def describe() -> str:
    """`2 x cpu (AMD EPYC ...), jax 0.12.0`: what a number was measured on."""
    device = jax.devices()[0]
    return f"{jax.device_count()} x {device.device_kind} ({_processor()}, {os.cpu_count()} cores), jax {jax.__version__}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
