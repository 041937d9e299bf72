"""What must not become slow: the second start, deep models' compilation, the input."""
import dataclasses
import gc
import json
import time

import jax
import numpy as np
import pytest
from launch import HERE, begun, ended
from little import experiment

from transformer.data.batches import batches, stream
from transformer.data.examples import windows
from transformer.models.gpt2 import GPT2, Size
from transformer.training.loop import place, promised
from transformer.training.step import step_of

COUNTED = f"""
import json, sys
from collections import Counter
import jax
seen = Counter()
jax.monitoring.register_event_listener(lambda event, **_: seen.update([event.rpartition("/")[2]]))
sys.path.insert(0, {str(HERE)!r})
from little import experiment
from transformer.training.run import run
run(experiment, {{"steps": 4}}, resume="resume" in sys.argv)
print(json.dumps(seen))
"""


@pytest.mark.slow
def test_a_second_start_compiles_nothing(tmp_path):
    counts = []
    for arguments in ([], [], ["resume"]):
        status, said, complained = ended(begun("-c", COUNTED, *arguments, where=tmp_path))
        assert status == 0, complained
        counts.append(json.loads(said.splitlines()[-1]))
    for second in counts[1:]:
        asked = second["compile_requests_use_cache"]
        assert asked >= 3 and second["cache_hits"] == asked and "cache_misses" not in second


def compiling(layers):
    """Seconds to trace and compile the training step of so many scanned layers."""
    plain = experiment(dropout=0.0)
    model = GPT2.of(Size(vocab=256, length=16, layers=layers, embed=16, heads=2))
    deep = dataclasses.replace(plain, model=model, accumulate=1, average=None, unroll=False)
    batch = place(batches(deep.data, deep.rows, 0)[0], None)
    begin = time.process_time()
    jax.jit(step_of(deep, 0), donate_argnums=0).lower(promised(deep), batch).compile()
    return time.process_time() - begin


@pytest.mark.slow
def test_a_deep_model_compiles_as_fast_as_a_shallow_one():
    before = jax.config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        jax.clear_caches()
        shallow, deep = [], []
        for _ in range(2):
            for layers, seconds in ((12, shallow), (48, deep)):
                jax.clear_caches()
                gc.collect()
                seconds.append(compiling(layers))
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
    assert min(deep) < 1.3 * min(shallow), (deep, shallow)


@pytest.mark.slow
def test_windows_come_faster_than_a_device_asks_through_the_stream():
    data = windows(np.arange(4_000_000) % 1000, 256)

    def rate(steps=400):
        """Tokens a second of processor time: the thread that makes batches and the one that takes them together."""
        source = stream(batches(data, rows=16, seed=0))
        next(source)
        begin = time.process_time()
        for _ in range(steps):
            next(source)
        return steps * 16 * 256 / (time.process_time() - begin)

    assert max(rate() for _ in range(3)) > 5e6
