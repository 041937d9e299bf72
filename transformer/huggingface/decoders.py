"""The decoders: OpenAI's (GPT, GPT-2, Image GPT), and LLaMA with its kin."""
import math
from collections.abc import Callable
from typing import Any

from transformer.experts import Experts
from transformer.huggingface import calls
from transformer.huggingface.config import ACTIVATIONS, Config, activation_name
from transformer.huggingface.family import Family
from transformer.huggingface.names import Row, as_is, conv1d, linear, vector
from transformer.layers import GatedMlp, gelu_tanh
from transformer.mistakes import Mistake
from transformer.models import gpt2, imagegpt, llama
from transformer.models.gpt import gpt
from transformer.models.gpt2 import GPT2
from transformer.models.llama import Llama
from transformer.models.llama_kin import ExpertSize, gemma, gemma2, mistral, mixtral, qwen2, qwen3
from transformer.positions import Linear, Llama3, Rotary, Yarn

Settings = dict[str, Any]

# --- OpenAI's: matrices kept [in, out], queries, keys and values in one ------------------------------------------------------

QKV = tuple(f"blocks.blocks.{{layer}}.attention.{part}" for part in ("query", "key", "value"))


def _openai(tokens: str, positions: str) -> tuple[Row, ...]:
    block, ours = "transformer.h.{layer}.", "blocks.blocks.{layer}."
    return (
        Row(f"transformer.{tokens}.weight", "tokens.table", as_is),
        Row(f"transformer.{positions}.weight", "positions.table", as_is),
        Row(block + "ln_1.weight", ours + "attention_norm.scale", vector),
        Row(block + "ln_1.bias", ours + "attention_norm.shift", vector),
        Row(block + "attn.c_attn.weight", tuple(path + ".kernel" for path in QKV), conv1d, along=1),
        Row(block + "attn.c_attn.bias", tuple(path + ".bias" for path in QKV), vector),
        Row(block + "attn.c_proj.weight", ours + "attention.out.kernel", conv1d),
        Row(block + "attn.c_proj.bias", ours + "attention.out.bias", vector),
        Row(block + "ln_2.weight", ours + "mlp_norm.scale", vector),
        Row(block + "ln_2.bias", ours + "mlp_norm.shift", vector),
        Row(block + "mlp.c_fc.weight", ours + "mlp.up.kernel", conv1d),
        Row(block + "mlp.c_fc.bias", ours + "mlp.up.bias", vector),
        Row(block + "mlp.c_proj.weight", ours + "mlp.down.kernel", conv1d),
        Row(block + "mlp.c_proj.bias", ours + "mlp.down.bias", vector),
        Row("transformer.ln_f.weight", "norm.scale", vector),
        Row("transformer.ln_f.bias", "norm.shift", vector),
        Row("lm_head.weight", "head.kernel", linear),
    )


def _openai_size(config: Config, kind: type[gpt2.Size] = gpt2.Size, wide: bool = True) -> Any:
    """`wide`: whether the width of its feed-forward layers can be set."""
    embed = config.take("n_embd")
    return kind(config.take("vocab_size"), config.take("n_positions"), config.take("n_layer"), embed, config.take("n_head"),
                config.take("n_inner", 0) if wide else 0)


def _plain_scores(config: Config) -> None:
    config.expect(scale_attn_weights=True, scale_attn_by_inverse_layer_idx=False, add_cross_attention=False)
    config.take("reorder_and_upcast_attn", False)  # scores are float32 here in any case


def _openai_settings(model: GPT2) -> Settings:
    block = model.blocks.blocks
    layers, embed, heads, _ = block.attention.query.kernel.shape
    return {"vocab_size": len(model.tokens.table), "n_positions": len(model.positions.table), "n_embd": embed, "n_layer": layers,
            "n_head": heads, "layer_norm_epsilon": block.attention_norm.epsilon, "tie_word_embeddings": model.head is None,
            "resid_pdrop": model.dropout, "embd_pdrop": model.dropout, "attn_pdrop": model.dropout}


def _read_gpt2(config: Config) -> GPT2:
    _plain_scores(config)
    return GPT2.of(_openai_size(config), config.take("resid_pdrop", 0.0), config.activation("activation_function", "gelu_new"),
                   config.take("layer_norm_epsilon", 1e-5), config.take("tie_word_embeddings", True))


def _write_gpt2(model: GPT2) -> Settings:
    mlp = model.blocks.blocks.mlp
    return {**_openai_settings(model), "n_inner": mlp.up.kernel.shape[-1],
            "activation_function": activation_name(mlp.activation, "gelu_new")}


