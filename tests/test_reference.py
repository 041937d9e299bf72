"""Ten steps of AdamW by PyTorch and transformers, repeated: losses, gradient norms, first gradients and last weights."""
import dataclasses
import re
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transformer.losses import next_token, sequence_to_sequence
from transformer.models import gpt2, t5
from transformer.training.experiment import Experiment
from transformer.training.optimizers import adamw, warmup_cosine
from transformer.training.step import State, gradients_of, step_of
from transformer.weights import name_of, named

# Our names to theirs. `{}` is the layer; `.T` turns a torch matrix, [out, in], into [in, out]; `[i]` takes the i-th third.
GPT2 = {
    "tokens.table": "transformer.wte.weight",
    "positions.table": "transformer.wpe.weight",
    "norm.scale": "transformer.ln_f.weight",
    "norm.shift": "transformer.ln_f.bias",
    "blocks.blocks.attention_norm.scale": "transformer.h.{}.ln_1.weight",
    "blocks.blocks.attention_norm.shift": "transformer.h.{}.ln_1.bias",
    "blocks.blocks.attention.query.kernel": "transformer.h.{}.attn.c_attn.weight[0]",
    "blocks.blocks.attention.query.bias": "transformer.h.{}.attn.c_attn.bias[0]",
    "blocks.blocks.attention.key.kernel": "transformer.h.{}.attn.c_attn.weight[1]",
    "blocks.blocks.attention.key.bias": "transformer.h.{}.attn.c_attn.bias[1]",
    "blocks.blocks.attention.value.kernel": "transformer.h.{}.attn.c_attn.weight[2]",
    "blocks.blocks.attention.value.bias": "transformer.h.{}.attn.c_attn.bias[2]",
    "blocks.blocks.attention.out.kernel": "transformer.h.{}.attn.c_proj.weight",
    "blocks.blocks.attention.out.bias": "transformer.h.{}.attn.c_proj.bias",
    "blocks.blocks.mlp_norm.scale": "transformer.h.{}.ln_2.weight",
    "blocks.blocks.mlp_norm.shift": "transformer.h.{}.ln_2.bias",
    "blocks.blocks.mlp.up.kernel": "transformer.h.{}.mlp.c_fc.weight",
    "blocks.blocks.mlp.up.bias": "transformer.h.{}.mlp.c_fc.bias",
    "blocks.blocks.mlp.down.kernel": "transformer.h.{}.mlp.c_proj.weight",
    "blocks.blocks.mlp.down.bias": "transformer.h.{}.mlp.c_proj.bias",
}
T5 = {"tokens.table": "shared.weight"}
for side, mlp in (("encoder", 1), ("decoder", 2)):
    T5 |= {
        f"{side}.bias.table": f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
        f"{side}.norm.scale": f"{side}.final_layer_norm.weight",
        f"{side}.blocks.blocks.attention_norm.scale": f"{side}.block.{{}}.layer.0.layer_norm.weight",
        f"{side}.blocks.blocks.cross_norm.scale": f"{side}.block.{{}}.layer.1.layer_norm.weight",
        f"{side}.blocks.blocks.mlp_norm.scale": f"{side}.block.{{}}.layer.{mlp}.layer_norm.weight",
        f"{side}.blocks.blocks.mlp.up.kernel": f"{side}.block.{{}}.layer.{mlp}.DenseReluDense.wi.weight.T",
        f"{side}.blocks.blocks.mlp.down.kernel": f"{side}.block.{{}}.layer.{mlp}.DenseReluDense.wo.weight.T",
    }
    for ours, theirs in (("attention", "0.SelfAttention"), ("cross", "1.EncDecAttention")):
        for part, letter in (("query", "q"), ("key", "k"), ("value", "v"), ("out", "o")):
            T5[f"{side}.blocks.blocks.{ours}.{part}.kernel"] = f"{side}.block.{{}}.layer.{theirs}.{letter}.weight.T"


def taken(arrays: Any, part: str, theirs: str) -> np.ndarray:
    name, turned, third = re.fullmatch(r"(.*?)(\.T)?(?:\[(\d)\])?", theirs).groups()
    array = arrays[f"{part}.{name}"]
    array = array.T if turned else array
    return np.split(array, 3, axis=-1)[int(third)] if third else array


