"""BERT and its kin: RoBERTa, DistilBERT, ModernBERT, each with the heads it comes with."""
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from transformer.huggingface import rotary
from transformer.huggingface.calls import IGNORED, asked, cross_entropy, finished, known
from transformer.huggingface.config import Config, activation_name
from transformer.huggingface.family import Call, Family
from transformer.huggingface.names import Row, as_is, prefixed, vector
from transformer.looking import recording
from transformer.mistakes import Mistake
from transformer.models import distilbert, modernbert, roberta
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

Array = jax.Array
Settings = dict[str, Any]
Outputs = Mapping[str, Any]
OURS = "blocks.blocks.{layer}."


@dataclass(frozen=True)
class ClassSize(Size):
    classes: int = 2


# --- names -----------------------------------------------------------------------------------------------------------

def dense(theirs: str, ours: str) -> tuple[Row, ...]:
    """A Linear, with a bias or without."""
    return Row(theirs + ".weight", ours + ".kernel"), Row(theirs + ".bias", ours + ".bias", vector)


def norm(theirs: str, ours: str) -> tuple[Row, ...]:
    return Row(theirs + ".weight", ours + ".scale", vector), Row(theirs + ".bias", ours + ".shift", vector)


def parts(block: str, linears: Mapping[str, str], norms: Mapping[str, str]) -> tuple[Row, ...]:
    """The rows of a block: theirs -> ours of its linear maps, and of its norms."""
    return (*(row for theirs, own in linears.items() for row in dense(block + theirs, OURS + own)),
            *(row for theirs, own in norms.items() for row in norm(block + theirs, OURS + own)))


def _tables(**tables: str) -> tuple[Row, ...]:
    return (*(Row(f"embeddings.{theirs}.weight", f"{own}.table", as_is) for theirs, own in tables.items()),
            *norm("embeddings.LayerNorm", "norm"))


ENCODER = (
    *_tables(word_embeddings="tokens", position_embeddings="positions", token_type_embeddings="kinds"),
    *parts("encoder.layer.{layer}.",
           {"attention.self.query": "attention.query", "attention.self.key": "attention.key",
            "attention.self.value": "attention.value", "attention.output.dense": "attention.out",
            "intermediate.dense": "mlp.up", "output.dense": "mlp.down"},
           {"attention.output.LayerNorm": "attention_norm", "output.LayerNorm": "mlp_norm"}),
)
MASKED = (
    *dense("cls.predictions.transform.dense", "masked.dense"),
    *norm("cls.predictions.transform.LayerNorm", "masked.norm"),
    Row("cls.predictions.bias", "masked.bias", vector),
)
BARE = (*prefixed(ENCODER, "", "encoder."), *dense("pooler.dense", "pooler.dense"))
BERT = (
    *prefixed(ENCODER, "bert.", "bert."), *prefixed(ENCODER, "bert.", "encoder."), *MASKED,
    *dense("bert.pooler.dense", "pooler.dense"), *dense("cls.seq_relationship", "verdict"),
    *dense("classifier", "head"),
)
ANSWERS = (*prefixed(ENCODER, "bert.", "encoder."), *dense("qa_outputs", "head"))
ROBERTA = (
    *prefixed(ENCODER, "roberta.", "encoder.bert."), *dense("lm_head.dense", "masked.dense"),
    *norm("lm_head.layer_norm", "masked.norm"), Row("lm_head.bias", "masked.bias", vector),
)
DISTILBERT = (
    *prefixed(_tables(word_embeddings="tokens", position_embeddings="positions"), "distilbert.", "encoder."),
    *prefixed(parts("transformer.layer.{layer}.",
                    {"attention.q_lin": "attention.query", "attention.k_lin": "attention.key",
                     "attention.v_lin": "attention.value", "attention.out_lin": "attention.out",
                     "ffn.lin1": "mlp.up", "ffn.lin2": "mlp.down"},
                    {"sa_layer_norm": "attention_norm", "output_layer_norm": "mlp_norm"}), "distilbert.", "encoder."),
    *dense("vocab_transform", "masked.dense"), *norm("vocab_layer_norm", "masked.norm"),
    Row("vocab_projector.bias", "masked.bias", vector),
)
LAYER, OWN = "model.layers.{layer}.", "encoder." + OURS
MODERNBERT = (
    Row("model.embeddings.tok_embeddings.weight", "encoder.tokens.table", as_is),
    *norm("model.embeddings.norm", "encoder.embedding_norm"),
    *norm(LAYER + "attn_norm", OWN + "attention_norm"),
    Row(LAYER + "attn.Wqkv.weight", tuple(f"{OWN}attention.{part}.kernel" for part in ("query", "key", "value"))),
    Row(LAYER + "attn.Wo.weight", OWN + "attention.out.kernel"),
    *norm(LAYER + "mlp_norm", OWN + "mlp_norm"),
    Row(LAYER + "mlp.Wi.weight", (OWN + "mlp.gate.kernel", OWN + "mlp.up.kernel")),
    Row(LAYER + "mlp.Wo.weight", OWN + "mlp.down.kernel"),
    *norm("model.final_norm", "encoder.norm"),
    *dense("head.dense", "dense"), *norm("head.norm", "norm"), Row("decoder.bias", "bias", vector),
)


