"""What must not become slow: the second start, deep models' compilation, the input."""
import dataclasses
import gc
import json
import math
import re
import time

import jax
import numpy as np
import pytest
from launch import HERE, begun, ended
from little import experiment
from tiny import sharp

from transformer.bench import BENCHMARKS
from transformer.bench.decode import decode
from transformer.bench.served import served
from transformer.data.batches import batches, stream
from transformer.data.examples import windows
from transformer.decoding import Greedy, advance, begin, ready
from transformer.decoding.engine import question, searching
from transformer.mistakes import Mistake
from transformer.models import llama, wavenet
from transformer.models.gpt2 import GPT2, Size
from transformer.models.llama import Llama
from transformer.models.wavenet import WaveNet
from transformer.training.loop import place, promised
from transformer.training.step import step_of

pytestmark = pytest.mark.usefixtures("optimized")
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
    assert not jax.config.jax_enable_compilation_cache, "what is read back is not compiled"
    shallow, deep = [], []
    for _ in range(2):
        for layers, seconds in ((12, shallow), (48, deep)):
            jax.clear_caches()
            gc.collect()
            seconds.append(compiling(layers))
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


def moved(model, rows, least):
    """What the loop that decodes moves about without computing, where it is at least so many numbers."""
    search = searching(Greedy())
    state = begin(model, search, question(model, search, [[1, 2, 3]] * rows, None, 150, (), None, None, None))
    text, _, _ = advance.lower(model, search, (), state, 9).compile().as_text().partition("\nENTRY")  # what runs but once
    found = re.findall(r"= \w+\[([\d,]+)\]\S* (copy|transpose|dynamic-slice|concatenate|convert|gather)\(", text)
    return [(kind, shape) for shape, kind in found if math.prod(int(n) for n in shape.split(",")) >= least]


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("spec", [GPT2.of(Size(vocab=97, length=256, layers=3, embed=96, heads=3)),
                                  Llama.of(llama.Size(vocab=97, layers=3, embed=96, heads=6, groups=2, mlp=128))], ids=["gpt2", "llama"])
def test_a_token_neither_copies_the_cache_nor_cuts_weights_out_of_a_stack(spec, rows):
    """Bandwidth is what decoding costs: weights lie as they are read, and so do keys and values, written in place."""
    model = sharp(spec)
    weights, cache = 96 * 96, rows * 256 * 32  # what makes queries, and the keys of a layer
    assert moved(ready(model), rows, min(weights, cache)) == []
    assert "dynamic-slice" in {kind for kind, _ in moved(model, rows, weights)}


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 3])
def test_a_sample_of_sound_moves_nothing_of_what_wavenet_remembers(rows):
    model = sharp(WaveNet.of(wavenet.Size(vocab=97, layers=9, cycle=9, embed=24, gate=24, skip=24)))
    assert moved(model, rows, 4000) == []  # what its last layers remember has more numbers, all else fewer


@pytest.mark.slow
def test_the_benchmark_of_decoding_measures_what_it_says(capsys, monkeypatch):
    asked = []
    monkeypatch.setattr("transformer.bench.decode.served", lambda *words: asked.append(words) or (lambda steps: [9.0]))
    decode(shape="tiny", dtypes="float32", batches="1,2", rounds=2, steps=2, torch="python3")
    # The others measure a model of the same shape.
    assert asked == [("python3", "torch_decode.py", "[2, 64, 2]", rows, "float32") for rows in "12"]
    said = capsys.readouterr().out
    assert "13 MB of weights; memory is read at" in said and "a step of 2 rows costs" in said
    assert len(re.findall(r"tokens (?:50 to 54|400 to 404) +least +[\d.]+ ms", said)) == 4


@pytest.mark.parametrize("benchmark, words, said", [
    ("decode", "--shape huge", "no shape 'huge'; there are gpt2"), ("decode", "--rounds 10", "do not fit the 48 that are measured"),
    ("decode", "--batches a", "--batches 'a' is no list of numbers of rows, as in --batches 1,8"),
    ("decode", "--batches 1,0", "--batches '1,0' is no list"), ("decode", "--dtypes float32,f8", "no dtype 'f8'; there are float32, bfloat16"),
    ("train", "--rounds 0", "rounds is 0, but must be at least 1"), ("train", "--steps 0", "steps is 0, but"),
    ("load", "--rounds 0", "rounds is 0, but must be at least 1")])
def test_a_benchmark_that_cannot_be_run_is_told_in_one_sentence(benchmark, words, said):
    with pytest.raises(Mistake, match=re.escape(said)):
        BENCHMARKS[benchmark](words.split())


def test_others_that_are_not_there_are_told_in_one_sentence():
    with pytest.raises(Mistake, match="nowhere/python cannot be run .No such file.*as in --torch python3"):
        served("nowhere/python", "torch_step.py")
