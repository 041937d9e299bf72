"""Text as it is written."""
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from transformer.decoding.carried import ready
from transformer.decoding.engine import LIKELIEST, advance, begin, question, searching
from transformer.decoding.sampling import Onward
from transformer.mistakes import Mistake

Array = jax.Array
BEHIND = 8  # tokens of the prompt, on which the first new one's text may hang


def stream(model: Any, prompt: Any, decode: Callable[[list[int]], str], *, most: int, strategy: Any = LIKELIEST,
           processors: Sequence[Any] = (), ends: int | Sequence[int] = (), key: Array | None = None,
           memory: Any = None, seen: Any = None, every: int = 1) -> Iterator[str]:
    """The text after one prompt, piece by piece: `generate` stopped `every` so many tokens. `decode` turns tokens into text."""
    search, model = searching(strategy), ready(model)
    if not isinstance(search, Onward) or search.pick.count != 1:
        raise Mistake("only a text that grows one token at a time can be streamed: give Greedy() or Sample(...) with count 1")
    asked = question(model, search, [prompt], None, most, ends, key, memory, seen)
    state = begin(model, search, asked)
    before = [] if memory is not None else list(prompt)[-BEHIND:]  # what answers a source begins anew
    return pieces(_tokens(model, search, tuple(processors), state, asked.prompt.shape[1], most, every), decode, before)


def pieces(tokens: Iterator[list[int]], decode: Callable[[list[int]], str], before: Sequence[int] = ()) -> Iterator[str]:
    """Text of tokens that come bit by bit. What ends in half a character waits for the rest of it.

    A token's text may hang on those before it (spaces, accents), so new ones are decoded behind the last that were shown,
    the first behind the tokens `before` them.
    """
    behind = list(before)
    new: list[int] = []
    for more in tokens:
        new += more
        shown, text = decode(behind), decode(behind + new)
        if new and not text.endswith("\N{REPLACEMENT CHARACTER}"):
            yield text[len(shown):]
            behind, new = new, []
    if new:
        yield decode(behind + new)[len(decode(behind)):]


def _tokens(model: Any, search: Onward, processors: tuple[Any, ...], state: Any, at: int, most: int, every: int) -> Iterator[list[int]]:
    for first in range(at, at + most, every):
        state = advance(model, search, processors, state, min(every, at + most - first))
        tokens, done = jax.device_get((state.text.tokens, state.done))
        yield [int(token) for token in np.asarray(tokens)[0, first:first + every] if token >= 0]
        if done.all():
            return
