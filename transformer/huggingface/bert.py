"""BERT and RoBERTa, the multilingual one too, each with the heads it comes with."""
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from transformer.huggingface.config import Config, activation_name
from transformer.huggingface.encoders import (
    Settings,
    answers,
    both,
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
from transformer.huggingface.names import Row, as_is, prefixed, vector
from transformer.mistakes import Mistake
from transformer.models.bert import (
    Bert,
    Masked,
    MaskedHead,
    Pooled,
    Pooler,
    Pretraining,
    Size,
    TextClasses,
    TokenClasses,
)
from transformer.models.roberta import Roberta


@dataclass(frozen=True)
class ClassSize(Size):
    classes: int = 2


# --- names -----------------------------------------------------------------------------------------------------------

def tables(**tables: str) -> tuple[Row, ...]:
    """What is looked up and added, and the norm after it."""
    return (*(Row(f"embeddings.{theirs}.weight", f"{own}.table", as_is) for theirs, own in tables.items()),
            *norm("embeddings.LayerNorm", "norm"))


ENCODER = (
    *tables(word_embeddings="tokens", position_embeddings="positions", token_type_embeddings="kinds"),
    *parts("encoder.layer.{layer}.",
           {"attention.self.query": "attention.query", "attention.self.key": "attention.key",
            "attention.self.value": "attention.value", "attention.output.dense": "attention.out",
            "intermediate.dense": "mlp.up", "output.dense": "mlp.down"},
           {"attention.output.LayerNorm": "attention_norm", "output.LayerNorm": "mlp_norm"}),
)
POOLER = dense("pooler.dense", "pooler.dense")
BERT = prefixed(ENCODER, "bert.", "encoder.")
WORDS = (
    *dense("cls.predictions.transform.dense", "masked.dense"),
    *norm("cls.predictions.transform.LayerNorm", "masked.norm"),
    Row("cls.predictions.bias", "masked.bias", vector),
)
ROBERTA = prefixed(ENCODER, "roberta.", "encoder.bert.")
ROBERTA_WORDS = (*dense("lm_head.dense", "masked.dense"), *norm("lm_head.layer_norm", "masked.norm"),
                 Row("lm_head.bias", "masked.bias", vector))


# --- settings --------------------------------------------------------------------------------------------------------

def _size(config: Config, classes: int = 0) -> ClassSize:
    size = ClassSize(config.take("vocab_size"), config.take("max_position_embeddings"),
                     config.take("type_vocab_size", 2), config.take("num_hidden_layers"), config.take("hidden_size"),
                     config.take("num_attention_heads"), config.take("intermediate_size"), classes)
    if size.kinds < 1:
        raise Mistake(f"{config.where}: type_vocab_size is {size.kinds}, and BERT has at least one kind of sentence")
    return size


def _choices(config: Config) -> Settings:
    config.expect(position_embedding_type="absolute", tie_word_embeddings=True, is_decoder=False)
    for unused in ("directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
                   "pooler_size_per_head", "pooler_type"):  # of Google's own files
        config.take(unused, None)
    return {"epsilon": config.take("layer_norm_eps", 1e-12), "activation": config.activation("hidden_act", "gelu"),
            "dropout": config.take("hidden_dropout_prob", 0.1)}


def _bert(config: Config) -> Bert:
    return Bert.of(_size(config), **_choices(config))


def _roberta(config: Config) -> Roberta:
    return Roberta(_bert(config), config.take("pad_token_id", 1))


def _late(config: Config) -> float:
    return config.take("classifier_dropout", config.take("hidden_dropout_prob", 0.1))


def _read_pretraining(config: Config) -> Pretraining:
    return Pretraining.of(_size(config), **_choices(config))


def _read_masked(config: Config) -> Masked:
    choices = _choices(config)
    return Masked(_bert(config), MaskedHead.of(_size(config), choices["epsilon"], choices["activation"]))


def _read_roberta_masked(config: Config) -> Masked:
    """The head's own activation is always GELU."""
    return Masked(_roberta(config), MaskedHead.of(_size(config), _choices(config)["epsilon"]))


Read = Callable[[Config], Any]


def _pooled(build: Read) -> Read:
    return lambda config: Pooled(build(config), Pooler.of(_size(config)))


def _text(build: Read) -> Read:
    return lambda config: TextClasses.of(build(config), _size(config, labels(config)), _late(config))


def _token(build: Read) -> Read:
    return lambda config: TokenClasses.of(build(config), _size(config, labels(config)), _late(config))


def _spans(build: Read) -> Read:
    return lambda config: TokenClasses.of(build(config), _size(config, 2))


def _read_follows(config: Config) -> TextClasses:
    return TextClasses.of(_bert(config), _size(config, 2))


def _settings(encoder: Any) -> Settings:
    if isinstance(encoder, Roberta):
        return {**_settings(encoder.bert), "pad_token_id": encoder.pad}
    if not isinstance(encoder, Bert) or encoder.kinds is None:
        raise Mistake(f"its encoder is a {type(encoder).__name__} without sentence kinds")
    block = encoder.blocks.blocks
    layers, embed, heads, _ = block.attention.query.kernel.shape
    return {"vocab_size": len(encoder.tokens.table), "max_position_embeddings": len(encoder.positions.table),
            "type_vocab_size": len(encoder.kinds.table), "num_hidden_layers": layers, "hidden_size": embed,
            "num_attention_heads": heads, "intermediate_size": block.mlp.up.kernel.shape[-1],
            "hidden_act": activation_name(block.mlp.activation, "gelu"), "layer_norm_eps": encoder.norm.epsilon,
            "hidden_dropout_prob": encoder.dropout, "attention_probs_dropout_prob": encoder.dropout}


def _write(model: Pretraining | Masked | Pooled | TextClasses | TokenClasses) -> Settings:
    return _settings(model.bert if isinstance(model, Pretraining) else model.encoder)


def _write_classes(model: TextClasses | TokenClasses) -> Settings:
    return {**_write(model), **labelled(model.head.kernel.shape[-1]), "classifier_dropout": model.dropout}


# --- families --------------------------------------------------------------------------------------------------------

POSITIONS = ("embeddings.position_ids", "embeddings.token_type_ids")
HEADS = ("pooler.*", "cls.*", "lm_head.*", "classifier.*", "qa_outputs.*")  # of other classes, which files may keep
TIED = {"cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias"}
ROBERTA_TIED = {"lm_head.decoder.weight": "roberta.embeddings.word_embeddings.weight",
                "lm_head.decoder.bias": "lm_head.bias"}
CLASSES, TAGS = encoder(classes, "labels"), encoder(tags, "labels")
SPANS = encoder(answers, "start_positions", "end_positions")


def _family(name: str, model: type, read: Read, write: Callable[[Any], Settings], rows: tuple[Row, ...], call: Any,
            copies: Mapping[str, str] | None = None, kind: str = "bert", prefix: str = "bert.") -> Family:
    return Family(kind, (name,), (model,), read, write, rows, call, prefix=prefix, copies=copies or {},
                  ignored=(*POSITIONS, *HEADS))


def _robertas(kind: str, name: str) -> tuple[Family, ...]:
    def one(head: str, model: type, read: Read, write: Callable[[Any], Settings], rows: tuple[Row, ...], call: Any,
            copies: Mapping[str, str] | None = None) -> Family:
        return _family(name + head, model, read, write, rows, call, copies, kind, "roberta.")

    text = (*ROBERTA, *dense("classifier.dense", "pooler.dense"), *dense("classifier.out_proj", "head"))
    return (
        one("ForMaskedLM", Masked, _read_roberta_masked, _write, (*ROBERTA, *ROBERTA_WORDS), encoder(words, "labels"),
            ROBERTA_TIED),
        one("ForSequenceClassification", TextClasses, _text(_roberta), _write_classes, text, CLASSES),
        one("ForTokenClassification", TokenClasses, _token(_roberta), _write_classes,
            (*ROBERTA, *dense("classifier", "head")), TAGS),
        one("ForQuestionAnswering", TokenClasses, _spans(_roberta), _write, (*ROBERTA, *dense("qa_outputs", "head")),
            SPANS),
        one("Model", Pooled, _pooled(_roberta), _write, (*prefixed(ENCODER, "", "encoder.bert."), *POOLER),
            encoder(nothing)),
    )


FAMILIES = (
    _family("BertForPreTraining", Pretraining, _read_pretraining, _write,
            (*prefixed(ENCODER, "bert.", "bert."), *prefixed(POOLER, "bert."), *WORDS,
             *dense("cls.seq_relationship", "verdict")),
            encoder(both, "labels", "next_sentence_label"), TIED),
    _family("BertForMaskedLM", Masked, _read_masked, _write, (*BERT, *WORDS), encoder(words, "labels"), TIED),
    _family("BertForSequenceClassification", TextClasses, _text(_bert), _write_classes,
            (*BERT, *prefixed(POOLER, "bert."), *dense("classifier", "head")), CLASSES),
    _family("BertForNextSentencePrediction", TextClasses, _read_follows, _write,
            (*BERT, *prefixed(POOLER, "bert."), *dense("cls.seq_relationship", "head")), CLASSES),
    _family("BertForTokenClassification", TokenClasses, _token(_bert), _write_classes,
            (*BERT, *dense("classifier", "head")), TAGS),
    _family("BertForQuestionAnswering", TokenClasses, _spans(_bert), _write, (*BERT, *dense("qa_outputs", "head")),
            SPANS),
    _family("BertModel", Pooled, _pooled(_bert), _write, (*prefixed(ENCODER, "", "encoder."), *POOLER),
            encoder(nothing)),
    *_robertas("roberta", "Roberta"),
    *_robertas("xlm-roberta", "XLMRoberta"),
)
