"""LLaMA, and its kin: one table of names, and what each one's config adds."""
from collections.abc import Callable
from typing import Any

from transformer.experts import Experts
from transformer.huggingface import rotary
from transformer.huggingface.config import ACTIVATIONS, Config, activation_name
from transformer.huggingface.decoders import decoders
from transformer.huggingface.family import Family
from transformer.huggingface.names import Row, as_is, vector
from transformer.layers import GatedMlp, gelu_tanh
from transformer.mistakes import Mistake
from transformer.models import llama
from transformer.models.llama import Llama
from transformer.models.llama_kin import ExpertSize, gemma, gemma2, mistral, mixtral, qwen2, qwen3

Settings = dict[str, Any]
BLOCK, OURS = "model.layers.{layer}.", "blocks.blocks.{layer}."


def _kin(*also: Row) -> tuple[Row, ...]:
    attention = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "o_proj": "out"}
    return (
        Row("model.embed_tokens.weight", "tokens.table", as_is),
        Row(BLOCK + "input_layernorm.weight", OURS + "attention_norm.scale", vector),
        *(Row(f"{BLOCK}self_attn.{part}.weight", f"{OURS}attention.{own}.kernel") for part, own in attention.items()),
        *(Row(f"{BLOCK}self_attn.{part}.bias", f"{OURS}attention.{own}.bias", vector)
          for part, own in attention.items()),
        *(Row(f"{BLOCK}self_attn.{part}_norm.weight", f"{OURS}attention.{own}_norm.scale", vector)
          for part, own in (("q", "query"), ("k", "key"))),
        *(Row(f"{BLOCK}mlp.{part}_proj.weight", f"{OURS}mlp.{part}.kernel") for part in ("gate", "up", "down")),
        *(Row(f"{BLOCK}mlp.{part}_proj.bias", f"{OURS}mlp.{part}.bias", vector) for part in ("gate", "up", "down")),
        Row("model.norm.weight", "norm.scale", vector),
        Row("lm_head.weight", "head.kernel"),
        *also,
    )


KIN = _kin(Row(BLOCK + "post_attention_layernorm.weight", OURS + "mlp_norm.scale", vector))
GEMMA2 = _kin(*(Row(f"{BLOCK}{theirs}_layernorm.weight", f"{OURS}{own}.scale", vector)
                for theirs, own in (("post_attention", "attention_after"), ("pre_feedforward", "mlp_norm"),
                                    ("post_feedforward", "mlp_after"))))
MIXTRAL = (
    *(row for row in KIN if ".mlp." not in row.theirs),
    Row(BLOCK + "block_sparse_moe.gate.weight", OURS + "mlp.router.kernel"),
    *(Row(f"{BLOCK}block_sparse_moe.experts.{{expert}}.{theirs}.weight", f"{OURS}mlp.{own}.kernel")
      for theirs, own in (("w1", "gate"), ("w3", "up"), ("w2", "down"))),
)


def _size(config: Config, groups: int | None = None, head: int = 0, kind: type[llama.Size] = llama.Size,
          **more: int) -> Any:
    heads = config.take("num_attention_heads")
    return kind(config.take("vocab_size"), config.take("num_hidden_layers"), config.take("hidden_size"), heads,
                config.take("num_key_value_heads", groups or heads), config.take("intermediate_size"),
                config.take("head_dim", head), **more)


def _choices(config: Config, size: llama.Size, theta: float = 10_000.0, tied: bool = False,
             epsilon: float = 1e-6) -> Settings:
    return {"rotary": rotary.read(config, size.head, theta), "epsilon": config.take("rms_norm_eps", epsilon),
            "tied": config.take("tie_word_embeddings", tied)}


def _settings(model: Llama) -> Settings:
    block = model.blocks.blocks
    layers, embed, heads, head = block.attention.query.kernel.shape
    if not isinstance(block.mlp, GatedMlp | Experts):
        raise Mistake("its feed-forward layers are not gated")
    return {"vocab_size": len(model.tokens.table), "hidden_size": embed, "num_hidden_layers": layers,
            "num_attention_heads": heads, "num_key_value_heads": block.attention.key.kernel.shape[-2], "head_dim": head,
            "intermediate_size": block.mlp.gate.kernel.shape[-1],
            "hidden_act": activation_name(block.mlp.activation, "silu"), "rms_norm_eps": model.norm.epsilon,
            "tie_word_embeddings": model.head is None, **rotary.write(model.rotary)}


def _read_llama(config: Config) -> Llama:
    size = _size(config)
    choices = _choices(config, size)
    block = llama.plain(size, choices["epsilon"], config.activation("hidden_act", "silu"),
                        config.take("attention_bias", False), config.take("mlp_bias", False))
    return Llama.of(size, block=block, **choices)


def _write_llama(model: Llama) -> Settings:
    mlp = model.blocks.blocks.mlp
    return {**_settings(model), "attention_bias": model.blocks.blocks.attention.query.bias is not None,
            "mlp_bias": isinstance(mlp, GatedMlp) and mlp.up.bias is not None}


def _read_mistral(config: Config) -> Llama:
    size = _size(config, groups=8)
    choices = _choices(config, size)
    block = llama.plain(size, choices["epsilon"], config.activation("hidden_act", "silu"))
    return mistral(size, config.given("sliding_window", 4096), block=block, **choices)


def _write_mistral(model: Llama) -> Settings:
    return {**_settings(model), "sliding_window": model.windows[0]}


SIGHT = ("full_attention", "sliding_attention")


