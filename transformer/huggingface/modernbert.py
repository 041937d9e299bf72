"""ModernBERT, with the heads it comes with."""
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from transformer.huggingface import rotary
from transformer.huggingface.calls import IGNORED, cross_entropy, loss_of_classes
from transformer.huggingface.config import Config, activation_name
from transformer.huggingface.encoders import (
    Outputs,
    Seen,
    Settings,
    answers,
    dense,
    encoder,
    labelled,
    labels,
    norm,
    nothing,
    tags,
    words,
)
from transformer.huggingface.family import Call, Family
from transformer.huggingface.names import Row, as_is, prefixed, vector
from transformer.mistakes import Mistake
from transformer.models import modernbert
from transformer.models.bi_encoder import first, mean
from transformer.models.modernbert import ModernBert
from transformer.positions import Rotary

POOLINGS = {"cls": first, "mean": mean}
LAYER, OWN = "layers.{layer}.", "blocks.blocks.{layer}."
ENCODER = (
    Row("embeddings.tok_embeddings.weight", "tokens.table", as_is),
    *norm("embeddings.norm", "embedding_norm"),
    *norm(LAYER + "attn_norm", OWN + "attention_norm"),
    Row(LAYER + "attn.Wqkv.weight", tuple(f"{OWN}attention.{part}.kernel" for part in ("query", "key", "value"))),
    Row(LAYER + "attn.Wo.weight", OWN + "attention.out.kernel"),
    *norm(LAYER + "mlp_norm", OWN + "mlp_norm"),
    Row(LAYER + "mlp.Wi.weight", (OWN + "mlp.gate.kernel", OWN + "mlp.up.kernel")),
    Row(LAYER + "mlp.Wo.weight", OWN + "mlp.down.kernel"),
    *norm("final_norm", "norm"),
)
SHAPED = (*prefixed(ENCODER, "model.", "encoder."), *dense("head.dense", "dense"), *norm("head.norm", "norm"))
TAGGED = (*SHAPED, *dense("classifier", "head"))


SIGHT = ("full_attention", "sliding_attention")
THETAS = (("global_rope_theta", 160_000.0), ("local_rope_theta", 10_000.0))  # in the words of before transformers 5


Parts = tuple[modernbert.Size, dict[str, Any], Rotary, Rotary]


def _choices(config: Config) -> Parts:
    """A size and choices, and how far and near positions turn."""
    config.expect(attention_bias=False, mlp_bias=False, norm_bias=False, classifier_bias=False, decoder_bias=True,
                  tie_word_embeddings=True)
    for unused in ("layer_norm_eps", "position_embedding_type", "max_position_embeddings", "classifier_pooling",
                   "classifier_dropout", "sparse_prediction", "sparse_pred_ignore_index", "deterministic_flash_attn",
                   "reference_compile", "repad_logits_with_grad"):
        config.take(unused, None)
    size = modernbert.Size(config.take("vocab_size"), config.take("num_hidden_layers"), config.take("hidden_size"),
                           config.take("num_attention_heads"), config.take("intermediate_size"),
                           config.take("local_attention", 128), config.take("global_attn_every_n_layers", 3))
    types = config.take("layer_types", [SIGHT[layer % size.every != 0] for layer in range(size.layers)])
    if set(types) - set(SIGHT) or len(types) != size.layers:
        raise Mistake(f"{config.where}: layer_types are {types}, and there must be {size.layers} "
                      f"of {' and '.join(SIGHT)}")
    choices = {"epsilon": config.take("norm_eps", 1e-5), "activation": config.activation("hidden_activation", "gelu"),
               "dropout": config.take("mlp_dropout", 0.0), "kinds": tuple(map(SIGHT.index, types))}
    far, near = _rotaries(config, size.head)
    return size, choices, far, near


def _headed(config: Config) -> Parts:
    size, choices, far, near = _choices(config)
    return size, {**choices, "head_activation": config.activation("classifier_activation", "gelu")}, far, near


def _read(config: Config) -> ModernBert:
    size, choices, far, near = _choices(config)
    config.take("classifier_activation", None)
    return replace(ModernBert.of(size, **choices), far=far, near=near)


def _read_masked(config: Config) -> modernbert.Masked:
    size, choices, far, near = _headed(config)
    model = modernbert.Masked.of(size, **choices)
    return replace(model, encoder=replace(model.encoder, far=far, near=near))


def _read_tokens(config: Config, count: int | None = None) -> modernbert.TokenClasses:
    size, choices, far, near = _headed(config)
    model = modernbert.TokenClasses.of(size, count or labels(config), **choices)
    return replace(model, encoder=replace(model.encoder, far=far, near=near))