GPT_ACTIVATIONS = {"gelu": gelu_tanh, "relu": ACTIVATIONS["relu"], "silu": ACTIVATIONS["silu"], "swish": ACTIVATIONS["silu"]}


def _read_gpt(config: Config) -> GPT2:
    return gpt(_openai_size(config, wide=False), config.take("resid_pdrop", 0.0), config.activation("afn", "gelu", GPT_ACTIVATIONS),
               config.take("layer_norm_epsilon", 1e-5), config.take("tie_word_embeddings", True))


def _write_gpt(model: GPT2) -> Settings:
    return {**_openai_settings(model), "afn": activation_name(model.blocks.blocks.mlp.activation, known=GPT_ACTIVATIONS)}


def _read_imagegpt(config: Config) -> GPT2:
    _plain_scores(config)
    config.expect(tie_word_embeddings=False)
    return imagegpt.imagegpt(_openai_size(config, imagegpt.Size), config.take("resid_pdrop", 0.0),
                             config.activation("activation_function", "quick_gelu"), config.take("layer_norm_epsilon", 1e-5))


# --- LLaMA and its kin -------------------------------------------------------------------------------------------------------

def _kin(*also: Row) -> tuple[Row, ...]:
    block, ours = "model.layers.{layer}.", "blocks.blocks.{layer}."
    attention = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "o_proj": "out"}
    return (
        Row("model.embed_tokens.weight", "tokens.table", as_is),
        Row(block + "input_layernorm.weight", ours + "attention_norm.scale", vector),
        *(Row(f"{block}self_attn.{part}.weight", f"{ours}attention.{own}.kernel") for part, own in attention.items()),
        *(Row(f"{block}self_attn.{part}.bias", f"{ours}attention.{own}.bias", vector) for part, own in attention.items()),
        *(Row(f"{block}self_attn.{part}_norm.weight", f"{ours}attention.{own}_norm.scale", vector)
          for part, own in (("q", "query"), ("k", "key"))),
        *(Row(f"{block}mlp.{part}_proj.weight", f"{ours}mlp.{part}.kernel") for part in ("gate", "up", "down")),
        *(Row(f"{block}mlp.{part}_proj.bias", f"{ours}mlp.{part}.bias", vector) for part in ("gate", "up", "down")),
        Row("model.norm.weight", "norm.scale", vector),
        Row("lm_head.weight", "head.kernel"),
        *also,
    )


KIN = _kin(Row("model.layers.{layer}.post_attention_layernorm.weight", "blocks.blocks.{layer}.mlp_norm.scale", vector))
GEMMA2 = _kin(*(Row(f"model.layers.{{layer}}.{theirs}_layernorm.weight", f"blocks.blocks.{{layer}}.{own}.scale", vector)
                for theirs, own in (("post_attention", "attention_after"), ("pre_feedforward", "mlp_norm"),
                                    ("post_feedforward", "mlp_after"))))
MIXTRAL = (
    *KIN,
    Row("model.layers.{layer}.block_sparse_moe.gate.weight", "blocks.blocks.{layer}.mlp.router.kernel"),
    *(Row(f"model.layers.{{layer}}.block_sparse_moe.experts.{{expert}}.{theirs}.weight", f"blocks.blocks.{{layer}}.mlp.{own}")
      for theirs, own in (("w1", "gate"), ("w3", "up"), ("w2", "down"))),
)


def _size(config: Config, groups: int | None = None, head: int = 0, kind: type[llama.Size] = llama.Size, **more: int) -> Any:
    heads = config.take("num_attention_heads")
    return kind(config.take("vocab_size"), config.take("num_hidden_layers"), config.take("hidden_size"), heads,
                config.take("num_key_value_heads", groups or heads), config.take("intermediate_size"),
                config.take("head_dim", head), **more)


def _choices(config: Config, size: llama.Size, theta: float = 10_000.0, tied: bool = False, epsilon: float = 1e-6) -> Settings:
    return {"rotary": _read_rotary(config, size.head, theta), "epsilon": config.take("rms_norm_eps", epsilon),
            "tied": config.take("tie_word_embeddings", tied)}


