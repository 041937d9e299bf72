"""Encoder-decoders of text: T5 1.0 and 1.1, BART, MarianMT."""
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from transformer.compiled import encoded
from transformer.huggingface import calls, encoders
from transformer.huggingface.config import Config, activation_name
from transformer.huggingface.encoders import norm
from transformer.huggingface.family import Call, Family
from transformer.huggingface.files import Stored
from transformer.huggingface.generate import generated
from transformer.huggingface.names import Row, after_ones, as_is, linear, vector
from transformer.layers import Embedding, GatedMlp
from transformer.looking import recording
from transformer.mistakes import Mistake
from transformer.models import bart, marian, t5
from transformer.models.bart import Bart
from transformer.models.t5 import T5

Array = jax.Array
Settings = dict[str, Any]


def answer(model: Any, call: Call) -> Mapping[str, Any]:
    """`forward`, `base` and `generate`, from text."""
    given = calls.asked(call, input_ids="source", attention_mask="present", decoder_input_ids="target",
                        decoder_attention_mask="target_present", labels="labels")
    return answered(model, call, given, ("forward", "base"), "generate")


def answered(model: Any, call: Call, given: dict[str, Any], kinds: tuple[str, ...], generate: str) -> Mapping[str, Any]:
    """The same from any source."""
    source, present = given["source"], given.get("present")
    if call.kind == generate:
        return _generated(model, call, given)
    calls.known(call, *kinds, generate)
    labels, target = given.get("labels"), given.get("target")
    if target is None:
        if labels is None:
            raise Mistake("an encoder-decoder is asked with labels or decoder_input_ids")
        target = shifted(labels, call.config)
    target_present = given.get("target_present")
    memory, hidden, encoded, decoded, logits = _decoded(model, source, target, present, target_present)
    outputs = {"encoder_last_hidden_state": memory, "encoder_hidden_states": encoded, "last_hidden_state": hidden,
               "decoder_hidden_states": decoded}
    if call.kind == "base":
        return outputs
    loss = {} if labels is None else {"loss": calls.cross_entropy(logits, labels)}
    return {**outputs, "logits": logits, **loss}


def shifted(labels: Array, config: Mapping[str, Any]) -> Array:
    """What the decoder is fed to say the labels: a start and all but the last, padding where nothing counts."""
    before = jnp.concatenate([jnp.full_like(labels[:, :1], config["decoder_start_token_id"]), labels[:, :-1]], 1)
    return jnp.where(before == calls.IGNORED, config["pad_token_id"], before)


def _generated(model: Any, call: Call, given: dict[str, Any]) -> Mapping[str, Any]:
    source, present = given["source"], given.get("present")
    settings = calls.settings(call)
    start = settings.get("decoder_start_token_id", call.config.get("decoder_start_token_id"))
    first = np.full((len(source), 1), start)
    prompt, there = given.get("target"), given.get("target_present")
    if prompt is None:
        prompt = first
    elif source.ndim == 2 and (np.asarray(prompt)[:, 0] != start).all():
        prompt = np.concatenate([first, prompt], 1)
        there = None if there is None else jnp.pad(there, ((0, 0), (1, 0)), constant_values=True)
    memory = encoded(model, source, present=present)
    return generated(model, settings, prompt, there, memory, present, source if source.ndim == 2 else None)


@jax.jit
def _decoded(model: Any, source: Array, target: Array, present: Array | None,
             target_present: Array | None) -> tuple[Array, ...]:
    watched, states = recording(model)
    hidden = watched.hidden(source, target, present=present, target_present=target_present)
    encoded, decoded = states.values()  # in the order in which they ran
    memory = model.encode(source, present=present)
    return memory, hidden, calls.finished(encoded, memory), calls.finished(decoded, hidden), model.logits(hidden)


# --- T5 --------------------------------------------------------------------------------------------------------------

QKV = {"q": "query", "k": "key", "v": "value", "o": "out"}