def _read_text(config: Config) -> modernbert.TextClasses:
    pool = config.take("classifier_pooling", "cls")
    if pool not in POOLINGS:
        raise Mistake(f"{config.where}: classifier_pooling is {pool!r}; there are {', '.join(POOLINGS)}")
    return modernbert.TextClasses(_read_tokens(config), POOLINGS[pool])


def _rotaries(config: Config, head: int) -> list[Rotary]:
    ropes, found = config.take("rope_parameters", {}), []
    for kind, (theirs, default) in zip(SIGHT, THETAS, strict=True):
        theta = config.take(theirs, default)
        rope = Config({"rope_parameters": ropes.get(kind, {})}, f"{config.where}, {kind}")
        found.append(rotary.read(rope, head, theta))
    if set(ropes) - set(SIGHT):
        raise Mistake(f"{config.where}: rope_parameters are of {', '.join(ropes)}, and there are {', '.join(SIGHT)}")
    return found


def _write(encoder: ModernBert) -> Settings:
    if not isinstance(encoder.blocks.blocks, tuple):
        raise Mistake("its blocks are all alike, and the first should have no norm before its attention")
    block = encoder.blocks.blocks[0]
    embed, heads, _ = block.attention.query.kernel.shape
    ropes = (rotary.write(own)["rope_parameters"] for own in (encoder.far, encoder.near))
    return {"vocab_size": len(encoder.tokens.table), "num_hidden_layers": len(encoder.blocks), "hidden_size": embed,
            "num_attention_heads": heads, "intermediate_size": block.mlp.up.kernel.shape[-1],
            "local_attention": 2 * (encoder.reach - 1), "norm_eps": encoder.norm.epsilon,
            "layer_types": [SIGHT[kind] for kind in encoder.blocks.kinds],
            "rope_parameters": dict(zip(SIGHT, ropes, strict=True)),
            "hidden_activation": activation_name(block.mlp.activation, "gelu"), "mlp_dropout": encoder.dropout,
            "attention_dropout": encoder.dropout, "embedding_dropout": encoder.dropout, "pad_token_id": None,
            "cls_token_id": None, "sep_token_id": None}


def _write_headed(model: modernbert.Masked | modernbert.TokenClasses) -> Settings:
    return {**_write(model.encoder), "classifier_activation": activation_name(model.activation, "gelu")}


def _write_tokens(model: modernbert.TokenClasses) -> Settings:
    return {**_write_headed(model), **labelled(model.head.kernel.shape[-1])}


def _write_text(model: modernbert.TextClasses) -> Settings:
    (pooling,) = (name for name, pool in POOLINGS.items() if pool is model.pool)
    return {**_write_tokens(model.tagger), "classifier_pooling": pooling}


def _words(model: modernbert.Masked, seen: Seen) -> Outputs:
    """With `sparse_prediction`, of the words that a loss is of only, side by side."""
    outputs, wanted, config = words(model, seen), seen.wanted.get("labels"), seen.call.config
    if wanted is None or not config.get("sparse_prediction"):
        return outputs
    counted = wanted.reshape(-1) != config.get("sparse_pred_ignore_index", IGNORED)
    logits, wanted = outputs["logits"].reshape(len(counted), -1)[counted], wanted.reshape(-1)[counted]
    return {"logits": logits, "loss": cross_entropy(logits, wanted)}


def _classes(model: modernbert.TextClasses, seen: Seen) -> Outputs:
    logits = model.logits(seen.hidden, seen.present)
    return {"logits": logits, **loss_of_classes(logits, seen.wanted.get("labels"), seen.call)}


def _family(name: str, model: type, read: Callable[[Config], Any], write: Callable[[Any], Settings],
            rows: tuple[Row, ...], call: Callable[[Any, Call], Outputs]) -> Family:
    return Family("modernbert", (name,), (model,), read, write, rows, call, prefix="model.",
                  copies={"decoder.weight": "model.embeddings.tok_embeddings.weight"}
                  if model is modernbert.Masked else {}, ignored=("head.*", "decoder.*", "classifier.*"))


FAMILIES = (
    _family("ModernBertForMaskedLM", modernbert.Masked, _read_masked, _write_headed,
            (*SHAPED, Row("decoder.bias", "bias", vector)), encoder(_words, "labels")),
    _family("ModernBertForSequenceClassification", modernbert.TextClasses, _read_text, _write_text,
            prefixed(TAGGED, "", "tagger."), encoder(_classes, "labels")),
    _family("ModernBertForTokenClassification", modernbert.TokenClasses, _read_tokens, _write_tokens, TAGGED,
            encoder(tags, "labels")),
    _family("ModernBertForQuestionAnswering", modernbert.TokenClasses, lambda config: _read_tokens(config, 2),
            _write_headed, TAGGED, encoder(answers, "start_positions", "end_positions")),
    _family("ModernBertModel", ModernBert, _read, _write, ENCODER, encoder(nothing)),
)
