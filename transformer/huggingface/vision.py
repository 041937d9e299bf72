"""What looks at images: ViT, and CLIP, which reads too. Theirs are [batch, channels, height, width]."""
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from transformer.huggingface.calls import asked, cross_entropy, known, loss_of_classes
from transformer.huggingface.config import Config, activation_name
from transformer.huggingface.encoders import dense, labelled, labels, norm, parts
from transformer.huggingface.family import Call, Family
from transformer.huggingface.names import Row, after_ones, as_is, prefixed, vector
from transformer.looking import recording
from transformer.mistakes import Mistake
from transformer.models import clip, vit
from transformer.models.clip import CLIP
from transformer.weights import Weight

Array = jax.Array
Settings = dict[str, Any]
Outputs = Mapping[str, Any]


def patch(w: Weight) -> tuple[tuple[int, ...], ...]:
    """A convolution [out, in, height, width] that never overlaps: ours is [height, width, in, out]."""
    return (3,), (2,), (0,), (1,)


# --- ViT -------------------------------------------------------------------------------------------------------------

VIT = (
    Row("embeddings.cls_token", "whole.table", after_ones(1)),
    Row("embeddings.position_embeddings", "positions.table", after_ones(1)),
    Row("embeddings.patch_embeddings.projection.weight", "patch.kernel", patch),
    Row("embeddings.patch_embeddings.projection.bias", "patch.bias", vector),
    *parts("encoder.layer.{layer}.",
           {"attention.attention.query": "attention.query", "attention.attention.key": "attention.key",
            "attention.attention.value": "attention.value", "attention.output.dense": "attention.out",
            "intermediate.dense": "mlp.up", "output.dense": "mlp.down"},
           {"layernorm_before": "attention_norm", "layernorm_after": "mlp_norm"}),
    *norm("layernorm", "norm"),
)
BARE = (*prefixed(VIT, "", "vit."), *dense("pooler.dense", "pooler.dense"))
CLASSES = (*prefixed(VIT, "vit.", "vit."), *dense("classifier", "head"))


def _read_vit(config: Config, classes: int) -> tuple[vit.Size, Settings]:
    config.take("encoder_stride", 16)  # of another class
    size = vit.Size(config.take("image_size", 224), config.take("patch_size", 16), config.take("num_channels", 3),
                    classes, config.take("num_hidden_layers"), config.take("hidden_size"),
                    config.take("num_attention_heads"), config.take("intermediate_size"))
    config.expect(pooler_act="tanh", pooler_output_size=size.embed)
    return size, {"epsilon": config.take("layer_norm_eps", 1e-12), "bias": config.take("qkv_bias", True),
                  "activation": config.activation("hidden_act", "gelu"),
                  "dropout": config.take("hidden_dropout_prob", 0.0)}


def _read_classes(config: Config) -> vit.Classes:
    size, choices = _read_vit(config, labels(config))
    return vit.Classes.of(size, **choices)


def _read_pooled(config: Config) -> vit.Pooled:
    size, choices = _read_vit(config, 0)
    return vit.Pooled.of(size, **choices)


def _write_vit(model: vit.Classes | vit.Pooled) -> Settings:
    block = model.vit.blocks.blocks
    return {**_tower(model.vit), "qkv_bias": block.attention.query.bias is not None,
            "hidden_dropout_prob": model.vit.dropout, "attention_probs_dropout_prob": model.vit.dropout}


def _write_classes(model: vit.Classes) -> Settings:
    return {**_write_vit(model), **labelled(model.head.kernel.shape[-1])}


def _blocks(part: Any) -> Settings:
    block = part.blocks.blocks
    layers, embed, heads, _ = block.attention.query.kernel.shape
    return {"hidden_size": embed, "num_hidden_layers": layers, "num_attention_heads": heads,
            "intermediate_size": block.mlp.up.kernel.shape[-1], "layer_norm_eps": part.norm.epsilon,
            "hidden_act": activation_name(block.mlp.activation)}


def _tower(part: vit.ViT | clip.Image) -> Settings:
    side, _, channels, _ = part.patch.kernel.shape
    across = round((len(part.positions.table) - 1) ** 0.5)
    return {**_blocks(part), "image_size": across * side, "patch_size": side, "num_channels": channels}


def _images(pixels: Array) -> Array:
    return jnp.moveaxis(pixels, 1, -1)


def _call_vit(model: vit.Classes | vit.Pooled, call: Call) -> Outputs:
    """`forward` and `base`; the last of the hidden states is before the final norm."""
    known(call, "forward", "base")
    given = asked(call, pixel_values="images", labels="labels")
    hidden, states = _seen(model.vit, _images(given["images"]))
    outputs = {"last_hidden_state": hidden, "hidden_states": states}
    if isinstance(model, vit.Pooled):
        return {**outputs, "pooler_output": model.pooled(hidden)}
    if call.kind == "base":
        return outputs
    logits = model.logits(hidden)
    return {**outputs, "logits": logits, **loss_of_classes(logits, given.get("labels"), call)}


@jax.jit
def _seen(model: vit.ViT, images: Array) -> tuple[Array, Array]:
    watched, states = recording(model)
    hidden = watched.encode(images)
    (own,) = states.values()
    return hidden, own


# --- CLIP ------------------------------------------------------------------------------------------------------------

SIDE = parts("encoder.layers.{layer}.",
             {"self_attn.q_proj": "attention.query", "self_attn.k_proj": "attention.key",
              "self_attn.v_proj": "attention.value", "self_attn.out_proj": "attention.out", "mlp.fc1": "mlp.up",
              "mlp.fc2": "mlp.down"},
             {"layer_norm1": "attention_norm", "layer_norm2": "mlp_norm"})
