"""python -m transformer bench sound [--seconds 2] [--layers 30] [--rate 16000]

WaveNet with random weights makes sound sample by sample: how long a sample takes, and whether it takes longer the more there are.
"""
from collections.abc import Sequence
from time import perf_counter

import jax
import numpy as np

from transformer import knobs
from transformer.decoding import Sample, advance, begin
from transformer.decoding.engine import question, searching
from transformer.mistakes import Mistake
from transformer.models.wavenet import Size, WaveNet
from transformer.training import machine
from transformer.weights import count, initialise


def main(words: Sequence[str]) -> int:
    (given,) = knobs.parse(words, sound)
    sound(**given)
    return 0


def sound(*, seconds: float = 2.0, layers: int = 30, rate: int = 16_000, parts: int = 8) -> None:
    """One sound, in parts of equal length; each is timed."""
    if parts < 2:
        raise Mistake(f"parts is {parts}, but must be at least 2, for early to be compared with late")
    samples = int(seconds * rate) // parts
    if samples < 1:
        raise Mistake(f"{seconds} seconds at {rate} samples a second are no {parts} parts: make it longer")
    spec = WaveNet.of(Size(layers=layers))
    model = jax.jit(lambda key: initialise(spec, key))(jax.random.key(0))
    search = searching(Sample())
    state = begin(model, search, question(model, search, [[128]], None, samples * parts + 1, (), None, None, None))
    state = jax.block_until_ready(advance(model, search, (), state, 1))
    print(f"{machine.describe()}; WaveNet of {layers} layers, {count(spec):,} parameters, which hears {spec.reach} samples")
    times = []
    for part in range(parts):
        began = perf_counter()
        state = jax.block_until_ready(advance(model, search, (), state, samples))
        times.append(1e6 * (perf_counter() - began) / samples)
        print(f"samples {part * samples:6d} to {(part + 1) * samples:6d}: {times[-1]:7.1f} µs each")
    halves = np.median(times[:parts // 2]), np.median(times[parts // 2:])
    print(f"a second of sound takes {np.median(times) * rate / 1e6:.1f} s; "
          f"a sample of the second half takes {halves[1] / halves[0]:.2f} times as long as one of the first")
