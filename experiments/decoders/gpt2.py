"""GPT-2: predict the next token; on a Markov source as well as can be, then on the Python reference.

    python -m experiments gpt2        two cores, 3 minutes: on the source 1.198 nats, where 1.188 is the best possible;
                                      on the reference 2.05 bits per byte, a byte 5-gram reaches 2.13
"""
import math

import numpy as np

from transformer.data import sources, tokenizers
from transformer.data.examples import shifted, windows
from transformer.data.made.markov import Markov
from transformer.data.ngrams import witten_bell
from transformer.losses import next_token
from transformer.models.gpt2 import GPT2, Size
from transformer.training.experiment import Expectation, Experiment, Stages
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main
from transformer.training.shows import continuation, rescaled

SMOKE = {"layers": 1, "embed": 32, "heads": 2, "chains": 64}


def experiment(layers: int = 4, embed: int = 192, heads: int = 6, length: int = 128, rows: int = 16, vocab: int = 1024,
               rate: float = 1e-2, dropout: float = 0.1, steps: int = 400, symbols: int = 10, chains: int = 8192,
               chain_steps: int = 400) -> Stages:
    source = Markov.drawn(symbols, order=2, evenness=0.2, seed=0)
    unseen = source.sample(256, 65, seed=2)
    truth = float(source.surprise(unseen)[:, 1:].mean())  # what no model can do better than, on these very rows
    model = GPT2.of(Size(symbols, 64, layers=2, embed=64, heads=2))
    yield Experiment(
        stage="markov",
        model=model,
        loss=next_token,
        data=shifted(source.sample(chains, 65, seed=1)),
        held_out=shifted(unseen),
        rows=64,
        steps=chain_steps,
        optimizer=muon(model, warmup_cosine(rate, chain_steps, warmup=chain_steps // 10), adam=0.3),
        corpus="a Markov source of order 2",
        expects=[Expectation("nats", threshold=truth + 0.02, baseline=truth)])

    learned, held_out = sources.split(sources.python_reference())
    tokenizer = tokenizers.byte_pairs(learned, vocab)
    model = GPT2.of(Size(tokenizer.size, length, layers, embed, heads), dropout)
    letters, tokens = "".join(held_out).encode(), tokenizer(held_out)

    def five_gram() -> float:
        learned_bytes, held_out_bytes = (np.frombuffer("".join(texts).encode(), np.uint8) for texts in (learned, held_out))
        return witten_bell(learned_bytes, held_out_bytes, 5) / math.log(2)

    yield Experiment(
        stage="reference",
        model=model,
        loss=next_token,
        data=windows(tokenizer(learned), length),
        held_out=windows(tokens, length),
        tokenizer=tokenizer,
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        measures=[rescaled("bits_per_byte", "nats", len(tokens) / len(letters) / math.log(2))],
        corpus="the Python reference",
        expects=[Expectation("bits_per_byte", threshold=2.1, baseline=five_gram)],
        shows=[continuation(tokenizer, "The import statement", 60)])


if __name__ == "__main__":
    main(experiment)
