"""python -m transformer bench train [--shape small|base] [--vocab 1024] [--torch PYTHON]

GPT-2's training step, ours and PyTorch's by turns in one run, and the share of what this machine's matmuls can do.
"""
import json
import statistics
from collections.abc import Sequence
from time import perf_counter

import jax
import jax.numpy as jnp
import numpy as np

from transformer import costs, knobs
from transformer.bench.served import Turn, served
from transformer.data.examples import example, windows
from transformer.losses import next_token
from transformer.mistakes import Mistake
from transformer.models.gpt2 import GPT2, Size
from transformer.training import machine
from transformer.training.experiment import Experiment
from transformer.training.loop import begin
from transformer.training.optimizers import adamw
from transformer.training.step import step_of

SHAPES = {"small": (6, 384, 6, 256, 8), "base": (12, 768, 12, 256, 4)}  # layers, embed, heads, length, rows


def main(words: Sequence[str]) -> int:
    (given,) = knobs.parse(words, train)
    train(**given)
    return 0


def train(*, shape: str = "small", vocab: int = 1024, torch: str | None = None, rounds: int = 5, steps: int = 4,
          modes: str = "eager,compiled", dtype: str = "float32") -> None:
    """Rounds of a few steps of each, by turns; the least and the median of each, and their ratio to ours."""
    if shape not in SHAPES:
        raise Mistake(f"no shape {shape!r}; there are {', '.join(SHAPES)}")
    for name, number in (("rounds", rounds), ("steps", steps)):
        if number < 1:
            raise Mistake(f"{name} is {number}, but must be at least 1")
    layers, embed, heads, length, rows = SHAPES[shape]
    flops, ours = _ours(Size(vocab, length, layers, embed, heads), rows, dtype)
    turns = {"ours": ours}
    if torch:
        sizes = json.dumps([*SHAPES[shape], vocab])
        turns |= {f"PyTorch {mode}": served(torch, "torch_step.py", sizes, mode) for mode in modes.split(",")}
    times: dict[str, list[float]] = {name: [] for name in turns}
    peaks = []
    for _ in range(rounds):
        peaks.append(costs.peak(jax.devices()[0]))
        for name, turn in turns.items():
            times[name] += turn(steps)
    print(f"{machine.describe()}; GPT-2 {layers} layers x {embed} x {length} tokens x {rows} rows, vocabulary {vocab}, {dtype}")
    print(f"{flops / 1e9:.0f} GFLOP a step; matmul peak {max(peaks) / 1e9:.0f} GFLOP/s")
    for name, taken in times.items():
        least, middle = min(taken), statistics.median(taken)
        share = flops / least / max(peaks) * 1e3
        print(f"{name:18s} least {least:6.0f} ms  median {middle:6.0f} ms  ours is {min(times['ours']) / least:.2f} of it "
              f"(median {statistics.median(times['ours']) / middle:.2f})  {100 * share:.0f} % of peak")


def _ours(size: Size, rows: int, dtype: str) -> tuple[int, Turn]:
    ids = np.random.default_rng(0).integers(0, size.vocab, 20 * size.length)
    data = windows(ids, size.length)
    experiment = Experiment(model=GPT2.of(size), loss=next_token, data=data, held_out=data, rows=rows, steps=1000,
                            optimizer=adamw(1e-3), dtype=dtype)
    taken = [example(data, row) for row in range(rows)]
    batch = {name: jnp.asarray(np.stack([row[name] for row in taken])) for name in taken[0]}
    step = jax.jit(step_of(experiment, 0), donate_argnums=0)
    state = begin(experiment, 0)
    flops = costs.flops(step.trace(state, batch).jaxpr)

    def turn(steps: int) -> list[float]:
        nonlocal state
        times = []
        for _ in range(steps):
            began = perf_counter()
            state, metrics = step(state, batch)
            jax.block_until_ready((state, metrics))
            times.append(1e3 * (perf_counter() - began))
        return times

    turn(2)
    return flops, turn
