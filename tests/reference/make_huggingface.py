"""Records what torch's transformers answers, for tests/test_huggingface.py; run it only when a case is meant to change.

    python tests/reference/make_huggingface.py [CASE ...]     needs the extra `parity`; writes huggingface/CASE/ here

A case is a tiny model, every weight random, as save_pretrained writes it, and beside it meta.json (every call, and how
exact each output is) and io.npz (the arrays CALL.in.NAME and CALL.out.NAME).
"""
import json
import shutil
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = Path(__file__).parent / "huggingface"

OPENAI = {"vocab_size": 41, "n_positions": 24, "n_embd": 16, "n_layer": 2, "n_head": 4}
KIN = {"vocab_size": 41, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
       "num_key_value_heads": 2, "max_position_embeddings": 64}
CONTEXT = {"original_max_position_embeddings": 8}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 100.0, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          **CONTEXT}
LINEAR = {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.5}
YARN = {"rope_type": "yarn", "rope_theta": 100.0, "factor": 8.0, "beta_slow": 0.1, "beta_fast": 1.0, **CONTEXT}

ENCODER = {"vocab_size": 41, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
           "max_position_embeddings": 24}
ROBERTA = {**ENCODER, "type_vocab_size": 1, "pad_token_id": 1}
DISTILBERT = {"vocab_size": 41, "dim": 16, "hidden_dim": 24, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 24}
MODERNBERT = {**ENCODER, "num_hidden_layers": 3, "local_attention": 4, "pad_token_id": 0, "bos_token_id": 1,
              "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
LABELS = {"id2label": {0: "a", 1: "b", 2: "c"}}
VIT = {**{name: ENCODER[name] for name in list(ENCODER)[1:-1]}, "image_size": 12, "patch_size": 4}
CLIP = {"projection_dim": 10, "text_config": {**ENCODER, "eos_token_id": 2, "bos_token_id": 1},
        "vision_config": {**VIT, "hidden_size": 12, "num_attention_heads": 3}}
T5 = {"decoder_start_token_id": 0, "vocab_size": 41, "d_model": 16, "d_kv": 6, "d_ff": 24, "num_layers": 2, "num_decoder_layers": 1, "num_heads": 4,
      "relative_attention_num_buckets": 8, "relative_attention_max_distance": 12}
BART = {"vocab_size": 41, "d_model": 16, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "max_position_embeddings": 24,
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2, "forced_eos_token_id": None}
MARIAN = {**BART, "scale_embedding": True, "share_encoder_decoder_embeddings": False, "decoder_vocab_size": 37,
          "decoder_start_token_id": 0}
WHISPER = {**{name: BART[name] for name in list(BART) if name not in ("max_position_embeddings", "forced_eos_token_id")},
           "num_mel_bins": 6, "max_source_positions": 10, "max_target_positions": 12, "begin_suppress_tokens": None,
           "suppress_tokens": None}

# Of each case: the class, its settings, and the calls.
TEXT = ("right", "left", "whole", "base", "greedy", "beams")
CASES: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "gpt": ("OpenAIGPTLMHeadModel", OPENAI, ("right", "whole", "base", "greedy")),
    "gpt2": ("GPT2LMHeadModel", {**OPENAI, "n_inner": 24, "activation_function": "gelu"}, TEXT),
    "gpt2_bare": ("GPT2LMHeadModel", OPENAI, ("right",)),
    "gpt2_untied": ("GPT2LMHeadModel", {**OPENAI, "tie_word_embeddings": False}, ("right",)),
    "imagegpt": ("ImageGPTForCausalImageModeling", OPENAI, ("whole", "base", "greedy")),
    "llama": ("LlamaForCausalLM", KIN, TEXT),
    "llama_biases": ("LlamaForCausalLM", {**KIN, "attention_bias": True, "mlp_bias": True, "head_dim": 8,
                                          "tie_word_embeddings": True, "rope_parameters": LLAMA3}, ("left",)),
    "llama_linear": ("LlamaForCausalLM", {**KIN, "rope_parameters": LINEAR}, ("whole",)),
    "llama_yarn": ("LlamaForCausalLM", {**KIN, "head_dim": 16, "rope_parameters": YARN}, ("whole",)),
    "llama_old": ("LlamaForCausalLM", {**KIN, "rope_parameters": {**YARN, "factor": 2.0, "truncate": False}},
                  ("whole",)),
    "mistral": ("MistralForCausalLM", {**KIN, "sliding_window": 4}, TEXT),
    "qwen2": ("Qwen2ForCausalLM", {**KIN, "use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1},
              TEXT),
    "qwen3": ("Qwen3ForCausalLM", {**KIN, "head_dim": 10}, ("right", "greedy")),
    "gemma": ("GemmaForCausalLM", {**KIN, "head_dim": 8, "num_key_value_heads": 1}, ("right", "greedy")),
    "gemma2": ("Gemma2ForCausalLM", {**KIN, "head_dim": 8, "query_pre_attn_scalar": 10, "sliding_window": 3,
                                     "attn_logit_softcapping": 4.0, "final_logit_softcapping": 3.0}, TEXT),
    "mixtral": ("MixtralForCausalLM", {**KIN, "intermediate_size": 12, "num_local_experts": 4, "sliding_window": 5},
                TEXT),
    "bert": ("BertModel", {**ENCODER, "type_vocab_size": 3}, ("right",)),
    "bert_pretraining": ("BertForPreTraining", ENCODER, ("right", "whole", "base")),
    "bert_answers": ("BertForQuestionAnswering", ENCODER, ("right",)),
    "bert_classes": ("BertForSequenceClassification", {**ENCODER, **LABELS, "hidden_act": "relu"}, ("right",)),
    "bert_tags": ("BertForTokenClassification", {**ENCODER, **LABELS}, ("right",)),
    "roberta": ("RobertaForMaskedLM", ROBERTA, ("right", "base")),
    "distilbert": ("DistilBertForMaskedLM", DISTILBERT, ("right", "base")),
    "modernbert": ("ModernBertForMaskedLM", MODERNBERT, ("right", "base")),
    "roberta_classes": ("RobertaForSequenceClassification", {**ROBERTA, **LABELS}, ("right",)),
    "distilbert_classes": ("DistilBertForSequenceClassification", {**DISTILBERT, **LABELS}, ("right",)),
    "modernbert_classes": ("ModernBertForSequenceClassification",
                           {**MODERNBERT, **LABELS, "classifier_pooling": "mean"}, ("right",)),
    "llama_classes": ("LlamaForSequenceClassification", {**KIN, **LABELS, "pad_token_id": 0}, ("right",)),
    "gpt2_model": ("GPT2Model", OPENAI, ("right",)),
    "t5_encoder": ("T5EncoderModel", T5, ("right",)),
    "vit": ("ViTForImageClassification", {**VIT, **LABELS}, ("right", "base")),
    "vit_bare": ("ViTModel", {**VIT, "qkv_bias": False}, ("right",)),
    "clip": ("CLIPModel", CLIP, ("right",)),
    "t5": ("T5ForConditionalGeneration", T5, ("right", "greedy", "beams")),
    "t5_gated": ("T5ForConditionalGeneration", {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
                 ("right", "greedy")),
    "bart": ("BartForConditionalGeneration", BART, ("right", "base", "beams")),
    "marian": ("MarianMTModel", MARIAN, ("right", "greedy")),
    "whisper": ("WhisperForConditionalGeneration", WHISPER, ("right", "base")),
}


def record(case: str, name: str, settings: dict[str, Any], calls: tuple[str, ...], directory: Path) -> None:
    kind = getattr(transformers, name)
    shutil.rmtree(directory, ignore_errors=True)
    torch.manual_seed(zlib.crc32(case.encode()))
    config = kind.config_class(**settings, attn_implementation="eager", experts_implementation="eager")
    text = getattr(config, "text_config", config)
    text.bos_token_id, text.eos_token_id = 1, 2
    model = kind(config).eval()
    with torch.no_grad():
        for path, weight in model.named_parameters():
            if weight.requires_grad:  # MarianMT's sinusoids stay what they are
                weight.copy_(values(path, weight))
    start = {"decoder_start_token_id": config.decoder_start_token_id} if config.is_encoder_decoder else {}
    if model.can_generate():
        model.generation_config = transformers.GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=0, **start)
    model.save_pretrained(directory)
    arrays: dict[str, np.ndarray] = {}
    about: dict[str, Any] = {}
    meta = {"model_class": name, "arrays": about,
            "calls": [answered(model, config, call, arrays, about) for call in calls]}
    as_found(case, directory)
    np.savez_compressed(directory / "io.npz", **arrays)
    (directory / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")


def values(path: str, weight: torch.Tensor) -> torch.Tensor:
    """Norms near one, biases that matter, attention far from uniform."""
    noise = torch.randn_like(weight)
    if "embed" in path or "wte" in path or "wpe" in path:
        return noise
    if weight.ndim > 1:
        return 1.5 * noise / weight.shape[-1] ** 0.5
    return 0.25 * noise + (0.0 if path.endswith("bias") else 1.0)


def answered(model: Any, config: Any, call: str, arrays: dict[str, np.ndarray],
             about: dict[str, Any]) -> dict[str, Any]:
    """One call recorded, in 32 bits; how exact it is, is measured against 64."""
    inputs = asked(model, config, call)
    kwargs: dict[str, Any] = {"return_loss": True} if "CLIPModel" in type(model).__name__ else {}
    if call in ("greedy", "beams"):
        kwargs = {"max_new_tokens": 6, "do_sample": False}
    if call == "beams":
        kwargs |= {"num_beams": 3, "num_return_sequences": 2, "repetition_penalty": 1.3}
    kind = "generate" if "do_sample" in kwargs else "base" if call == "base" else "forward"
    outputs = run(model, kind, inputs, kwargs)
    exact = {} if kind == "generate" else run(model.double(), kind, inputs, kwargs)
    model.float()
    for name, array in inputs.items():
        arrays[f"{call}.in.{name}"] = array
    for name, array in outputs.items():
        key = f"{call}.out.{name}"
        arrays[key] = array
        error = float(np.abs(array - exact[name]).max() / np.abs(exact[name]).max()) if name in exact else 0.0
        about[key] = {"rtol_of_max": max(1e-5, 8 * error)}
        if "attention_mask" in inputs and name in masked(config.is_encoder_decoder) and array.shape[-2:-1] == (9,):
            about[key]["mask"] = {"key": f"{call}.in.attention_mask", "axis": int(name.endswith("hidden_states"))}
    return {"id": call, "kind": kind, "inputs": {name: f"{call}.in.{name}" for name in inputs}, "kwargs": kwargs,
            "outputs": list(outputs)}


def masked(two_sided: bool) -> tuple[str, ...]:
    """The outputs that mean nothing where the input is padding."""
    if two_sided:
        return "encoder_hidden_states", "encoder_last_hidden_state"
    return "logits", "prediction_logits", "hidden_states", "last_hidden_state"


def asked(model: Any, config: Any, call: str) -> dict[str, np.ndarray]:
    """Texts, images or sounds, and what the class makes a loss of."""
    name = type(model).__name__
    text = getattr(config, "text_config", config)
    random = np.random.default_rng(zlib.crc32(call.encode()))
    tokens = random.integers(3, getattr(text, "vocab_size", 41) - 1, (2, 9))
    mask = np.ones((2, 9), np.int64)
    mask[1, :4 if call != "right" else 0] = 0
    mask[1, 6 if call == "right" else 9:] = 0
    inputs = {"input_ids": tokens}
    if call != "whole" and "ImageGPT" not in name:
        inputs["attention_mask"] = mask
    if call == "left":
        inputs["position_ids"] = np.maximum(mask.cumsum(-1) - 1, 0)
    if hasattr(config, "type_vocab_size"):
        inputs["token_type_ids"] = random.integers(0, config.type_vocab_size, (2, 9))
    if "CLIP" in name or "ViT" in name:
        image = getattr(config, "vision_config", config)
        pixels = random.normal(size=(2, image.num_channels, image.image_size, image.image_size))
        inputs = {**(inputs if "CLIP" in name else {}), "pixel_values": pixels.astype(np.float32)}
    if "Whisper" in name:
        shape = (2, config.num_mel_bins, 2 * config.max_source_positions)
        inputs = {"input_features": random.normal(size=shape).astype(np.float32)}
    if getattr(config, "is_encoder_decoder", False) and call == "base":
        answer = {"decoder_input_ids": np.concatenate([np.full((2, 1), config.decoder_start_token_id), tokens[::-1, :6] % 36], 1)}
        return inputs | answer
    if call in ("right", "whole"):
        inputs |= goals(name, config, tokens, np.where(
            (mask == 1) & (random.random((2, 9)) > 0.2) | (call == "whole"), tokens, -100))
    return inputs


def goals(name: str, config: Any, tokens: np.ndarray, words: np.ndarray) -> dict[str, np.ndarray]:
    if name.endswith("Model") and name != "MarianMTModel" or name.endswith("EncoderModel"):
        return {}
    if name.endswith(("SequenceClassification", "ImageClassification")):
        return {"labels": tokens[:, 0] % config.num_labels}
    if name.endswith("TokenClassification"):
        return {"labels": np.where(words < 0, -100, words % config.num_labels)}
    if name.endswith("QuestionAnswering"):
        return {"start_positions": np.array([3, 0]), "end_positions": np.array([4, 99])}
    if name.endswith("NextSentencePrediction"):
        return {"labels": np.array([0, 1])}
    if name.endswith("PreTraining"):
        return {"labels": words, "next_sentence_label": np.array([0, 1])}
    if getattr(config, "is_encoder_decoder", False):
        short = getattr(config, "decoder_vocab_size", config.vocab_size) or config.vocab_size
        return {"labels": np.where(words < 0, -100, words % (short - 1))[:, ::-1][:, :7].copy()}
    return {"labels": words}


STATES = ("hidden_states", "encoder_hidden_states", "decoder_hidden_states")
OUTPUTS = ("loss", "logits", "prediction_logits", "seq_relationship_logits", "start_logits", "end_logits",
           "logits_per_text", "logits_per_image", "text_embeds", "image_embeds", "last_hidden_state", "pooler_output", "encoder_last_hidden_state")


@torch.no_grad()
def run(model: Any, kind: str, inputs: dict[str, np.ndarray], kwargs: dict[str, Any]) -> dict[str, np.ndarray]:
    kind_of = next(model.parameters()).dtype
    given = {name: torch.from_numpy(array) for name, array in inputs.items()}
    given = {name: array.to(kind_of) if array.is_floating_point() else array for name, array in given.items()}
    if kind == "generate":
        out = model.generate(**given, **kwargs, return_dict_in_generate=True, output_logits=True, output_scores=True)
        texts = out.sequences.numpy()
        new = texts[:, 1 if model.config.is_encoder_decoder else inputs["input_ids"].shape[1]:]
        ended = (new == 2).argmax(1) + 1
        lengths = texts.shape[1] - new.shape[1] + np.where((new == 2).any(1), ended, new.shape[1])
        scores = {"sequences_scores": out.sequences_scores.numpy()} if "num_beams" in kwargs else {
            "step_logits": torch.stack(out.logits, 1).numpy()}
        return {"sequences": texts, "lengths": lengths, **scores}
    module = model.base_model if kind == "base" else model
    out = module(**given, **kwargs, output_hidden_states=True)
    found = {name: out[name].numpy() for name in OUTPUTS if out.get(name) is not None}
    if kind == "base":
        return found
    return found | {name: torch.stack(out[name]).numpy() for name in STATES if out.get(name) is not None}


def as_found(case: str, directory: Path) -> None:
    """Rewrites a case as checkpoints of other makers and other times lie on the hub."""
    file = directory / "model.safetensors"
    if case == "gpt2_bare":
        arrays = {name.removeprefix("transformer."): array for name, array in load_file(file).items()}
        arrays |= {f"h.{layer}.attn.bias": torch.ones(1, 1, 24, 24).tril() for layer in range(2)}
        save_file(arrays | {"lm_head.weight": arrays["wte.weight"].clone()}, file, {"format": "pt"})
    if case == "llama_old":
        path = directory / "config.json"
        config = json.loads(path.read_text())
        rope = config.pop("rope_parameters")
        config |= {"rope_theta": rope.pop("rope_theta"), "torch_dtype": config.pop("dtype"),
                   "rope_scaling": {"type": rope.pop("rope_type"), **rope}}
        config.pop("head_dim")
        path.write_text(json.dumps(config, indent=1) + "\n")


if __name__ == "__main__":
    for case in sys.argv[1:] or CASES:
        record(case, *CASES[case], HERE / case)
