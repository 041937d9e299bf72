"""python -m transformer bench load [--rounds 5]

Loading a checkpoint, GPT-2's 124M parameters in float32, against the least that it could take: reading the file as it is, and
taking its bytes to the device. By turns in one run; the file is in the page cache for both.
"""
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import jax
import numpy as np

from transformer import knobs
from transformer.huggingface import files
from transformer.huggingface import load as load_model
from transformer.huggingface import save as save_model
from transformer.mistakes import Mistake
from transformer.models.gpt2 import GPT2, Size
from transformer.training import machine


def main(words: Sequence[str]) -> int:
    (given,) = knobs.parse(words, load)
    load(**given)
    return 0


def load(*, rounds: int = 7, layers: int = 12, embed: int = 768, vocab: int = 50257) -> None:
    """Rounds of both; their medians, and how many times as long loading takes."""
    if rounds < 1:
        raise Mistake(f"rounds is {rounds}, but must be at least 1")
    random = np.random.default_rng(0)
    spec = GPT2.of(Size(vocab=vocab, layers=layers, embed=embed))
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        save_model(directory, jax.tree.map(lambda w: random.standard_normal(w.shape, np.float32), spec))
        file = directory / files.WHOLE
        turns: dict[str, Callable[[], Any]] = {
            "read and transfer": lambda: jax.device_put(np.fromfile(file, np.uint8)),
            "load": lambda: load_model(directory).model}
        times: dict[str, list[float]] = {name: [] for name in turns}
        for turn in turns.values():
            jax.block_until_ready(turn())  # what is compiled or found for the first time is not counted
        for _ in range(rounds):
            for name, turn in turns.items():
                began = perf_counter()
                jax.block_until_ready(turn())
                times[name].append(perf_counter() - began)
        size = file.stat().st_size
    print(f"{machine.describe()}; GPT-2 {layers} layers x {embed}, vocabulary {vocab}, {size / 1e6:.0f} MB in float32")
    plain, loaded = (statistics.median(taken) for taken in times.values())
    for name, taken in times.items():
        print(f"{name:18s} least {1e3 * min(taken):6.0f} ms  median {1e3 * statistics.median(taken):6.0f} ms  "
              f"{size / statistics.median(taken) / 1e9:.2f} GB/s")
    print(f"loading takes {loaded / plain:.2f} times as long (at most 1.5 is asked for)")