# --- settings --------------------------------------------------------------------------------------------------------

def labels(config: Config) -> int:
    """How many classes there are."""
    names, count = config.take("id2label", {}), config.take("num_labels", 2)
    return len(names) or count


def labelled(classes: int) -> Settings:
    names = {str(label): f"LABEL_{label}" for label in range(classes)}
    return {"id2label": names, "label2id": {name: int(label) for label, name in names.items()}}


def _size(config: Config, classes: int = 0) -> ClassSize:
    size = ClassSize(config.take("vocab_size"), config.take("max_position_embeddings"),
                     config.take("type_vocab_size", 2), config.take("num_hidden_layers"), config.take("hidden_size"),
                     config.take("num_attention_heads"), config.take("intermediate_size"), classes)
    if size.kinds < 1:
        raise Mistake(f"{config.where}: type_vocab_size is {size.kinds}, and BERT has at least one kind of sentence")
    return size


def _choices(config: Config, epsilon: float = 1e-12) -> Settings:
    config.expect(position_embedding_type="absolute", tie_word_embeddings=True, is_decoder=False)
    for unused in ("directionality", "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
                   "pooler_size_per_head", "pooler_type"):  # of Google's own files
        config.take(unused, None)
    return {"epsilon": config.take("layer_norm_eps", epsilon), "activation": config.activation("hidden_act", "gelu"),
            "dropout": config.take("hidden_dropout_prob", 0.1)}


def _bert(config: Config) -> Bert:
    return Bert.of(_size(config), **_choices(config))


def _late(config: Config) -> float:
    return config.take("classifier_dropout", config.take("hidden_dropout_prob", 0.1))


def _read_pretraining(config: Config) -> Pretraining:
    return Pretraining.of(_size(config), **_choices(config))


def _read_masked(config: Config) -> Masked:
    choices = _choices(config)
    return Masked(_bert(config), MaskedHead.of(_size(config), choices["epsilon"], choices["activation"]))


def _read_pooled(config: Config) -> Pooled:
    return Pooled(_bert(config), Pooler.of(_size(config)))


def _read_text(config: Config) -> TextClasses:
    return TextClasses.of(_bert(config), _size(config, labels(config)), _late(config))


def _read_token(config: Config) -> TokenClasses:
    return TokenClasses.of(_bert(config), _size(config, labels(config)), _late(config))


def _read_answers(config: Config) -> TokenClasses:
    return TokenClasses.of(_bert(config), _size(config, 2))


def _settings(encoder: Bert) -> Settings:
    block = encoder.blocks.blocks
    layers, embed, heads, _ = block.attention.query.kernel.shape
    if encoder.kinds is None:
        raise Mistake("it has no table of sentence kinds")
    return {"vocab_size": len(encoder.tokens.table), "max_position_embeddings": len(encoder.positions.table),
            "type_vocab_size": len(encoder.kinds.table), "num_hidden_layers": layers, "hidden_size": embed,
            "num_attention_heads": heads, "intermediate_size": block.mlp.up.kernel.shape[-1],
            "hidden_act": activation_name(block.mlp.activation, "gelu"), "layer_norm_eps": encoder.norm.epsilon,
            "hidden_dropout_prob": encoder.dropout, "attention_probs_dropout_prob": encoder.dropout}


def _plain(encoder: Any) -> Bert:
    if not isinstance(encoder, Bert):
        raise Mistake(f"its encoder is a {type(encoder).__name__}")
    return encoder