TEXT = (
    Row("embeddings.token_embedding.weight", "tokens.table", as_is),
    Row("embeddings.position_embedding.weight", "positions.table", as_is),
    *SIDE, *norm("final_layer_norm", "norm"),
)
IMAGE = (
    Row("embeddings.class_embedding", "whole.table", vector),
    Row("embeddings.patch_embedding.weight", "patch.kernel", patch),
    Row("embeddings.position_embedding.weight", "positions.table", as_is),
    *norm("pre_layrnorm", "first_norm"), *SIDE, *norm("post_layernorm", "norm"),
)
BOTH = (
    *prefixed(TEXT, "text_model.", "text."), *prefixed(IMAGE, "vision_model.", "image."),
    *dense("text_projection", "text_out"), *dense("visual_projection", "image_out"),
    Row("logit_scale", "warmth", as_is),
)
HIGHEST = 2  # the end token of the first configs, which means the token with the highest number


def _side(config: Config, name: str) -> Config:
    """The settings of one side; `NAME_dict` is how the first configs said them."""
    return Config({**config.take(name, {}), **config.take(name + "_dict", {})}, f"{config.where}, {name}")


def _settle(side: Config) -> None:
    for unused in ("projection_dim", "tie_word_embeddings"):
        side.take(unused, None)
    side.settle("num_beam*", "use_bfloat16", "tf_legacy_loss")


def _read_clip(config: Config) -> CLIP:
    config.take("logit_scale_init_value", None)
    config.take("tie_word_embeddings", None)
    shared, theirs, seen = config.take("projection_dim", 512), _side(config, "text_config"), _side(config, "vision_config")
    text = clip.TextSize(theirs.take("vocab_size", 49408), theirs.take("max_position_embeddings", 77),
                         theirs.take("num_hidden_layers", 12), theirs.take("hidden_size", 512),
                         theirs.take("num_attention_heads", 8), theirs.take("intermediate_size", 2048), shared)
    image = clip.ImageSize(seen.take("image_size", 224), seen.take("patch_size", 32), seen.take("num_channels", 3),
                           seen.take("num_hidden_layers", 12), seen.take("hidden_size", 768),
                           seen.take("num_attention_heads", 12), seen.take("intermediate_size", 3072), shared)
    end = theirs.take("eos_token_id", 49407)
    end = None if end == HIGHEST else end
    reader = clip.Text.of(text, end, theirs.activation("hidden_act", "quick_gelu"), theirs.take("layer_norm_eps", 1e-5))
    viewer = clip.Image.of(image, seen.activation("hidden_act", "quick_gelu"), seen.take("layer_norm_eps", 1e-5))
    _settle(theirs)
    _settle(seen)
    return replace(CLIP.of(text, image, end), text=reader, image=viewer)


def _write_clip(model: CLIP) -> Settings:
    shared = model.text_out.kernel.shape[-1]
    if model.text.end == HIGHEST:
        raise Mistake(f"its texts end with token {HIGHEST}, by which configs mean the token with the highest number")
    text = {**_blocks(model.text), "vocab_size": len(model.text.tokens.table), "projection_dim": shared,
            "max_position_embeddings": len(model.text.positions.table), "model_type": "clip_text_model",
            "bos_token_id": None, "eos_token_id": HIGHEST if model.text.end is None else model.text.end}
    image = {**_tower(model.image), "projection_dim": shared, "model_type": "clip_vision_model"}
    return {"projection_dim": shared, "text_config": text, "vision_config": image}


def _call_clip(model: CLIP, call: Call) -> Outputs:
    """Both sides, each pooled vector in the space of both; the last of the text's states is before the final norm."""
    known(call, "forward", kwargs=("return_loss",))
    given = asked(call, input_ids="tokens", attention_mask="present", pixel_values="images")
    outputs = _matched(model, given["tokens"], _images(given["images"]), given.get("present"))
    if call.kwargs.get("return_loss"):
        own = jnp.arange(len(given["tokens"]))
        texts, images = (cross_entropy(outputs[f"logits_per_{side}"], own) for side in ("text", "image"))
        outputs["loss"] = (texts + images) / 2
    return outputs


@jax.jit
def _matched(model: CLIP, tokens: Array, images: Array, present: Array | None) -> dict[str, Array]:
    watched, states = recording(model)
    text, image = watched.text.encode(tokens, present=present), watched.image.encode(images)
    logits = model(tokens, images, present=present)
    pooled = (model.text_out(model.text.pooled(text, tokens)), model.image_out(model.image.pooled(image)))
    return {"logits_per_text": logits, "logits_per_image": logits.T,
            "text_embeds": model.embed_text(tokens, present=present), "image_embeds": model.embed_image(images),
            **{f"{side}_model_output.{name}": value for side, outputs in (
                ("text", (text, pooled[0], states["text.blocks"])),
                ("vision", (image, pooled[1], states["image.blocks"])))
               for name, value in zip(("last_hidden_state", "pooler_output", "hidden_states"), outputs, strict=True)}}


def _family(kind: str, name: str, model: type, read: Callable[[Config], Any], write: Callable[[Any], Settings],
            rows: tuple[Row, ...], call: Callable[[Any, Call], Outputs], prefix: str = "") -> Family:
    return Family(kind, (name,), (model,), read, write, rows, call, prefix=prefix,
                  ignored=("pooler.*", "classifier.*", "*.position_ids"))


FAMILIES = (
    _family("vit", "ViTForImageClassification", vit.Classes, _read_classes, _write_classes, CLASSES, _call_vit, "vit."),
    _family("vit", "ViTModel", vit.Pooled, _read_pooled, _write_vit, BARE, _call_vit, "vit."),
    _family("clip", "CLIPModel", CLIP, _read_clip, _write_clip, BOTH, _call_clip),
)
