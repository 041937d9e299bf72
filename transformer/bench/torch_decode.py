"""GPT-2's `generate` in transformers, to measure ours against: `python torch_decode.py ROWS TYPE`, random weights of 124M.

Reads numbers of tokens, a line each, and answers with the milliseconds of one. Needs torch and transformers.
"""
import json
import sys
import time

import torch
from transformers import GPT2Config, GPT2LMHeadModel


def main(rows: str, dtype: str) -> None:
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config()).to(getattr(torch, dtype)).eval()
    prompt = torch.tensor([[5, 3, 8]] * int(rows))

    def generate(tokens: int) -> float:
        began = time.perf_counter()
        with torch.inference_mode():
            model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, pad_token_id=0,
                           min_new_tokens=tokens, max_new_tokens=tokens)
        return 1e3 * (time.perf_counter() - began) / tokens

    generate(4)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps([generate(int(line))]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
