"""PaLM: attention and feed-forward side by side, one head of keys and values for all queries.

    python -m experiments palm        two cores: within .02 nats of the best possible on the source; on the reference
                                      less than 2.1 bits per byte, a byte 5-gram reaches 2.13
"""
import math
from functools import partial

import numpy as np

from transformer.data import sources, tokenizers
from transformer.data.examples import shifted, windows
from transformer.data.made.markov import Markov
from transformer.data.ngrams import witten_bell
from transformer.losses import next_token
from transformer.models.palm import Palm, Size
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main
from transformer.training.shows import continuation, rescaled

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "head": 16, "mlp": 48, "chains": 64}


def experiment(layers: int = 4, embed: int = 192, heads: int = 6, head: int = 32, mlp: int = 512, length: int = 128,
               rows: int = 16, vocab: int = 1024, rate: float = 1e-2, dropout: float = 0.1, steps: int = 400,
               symbols: int = 10, chains: int = 8192, chain_steps: int = 400) -> Stages:
    loss = partial(next_token, z=1e-4)
    source = Markov.drawn(symbols, order=2, evenness=0.2, seed=0)
    unseen = source.sample(256, 65, seed=2)
    truth = float(source.surprise(unseen)[:, 1:].mean())  # what no model can do better than, on these very rows
    model = Palm.of(Size(symbols, layers=3, embed=64, heads=2, head=32))
    yield Experiment(
        stage="markov",
        model=model,
        loss=loss,
        data=shifted(source.sample(chains, 65, seed=1)),
        held_out=shifted(unseen),
        rows=64,
        steps=chain_steps,
        optimizer=muon(model, warmup_cosine(rate, chain_steps, warmup=chain_steps // 10), adam=0.3),
        corpus="a Markov source of order 2",
        expects=[Expectation("nats", threshold=truth + 0.02, baseline=truth)])

    learned, held_out = sources.split(sources.python_reference())
    tokenizer = tokenizers.byte_pairs(learned, vocab)
    model = Palm.of(Size(tokenizer.size, layers, embed, heads, head, mlp=mlp), dropout)
    letters, tokens = "".join(held_out).encode(), tokenizer(held_out)

    def five_gram() -> float:
        learned_bytes, held_out_bytes = (np.frombuffer("".join(texts).encode(), np.uint8) for texts in (learned, held_out))
        return witten_bell(learned_bytes, held_out_bytes, 5) / math.log(2)

    yield Experiment(
        stage="reference",
        model=model,
        loss=loss,
        data=windows(tokenizer(learned), length),
        held_out=windows(tokens, length),
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        measures=[rescaled("bits_per_byte", "nats", len(tokens) / len(letters) / math.log(2))],
        corpus="the Python reference",
        expects=[Expectation("bits_per_byte", threshold=2.1, baseline=five_gram)],
        shows=[continuation(tokenizer, "The import statement", 60)])


if __name__ == "__main__":
    main(experiment)
