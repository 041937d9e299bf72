"""A model asked in one program, compiled once for all who ask: what it says, and what it makes of a source."""
from typing import Any

import jax


@jax.jit
def called(model: Any, *inputs: Any, **context: Any) -> Any:
    return model(*inputs, **context)


@jax.jit
def encoded(model: Any, *source: Any, **context: Any) -> Any:
    """Of an encoder-decoder, the memory that it writes from."""
    return model.encode(*source, **context)