def _t5_side(side: str, mlp: int) -> tuple[Row, ...]:
    block, ours = f"{side}.block.{{layer}}.layer.", f"{side}.blocks.blocks.{{layer}}."
    gate = ours + "mlp.gate.kernel"
    return (
        Row(f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight", f"{side}.bias.table", as_is),
        *(Row(f"{block}0.SelfAttention.{part}.weight", f"{ours}attention.{own}.kernel") for part, own in QKV.items()),
        Row(block + "0.layer_norm.weight", ours + "attention_norm.scale", vector),
        *(Row(f"{block}1.EncDecAttention.{part}.weight", f"{ours}cross.{own}.kernel") for part, own in QKV.items()),
        Row(block + "1.layer_norm.weight", ours + "cross_norm.scale", vector, beside=ours + "cross_norm.scale"),
        Row(f"{block}{mlp}.DenseReluDense.wi.weight", ours + "mlp.up.kernel", without=gate),
        Row(f"{block}{mlp}.DenseReluDense.wi_0.weight", gate),
        Row(f"{block}{mlp}.DenseReluDense.wi_1.weight", ours + "mlp.up.kernel", beside=gate),
        Row(f"{block}{mlp}.DenseReluDense.wo.weight", ours + "mlp.down.kernel"),
        Row(f"{block}{mlp}.layer_norm.weight", ours + "mlp_norm.scale", vector),
        Row(f"{side}.final_layer_norm.weight", f"{side}.norm.scale", vector),
    )


T5_ROWS = (
    Row("shared.weight", "tokens.table", as_is),
    *_t5_side("encoder", mlp=1),
    *_t5_side("decoder", mlp=2),
    Row("lm_head.weight", "head.kernel"),
)
T5_TABLES = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
# By their name of it, what the first and the gated versions call gelu.
GATED = {"gelu": "gelu_new"}


def _t5_size(config: Config) -> t5.Size:
    config.take("n_positions", 0)  # there is no limit
    return t5.Size(config.take("vocab_size"), config.take("num_layers"), config.take("d_model"),
                   config.take("num_heads"), config.take("d_kv"), config.take("d_ff"),
                   config.take("relative_attention_num_buckets", 32),
                   config.take("relative_attention_max_distance", 128))


def _t5_mlp(config: Config) -> tuple[bool, str]:
    """Whether it is gated, and their name of the activation: `relu`, `gated-gelu`, ..."""
    said = config.take("feed_forward_proj", "relu")
    before, _, activation = said.rpartition("-")
    if before not in ("", "gated"):
        raise Mistake(f"{config.where}: feed_forward_proj is {said!r}; there are relu, gated-gelu and other "
                      f"activations, gated or not")
    gated = before == "gated"
    config.expect(is_gated_act=gated)
    return gated, config.take("dense_act_fn", GATED.get(activation, activation) if gated else activation)


def _told_t5(settings: Settings, there: Mapping[str, Stored]) -> Settings:
    """transformers 5 says of every T5 that its head is tied; it is, unless the file has another one. What was said of it
    decides only whether the head reads the decoder's vectors scaled."""
    scaled = settings.get("scale_decoder_outputs", settings.get("tie_word_embeddings") is not False)
    table = next((there[name] for name in (*T5_TABLES, "lm_head.weight") if name in there), None)
    head = there.get("lm_head.weight", table)
    own = table is not None and head is not None and (
        table.shape != head.shape or not np.array_equal(table.read(), head.read()))
    return {**settings, "tie_word_embeddings": not own, "scale_decoder_outputs": scaled}


def _read_t5(config: Config) -> T5:
    size, tied = _t5_size(config), config.take("tie_word_embeddings", True)
    gated, activation = _t5_mlp(config)
    return T5.of(size, gated, config.take("dropout_rate", 0.0), config.take("num_decoder_layers", size.layers),
                 tied=tied, scaled=config.take("scale_decoder_outputs", tied),
                 activation=Config({"dense_act_fn": activation}, config.where).activation("dense_act_fn"),
                 epsilon=config.take("layer_norm_epsilon", 1e-6))


def _read_t5_encoder(config: Config) -> t5.Encoder:
    both = _read_t5(config)
    return t5.Encoder(both.tokens, both.encoder)


def _write_t5_side(tokens: Embedding, side: t5.Side) -> Settings:
    block = side.blocks.blocks
    layers, embed, heads, head = block.attention.query.kernel.shape
    gated = isinstance(block.mlp, GatedMlp)
    name = activation_name(block.mlp.activation, "gelu_new")
    said = {theirs: own for own, theirs in GATED.items()}.get(name, name) if gated else name
    return {"vocab_size": len(tokens.table), "d_model": embed, "d_kv": head, "num_heads": heads, "num_layers": layers,
            "d_ff": block.mlp.up.kernel.shape[-1], "feed_forward_proj": f"gated-{said}" if gated else said,
            "dense_act_fn": name, "is_gated_act": gated, "layer_norm_epsilon": side.norm.epsilon,
            "relative_attention_num_buckets": len(side.bias.table), "dropout_rate": side.dropout,
            "relative_attention_max_distance": side.bias.reach, "pad_token_id": 0, "eos_token_id": 1}


def _write_t5(model: T5) -> Settings:
    return {**_write_t5_side(model.tokens, model.encoder), "num_decoder_layers": len(model.decoder.blocks),
            "tie_word_embeddings": model.head is None, "scale_decoder_outputs": model.scaled,
            "is_encoder_decoder": True, "decoder_start_token_id": 0}


def _write_t5_encoder(model: t5.Encoder) -> Settings:
    return {**_write_t5_side(model.tokens, model.encoder), "is_encoder_decoder": False}


# --- BART and MarianMT -----------------------------------------------------------------------------------------------

PROJECTIONS = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "out"}
PARTS = {"fc1": "mlp.up", "fc2": "mlp.down"}


