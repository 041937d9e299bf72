"""One token at a time: the likeliest, or one drawn from some part of the distribution."""
from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from flax import struct

from transformer.decoding.carried import Carried
from transformer.decoding.generated import Generated
from transformer.decoding.processors import processed
from transformer.decoding.text import Asked, Text
from transformer.decoding.warpers import (
    Epsilon,
    Eta,
    MinP,
    Number,
    Temperature,
    TopH,
    TopK,
    TopP,
    Typical,
    check,
)
from transformer.layers import static

Array = jax.Array
Process = Callable[[Array, Text], Array]


class Pick(Protocol):
    """How a next token is chosen: `chances` is the distribution that `pick` draws from."""

    count: int

    def chances(self, logits: Array, text: Text) -> Array: ...

    def pick(self, logits: Array, text: Text, keys: Array) -> Array: ...


@struct.dataclass
class Greedy:
    """The likeliest token, every time."""

    count: int = static(1)

    def chances(self, logits: Array, text: Text) -> Array:
        return jax.nn.one_hot(logits.argmax(-1), logits.shape[-1])

    def pick(self, logits: Array, text: Text, keys: Array) -> Array:
        return logits.argmax(-1).astype(jnp.int32)


@struct.dataclass
class Sample:
    """A token drawn from the softmax, cut down in the order of the fields by those that are given; `count` texts a row."""

    temperature: Number = 1.0
    top_h: Number = None
    top_k: Number = None
    top_p: Number = None
    min_p: Number = None
    typical: Number = None
    epsilon: Number = None
    eta: Number = None
    count: int = static(1)

    def __post_init__(self) -> None:
        check("the temperature", self.temperature, 0)
        check("top_k", self.top_k, 1, low_fits=True)
        check("min_p", self.min_p, 0, 1, low_fits=True)
        for name in ("top_h", "top_p", "typical", "epsilon", "eta"):
            check(name, getattr(self, name), 0, 1)
        check("the count", self.count, 1, low_fits=True)
        for name, value in list(vars(self).items()):  # 1 and 0.7 are numbers of one program
            if name != "count" and isinstance(value, int):
                object.__setattr__(self, name, float(value))

    def warped(self, logits: Array, text: Text) -> Array:
        warpers = {TopH: self.top_h, TopK: self.top_k, TopP: self.top_p, MinP: self.min_p, Typical: self.typical,
                   Epsilon: self.epsilon, Eta: self.eta}
        chosen = [warper(number) for warper, number in warpers.items() if number is not None]
        return processed([Temperature(self.temperature), *chosen], logits, text)

    def chances(self, logits: Array, text: Text) -> Array:
        return jax.nn.softmax(self.warped(logits, text))

    def pick(self, logits: Array, text: Text, keys: Array) -> Array:
        draw = jax.vmap(lambda key, row: jax.random.categorical(jax.random.fold_in(key, text.new), row))
        return draw(keys, self.warped(logits, text)).astype(jnp.int32)


@struct.dataclass
class Written:
    """Rows as they stand, and what each still needs."""

    text: Text
    carried: Carried
    done: Array  # [b]
    logprobs: Array  # [b, l]
    keys: Array  # [b]


@struct.dataclass
class Onward:
    """Each row goes on by itself until it ends: feed the last token, pick the next."""

    pick: Any

    def room(self, most: int) -> int:
        return most

    def begin(self, model: Any, asked: Asked) -> Written:
        text = asked.text(self.pick.count)
        carried = Carried.prefilled(model, asked).repeat(self.pick.count)
        return Written(text, carried, jnp.zeros(len(text.tokens), bool), jnp.zeros(text.tokens.shape), asked.keys(self.pick.count))

    def open(self, state: Written) -> Array:
        return ~state.done.all() & (state.text.new < state.text.most)

    def step(self, model: Any, state: Written, process: Process) -> Written:
        logits, carried = fed(model, state.text, state.carried, ~state.done)
        logits = process(logits, state.text)
        chosen = self.pick.pick(logits, state.text, state.keys)
        chances = jnp.take_along_axis(jax.nn.log_softmax(logits), chosen[:, None], -1)[:, 0]
        chosen = jnp.where(state.done, -1, chosen)
        return Written(state.text.write(chosen), carried, state.done | state.text.ending(chosen),
                       noted(state.logprobs, jnp.where(state.done, 0.0, chances), state.text.end), state.keys)

    def result(self, state: Written, pad: int) -> Generated:
        tokens, logprobs, begin = jax.device_get((state.text.tokens, state.logprobs, state.text.begin))
        tokens, logprobs = (x.reshape(-1, self.pick.count, x.shape[-1]) for x in (tokens, logprobs))
        return Generated.cut(tokens, begin, pad, logprobs.sum(-1), logprobs)


def fed(model: Any, text: Text, carried: Carried, present: Array) -> tuple[Array, Carried]:
    """The logits [b, v] after the last token of each row."""
    logits, carried = carried.decode(model, jnp.maximum(text.last(1), 0), present[:, None])
    return logits[:, -1], carried


def noted(notes: Array, values: Array, at: Array) -> Array:
    return jax.lax.dynamic_update_slice_in_dim(notes, values[:, None], at, 1)