def _write_bert(model: Pretraining | Masked | Pooled | TextClasses | TokenClasses) -> Settings:
    return _settings(model.bert if isinstance(model, Pretraining) else _plain(model.encoder))


def _write_classes(model: TextClasses | TokenClasses) -> Settings:
    return {**_write_bert(model), **labelled(model.head.kernel.shape[-1]), "classifier_dropout": model.dropout}


def _read_roberta(config: Config) -> Masked:
    return roberta.masked(_size(config), pad=config.take("pad_token_id", 1), **_choices(config))


def _write_roberta(model: Masked) -> Settings:
    if not isinstance(model.encoder, Roberta):
        raise Mistake(f"its encoder is a {type(model.encoder).__name__}")
    return {**_settings(model.encoder.bert), "pad_token_id": model.encoder.pad}


def _read_distilbert(config: Config) -> Masked:
    config.expect(tie_word_embeddings=True, tie_weights_=True)
    config.take("sinusoidal_pos_embds", False)  # how the table is born
    size = Size(config.take("vocab_size"), config.take("max_position_embeddings"), 0, config.take("n_layers"),
                config.take("dim"), config.take("n_heads"), config.take("hidden_dim"))
    return distilbert.masked(size, config.take("dropout", 0.1), config.activation("activation", "gelu"))


def _write_distilbert(model: Masked) -> Settings:
    encoder = _plain(model.encoder)
    block = encoder.blocks.blocks
    layers, embed, heads, _ = block.attention.query.kernel.shape
    return {"vocab_size": len(encoder.tokens.table), "max_position_embeddings": len(encoder.positions.table),
            "n_layers": layers, "dim": embed, "n_heads": heads, "hidden_dim": block.mlp.up.kernel.shape[-1],
            "activation": activation_name(block.mlp.activation, "gelu"), "dropout": encoder.dropout,
            "attention_dropout": encoder.dropout}


SIGHT = ("full_attention", "sliding_attention")
THETAS = (("global_rope_theta", 160_000.0), ("local_rope_theta", 10_000.0))  # in the words of before transformers 5


def _read_modernbert(config: Config) -> modernbert.Masked:
    config.expect(attention_bias=False, mlp_bias=False, norm_bias=False, classifier_bias=False, decoder_bias=True,
                  tie_word_embeddings=True)
    for unused in ("layer_norm_eps", "position_embedding_type", "max_position_embeddings", "classifier_pooling",
                   "sparse_prediction", "sparse_pred_ignore_index", "deterministic_flash_attn", "reference_compile",
                   "repad_logits_with_grad"):
        config.take(unused, None)
    size = modernbert.Size(config.take("vocab_size"), config.take("num_hidden_layers"), config.take("hidden_size"),
                           config.take("num_attention_heads"), config.take("intermediate_size"),
                           config.take("local_attention", 128), config.take("global_attn_every_n_layers", 3))
    types = config.take("layer_types", [SIGHT[layer % size.every != 0] for layer in range(size.layers)])
    if set(types) - set(SIGHT) or len(types) != size.layers:
        raise Mistake(f"{config.where}: layer_types are {types}, and there must be {size.layers} "
                      f"of {' and '.join(SIGHT)}")
    model = modernbert.Masked.of(
        size, config.take("norm_eps", 1e-5), config.activation("classifier_activation", "gelu"),
        activation=config.activation("hidden_activation", "gelu"), dropout=config.take("mlp_dropout", 0.0),
        kinds=tuple(map(SIGHT.index, types)))
    far, near = _rotaries(config, size.head)
    return replace(model, encoder=replace(model.encoder, far=far, near=near))


def _rotaries(config: Config, head: int) -> list[Any]:
    ropes, found = config.take("rope_parameters", {}), []
    for kind, (theirs, default) in zip(SIGHT, THETAS, strict=True):
        theta = config.take(theirs, default)
        rope = Config({"rope_parameters": ropes.get(kind, {})}, f"{config.where}, {kind}")
        found.append(rotary.read(rope, head, theta))
    if set(ropes) - set(SIGHT):
        raise Mistake(f"{config.where}: rope_parameters are of {', '.join(ropes)}, and there are {', '.join(SIGHT)}")
    return found