def _settings(model: Llama) -> Settings:
    block = model.blocks.blocks
    layers, embed, heads, head = block.attention.query.kernel.shape
    if not isinstance(block.mlp, GatedMlp | Experts):
        raise Mistake("its feed-forward layers are not gated")
    gate = block.mlp.gate if isinstance(block.mlp, Experts) else block.mlp.gate.kernel
    return {"vocab_size": len(model.tokens.table), "hidden_size": embed, "num_hidden_layers": layers, "num_attention_heads": heads,
            "num_key_value_heads": block.attention.key.kernel.shape[-2], "head_dim": head, "intermediate_size": gate.shape[-1],
            "hidden_act": activation_name(block.mlp.activation, "silu"), "rms_norm_eps": model.norm.epsilon,
            "tie_word_embeddings": model.head is None, **_write_rotary(model.rotary)}


def _read_rotary(config: Config, head: int, theta: float) -> Rotary:
    """From `rope_parameters`, or in the words of before transformers 5 from `rope_theta` and `rope_scaling`."""
    length, theta = config.take("max_position_embeddings", 0), config.take("rope_theta", theta)
    config.expect(partial_rotary_factor=1.0)
    new, old = config.take("rope_parameters", {}), config.take("rope_scaling", {})
    rope = Config(old or new, f"{config.where}, {'rope_scaling' if old else 'rope_parameters'}")
    rope.expect(partial_rotary_factor=1.0)
    theta = float(rope.take("rope_theta", theta))
    kind = rope.take("rope_type", rope.take("type", "default"))
    context = config.take("original_max_position_embeddings", rope.take("original_max_position_embeddings", length))
    if kind == "default":
        rotary = Rotary(head, theta)
    elif kind == "linear":
        rotary = Rotary(head, theta, Linear(float(rope.take("factor"))))
    elif kind == "llama3":
        slow, fast = float(rope.take("low_freq_factor")), float(rope.take("high_freq_factor"))
        rotary = Rotary(head, theta, Llama3(float(rope.take("factor")), slow, fast, context))
    elif kind == "yarn":
        factor = float(rope.take("factor", length / max(context, 1)))
        slow, fast = float(rope.take("beta_slow", 1.0) or 1.0), float(rope.take("beta_fast", 32.0) or 32.0)
        scaling = Yarn(factor, slow, fast, context, theta, rope.take("truncate", True))
        rotary = Rotary(head, theta, scaling, _sharpened(rope, factor))
    else:
        raise Mistake(f"{rope.where}: the rope_type {kind!r} is not supported; there are default, linear, llama3 and yarn")
    rope.settle()
    return rotary


