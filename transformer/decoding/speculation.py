"""Speculative decoding (Leviathan et al. 2023): guess a few tokens cheaply, read them all at once, keep what stands the test.

A guess d, drawn from q, is kept with probability min(1, p(d) / q(d)); the first that is not is replaced by a draw from
what p has more than q. What comes out is distributed exactly as the model's own p, whoever guesses. Rows agree with their
guesses for different lengths, so each row is a search of its own, and all of them run under one `vmap`.
"""
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from flax import struct

from transformer.decoding.carried import Carried
from transformer.decoding.generated import Generated
from transformer.decoding.sampling import Greedy, Process
from transformer.decoding.text import Asked, Text
from transformer.decoding.warpers import check
from transformer.layers import static
from transformer.mistakes import Mistake

Array = jax.Array


class Guesser(Protocol):
    """Who guesses: the tokens [n], the distributions they were drawn from [n, v], and what it carries, having read them all."""

    def begin(self, asked: Asked) -> Any: ...

    def guess(self, own: Any, text: Text, count: int, vocab: int, pick: Any, process: Process, key: Array) -> tuple[Array, Array, Any]: ...

    def keep(self, before: Any, after: Any, read: Array, kept: Array) -> Any: ...


@struct.dataclass
class Draft:
    """A smaller model with the same tokens."""

    model: Any

    def begin(self, asked: Asked) -> Carried:
        return Carried.prefilled(self.model, replace(asked, memory=None, seen=None))

    def guess(self, own: Carried, text: Text, count: int, vocab: int, pick: Any, process: Process, key: Array) -> tuple[Array, Array, Any]:
        def through(carry: tuple[Carried, Text], step: Array) -> tuple[tuple[Carried, Text], tuple[Array, Array]]:
            own, text = carry
            logits, own = own.decode(self.model, text.last(1), (text.new < text.most)[None, None])
            chances = pick.chances(process(logits[:, -1], text), text)[0]
            token = jax.random.categorical(jax.random.fold_in(key, step), jnp.log(chances)).astype(jnp.int32)
            return (own, text.write(token[None])), (token, chances)

        # One step more than there are guesses: the last guess is read, too.
        (own, _), (tokens, chances) = jax.lax.scan(through, (own, text), jnp.arange(count + 1))
        return tokens[:-1], chances[:-1], own

    def keep(self, before: Carried, after: Carried, read: Array, kept: Array) -> Carried:
        return rewound(self.model, before, after, read, kept)


@struct.dataclass
class Lookup:
    """The text itself: whatever followed the last `size` tokens where they last stood before. No second model."""

    size: int = static(2)

    def __post_init__(self) -> None:
        check("the n-gram size", self.size, 1, low_fits=True)

    def begin(self, asked: Asked) -> None:
        return None

    def guess(self, own: None, text: Text, count: int, vocab: int, pick: Any, process: Process, key: Array) -> tuple[Array, Array, Any]:
        tokens = text.tokens[0]
        begins = tokens.shape[0] - self.size
        windows = jnp.stack([tokens[at:at + begins] for at in range(self.size)], -1)
        before = jnp.arange(begins) < text.end - self.size
        found = jnp.where((windows == text.last(self.size)).all(-1) & before & (windows[:, 0] >= 0), jnp.arange(begins), -1).max()
        following = jnp.take(tokens, found + self.size + jnp.arange(count), mode="clip")
        # Nothing found, or nothing there yet: any guess will do, for a wrong one costs nothing but itself.
        guesses = jnp.where((found < 0) | (following < 0), text.last(1)[0], following)
        return guesses, jax.nn.one_hot(guesses, vocab), own

    def keep(self, before: None, after: None, read: Array, kept: Array) -> None:
        return None


@struct.dataclass
class Standing:
    """One row: its text [1, l], what the model and the guesser carry, and whether it has ended."""

    text: Text
    carried: Carried
    guesser: Any
    done: Array
    logprobs: Array
    key: Array
    rounds: Array  # how often the model was asked


