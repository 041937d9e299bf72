"""What every decoder is tried on: chains of a Markov source, whose next symbol nobody knows better, and the Python reference."""
import math
from dataclasses import dataclass

import numpy as np
from grain import MapDataset

from transformer.data import sources, tokenizers
from transformer.data.examples import shifted, windows
from transformer.data.made.markov import Markov
from transformer.data.ngrams import witten_bell
from transformer.data.tokenizers import Tokenizer


@dataclass(frozen=True)
class Chains:
    """Rows of 65 symbols from a source of order 2."""

    learned: MapDataset
    held_out: MapDataset
    best: float  # nats: what no model can do better than, on these very rows
    bigram: float  # of the best that knows only the symbol before

    @classmethod
    def of(cls, symbols: int, rows: int) -> "Chains":
        source = Markov.drawn(symbols, order=2, evenness=0.2, seed=0)
        unseen = source.sample(256, 65, seed=2)
        pairs = (source.stationary[..., None] * source.table).sum(0)
        bigram = np.log(pairs.sum(-1, keepdims=True) / pairs)[unseen[:, :-1], unseen[:, 1:]]
        return cls(shifted(source.sample(rows, 65, seed=1)), shifted(unseen), float(source.surprise(unseen)[:, 1:].mean()), float(bigram.mean()))


@dataclass(frozen=True)
class Reference:
    """The Python reference in byte pairs, measured by the byte, so that no vocabulary has an advantage."""

    tokenizer: Tokenizer
    learned: MapDataset
    held_out: MapDataset
    bits: float  # per byte, of one nat per token
    texts: tuple[list[str], list[str]]

    @classmethod
    def of(cls, vocab: int, length: int) -> "Reference":
        learned, held_out = texts = sources.split(sources.python_reference())
        tokenizer = tokenizers.byte_pairs(learned, vocab)
        tokens = tokenizer(held_out)
        bits = len(tokens) / len("".join(held_out).encode()) / math.log(2)
        return cls(tokenizer, windows(tokenizer(learned), length), windows(tokens, length), bits, texts)

    def five_gram(self) -> float:
        """Bits per byte of one who counts what followed the four bytes before."""
        learned, held_out = (np.frombuffer("".join(texts).encode(), np.uint8) for texts in self.texts)
        return witten_bell(learned, held_out, 5) / math.log(2)
