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
}


def record(case: str) -> None:
    name, settings, calls = CASES[case]
    kind = getattr(transformers, name)
    directory = HERE / case
    shutil.rmtree(directory, ignore_errors=True)
    torch.manual_seed(zlib.crc32(case.encode()))
    config = kind.config_class(**settings, attn_implementation="eager", experts_implementation="eager")
    config.bos_token_id, config.eos_token_id = 1, 2
    model = kind(config).eval()
    with torch.no_grad():
        for path, weight in model.named_parameters():
            weight.copy_(values(path, weight))
    model.generation_config = transformers.GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=0)
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
    random = np.random.default_rng(zlib.crc32(call.encode()))
    tokens = random.integers(3, config.vocab_size - 1, (2, 9))
    mask = np.ones((2, 9), np.int64)
    mask[1, :4 if call != "right" else 0] = 0
    mask[1, 6 if call == "right" else 9:] = 0
    inputs = {"input_ids": tokens}
    if call != "whole" and "ImageGPT" not in type(model).__name__:
        inputs["attention_mask"] = mask
    if call == "left":
        inputs["position_ids"] = np.maximum(mask.cumsum(-1) - 1, 0)
    if call in ("right", "whole"):
        inputs["labels"] = np.where((mask == 1) & (random.random((2, 9)) > 0.2) | (call == "whole"), tokens, -100)
    kwargs: dict[str, Any] = {}
    if call in ("greedy", "beams"):
        kwargs = {"max_new_tokens": 6, "do_sample": False}
    if call == "beams":
        kwargs |= {"num_beams": 3, "num_return_sequences": 2, "repetition_penalty": 1.3}
    kind = "generate" if kwargs else "base" if call == "base" else "forward"
    outputs = run(model, kind, inputs, kwargs)
    exact = {} if kwargs else run(model.double(), kind, inputs, kwargs)
    model.float()
    for name, array in inputs.items():
        arrays[f"{call}.in.{name}"] = array
    for name, array in outputs.items():
        key = f"{call}.out.{name}"
        arrays[key] = array
        error = float(np.abs(array - exact[name]).max() / np.abs(exact[name]).max()) if name in exact else 0.0
        about[key] = {"rtol_of_max": max(1e-5, 8 * error)}
        if "attention_mask" in inputs and name in ("logits", "hidden_states", "last_hidden_state"):
            about[key]["mask"] = {"key": f"{call}.in.attention_mask", "axis": int(name == "hidden_states")}
    return {"id": call, "kind": kind, "inputs": {name: f"{call}.in.{name}" for name in inputs}, "kwargs": kwargs,
            "outputs": list(outputs)}


@torch.no_grad()
def run(model: Any, kind: str, inputs: dict[str, np.ndarray], kwargs: dict[str, Any]) -> dict[str, np.ndarray]:
    given = {name: torch.from_numpy(array) for name, array in inputs.items()}
    if kind == "generate":
        out = model.generate(**given, **kwargs, return_dict_in_generate=True, output_logits=True, output_scores=True)
        texts = out.sequences.numpy()
        new = texts[:, inputs["input_ids"].shape[1]:]
        ended = (new == 2).argmax(1) + 1
        lengths = texts.shape[1] - new.shape[1] + np.where((new == 2).any(1), ended, new.shape[1])
        scores = {"sequences_scores": out.sequences_scores.numpy()} if "num_beams" in kwargs else {
            "step_logits": torch.stack(out.logits, 1).numpy()}
        return {"sequences": texts, "lengths": lengths, **scores}
    module = model.base_model if kind == "base" else model
    out = module(**given, **kwargs, output_hidden_states=True)
    names = {"base": ("last_hidden_state",), "forward": ("loss", "logits")}[kind]
    found = {name: out[name].numpy() for name in names if out.get(name) is not None}
    return found | ({"hidden_states": torch.stack(out.hidden_states).numpy()} if kind == "forward" else {})


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
    for wanted in sys.argv[1:] or CASES:
        record(wanted)
