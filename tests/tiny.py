"""Every family small enough to test, with sizes that divide over eight devices and, where they can, differ from each other."""
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transformer.models import bert, gpt2, gpt3, llama, palm, t5
from transformer.weights import name_of

SPECS: dict[str, Any] = {
    "gpt2": gpt2.GPT2.of(gpt2.Size(vocab=64, length=16, layers=2, embed=32, heads=4)),
    "bert": bert.Pretraining.of(bert.Size(vocab=64, length=16, layers=2, embed=32, heads=4, mlp=48)),
    "t5": t5.T5.of(t5.Size(vocab=64, layers=2, embed=32, heads=4, head=6, mlp=48, buckets=8, reach=12)),
    "t5 1.1": t5.T5.of(t5.Size(vocab=64, layers=2, embed=32, heads=4, head=6, mlp=48, buckets=8, reach=12), gated=True),
    "llama": llama.Llama.of(llama.Size(vocab=64, layers=2, embed=32, heads=4, groups=2, mlp=48)),
    "gpt3": gpt3.gpt3(gpt2.Size(vocab=64, length=16, layers=2, embed=32, heads=4), band=3),
    "palm": palm.Palm.of(palm.Size(vocab=64, layers=2, embed=32, heads=4, head=8, mlp=48)),
}


def sharp(spec: Any, seed: int = 0) -> Any:
    """A model in which every weight matters: no scale is one, no bias is zero, attention is far from uniform."""
    random = np.random.default_rng(seed)

    def one(path: Any, w: Any) -> jax.Array:
        values = random.normal(size=w.shape)
        if name_of(path).endswith(".kernel"):
            values *= 1.5 / np.sqrt(w.fan_in)
        elif name_of(path).endswith(".scale"):
            values = 1 + 0.25 * values
        elif not name_of(path).endswith(".table"):
            values *= 0.25
        return jnp.asarray(values, w.dtype)

    return jax.tree_util.tree_map_with_path(one, spec)
