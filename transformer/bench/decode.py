"""python -m transformer bench decode [--shape gpt2|billion] [--dtypes float32,bfloat16] [--batches 1,8] [--torch PYTHON]

Greedy decoding with random weights: how fast a token is, as a share of how fast this machine can read the weights; whether the
501st costs more than the 50th; what eight rows cost beside one; and beside all of it, by turns, transformers' `generate`.
"""
import json
import statistics
from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp

from transformer import knobs
from transformer.bench.served import Turn, served
from transformer.decoding import Greedy, advance, begin, ready
from transformer.decoding.engine import question, searching
from transformer.mistakes import Mistake
from transformer.models.gpt2 import GPT2, Size
from transformer.training import machine
from transformer.training.loop import DTYPES
from transformer.weights import initialise

SHAPES = {"gpt2": Size(), "billion": Size(layers=20, embed=2048, heads=16), "tiny": Size(layers=2, embed=64, heads=2)}
EARLY, LATE, MOST = 50, 400, 448  # tokens written before a measurement, and room for them: one bucket of 512


def main(words: Sequence[str]) -> int:
    (given,) = knobs.parse(words, decode)
    decode(**given)
    return 0


def decode(*, shape: str = "gpt2", dtypes: str = "float32,bfloat16", batches: str = "1,8", torch: str | None = None,
           rounds: int = 5, steps: int = 8) -> None:
    """Rounds of a few tokens of each, by turns, and between them a read of a large array."""
    if shape not in SHAPES:
        raise Mistake(f"no shape {shape!r}; there are {', '.join(SHAPES)}")
    if not 0 < rounds * steps <= MOST - LATE:
        raise Mistake(f"{rounds} rounds of {steps} tokens do not fit the {MOST - LATE} that are measured: take fewer")
    unknown = [dtype for dtype in dtypes.split(",") if dtype not in DTYPES]
    if unknown:
        raise Mistake(f"no dtype {unknown[0]!r}; there are {', '.join(DTYPES)}")
    rows = _counts(batches)
    print(f"{machine.describe()}; GPT-2 {shape}: {SHAPES[shape]}")
    for dtype in dtypes.split(","):
        _measured(SHAPES[shape], dtype, rows, torch, rounds, steps)


def _counts(batches: str) -> list[int]:
    try:
        counts = [int(rows) for rows in batches.split(",")]
    except ValueError:
        counts = []
    if min(counts, default=0) < 1:
        raise Mistake(f"--batches {batches!r} is no list of numbers of rows, as in --batches 1,8")
    return counts


def _measured(size: Size, dtype: str, batches: list[int], torch: str | None, rounds: int, steps: int) -> None:
    model = ready(_born(GPT2.of(size), dtype))
    weights = sum(leaf.nbytes for leaf in jax.tree.leaves(model)) - model.positions.table.nbytes
    turns: dict[tuple[str, int], Turn] = {}
    for rows in batches:
        turns |= {("early", rows): _ours(model, rows, EARLY), ("late", rows): _ours(model, rows, LATE)}
        if torch:
            turns["theirs", rows] = served(torch, "torch_decode.py", json.dumps([size.layers, size.embed, size.heads]), str(rows), dtype)
    times: dict[tuple[str, int], list[float]] = {name: [] for name in turns}
    read, reads = _reader(), []
    for _ in range(rounds):
        for name, turn in turns.items():
            reads.append(read())
            times[name] += turn(steps)
    best, usual = max(reads), statistics.median(reads)
    print(f"{dtype}: {weights / 1e6:.0f} MB of weights; memory is read at {best / 1e9:.1f} GB/s (median {usual / 1e9:.1f})")
    for (name, rows), taken in times.items():
        least, middle = min(taken), statistics.median(taken)
        label = {"early": f"ours, tokens {EARLY} to {EARLY + rounds * steps}", "theirs": "transformers",
                 "late": f"ours, tokens {LATE} to {LATE + rounds * steps}"}[name]
        print(f"{rows:3d} rows  {label:26s} least {least:6.1f} ms  median {middle:6.1f} ms  {1e3 * rows / least:6.0f} tokens/s  "
              f"reads {100e3 * weights / least / best:3.0f} % (medians {100e3 * weights / middle / usual:3.0f} %)")
    for rows in batches[1:]:
        one, many = (times["early", count] + times["late", count] for count in (batches[0], rows))
        print(f"a step of {rows} rows costs {min(many) / min(one):.2f} (medians {statistics.median(many) / statistics.median(one):.2f}) "
              f"times one of {batches[0]}")


def _born(spec: GPT2, dtype: str) -> GPT2:
    def born(key: Any) -> GPT2:
        return jax.tree.map(lambda weight: weight.astype(dtype), initialise(spec, key))

    return jax.jit(born)(jax.random.key(0))


def _ours(model: GPT2, rows: int, before: int) -> Turn:
    """A search that has written so many tokens, and goes on at every turn."""
    search = searching(Greedy())
    further = partial(advance, model, search, ())
    state = begin(model, search, question(model, search, [[5, 3, 8]] * rows, None, MOST, (), None, None, None))
    state = jax.block_until_ready(further(state, before))

    def turn(steps: int) -> list[float]:
        nonlocal state
        began = perf_counter()
        state = jax.block_until_ready(further(state, steps))
        return [1e3 * (perf_counter() - began) / steps]

    return turn


def _reader() -> Any:
    """How many bytes a second this device reads: the sum over an array much larger than any cache."""
    array, total = jnp.ones(100_000_000, jnp.float32), jax.jit(jnp.sum)
    total(array).block_until_ready()

    def read() -> float:
        began = perf_counter()
        total(array).block_until_ready()
        return array.nbytes / (perf_counter() - began)

    return read
