"""Runs of several processes: found by what the launcher says, and together no different from one."""
import re
import signal

import jax
import numpy as np
import pytest
from launch import HERE, begun, ended, free_port, steps_of, wait_for_step
from little import experiment

from transformer.mistakes import Mistake
from transformer.sharding import mesh_of
from transformer.training import machine
from transformer.training.checkpoints import Checkpoints
from transformer.training.loop import promised, share
from transformer.training.run import run
from transformer.weights import named

MESH = "data=2,fsdp=2,tensor=2"
LITTLE = HERE / "little.py"

# What JAX's transport prints of itself, line by line: threads print at once, so pieces stand in any order.
GLOO = re.compile(r"(\[Gloo\] Rank|is connected to|peer ranks\.|Expected number of connected peer ranks is :|[\d\s])*")


@pytest.mark.parametrize("variables, launcher", [
    ({}, None),
    ({"SLURM_NTASKS": "8", "SLURM_JOB_ID": "1"}, None),  # a batch script that starts one process
    ({"SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "8"}, "SLURM"),
    ({"SLURM_STEP_NUM_TASKS": "1"}, None),
    ({"OMPI_COMM_WORLD_SIZE": "4"}, "Open MPI"),
    ({"OMPI_COMM_WORLD_SIZE": "1"}, None),
    ({"TPU_WORKER_HOSTNAMES": "t1,t2"}, "TPU pod"),
    ({"TPU_WORKER_HOSTNAMES": "localhost"}, None),
    ({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "0"}, "Kubernetes"),
    ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, None),
])
def test_launchers_are_known_by_their_variables(monkeypatch, variables, launcher):
    for name in (*machine.CLUSTERS, "SLURM_NTASKS", "KUBERNETES_SERVICE_HOST", "JOB_COMPLETION_INDEX"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *given: calls.append(given))
    assert machine.launched() == launcher
    machine.join(None, None, None)
    assert calls == [()] * (launcher is not None)
    machine.join("10.0.0.1:1234", 2, 1)
    machine.join("auto", None, None)
    assert calls[-2:] == [("10.0.0.1:1234", 2, 1), ()]


def test_processes_that_cannot_be_joined_are_told(monkeypatch):
    def fails():
        raise RuntimeError("no service account\nand much more")

    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    monkeypatch.setattr(jax.distributed, "initialize", fails)
    with pytest.raises(Mistake, match=r"that Open MPI speaks of \(no service account\); say where they are, as in --coordinator"):
        machine.join(None, None, None)


@pytest.mark.parametrize("mesh, parts", [
    ("data=8", [(0, 2), (1, 2)]), ("data=2,tensor=4", [(0, 2), (1, 2)]), ("fsdp=2,data=4", [(0, 2), (1, 2)]),
    ("tensor=8", [(0, 1), (0, 1)]), ("tensor=2,data=4", [(0, 1), (0, 1)])])
def test_processes_bring_the_rows_that_their_devices_hold(monkeypatch, mesh, parts):
    """Two processes of four devices each: where their devices hold the same rows, both bring them all."""

    class Device:
        def __init__(self, device):
            self.process_index = device.id // 4

    grid = mesh_of(mesh)
    rows = {Device(device): index for device, index in share.__globals__["_by_rows"](grid).devices_indices_map((16,)).items()}

    class Placed:
        def devices_indices_map(self, shape):
            return rows

    monkeypatch.setattr("transformer.training.loop._by_rows", lambda mesh: Placed())
    for process in (0, 1):
        monkeypatch.setattr(jax, "process_index", lambda process=process: process)
        assert share(experiment(rows=16), grid) == parts[process]


def started(where, *arguments, processes=1):
    """So many processes that share eight devices, to their end."""
    join = ["--coordinator", f"localhost:{free_port()}", "--processes", processes] if processes > 1 else []
    every = [begun(LITTLE, *arguments, *join, *(["--process", number] if join else []), where=where, devices=8 // processes)
             for number in range(processes)]
    results = [ended(process) for process in every]
    assert all(status == 0 for status, _, _ in results), results
    assert all("Traceback" not in complained for _, _, complained in results)
    said = [[line for line in said.splitlines() if not GLOO.fullmatch(line)] for _, said, _ in results]
    assert "bits_per_byte" in said[0][-1] and not any(said[1:])  # the first speaks for all
    (folder,) = (where / "runs" / "little").iterdir()
    return folder


@pytest.mark.slow
def test_two_processes_are_no_different_from_one(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one = started(tmp_path / "one", "--mesh", MESH, "--steps", 6)
    two = started(tmp_path / "two", "--mesh", MESH, "--steps", 6, processes=2)
    close(one, two, 6)
    # Begun by one, gone on with by two, and the other way.
    started(tmp_path / "one", "--mesh", MESH, "--steps", 10, "--resume", processes=2)
    started(tmp_path / "two", "--mesh", MESH, "--steps", 10, "--resume")
    close(one, two, 10)
    assert {path.name.partition(".")[0] for path in one.iterdir()} == {path.name.partition(".")[0] for path in two.iterdir()}


@pytest.mark.slow
def test_processes_may_hold_the_same_rows(tmp_path):
    """With weights split across both processes, each row is in both."""
    plain = run(experiment, {"steps": 4}, runs=tmp_path / "plain")
    close(plain.folder, started(tmp_path, "--mesh", "tensor=2,data=4", "--steps", 4, processes=2), 4)


@pytest.mark.slow
def test_processes_stop_together(tmp_path):
    """Only one of them is told to stop; both save the same step, and go on from there."""
    join = ["--coordinator", f"localhost:{free_port()}", "--processes", 2, "--mesh", MESH, "--steps", 100_000]
    both = [begun(LITTLE, *join, "--process", number, where=tmp_path, devices=4) for number in range(2)]
    wait_for_step(both[0], tmp_path / "runs", 5)
    both[1].send_signal(signal.SIGTERM)
    (status, said, complained), (other, _, _) = (ended(process) for process in both)
    assert status == other == 143, complained
    (folder,) = (tmp_path / "runs" / "little").iterdir()
    last, _ = steps_of(folder)[-1]
    assert f"stopped and saved at step {last}; go on with --resume" in said
    started(tmp_path, "--mesh", MESH, "--steps", last + 3, "--resume", processes=2)
    assert [step for step, _ in steps_of(folder)] == list(range(1, last + 4))


def close(one, two, steps):
    """Both have taken each step once, to the same losses and weights."""
    (numbers, losses), (others, theirs) = (zip(*steps_of(folder), strict=True) for folder in (one, two))
    assert numbers == others == tuple(range(1, steps + 1))
    np.testing.assert_allclose(losses, theirs, rtol=0, atol=1e-5)
    states = []
    for folder in (one, two):
        with Checkpoints(folder / "checkpoints") as checkpoints:
            states.append(named(checkpoints.restore(promised(experiment())).model))
    for name in states[0]:
        np.testing.assert_allclose(states[0][name], states[1][name], rtol=0, atol=1e-4, err_msg=name)