def block_rows(theirs: str, ours: str) -> tuple[Row, ...]:
    """A block as BART names it; Whisper's are called alike."""
    layers = [(f"{theirs}.layers.{{layer}}.{part}", f"{ours}.{{layer}}.{own}") for part, own in (
        *((f"self_attn.{part}", f"attention.{own}") for part, own in PROJECTIONS.items()),
        *((f"encoder_attn.{part}", f"cross.{own}") for part, own in PROJECTIONS.items()), *PARTS.items())]
    norms = [(f"{theirs}.layers.{{layer}}.{part}_layer_norm", f"{ours}.{{layer}}.{own}_norm")
             for part, own in (("self_attn", "attention"), ("encoder_attn", "cross"), ("final", "mlp"))]
    return (*(Row(part + ".weight", own + ".kernel", linear) for part, own in layers),
            *(Row(part + ".bias", own + ".bias", vector) for part, own in layers),
            *(row for pair in norms for row in norm(*pair)))


ROWS = (
    Row("model.shared.weight", "tokens.table", as_is, without="targets.table"),
    Row("model.encoder.embed_tokens.weight", "tokens.table", as_is, beside="targets.table"),
    Row("model.decoder.embed_tokens.weight", "targets.table", as_is),
    *(row for side in ("encoder", "decoder") for row in (
        Row(f"model.{side}.embed_positions.weight", f"{side}.positions.table", as_is),
        *norm(f"model.{side}.layernorm_embedding", f"{side}.norm"),
        *block_rows(f"model.{side}", f"{side}.blocks.blocks"))),
    Row("final_logits_bias", "bias", after_ones(1)),
)


def sizes(config: Config) -> Settings:
    """Both sides are alike but for their number of layers."""
    layers, heads, mlp = (config.take(f"encoder_{name}") for name in ("layers", "attention_heads", "ffn_dim"))
    config.expect(decoder_attention_heads=heads, decoder_ffn_dim=mlp, num_hidden_layers=layers)
    return {"vocab": config.take("vocab_size"), "layers": layers, "embed": config.take("d_model"), "heads": heads,
            "mlp": mlp}


def settings(block: Any, decoder_layers: int) -> Settings:
    """Of an encoder's blocks."""
    layers, embed, heads, _ = block.attention.query.kernel.shape
    mlp = block.mlp.up.kernel.shape[-1]
    return {"d_model": embed, "encoder_layers": layers, "decoder_layers": decoder_layers, "num_hidden_layers": layers,
            "encoder_attention_heads": heads, "decoder_attention_heads": heads, "encoder_ffn_dim": mlp,
            "decoder_ffn_dim": mlp, "tie_word_embeddings": True, "is_encoder_decoder": True,
            "activation_function": activation_name(block.mlp.activation, "gelu")}


