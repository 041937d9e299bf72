"""GPT-3 (Brown et al. 2020): GPT-2, but every other layer sees only a band of the last tokens, as in a sparse transformer."""
from dataclasses import replace
from typing import Any

from transformer.models.gpt2 import GPT2, Size


def gpt3(size: Size, band: int, **choices: Any) -> GPT2:
    """Layers of kind 0 see everything, those of kind 1 the last `band` tokens; the first layer is dense."""
    model = GPT2.of(size, **choices)
    kinds = tuple(layer % 2 for layer in range(size.layers))
    return replace(model, blocks=replace(model.blocks, kinds=kinds), windows=(None, band))