def _kinds(config: Config, default: tuple[int, ...]) -> tuple[int, ...]:
    """Of each layer, which it is of SIGHT."""
    types = config.take("layer_types", [SIGHT[kind] for kind in default])
    if set(types) - set(SIGHT):
        raise Mistake(f"{config.where}: layer_types are {types}, and only {', '.join(SIGHT)} are supported")
    return tuple(map(SIGHT.index, types))


def _read_qwen(build: Callable[..., Llama], head: int, **more: Any) -> Callable[[Config], Llama]:
    def read(config: Config) -> Llama:
        size = _size(config, groups=32, head=head)
        reach, first = config.given("sliding_window", 4096), config.take("max_window_layers", 28)
        near = config.take("use_sliding_window", False) and reach is not None
        kinds = _kinds(config, tuple(int(layer >= first) for layer in range(size.layers)))
        sight = {"windows": (None, reach), "kinds": kinds} if near else {}
        extra = {ours: config.take(theirs, False) for ours, theirs in more.items()}
        activation = config.activation("hidden_act", "silu")
        return build(size, activation=activation, **_choices(config, size), **sight, **extra)

    return read


def _write_qwen(model: Llama) -> Settings:
    kinds = model.blocks.kinds or (0,) * len(model.blocks)
    sight = {"use_sliding_window": len(model.windows) > 1, "layer_types": [SIGHT[kind] for kind in kinds]}
    return {**_settings(model), **sight, **({"sliding_window": model.windows[1]} if len(model.windows) > 1 else {})}


def _write_qwen3(model: Llama) -> Settings:
    return {**_write_qwen(model), "attention_bias": model.blocks.blocks.attention.query.bias is not None}


GEMMA_ACTIVATIONS = ACTIVATIONS | {"gelu": gelu_tanh}  # as the first files said, meaning the other


def _read_gemma(config: Config) -> Llama:
    config.expect(use_bidirectional_attention=False)
    config.take("hidden_activation", None)  # of an early version, and never another than hidden_act
    size = _size(config, groups=16, head=256)
    return gemma(size, activation=config.activation("hidden_act", "gelu_pytorch_tanh", GEMMA_ACTIVATIONS),
                 bias=config.take("attention_bias", False), **_choices(config, size, tied=True))


def _write_gemma(model: Llama) -> Settings:
    activation = activation_name(model.blocks.blocks.mlp.activation, "gelu_pytorch_tanh", GEMMA_ACTIVATIONS)
    return {**_settings(model), "hidden_act": activation,
            "attention_bias": model.blocks.blocks.attention.query.bias is not None}


def _read_gemma2(config: Config) -> Llama:
    config.expect(use_bidirectional_attention=False)
    config.take("hidden_act", None)  # a copy of hidden_activation
    size = _size(config, groups=4, head=256)
    kinds = _kinds(config, tuple(1 - layer % 2 for layer in range(size.layers)))
    return gemma2(size, activation=config.activation("hidden_activation", "gelu_pytorch_tanh"),
                  bias=config.take("attention_bias", False), asked=config.take("query_pre_attn_scalar", 256),
                  cap=config.given("attn_logit_softcapping", 50.0),
                  last_cap=config.given("final_logit_softcapping", 30.0), reach=config.given("sliding_window", 4096),
                  kinds=tuple(1 - kind for kind in kinds), **_choices(config, size, tied=True))


def _write_gemma2(model: Llama) -> Settings:
    attention, activation = model.blocks.blocks.attention, model.blocks.blocks.mlp.activation
    return {**_settings(model), "hidden_activation": activation_name(activation, "gelu_pytorch_tanh"),
            "attention_bias": attention.query.bias is not None,
            "query_pre_attn_scalar": round((attention.scale or 1.0) ** -2),
            "attn_logit_softcapping": getattr(attention.core, "cap", None), "final_logit_softcapping": model.cap,
            "layer_types": [SIGHT[1 - kind] for kind in model.blocks.kinds], "sliding_window": model.windows[0]}


def _read_mixtral(config: Config) -> Llama:
    size = _size(config, groups=8, kind=ExpertSize, experts=config.take("num_local_experts", 8))
    return mixtral(size, activation=config.activation("hidden_act", "silu"),
                   chosen=config.take("num_experts_per_tok", 2), reach=config.given("sliding_window", None),
                   **_choices(config, size, 1e6, epsilon=1e-5))


def _write_mixtral(model: Llama) -> Settings:
    experts = model.blocks.blocks.mlp
    if not isinstance(experts, Experts):
        raise Mistake("its feed-forward layers are not experts")
    return {**_settings(model), "num_local_experts": experts.router.kernel.shape[-1],
            "num_experts_per_tok": experts.chosen, "sliding_window": model.windows[0]}


def _family(kind: str, name: str, read: Callable[[Config], Llama], write: Callable[[Llama], Settings],
            rows: tuple[Row, ...] = KIN) -> tuple[Family, ...]:
    return decoders(kind, name, Llama, read, write, rows, "model.", {"lm_head.weight": "model.embed_tokens.weight"},
                    ("layers.*.rotary_emb.inv_freq",))


FAMILIES = (
    *_family("llama", "Llama", _read_llama, _write_llama),
    *_family("mistral", "Mistral", _read_mistral, _write_mistral),
    *_family("qwen2", "Qwen2", _read_qwen(qwen2, 0), _write_qwen),
    *_family("qwen3", "Qwen3", _read_qwen(qwen3, 128, bias="attention_bias"), _write_qwen3),
    *_family("gemma", "Gemma", _read_gemma, _write_gemma),
    *_family("gemma2", "Gemma2", _read_gemma2, _write_gemma2, GEMMA2),
    *_family("mixtral", "Mixtral", _read_mixtral, _write_mixtral, MIXTRAL),
)
