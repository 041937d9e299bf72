"""From prompts to texts: one loop for every model with `start` and `decode`, all of it on the device.

    generated = generate(model, [[5, 3, 8]], most=20, strategy=Sample(top_p=0.9), ends=2, key=jax.random.key(0))
"""
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from transformer.decoding.carried import ready
from transformer.decoding.generated import Generated
from transformer.decoding.processors import processed
from transformer.decoding.sampling import Greedy, Onward
from transformer.decoding.text import Asked, Text, bucket, left_padded
from transformer.mistakes import Mistake

Array = jax.Array
LIKELIEST = Greedy()


class Search(Protocol):
    """A way to texts: its numbers are leaves of it, so that changing one compiles nothing anew."""

    def room(self, most: int) -> int: ...

    def begin(self, model: Any, asked: Asked) -> Any: ...

    def open(self, state: Any) -> Array: ...

    def step(self, model: Any, state: Any, process: Callable[[Array, Text], Array]) -> Any: ...

    def result(self, state: Any, pad: int) -> Generated: ...


def generate(model: Any, prompt: Any, present: Any = None, *, most: int, strategy: Any = LIKELIEST, processors: Sequence[Any] = (),
             ends: int | Sequence[int] = (), pad: int = 0, key: Array | None = None,
             memory: Any = None, seen: Any = None) -> Generated:
    """Up to `most` tokens after each prompt, until one of `ends`; one trip to the device and back.

    prompt: rows of tokens, ragged or padded on either side, then with `present`. key: one, or one for each row.
    memory, seen: what an encoder-decoder's `encode` gave for each row, and which of it is there.
    """
    search, model = searching(strategy), ready(model)
    asked = question(model, search, prompt, present, most, ends, key, memory, seen)
    state = advance(model, search, tuple(processors), begin(model, search, asked), most)
    return search.result(state, pad)


@jax.jit
def begin(model: Any, search: Any, asked: Asked) -> Any:
    """The prompts are read, and the search has taken its place."""
    return search.begin(model, asked)


@partial(jax.jit, donate_argnames="state")
def advance(model: Any, search: Any, processors: tuple[Any, ...], state: Any, steps: Any) -> Any:
    """The same search up to so many steps further, in the same memory; it ends early once every row has."""

    # Axes of length one are left out between steps, as a cache leaves them out where it is written: then it is written in place.
    def whole(bare: Any) -> Any:
        return jax.tree.map(lambda x, like: x.reshape(like.shape), bare, state)

    def step(carry: tuple[Array, Any]) -> tuple[Array, Any]:
        done, bare = carry
        return done + 1, _bare(search.step(model, whole(bare), partial(processed, processors)))

    def open(carry: tuple[Array, Any]) -> Array:
        return (carry[0] < steps) & search.open(whole(carry[1]))

    return whole(jax.lax.while_loop(open, step, (jnp.zeros((), jnp.int32), _bare(state)))[1])


def _bare(state: Any) -> Any:
    return jax.tree.map(lambda x: x.reshape([length for length in x.shape if length != 1]), state)


def searching(strategy: Any) -> Any:
    """The strategy itself if it searches in its own way; else each row goes on as it picks."""
    if hasattr(strategy, "step"):
        return strategy
    if hasattr(strategy, "pick"):
        return Onward(strategy)
    raise Mistake(f"{strategy!r} is no strategy: give Greedy(), Sample(...), Beams(...), Contrastive(...) or Speculative(...)")


def question(model: Any, search: Search, prompt: Any, present: Any, most: int, ends: int | Sequence[int], key: Array | None,
             memory: Any, seen: Any) -> Asked:
    """What was asked, checked and in shapes that come again."""
    if most < 1:
        raise Mistake(f"`most` is {most}; it is the number of new tokens and must be at least 1")
    rows = left_padded(prompt, present)
    longest, limit = int((rows >= 0).sum(-1).max()), getattr(model, "longest", None)
    if limit is not None and longest + most > limit:
        raise Mistake(f"a prompt of {longest} tokens and {most} new ones need {longest + most} positions, but the model has {limit}: "
                      "shorten the prompt or ask for fewer")
    if memory is not None and len(jax.tree.leaves(memory)[0]) != len(rows):
        raise Mistake(f"there are {len(rows)} prompts but {len(jax.tree.leaves(memory)[0])} sources: give each source one prompt")
    asked = Asked(rows, np.int32(most), np.atleast_1d(np.asarray(ends, np.int32)), jax.random.key(0) if key is None else key,
                  memory, seen, bucket(rows.shape[1] + search.room(most)))
    # A model may read a token that it never says, as the start of an image.
    vocab = getattr(model, "vocab", None) or _vocabulary.eval_shape(model, replace(asked, prompt=rows[:, :1], length=1)).shape[-1]
    if rows.max() >= vocab:
        raise Mistake(f"token {rows.max()} is outside the vocabulary of {vocab}: was the prompt made by another tokenizer?")
    return asked


@jax.jit
def _vocabulary(model: Any, asked: Asked) -> Array:
    start = model.start(len(asked.prompt), 1) if asked.memory is None else model.start(asked.memory, 1, asked.seen)
    return model.decode(jnp.maximum(asked.prompt, 0), start)[0]
