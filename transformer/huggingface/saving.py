"""A model written so that transformers loads it: config.json, safetensors, and what belongs to it."""
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from transformer.attention import Attention, attend, fused
from transformer.data.tokenizers import Tokenizer
from transformer.huggingface import families, files, names
from transformer.huggingface.config import Config
from transformer.huggingface.family import Family
from transformer.mistakes import Mistake
from transformer.weights import Weight, edit, named

OLD = ("torch_dtype", "rope_theta", "rope_scaling", "transformers_version")  # said anew in other words
HOW = {"dropout": 0.0, "remat": "none", "unroll": False}  # changes no output
TOKENS = {"bos_token_id": None, "eos_token_id": None}  # or transformers would take GPT-2's


def save(directory: str | Path, model: Any, tokenizer: Tokenizer | None = None, config: Mapping[str, Any] | None = None,
         generation: Mapping[str, Any] | None = None, limit: int = 5 * 10**9) -> None:
    """Writes what `load` reads: `save(directory, *load(another))` is a copy.

    Without a config the model says itself what it is; with one, that config's class is kept, and all that the model
    leaves open (lengths, special tokens). Beyond `limit` bytes the weights are written as several files.
    """
    directory = Path(directory)
    family, settings = described(model, config)
    leaves = named(model)
    spec = family.read(Config(settings))
    pending = [_pending(pair, leaves) for pair in names.pairs(family.rows, spec)]
    directory.mkdir(parents=True, exist_ok=True)
    files.write(directory, sorted(pending, key=lambda array: array.name), limit)
    kinds = {str(array.dtype) for array in pending}
    files.write_json(directory / "config.json", settings | {"dtype": kinds.pop() if len(kinds) == 1 else "float32"})
    if generation:
        files.write_json(directory / "generation_config.json", dict(generation))
    if tokenizer is not None:
        tokenizer.save(directory / "tokenizer.json")


def described(model: Any, config: Mapping[str, Any] | None = None) -> tuple[Family, dict[str, Any]]:
    """The family of a model, and the config.json that gives this model back, whole."""
    config = {name: value for name, value in (config or {}).items() if name not in OLD}
    named_there = bool({"architectures", "model_type"} & config.keys())
    reasons = []
    for family in (families.of(config),) if named_there else families.FAMILIES:
        if not isinstance(model, family.models):
            continue
        try:
            found = family.write(model)
            own = {"model_type": family.kind, "architectures": [family.classes[0]], **TOKENS, **found}
            # What the config says stands where the model does not contradict it: lengths, special tokens.
            sure = {name: value for name, value in found.items() if not name.endswith("_token_id")}
            for settings in ({**own, **config}, {**own, **config, **sure}, {**own, **config, **found}):
                if _gives(family, settings, model):
                    return family, settings
            reasons.append(f"{family.kind} has no setting for some of its parts or choices")
        except Mistake as error:
            reasons.append(f"{family.kind}: {error}")
    known = sorted({kind.__name__ for family in families.FAMILIES for kind in family.models})
    raise Mistake(f"this {type(model).__name__} cannot be saved as "
                  f"{config['architectures'] if named_there else 'any class of Hugging Face'}: "
                  f"{'; '.join(reasons) or 'there are ' + ', '.join(known)}")


def _gives(family: Family, settings: dict[str, Any], model: Any) -> bool:
    """Whether these settings are of this model."""
    try:
        return sketch(family.read(Config(settings))) == sketch(model)
    except Mistake:
        return False


def sketch(model: Any) -> Any:
    """What a model computes, apart from its numbers: parts, shapes and choices, but not how."""
    model = edit(_plainly(model), Attention, lambda a: replace(a, core=attend) if a.core is fused else a)
    return jax.tree.structure(model), [leaf.shape for leaf in jax.tree.leaves(model)]


def _plainly(part: Any) -> Any:
    """The same parts, nothing dropped, kept or unrolled."""
    if isinstance(part, tuple):
        return tuple(map(_plainly, part))
    if not is_dataclass(part) or isinstance(part, Weight | type):
        return part
    own = {field.name: getattr(part, field.name) for field in fields(part)}
    return replace(part, **{name: HOW[name] if name in HOW else _plainly(value) for name, value in own.items()})


def _pending(pair: names.Pair, leaves: Mapping[str, Any]) -> files.Pending:
    ours = [(leaves[part.path], part.index) for part in pair.parts]
    kind = np.result_type(*(leaf.dtype for leaf, _ in ours))


    def make() -> np.ndarray:
        return pair.there([_on_host(*one) for one in ours]).astype(kind, copy=False)

    return files.Pending(pair.theirs, pair.shape, kind, make)


def _on_host(leaf: jax.Array, index: tuple[int, ...]) -> np.ndarray:
    """One of the weights stacked in a leaf, wherever it lies."""
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        raise Mistake("the model lies on devices of other processes; restore its checkpoint in one process, "
                      "and save it there")
    alone = not isinstance(leaf, jax.Array) or (len(leaf.devices()) == 1 and leaf.platform() == "cpu")
    return np.asarray(leaf)[index] if alone or not index else np.asarray(leaf[index])