def _choices(config: Config, activation: str) -> Settings:
    config.expect(tie_word_embeddings=True, normalize_before=False, add_final_layer_norm=False)
    for name in ("add_bias_logits", "force_bos_token_to_be_generated", "_num_labels"):
        config.take(name, None)  # of early versions, and nothing that these models depend on
    return {"decoder_layers": config.take("decoder_layers"), "dropout": config.take("dropout", 0.0),
            "activation": config.activation("activation_function", activation),
            "scaled": config.take("scale_embedding", False)}


def _read_bart(config: Config) -> Bart:
    config.expect(normalize_embedding=True, static_position_embeddings=False, extra_pos_embeddings=2)
    size = bart.Size(length=config.take("max_position_embeddings"), **sizes(config))
    return Bart.of(size, **_choices(config, "gelu"))


def _read_marian(config: Config) -> Bart:
    config.expect(normalize_embedding=False, static_position_embeddings=True)
    config.take("max_position_embeddings", None)  # sinusoids have no limit
    config.take("extra_pos_embeddings", None)
    shared, vocab = config.take("share_encoder_decoder_embeddings", True), config.take("vocab_size")
    targets = config.take("decoder_vocab_size", vocab)
    size = marian.Size(target_vocab=None if shared else targets, **sizes(config))
    return marian.marian(size, **_choices(config, "gelu"))


def _write(model: Bart) -> Settings:
    return {**settings(model.encoder.blocks.blocks, len(model.decoder.blocks)), "vocab_size": len(model.tokens.table),
            "scale_embedding": model.multiplier != 1.0, "dropout": model.encoder.dropout}


def _write_bart(model: Bart) -> Settings:
    if not isinstance(model.encoder.positions, bart.Learned):
        raise Mistake("its positions are not learned")
    places = len(model.encoder.positions.table) - model.encoder.positions.first
    return {**_write(model), "max_position_embeddings": places, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2,
            "decoder_start_token_id": 2}


def _write_marian(model: Bart) -> Settings:
    targets = model.tokens if model.targets is None else model.targets
    pad = min(len(model.tokens.table), len(targets.table)) - 1  # the last, which starts the decoder too
    return {**_write(model), "decoder_vocab_size": len(targets.table), "eos_token_id": 0, "pad_token_id": pad,
            "decoder_start_token_id": pad, "share_encoder_decoder_embeddings": model.targets is None}


BART_COPIES = {f"model.{name}.weight": "model.shared.weight" for name in ("encoder.embed_tokens", "decoder.embed_tokens")}

FAMILIES = (
    Family("t5", ("T5ForConditionalGeneration", "T5WithLMHeadModel"), (T5,), _read_t5, _write_t5, T5_ROWS, answer,
           copies=dict.fromkeys((*T5_TABLES[1:], "lm_head.weight"), "shared.weight"),
           ignored=("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",), told=_told_t5),
    Family("t5", ("T5EncoderModel",), (t5.Encoder,), _read_t5_encoder, _write_t5_encoder, T5_ROWS,
           encoders.encoder(encoders.nothing), copies={"encoder.embed_tokens.weight": "shared.weight"},
           ignored=("decoder.*", "lm_head.weight")),
    Family("bart", ("BartForConditionalGeneration",), (Bart,), _read_bart, _write_bart, ROWS, answer, prefix="model.",
           copies={**BART_COPIES, "lm_head.weight": "model.shared.weight"}, ignored=("encoder.version", "decoder.version")),
    Family("marian", ("MarianMTModel",), (Bart,), _read_marian, _write_marian, ROWS, answer, prefix="model.",
           copies={**BART_COPIES, "lm_head.weight": "model.decoder.embed_tokens.weight"},
           ignored=("encoder.embed_positions.weight", "decoder.embed_positions.weight")),
)
