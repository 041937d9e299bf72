"""GPT-2 on the Python language reference: predict the next byte pair.

    python -m experiments gpt2        two cores, 3 to 5 minutes: 1.99 bits per byte; a byte 5-gram reaches 2.21
"""
import math

import numpy as np

from transformer.data import sources, tokenizers
from transformer.data.examples import windows
from transformer.data.ngrams import witten_bell
from transformer.losses import next_token
from transformer.models.gpt2 import GPT2, Size
from transformer.training.experiment import Expectation, Experiment
from transformer.training.optimizers import muon, warmup_cosine
from transformer.training.run import main
from transformer.training.shows import continuation, rescaled


def experiment(layers: int = 4, embed: int = 192, heads: int = 6, length: int = 128, rows: int = 16, vocab: int = 1024,
               rate: float = 1e-2, dropout: float = 0.1, steps: int = 600) -> Experiment:
    learned, held_out = sources.split(sources.python_reference())
    tokenizer = tokenizers.byte_pairs(learned, vocab)
    model = GPT2.of(Size(tokenizer.size, length, layers, embed, heads), dropout)
    letters, tokens = "".join(held_out).encode(), tokenizer(held_out)

    def five_gram() -> float:
        learned_bytes, held_out_bytes = (np.frombuffer("".join(texts).encode(), np.uint8) for texts in (learned, held_out))
        return witten_bell(learned_bytes, held_out_bytes, 5) / math.log(2)

    return Experiment(
        model=model,
        loss=next_token,
        data=windows(tokenizer(learned), length),
        held_out=windows(tokens, length),
        rows=rows,
        steps=steps,
        optimizer=muon(model, warmup_cosine(rate, steps, warmup=steps // 10), adam=0.3),
        measures=[rescaled("bits_per_byte", "nats", len(tokens) / len(letters) / math.log(2))],
        expects=Expectation("bits_per_byte", threshold=2.05, baseline=five_gram),
        shows=[continuation(tokenizer, "The import statement", 60)])


if __name__ == "__main__":
    main(experiment)
