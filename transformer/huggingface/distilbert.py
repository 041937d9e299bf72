"""DistilBERT, with the heads it comes with."""
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax

from transformer.huggingface.bert import ClassSize, tables
from transformer.huggingface.config import Config, activation_name
from transformer.huggingface.encoders import (
    Settings,
    answers,
    classes,
    dense,
    encoder,
    labelled,
    labels,
    norm,
    nothing,
    parts,
    tags,
    words,
)
from transformer.huggingface.family import Family
from transformer.huggingface.names import Row, prefixed, vector
from transformer.mistakes import Mistake
from transformer.models.bert import Bert, Masked, MaskedHead, Pooler, TextClasses, TokenClasses

ENCODER = (
    *tables(word_embeddings="tokens", position_embeddings="positions"),
    *parts("transformer.layer.{layer}.",
           {"attention.q_lin": "attention.query", "attention.k_lin": "attention.key", "attention.v_lin": "attention.value",
            "attention.out_lin": "attention.out", "ffn.lin1": "mlp.up", "ffn.lin2": "mlp.down"},
           {"sa_layer_norm": "attention_norm", "output_layer_norm": "mlp_norm"}),
)
INSIDE = prefixed(ENCODER, "distilbert.", "encoder.")
WORDS = (*dense("vocab_transform", "masked.dense"), *norm("vocab_layer_norm", "masked.norm"),
         Row("vocab_projector.bias", "masked.bias", vector))


def _size(config: Config, classes: int = 0) -> ClassSize:
    return ClassSize(config.take("vocab_size"), config.take("max_position_embeddings"), 0, config.take("n_layers"),
                     config.take("dim"), config.take("n_heads"), config.take("hidden_dim"), classes)


def _read(config: Config) -> Bert:
    config.expect(tie_word_embeddings=True, tie_weights_=True)
    config.take("sinusoidal_pos_embds", False)  # how the table is born
    return Bert.of(_size(config), config.take("dropout", 0.1), activation=config.activation("activation", "gelu"))


def _read_masked(config: Config) -> Masked:
    return Masked(_read(config), MaskedHead.of(_size(config), activation=config.activation("activation", "gelu")))


def _read_text(config: Config) -> TextClasses:
    size, late = _size(config, labels(config)), config.take("seq_classif_dropout", 0.2)
    return replace(TextClasses.of(_read(config), size, late), pooler=Pooler.of(size, jax.nn.relu))


def _read_token(config: Config) -> TokenClasses:
    return TokenClasses.of(_read(config), _size(config, labels(config)), config.take("dropout", 0.1))


def _read_answers(config: Config) -> TokenClasses:
    return TokenClasses.of(_read(config), _size(config, 2), config.take("qa_dropout", 0.1))


def _write_bert(model: Bert) -> Settings:
    if not isinstance(model, Bert):
        raise Mistake(f"its encoder is a {type(model).__name__}")
    block = model.blocks.blocks
    layers, embed, heads, _ = block.attention.query.kernel.shape
    return {"vocab_size": len(model.tokens.table), "max_position_embeddings": len(model.positions.table),
            "n_layers": layers, "dim": embed, "n_heads": heads, "hidden_dim": block.mlp.up.kernel.shape[-1],
            "activation": activation_name(block.mlp.activation, "gelu"), "dropout": model.dropout,
            "attention_dropout": model.dropout}


def _write(model: Masked | TokenClasses) -> Settings:
    return _write_bert(model.encoder)


def _write_classes(model: TextClasses | TokenClasses) -> Settings:
    return {**_write_bert(model.encoder), **labelled(model.head.kernel.shape[-1])}


HEADS = ("vocab_transform.*", "vocab_layer_norm.*", "vocab_projector.*", "pre_classifier.*", "classifier.*", "qa_outputs.*")


def _family(name: str, model: type, read: Callable[[Config], Any], write: Callable[[Any], Settings],
            rows: tuple[Row, ...], call: Any) -> Family:
    return Family("distilbert", (name,), (model,), read, write, rows, call, prefix="distilbert.",
                  copies={"vocab_projector.weight": "distilbert.embeddings.word_embeddings.weight"}
                  if model is Masked else {}, ignored=("embeddings.position_ids", *HEADS))


FAMILIES = (
    _family("DistilBertForMaskedLM", Masked, _read_masked, _write, (*INSIDE, *WORDS), encoder(words, "labels")),
    _family("DistilBertForSequenceClassification", TextClasses, _read_text, _write_classes,
            (*INSIDE, *dense("pre_classifier", "pooler.dense"), *dense("classifier", "head")), encoder(classes, "labels")),
    _family("DistilBertForTokenClassification", TokenClasses, _read_token, _write_classes,
            (*INSIDE, *dense("classifier", "head")), encoder(tags, "labels")),
    _family("DistilBertForQuestionAnswering", TokenClasses, _read_answers, _write,
            (*INSIDE, *dense("qa_outputs", "head")), encoder(answers, "start_positions", "end_positions")),
    _family("DistilBertModel", Bert, _read, _write_bert, ENCODER, encoder(nothing)),
)