def _write_modernbert(model: modernbert.Masked) -> Settings:
    encoder = model.encoder
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
            "hidden_activation": activation_name(block.mlp.activation, "gelu"),
            "classifier_activation": activation_name(model.activation, "gelu"), "mlp_dropout": encoder.dropout,
            "attention_dropout": encoder.dropout, "embedding_dropout": encoder.dropout, "pad_token_id": None,
            "cls_token_id": None, "sep_token_id": None}


# --- calls -----------------------------------------------------------------------------------------------------------

INPUTS = {"input_ids": "tokens", "attention_mask": "present", "token_type_ids": "kinds", "position_ids": "positions"}


def encoder(forward: Callable[[Any, Array, Mapping[str, Array], Mapping[str, Any]], Outputs],
            *targets: str) -> Callable[[Any, Call], Outputs]:
    """`forward` and `base` of an encoder of texts, and `custom:embed`: one vector a text. `targets` are the names of
    what losses are of; `forward` makes the outputs beyond the hidden states."""

    def answer(model: Any, call: Call) -> Outputs:
        known(call, "forward", "base", "custom:embed", "custom:score",
              kwargs=("pooling", "normalize") if call.kind == "custom:embed" else ())
        given = asked(call, **INPUTS, **{name: name for name in targets})
        wanted = {name: given.pop(name) for name in targets if name in given}
        tokens = given.pop("tokens")
        hidden, states = _encoded(_part(model), tokens, given)
        if call.kind == "custom:embed":
            present = given.get("present", jnp.ones(tokens.shape, bool))
            return _embedded(hidden, present, call.kwargs.get("pooling", "mean"), call.kwargs.get("normalize", True))
        outputs = {"last_hidden_state": hidden, "hidden_states": states}
        if hasattr(model, "pooler"):
            outputs["pooler_output"] = model.pooler(hidden)
        if call.kind == "base":
            return outputs
        outputs = {**outputs, **forward(model, hidden, wanted, call.config)}
        return _scored(outputs) if call.kind == "custom:score" else outputs

    return answer


def loss_of_classes(logits: Array, wanted: Array, problem: str | None) -> Array:
    """By the kind of problem, or where it isn't said by the kind of labels."""
    whole = jnp.issubdtype(wanted.dtype, jnp.integer)
    problem = problem or ("regression" if logits.shape[-1] == 1 else
                          "single_label_classification" if whole else "multi_label_classification")
    if problem == "single_label_classification":
        return cross_entropy(logits, wanted.reshape(-1))
    if problem == "regression":
        return jnp.square(logits - wanted.reshape(logits.shape)).mean()
    if problem == "multi_label_classification":
        return (jax.nn.softplus(logits) - logits * wanted).mean()
    raise Mistake(f"the problem_type {problem!r} is not known")


def _part(model: Any) -> Any:
    return model.bert if isinstance(model, Pretraining) else model.encoder


@jax.jit
def _encoded(model: Any, tokens: Array, context: dict[str, Array]) -> tuple[Array, Array]:
    watched, states = recording(model)
    hidden = watched.encode(tokens, **context)
    (own,) = states.values()
    return hidden, finished(own, hidden)


def _embedded(hidden: Array, present: Array, pooling: str, unit: bool) -> Outputs:
    if pooling not in ("mean", "cls"):
        raise Mistake(f"texts are pooled by mean or cls, not by {pooling}")
    weights = present[..., None].astype(hidden.dtype)
    mean = (hidden * weights).sum(1) / jnp.maximum(weights.sum(1), 1e-9)
    pooled = mean if pooling == "mean" else hidden[:, 0]
    own = pooled / jnp.maximum(jnp.linalg.norm(pooled, axis=-1, keepdims=True), 1e-12) if unit else pooled
    return {f"{pooling}_pooled": pooled, "sentence_embedding": own, "similarity": own @ own.T}


def _scored(outputs: Outputs) -> Outputs:
    """A text's fitness, by the first of its logits."""
    if "logits" not in outputs or outputs["logits"].ndim != 2:
        raise Mistake("only a model that classifies texts scores them")
    logits = outputs["logits"][:, 0]
    return {"logits": logits, "prob": jax.nn.sigmoid(logits)}


def _nothing(model: Pooled, hidden: Array, wanted: Mapping[str, Array], config: Mapping[str, Any]) -> Outputs:
    return {}


def _words(model: Any, hidden: Array, wanted: Mapping[str, Array], config: Mapping[str, Any]) -> Outputs:
    logits = model.words(hidden)
    return {"logits": logits, **({"loss": cross_entropy(logits, wanted["labels"])} if wanted else {})}


