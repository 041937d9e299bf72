"""OpenAI's decoders: GPT, GPT-2, Image GPT. Matrices are kept [in, out], queries, keys and values in one."""
from collections.abc import Callable
from typing import Any

from transformer.huggingface.config import ACTIVATIONS, Config, activation_name
from transformer.huggingface.decoders import decoders
from transformer.huggingface.family import Family
from transformer.huggingface.names import Row, as_is, conv1d, linear, vector
from transformer.layers import gelu_tanh
from transformer.models import gpt2, imagegpt
from transformer.models.gpt import gpt
from transformer.models.gpt2 import GPT2

Settings = dict[str, Any]
BLOCK, OURS = "transformer.h.{layer}.", "blocks.blocks.{layer}."
QKV = tuple(f"{OURS}attention.{part}" for part in ("query", "key", "value"))


def _rows(tokens: str, positions: str) -> tuple[Row, ...]:
    return (
        Row(f"transformer.{tokens}.weight", "tokens.table", as_is),
        Row(f"transformer.{positions}.weight", "positions.table", as_is),
        Row(BLOCK + "ln_1.weight", OURS + "attention_norm.scale", vector),
        Row(BLOCK + "ln_1.bias", OURS + "attention_norm.shift", vector),
        Row(BLOCK + "attn.c_attn.weight", tuple(path + ".kernel" for path in QKV), conv1d, along=1),
        Row(BLOCK + "attn.c_attn.bias", tuple(path + ".bias" for path in QKV), vector),
        Row(BLOCK + "attn.c_proj.weight", OURS + "attention.out.kernel", conv1d),
        Row(BLOCK + "attn.c_proj.bias", OURS + "attention.out.bias", vector),
        Row(BLOCK + "ln_2.weight", OURS + "mlp_norm.scale", vector),
        Row(BLOCK + "ln_2.bias", OURS + "mlp_norm.shift", vector),
        Row(BLOCK + "mlp.c_fc.weight", OURS + "mlp.up.kernel", conv1d),
        Row(BLOCK + "mlp.c_fc.bias", OURS + "mlp.up.bias", vector),
        Row(BLOCK + "mlp.c_proj.weight", OURS + "mlp.down.kernel", conv1d),
        Row(BLOCK + "mlp.c_proj.bias", OURS + "mlp.down.bias", vector),
        Row("transformer.ln_f.weight", "norm.scale", vector),
        Row("transformer.ln_f.bias", "norm.shift", vector),
        Row("lm_head.weight", "head.kernel", linear),
    )


def _size(config: Config, kind: type[gpt2.Size] = gpt2.Size, mlp: int = 0) -> Any:
    embed, heads = config.take("n_embd"), config.take("n_head")
    return kind(config.take("vocab_size"), config.take("n_positions"), config.take("n_layer"), embed, heads, mlp)


def _settings(model: GPT2) -> Settings:
    block = model.blocks.blocks
    layers, embed, heads, _ = block.attention.query.kernel.shape
    return {"vocab_size": len(model.tokens.table), "n_positions": len(model.positions.table), "n_embd": embed,
            "n_layer": layers, "n_head": heads, "layer_norm_epsilon": block.attention_norm.epsilon,
            "tie_word_embeddings": model.head is None, "resid_pdrop": model.dropout, "embd_pdrop": model.dropout,
            "attn_pdrop": model.dropout}


def _choices(config: Config) -> Settings:
    return {"dropout": config.take("resid_pdrop", 0.0), "epsilon": config.take("layer_norm_epsilon", 1e-5)}


def _plain_scores(config: Config) -> None:
    config.expect(scale_attn_weights=True, scale_attn_by_inverse_layer_idx=False, add_cross_attention=False)
    config.take("reorder_and_upcast_attn", False)  # scores are float32 here in any case


def _read_gpt2(config: Config) -> GPT2:
    _plain_scores(config)
    return GPT2.of(_size(config, mlp=config.take("n_inner", 0)), tied=config.take("tie_word_embeddings", True),
                   activation=config.activation("activation_function", "gelu_new"), **_choices(config))


def _write_gpt2(model: GPT2) -> Settings:
    mlp = model.blocks.blocks.mlp
    return {**_settings(model), "n_inner": mlp.up.kernel.shape[-1],
            "activation_function": activation_name(mlp.activation, "gelu_new")}


def _read_imagegpt(config: Config) -> GPT2:
    _plain_scores(config)
    config.expect(tie_word_embeddings=False)
    return imagegpt.imagegpt(_size(config, imagegpt.Size, config.take("n_inner", 0)),
                             activation=config.activation("activation_function", "quick_gelu"), **_choices(config))


# What GPT's first code called gelu is the approximation.
FIRST = {"gelu": gelu_tanh} | {name: ACTIVATIONS[name] for name in ("relu", "silu", "swish")}


def _read_gpt(config: Config) -> GPT2:
    return gpt(_size(config), activation=config.activation("afn", "gelu", FIRST),
               tied=config.take("tie_word_embeddings", True), **_choices(config))


def _write_gpt(model: GPT2) -> Settings:
    return {**_settings(model), "afn": activation_name(model.blocks.blocks.mlp.activation, known=FIRST)}


def _family(kind: str, name: str, read: Callable[[Config], GPT2], write: Callable[[GPT2], Settings],
            predicting: str = "LMHeadModel", tables: tuple[str, str] = ("wte", "wpe")) -> tuple[Family, ...]:
    return decoders(kind, name, GPT2, read, write, _rows(*tables), "transformer.",
                    {"lm_head.weight": f"transformer.{tables[0]}.weight"},
                    ("h.*.attn.bias", "h.*.attn.masked_bias", "position_ids"), predicting)


FAMILIES = (
    *_family("openai-gpt", "OpenAIGPT", _read_gpt, _write_gpt, tables=("tokens_embed", "positions_embed")),
    *_family("gpt2", "GPT2", _read_gpt2, _write_gpt2),
    *_family("imagegpt", "ImageGPT", _read_imagegpt, _write_gpt2, "ForCausalImageModeling")[:2],
)