@struct.dataclass
class Speculative:
    guesser: Any
    pick: Any = Greedy()
    ahead: int = static(4)

    def __post_init__(self) -> None:
        check("the number of guesses", self.ahead, 1, low_fits=True)
        if getattr(self.pick, "count", 1) != 1:
            raise Mistake(f"speculation writes one text for each prompt, not {self.pick.count}: repeat the prompt instead")

    def room(self, most: int) -> int:
        return most + self.ahead + 1

    def begin(self, model: Any, asked: Asked) -> Standing:
        def one(given: tuple[Array, Array, Any, Array | None]) -> Standing:
            prompt, key, memory, seen = given
            own = jax.tree.map(lambda x: x[None], replace(asked, prompt=prompt, memory=memory, seen=seen, key=key))
            own = replace(own, most=asked.most, ends=asked.ends)
            text = own.text()
            return Standing(text, Carried.prefilled(model, own), self.guesser.begin(own), jnp.zeros((), bool),
                            jnp.zeros(text.tokens.shape), key, jnp.zeros((), jnp.int32))

        return each_row(one, (asked.prompt, asked.keys(), asked.memory, asked.seen))

    def open(self, state: Standing) -> Array:
        return ~state.done.all()

    def step(self, model: Any, state: Standing, process: Process) -> Standing:
        return each_row(lambda row: self._round(model, row, process), state)

    def result(self, state: Standing, pad: int) -> Generated:
        tokens, logprobs, begin = jax.device_get((state.text.tokens, state.logprobs, state.text.begin))
        return Generated.cut(tokens, begin[0], pad, logprobs.sum(-1), logprobs)

    def _round(self, model: Any, row: Standing, process: Process) -> Standing:
        text, (guessing, testing) = row.text, jax.random.split(jax.random.fold_in(row.key, row.text.new))
        vocab = jax.eval_shape(lambda: row.carried.decode(model, text.last(1)))[0].shape[-1]
        guesses, doubts, guesser = self.guesser.guess(row.guesser, text, self.ahead, vocab, self.pick, process, guessing)
        read = jnp.concatenate([text.last(1), guesses[None]], 1)
        # What lies beyond what was asked is not read: the model may have no positions for it.
        there = jnp.arange(self.ahead + 1) < text.most - text.new
        logits, carried = row.carried.decode(model, read, there[None])
        logs, chances = self._judged(logits[0], text, guesses, process)
        new = tested(guesses, doubts, chances, testing)
        count = jnp.where(row.done, 0, _fitting(new, text))
        there = there & (jnp.arange(self.ahead + 1) < count)
        logprobs = jnp.where(there, jnp.take_along_axis(logs, jnp.maximum(new, 0)[:, None], -1)[:, 0], 0.0)
        grown = replace(text, tokens=_put(text.tokens, jnp.where(there, new, -1), text.end), end=text.end + count)
        done = row.done | (grown.new >= text.most) | (there & text.ending(new)).any()
        return Standing(grown, rewound(model, row.carried, carried, read, count),
                        self.guesser.keep(row.guesser, guesser, read, count), done,
                        _put(row.logprobs, logprobs, text.end), row.key, row.rounds + ~row.done)

    def _judged(self, logits: Array, text: Text, guesses: Array, process: Process) -> tuple[Array, Array]:
        """What the model gives every token after none, one, two ... of the guesses: log-probabilities, and chances as picked."""
        guessed = replace(text, tokens=_put(text.tokens, guesses, text.end))

        def after(count: Array, logits: Array) -> tuple[Array, Array]:
            text = guessed.until(guessed.end + count)
            logits = process(logits[None], text)
            return jax.nn.log_softmax(logits)[0], self.pick.chances(logits, text)[0]

        return jax.vmap(after)(jnp.arange(self.ahead + 1), logits)


def each_row(go_on: Callable[[Any], Standing], rows: Any) -> Standing:
    """All rows at once; or one by one if the model has a part that JAX cannot batch, as the ragged products of experts."""
    try:
        return jax.vmap(go_on)(rows)
    except NotImplementedError:
        return jax.lax.map(go_on, rows)


def tested(guesses: Array, doubts: Array, chances: Array, key: Array) -> Array:
    """The guesses [n] that stand, then one token of the model's own, then -1: q is `doubts` [n, v], p is `chances` [n + 1, v]."""
    count = len(guesses)
    luck, draw = jax.random.split(key)
    at = jnp.arange(count)
    kept = jax.random.uniform(luck, (count,)) * doubts[at, guesses] < chances[at, guesses]
    stands = jnp.cumprod(kept.astype(jnp.int32)).sum()
    # After the last guess nothing was doubted, and p stays whole.
    left = jnp.maximum(chances[stands] - jnp.pad(doubts, ((0, 1), (0, 0)))[stands], 0.0)
    left = jnp.where(left.sum() > 0, left, chances[stands])
    own = jax.random.categorical(draw, jnp.log(left)).astype(jnp.int32)
    at = jnp.arange(count + 1)
    return jnp.where(at < stands, jnp.pad(guesses, (0, 1)), jnp.where(at == stands, own, -1))


def rewound(model: Any, before: Carried, after: Carried, read: Array, kept: Array) -> Carried:
    """As if only the first `kept` tokens had been read: by forgetting, or where a cache cannot, by reading them again."""
    if hasattr(after.cache, "forget"):
        return replace(after, cache=after.cache.forget(read.shape[1] - kept, read.shape[1], before.cache))
    return before.decode(model, read, (jnp.arange(read.shape[1]) < kept)[None])[1]


def _fitting(new: Array, text: Text) -> Array:
    """How many of the new tokens a row takes: up to its end, and to what was asked."""
    before = jnp.cumsum(text.ending(new)) - text.ending(new) == 0
    return jnp.minimum((before & (new >= 0)).sum(), text.most - text.new)


def _put(row: Array, values: Array, at: Array) -> Array:
    return jax.lax.dynamic_update_slice(row, values[None].astype(row.dtype), (0, at))
