"""GPT-2's training step in PyTorch, to measure ours against: `python torch_step.py SHAPE MODE`, MODE eager, compiled or bfloat16.

Reads numbers of steps, a line each, and answers with the milliseconds of those steps. Needs nothing but torch.
"""
import json
import sys
import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, embed: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(embed), nn.LayerNorm(embed)
        self.qkv, self.out = nn.Linear(embed, 3 * embed), nn.Linear(embed, embed)
        self.up, self.down = nn.Linear(embed, 4 * embed), nn.Linear(4 * embed, embed)

    def forward(self, x: Any) -> Any:
        rows, length, embed = x.shape
        q, k, v = (a.view(rows, length, self.heads, -1).transpose(1, 2) for a in self.qkv(self.norm1(x)).split(embed, -1))
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(rows, length, embed)
        x = x + self.out(attended)
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class GPT2(nn.Module):
    def __init__(self, layers: int, embed: int, heads: int, length: int, vocab: int) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab, embed), nn.Embedding(length, embed)
        self.blocks = nn.ModuleList(Block(embed, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(embed)
        nn.init.normal_(self.tokens.weight, std=0.02)

    def forward(self, tokens: Any, targets: Any) -> Any:
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = self.norm(x) @ self.tokens.weight.T
        return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def main(shape: str, mode: str) -> None:
    layers, embed, heads, length, rows, vocab = json.loads(shape)
    torch.manual_seed(0)
    model = GPT2(layers, embed, heads, length, vocab)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    forward = torch.compile(model) if mode == "compiled" else model
    tokens, targets = torch.randint(0, vocab, (2, rows, length))

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mode == "bfloat16"):
            loss = forward(tokens, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    step()
    step()
    print("ready", flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            began = time.perf_counter()
            step()
            times.append(1e3 * (time.perf_counter() - began))
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