def translated(spec: Any, names: dict[str, str], arrays: Any, part: str) -> Any:
    """The reference's arrays in the tree of ours; only their grouping of axes differs."""
    def one(path: Any, w: Any) -> jax.Array:
        theirs = names[name_of(path)]
        layers = [taken(arrays, part, theirs.format(layer)) for layer in range(w.shape[0])] if "{}" in theirs else taken(arrays, part, theirs)
        return jnp.asarray(np.reshape(layers, w.shape))

    return jax.tree_util.tree_map_with_path(one, spec)


def shifted(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The reference shifts inside; padding is on the right, where a decoder does not look."""
    tokens, labels = batch["input_ids"], batch["labels"][:, 1:]
    return {"tokens": tokens[:, :-1], "targets": np.maximum(labels, 0), "weights": (labels >= 0).astype(np.float32)}


def answered(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    labels = np.maximum(batch["labels"], 0)
    return {"source": batch["input_ids"], "present": batch["attention_mask"] > 0, "target": np.pad(labels, ((0, 0), (1, 0)))[:, :-1],
            "labels": labels, "weights": (batch["labels"] >= 0).astype(np.float32)}


@dataclasses.dataclass
class Run:
    arrays: Any
    names: dict[str, str]
    experiment: Experiment
    batches: list[dict[str, np.ndarray]]

    def of(self, part: str) -> Any:
        return translated(self.experiment.model, self.names, self.arrays, part)


@pytest.fixture(scope="module", params=["gpt2", "t5"])
def run(request):
    spec, loss, names, batched = {
        "gpt2": (gpt2.GPT2.of(gpt2.Size(vocab=97, length=32, layers=2, embed=32, heads=4)), next_token, GPT2, shifted),
        "t5": (t5.T5.of(t5.Size(vocab=97, layers=2, embed=32, heads=4, head=8, mlp=64)), sequence_to_sequence, T5, answered),
    }[request.param]
    arrays = np.load(Path(__file__).parent / "reference" / f"train_{request.param}.npz")
    batches = [batched({key: arrays[f"batch{step:02}.{key}"].astype(np.int32) for key in ("input_ids", "attention_mask", "labels")})
               for step in range(10)]
    optimizer = adamw(warmup_cosine(2e-3, steps=10, warmup=2), betas=(0.9, 0.999), decay=0.05, clip=1.0)
    return Run(arrays, names, Experiment(model=spec, loss=loss, data=None, held_out=None, rows=4, steps=10, optimizer=optimizer), batches)


@pytest.mark.slow
def test_the_first_gradients_are_those_of_the_reference(run):
    gradients, _, _ = jax.jit(partial(gradients_of, run.experiment.loss))(run.of("start"), run.batches[0], jax.random.key(0))
    want = named(run.of("gradient"))
    largest = max(abs(value).max() for value in want.values())
    for name, gradient in named(gradients).items():
        np.testing.assert_allclose(gradient, want[name], atol=2e-5 * max(abs(want[name]).max(), 1e-2 * largest), err_msg=name)


def test_ten_steps_are_those_of_the_reference(run):
    start = run.of("start")
    zero = jnp.zeros((), jnp.int32)
    state = State(zero, start, run.experiment.optimizer.init(start), None, jnp.zeros(()), zero)
    step = jax.jit(step_of(run.experiment, seed=0))
    seen = []
    for batch in run.batches:
        state, metrics = step(state, batch)
        seen.append((metrics["loss"], metrics["norm"]))
    losses, norms = np.asarray(seen).T
    np.testing.assert_allclose(losses, run.arrays["loss"], rtol=2e-5)
    np.testing.assert_allclose(norms, run.arrays["grad_norm"], rtol=1e-4)
    for name, want in named(run.of("final")).items():
        if not name.endswith("key.bias"):  # whose gradient is nothing but rounding
            np.testing.assert_allclose(named(state.model)[name], want, atol=1e-3 * abs(want).max(), err_msg=name)
    np.testing.assert_allclose(step(state, run.batches[0])[1]["loss"], run.arrays["final_eval_loss"], rtol=2e-5)