def _sharpened(rope: Config, factor: float) -> float:
    """YaRN's factor on the turned vectors: given, or from the scale, or from DeepSeek's two numbers."""

    def by(weight: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0

    above, below = rope.take("mscale", 0.0), rope.take("mscale_all_dim", 0.0)
    return float(rope.take("attention_factor", by(above) / by(below) if above and below else by(1.0)))


def _write_rotary(rotary: Rotary) -> Settings:
    rope: Settings = {"rope_theta": rotary.theta}
    match rotary.scaling:
        case None:
            return {"rope_parameters": rope | {"rope_type": "default"}}
        case Linear(factor):
            return {"rope_parameters": rope | {"rope_type": "linear", "factor": factor}}
        case Llama3(factor, slow, fast, context):
            rope |= {"rope_type": "llama3", "factor": factor, "low_freq_factor": slow, "high_freq_factor": fast}
        case Yarn(factor, slow, fast, context, _, whole):
            rope |= {"rope_type": "yarn", "factor": factor, "beta_slow": slow, "beta_fast": fast,
                     "attention_factor": rotary.amplitude, **({} if whole else {"truncate": False})}
        case other:
            raise Mistake(f"Hugging Face has no name for the scaling of rotary positions {other!r}")
    return {"rope_parameters": rope | {"original_max_position_embeddings": context},
            "max_position_embeddings": int(context * factor)}


def _read_llama(config: Config) -> Llama:
    size = _size(config)
    choices = _choices(config, size)
    block = llama.plain(size, choices["epsilon"], config.activation("hidden_act", "silu"), config.take("attention_bias", False),
                        config.take("mlp_bias", False))
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


def _read_qwen(build: Callable[..., Llama], head: int, **more: Any) -> Callable[[Config], Llama]:
    def read(config: Config) -> Llama:
        size = _size(config, groups=32, head=head)
        reach, first = config.given("sliding_window", 4096), config.take("max_window_layers", 28)
        near = config.take("use_sliding_window", False) and reach is not None
        types = config.take("layer_types", [SIGHT[layer >= first] for layer in range(size.layers)])
        sight = {"windows": (None, reach), "kinds": tuple(map(SIGHT.index, types))} if near else {}
        extra = {ours: config.take(theirs, False) for ours, theirs in more.items()}
        return build(size, activation=config.activation("hidden_act", "silu"), **_choices(config, size), **sight, **extra)

    return read


def _write_qwen(model: Llama) -> Settings:
    kinds = model.blocks.kinds or (0,) * len(model.blocks)
    return {**_settings(model), "use_sliding_window": len(model.windows) > 1, "layer_types": [SIGHT[kind] for kind in kinds],
            **({"sliding_window": model.windows[1]} if len(model.windows) > 1 else {})}


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
    types = config.take("layer_types", [SIGHT[layer % 2 == 0] for layer in range(size.layers)])
    return gemma2(size, activation=config.activation("hidden_activation", "gelu_pytorch_tanh"),
                  bias=config.take("attention_bias", False), asked=config.take("query_pre_attn_scalar", 256),
                  cap=config.given("attn_logit_softcapping", 50.0), last_cap=config.given("final_logit_softcapping", 30.0),
                  kinds=tuple(1 - SIGHT.index(kind) for kind in types), reach=config.given("sliding_window", 4096),
                  **_choices(config, size, tied=True))


def _write_gemma2(model: Llama) -> Settings:
    attention, settings = model.blocks.blocks.attention, _settings(model)
    return {**settings, "hidden_activation": activation_name(model.blocks.blocks.mlp.activation, "gelu_pytorch_tanh"),
            "attention_bias": attention.query.bias is not None, "query_pre_attn_scalar": round((attention.scale or 1.0) ** -2),
            "attn_logit_softcapping": getattr(attention.core, "cap", None), "final_logit_softcapping": model.cap,
            "layer_types": [SIGHT[1 - kind] for kind in model.blocks.kinds], "sliding_window": model.windows[0]}


def _read_mixtral(config: Config) -> Llama:
    size = _size(config, groups=8, kind=ExpertSize, experts=config.take("num_local_experts", 8))
    return mixtral(size, activation=config.activation("hidden_act", "silu"), chosen=config.take("num_experts_per_tok", 2),
                   reach=config.given("sliding_window", None), **_choices(config, size, 1e6, epsilon=1e-5))


def _write_mixtral(model: Llama) -> Settings:
    experts = model.blocks.blocks.mlp
    if not isinstance(experts, Experts):
        raise Mistake("its feed-forward layers are not experts")
    return {**_settings(model), "num_local_experts": experts.router.kernel.shape[-1], "num_experts_per_tok": experts.chosen,
            "sliding_window": model.windows[0]}


# --- all of them --------------------------------------------------------------------------------------------------------------

def _of_openai(kind: str, name: str, read: Callable[[Config], GPT2], write: Callable[[GPT2], Settings],
               tables: tuple[str, str] = ("wte", "wpe")) -> Family:
    return Family(kind, (name,), (GPT2,), read, write, _openai(*tables), calls.decoder, prefix="transformer.",
                  copies={"lm_head.weight": f"transformer.{tables[0]}.weight"},
                  ignored=("h.*.attn.bias", "h.*.attn.masked_bias", "position_ids"))


def _of_kin(kind: str, name: str, read: Callable[[Config], Llama], write: Callable[[Llama], Settings],
            rows: tuple[Row, ...] = KIN) -> Family:
    return Family(kind, (name,), (Llama,), read, write, rows, calls.decoder, prefix="model.",
                  copies={"lm_head.weight": "model.embed_tokens.weight"}, ignored=("layers.*.rotary_emb.inv_freq",))


FAMILIES = (
    _of_openai("openai-gpt", "OpenAIGPTLMHeadModel", _read_gpt, _write_gpt, ("tokens_embed", "positions_embed")),
    _of_openai("gpt2", "GPT2LMHeadModel", _read_gpt2, _write_gpt2),
    _of_openai("imagegpt", "ImageGPTForCausalImageModeling", _read_imagegpt, _write_gpt2),
    _of_kin("llama", "LlamaForCausalLM", _read_llama, _write_llama),
    _of_kin("mistral", "MistralForCausalLM", _read_mistral, _write_mistral),
    _of_kin("qwen2", "Qwen2ForCausalLM", _read_qwen(qwen2, 0), _write_qwen),
    _of_kin("qwen3", "Qwen3ForCausalLM", _read_qwen(qwen3, 128, bias="attention_bias"), _write_qwen3),
    _of_kin("gemma", "GemmaForCausalLM", _read_gemma, _write_gemma),
    _of_kin("gemma2", "Gemma2ForCausalLM", _read_gemma2, _write_gemma2, GEMMA2),
    _of_kin("mixtral", "MixtralForCausalLM", _read_mixtral, _write_mixtral, MIXTRAL),
)