def _both(model: Pretraining, hidden: Array, wanted: Mapping[str, Array], config: Mapping[str, Any]) -> Outputs:
    words, follows = model.words(hidden), model.follows(hidden)
    outputs = {"prediction_logits": words, "seq_relationship_logits": follows}
    if len(wanted) < 2:
        return outputs
    loss = cross_entropy(words, wanted["labels"]) + cross_entropy(follows, wanted["next_sentence_label"].reshape(-1))
    return {**outputs, "loss": loss}


def _classes(model: TextClasses, hidden: Array, wanted: Mapping[str, Array], config: Mapping[str, Any]) -> Outputs:
    logits = model.logits(hidden)
    if not wanted:
        return {"logits": logits}
    return {"logits": logits, "loss": loss_of_classes(logits, wanted["labels"], config.get("problem_type"))}


def _tags(model: TokenClasses, hidden: Array, wanted: Mapping[str, Array], config: Mapping[str, Any]) -> Outputs:
    logits = model.logits(hidden)
    return {"logits": logits, **({"loss": cross_entropy(logits, wanted["labels"])} if wanted else {})}


def _answers(model: TokenClasses, hidden: Array, wanted: Mapping[str, Array], config: Mapping[str, Any]) -> Outputs:
    starts, ends = jnp.moveaxis(model.logits(hidden), -1, 0)
    outputs = {"start_logits": starts, "end_logits": ends}
    if len(wanted) < 2:
        return outputs
    length = starts.shape[1]  # an answer beyond the text is not counted
    places = {name: jnp.where(own.reshape(-1) >= length, IGNORED, jnp.maximum(own.reshape(-1), 0))
              for name, own in wanted.items()}
    loss = cross_entropy(starts, places["start_positions"]) + cross_entropy(ends, places["end_positions"])
    return {**outputs, "loss": loss / 2}


# --- families --------------------------------------------------------------------------------------------------------

POSITIONS = ("embeddings.position_ids", "embeddings.token_type_ids")
HEADS = ("pooler.*", "cls.*", "lm_head.*", "classifier.*", "qa_outputs.*")  # of other classes, which files may keep


def _family(name: str, model: type, read: Callable[[Config], Any], write: Callable[[Any], Settings],
            call: Callable[[Any, Call], Outputs], rows: tuple[Row, ...] = BERT, kind: str = "bert",
            prefix: str = "bert.", copies: Mapping[str, str] | None = None) -> Family:
    return Family(kind, (name,), (model,), read, write, rows, call, prefix=prefix, copies=copies or {},
                  ignored=(*POSITIONS, *HEADS))


TIED = {"cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias"}
FAMILIES = (
    _family("BertForPreTraining", Pretraining, _read_pretraining, _write_bert,
            encoder(_both, "labels", "next_sentence_label"), copies=TIED),
    _family("BertForMaskedLM", Masked, _read_masked, _write_bert, encoder(_words, "labels"), copies=TIED),
    _family("BertForSequenceClassification", TextClasses, _read_text, _write_classes, encoder(_classes, "labels")),
    _family("BertForTokenClassification", TokenClasses, _read_token, _write_classes, encoder(_tags, "labels")),
    _family("BertForQuestionAnswering", TokenClasses, _read_answers, _write_bert,
            encoder(_answers, "start_positions", "end_positions"), ANSWERS),
    _family("BertModel", Pooled, _read_pooled, _write_bert, encoder(_nothing), BARE),
    _family("RobertaForMaskedLM", Masked, _read_roberta, _write_roberta, encoder(_words, "labels"), ROBERTA, "roberta",
            "roberta.", {"lm_head.decoder.weight": "roberta.embeddings.word_embeddings.weight",
                         "lm_head.decoder.bias": "lm_head.bias"}),
    _family("DistilBertForMaskedLM", Masked, _read_distilbert, _write_distilbert, encoder(_words, "labels"), DISTILBERT,
            "distilbert", "distilbert.",
            {"vocab_projector.weight": "distilbert.embeddings.word_embeddings.weight"}),
    _family("ModernBertForMaskedLM", modernbert.Masked, _read_modernbert, _write_modernbert, encoder(_words, "labels"),
            MODERNBERT, "modernbert", "model.", {"decoder.weight": "model.embeddings.tok_embeddings.weight"}),
)
