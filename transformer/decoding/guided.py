"""Texts that keep to a grammar: between two steps on the device, the host says what may come next.

    class Syntax:                                   # a guide; any state will do
        def begin(self, prompt): ...                # the state after a prompt
        def allowed(self, state, left): ...         # which tokens may come [v], so that all can end within `left` of them
        def after(self, state, token): ...          # the state after one more token

    generated = guided(model, [[start]] * 8, Syntax(), most=200, strategy=Sample(), ends=end, key=jax.random.key(0))
"""
from collections.abc import Sequence
from typing import Any, Protocol

import jax
import numpy as np

from transformer.decoding.carried import ready
from transformer.decoding.engine import LIKELIEST, advance, begin, question, searching
from transformer.decoding.generated import Generated
from transformer.decoding.processors import Among
from transformer.decoding.sampling import Onward
from transformer.mistakes import Mistake

Array = jax.Array


class Guide(Protocol):
    """What knows a grammar: its states are its own."""

    def begin(self, prompt: Sequence[int]) -> Any: ...

    def allowed(self, state: Any, left: int) -> np.ndarray: ...

    def after(self, state: Any, token: int) -> Any: ...


def guided(model: Any, prompt: Sequence[Sequence[int]], guide: Guide, *, most: int, strategy: Any = LIKELIEST, processors: Sequence[Any] = (),
           ends: int | Sequence[int] = (), pad: int = 0, key: Array | None = None, memory: Any = None, seen: Any = None) -> Generated:
    """As `generate`, but nothing is said that the guide does not allow."""
    search, model = searching(strategy), ready(model)
    if not isinstance(search, Onward) or search.pick.count != 1:
        raise Mistake("a guide follows texts that grow one token at a time: give Greedy() or Sample(...) with count 1")
    asked = question(model, search, prompt, None, most, ends, key, memory, seen)
    state, at = begin(model, search, asked), [guide.begin(row) for row in prompt]
    allowed = np.stack([guide.allowed(one, most) for one in at])
    for left in range(most, 0, -1):
        state = advance(model, search, (*processors, Among(allowed)), state, 1)
        tokens, done = jax.device_get((state.text.last(1)[:, 0], state.done))
        if done.all() or left == 1:
            break
        for row in np.flatnonzero(~done):
            at[row] = guide.after(at[row], int(tokens[row]))
            allowed[row] = guide.allowed(at[row], left - 1)
    return search.result(state, pad)
