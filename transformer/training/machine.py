"""The machine a run finds itself on: its other processes, its memory of what it compiled, its name."""
import os
import platform
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from transformer.mistakes import Mistake

# How each launcher says how many of us it started. A SLURM allocation that runs one process has no step with several.
CLUSTERS = {"SLURM_STEP_NUM_TASKS": "SLURM", "OMPI_COMM_WORLD_SIZE": "Open MPI", "TPU_WORKER_HOSTNAMES": "TPU pod"}


def cache_folder() -> Path:
    """Where what is slow to make and easy to make again is kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "transformer"


def remember_compilations() -> None:
    """The second start of the same program compiles nothing."""
    jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # A full disk is told once, by what must not be lost on it.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")


def compile_in_haste() -> None:
    """For programs that take longer to compile than to run. Must come before the first of them: XLA reads its flags once."""
    jax.config.update("jax_disable_most_optimizations", True)
    if jax.__version_info__ < (0, 11):  # XLA ends a program that names a flag it does not know
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1")


def join(coordinator: str | None, processes: int | None, process: int | None) -> None:
    """Joins the other processes of this run, when a launcher or the command line says that there are any.

    The coordinator `auto` leaves it to JAX to find them, as on a TPU pod whose variables say nothing.
    """
    launcher = launched()
    if jax.distributed.is_initialized() or not (coordinator or launcher):
        return
    given: Any = () if coordinator in (None, "auto") else (coordinator, processes, process)
    if None in given or (given and ":" not in str(coordinator)):
        raise Mistake(f"--coordinator {coordinator} wants the address of process 0 and two numbers, as in "
                      f"--coordinator 10.0.0.1:1234 --processes 2 --process 0")
    try:
        jax.distributed.initialize(*given)
    except (RuntimeError, ValueError, ImportError, OSError, KeyError) as error:
        raise Mistake(f"cannot join the other processes that {launcher or 'the command line'} speaks of "
                      f"({str(error).partition(chr(10))[0][:120]}); say where they are, as in "
                      f"--coordinator 10.0.0.1:1234 --processes 2 --process 0") from error


def launched() -> str | None:
    """Which launcher started several of us, if one did."""
    for variable, launcher in CLUSTERS.items():
        value = os.environ.get(variable, "")
        if len(value.split(",")) > 1 or (value.isdigit() and int(value) > 1):
            return launcher
    if "KUBERNETES_SERVICE_HOST" in os.environ and "JOB_COMPLETION_INDEX" in os.environ:
        return "Kubernetes"
    return None


def say(text: str) -> None:
    """Prints, in the first process only."""
    if jax.process_index() == 0:
        print(text, flush=True)


def meet(where: str) -> None:
    """Waits for all processes."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(where)


def agreed(text: str) -> str:
    """The text of the first process, in all of them."""
    if jax.process_count() == 1:
        return text
    letters = np.frombuffer(text.encode().ljust(256), np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(letters)).tobytes().decode().rstrip()


def highest(number: int) -> Any:
    """The largest number that any process says: asked now, known when it is read."""
    if jax.process_count() == 1:
        return number
    everywhere = NamedSharding(Mesh(np.asarray(jax.devices()), ("device",)), PartitionSpec("device"))
    said = np.full(jax.local_device_count(), number, np.int32)
    return _highest(jax.make_array_from_process_local_data(everywhere, said))


_highest = jax.jit(jnp.max)


def gathered(tree: Any) -> Any:
    """A copy of arrays that lie on several processes, whole, in each of them."""
    return multihost_utils.process_allgather(tree, tiled=True) if jax.process_count() > 1 else tree


def describe(devices: int = 1) -> str:
    """`2 x cpu (AMD EPYC ...), jax 0.12.0`: what a number was measured on."""
    device = jax.devices()[0]
    return f"{devices} x {device.device_kind} ({_processor()}, cores: {_cores()}), jax {jax.__version__}"


def _cores() -> int:
    """Those that this process may use, where the system says."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
