"""Three things to do with a line `asked <s> answer </s>`, and how well each of the three shapes does each.

Fill: a word of the first half is hidden. Generate: the first half is written from the left. Transduce: the second from the first.
An encoder and a decoder are handed whole lines; an encoder-decoder reads the first half and writes the second, and nothing else.
"""
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transformer.compiled import called, encoded
from transformer.data import tokenizers
from transformer.data.tokenizers import Tokenizer
from transformer.decoding.engine import generate

Texts = tuple[list[str], list[str]]


@dataclass(frozen=True)
class Corpus:
    """Texts to learn from and held-out ones, each with what is to be made of it."""

    about: str
    learned: Texts
    unseen: Texts
    steps: int
    whole: bool  # whether a decoder learns to write the sources too
    columns: tuple[str, ...]

    @cached_property
    def tokenizer(self) -> Tokenizer:
        texts = [text for side in self.learned for text in side]
        return tokenizers.spaced(texts) if self.whole else tokenizers.byte_pairs(texts, 512)


def sides(part: Sequence[Any]) -> Texts:
    """The sources of pairs, and their targets."""
    return [one.source for one in part], [one.target for one in part]


@dataclass(frozen=True)
class Lines:
    """Lines [n, t] that were not learned, and where the first half of each ends."""

    tokens: np.ndarray
    halves: np.ndarray
    answers: list[list[int]]
    tokenizer: Tokenizer

    @classmethod
    def of(cls, asked: Sequence[str], answers: Sequence[str], tokenizer: Tokenizer) -> "Lines":
        first, second = tokenizer.documents(asked), tokenizer.documents(answers)
        rows = [np.concatenate([one[:-1], [tokenizer.start], other]) for one, other in zip(first, second, strict=True)]
        longest = max(map(len, rows))
        tokens = np.stack([np.pad(row, (0, longest - len(row)), constant_values=tokenizer.pad) for row in rows]).astype(np.int32)
        return cls(tokens, np.asarray([len(one) - 1 for one in first]), [other.tolist() for other in second], tokenizer)

    @property
    def present(self) -> np.ndarray:
        return self.tokens != self.tokenizer.pad

    def hidden(self) -> np.ndarray:
        """The word to fill in, of each line: never the first, nor the full stop."""
        return np.random.default_rng(0).integers(1, self.halves - 1)

    def first_halves(self) -> list[np.ndarray]:
        return [row[:half] for row, half in zip(self.tokens, self.halves, strict=True)]


Judge = Callable[[Any, Lines], dict[str, float]]


def of_encoder(model: Any, lines: Lines) -> dict[str, float]:
    """It fills natively; it generates with everything to the right hidden, and transduces by filling the answer in at once."""
    rows, mask = np.arange(len(lines.tokens)), lines.tokenizer.mask
    at, place = lines.hidden(), np.arange(lines.tokens.shape[1])[None]
    guess = jax.jit(lambda tokens: jax.nn.log_softmax(model.words(model.encode(tokens, present=lines.present))))
    filled = np.asarray(guess(np.where(place == at[:, None], mask, lines.tokens)))[rows, at].argmax(-1)
    nats = []
    for cut in range(1, int(lines.halves.max())):
        chances = np.asarray(guess(np.where((place >= cut) & lines.present, mask, lines.tokens)))[rows, cut, lines.tokens[:, cut]]
        nats.append(-chances[cut < lines.halves])
    answer = place > lines.halves[:, None]
    said = np.asarray(guess(np.where(answer & lines.present, mask, lines.tokens))).argmax(-1)
    return {"fill": float((filled == lines.tokens[rows, at]).mean()), "generate": float(np.concatenate(nats).mean()),
            "transduce": float(((said == lines.tokens) | ~answer | ~lines.present).all(-1).mean())}


def of_decoder(model: Any, lines: Lines) -> dict[str, float]:
    """It generates natively, fills in what is likely after the words before, and transduces by going on."""
    at, rows = lines.hidden(), np.arange(len(lines.tokens))
    chances = np.asarray(jax.nn.log_softmax(called(model, lines.tokens[:, :-1])))
    right = chances[rows, at - 1].argmax(-1) == lines.tokens[rows, at]
    nats = -np.take_along_axis(chances, lines.tokens[:, 1:, None], -1)[..., 0]
    place = np.arange(1, lines.tokens.shape[1])[None]
    return {"fill": float(right.mean()), "generate": float(nats[place < lines.halves[:, None]].mean()),
            "transduce": answered(model, lines)}


def answered(model: Any, lines: Lines) -> float:
    """How often a decoder goes on from the first half with exactly the answer, and then ends."""
    prompts = [[*half.tolist(), lines.tokenizer.start] for half in lines.first_halves()]
    said = generate(model, prompts, most=max(map(len, lines.answers)), ends=lines.tokenizer.end).texts()
    return float(np.mean([text[0] == answer for text, answer in zip(said, lines.answers, strict=True)]))


def of_encoder_decoder(model: Any, lines: Lines) -> dict[str, float]:
    """It transduces natively; having read nothing it generates; what it reads it cannot fill in."""
    halves = lines.first_halves()
    longest = max(map(len, halves)) + 1
    source = np.stack([np.pad(np.append(half, lines.tokenizer.end), (0, longest - len(half) - 1)) for half in halves])
    present = np.arange(longest)[None] <= lines.halves[:, None]
    seen = jnp.asarray(present)
    said = generate(model, [[lines.tokenizer.start]] * len(halves), most=max(map(len, lines.answers)), ends=lines.tokenizer.end,
                    memory=encoded(model, source, present=seen), seen=seen).texts()
    fed = np.concatenate([np.full((len(halves), 1), lines.tokenizer.start), source[:, :-1]], 1)
    nothing = jnp.asarray(np.arange(longest) == 0)[None].repeat(len(halves), 0)
    chances = np.asarray(jax.nn.log_softmax(called(model, np.zeros_like(source), fed, present=nothing)))
    nats = -np.take_along_axis(chances, source[..., None], -1)[..., 0]
    place = np.arange(longest)[None]
    return {"generate": float(nats[(place >= 1) & (place < lines.halves[:, None])].mean()),
            "transduce": float(np.mean([text[0] == answer for text, answer in zip(said, lines.answers, strict=True)]))}
