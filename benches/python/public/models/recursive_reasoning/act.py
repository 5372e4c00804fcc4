"""The public code's classes over this project's own equations (`pytorch_step.py`): names, state dict, carry, batch and
outputs are those of a checkout, so that whatever runs the one runs the other."""

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from pytorch_step import Model  # noqa: E402


@dataclass
class InnerCarry:
    z_H: torch.Tensor
    z_L: torch.Tensor


@dataclass
class Carry:
    inner_carry: InnerCarry
    steps: torch.Tensor
    halted: torch.Tensor
    current_data: dict


def swiglu(name, width, expansion):
    inner = -(round(expansion * width * 2 / 3) // -256) * 256
    return {f"{name}.gate_up_proj.weight": (2 * inner, width), f"{name}.down_proj.weight": (width, inner)}


def shapes(config, hrm):
    """Every entry of the inner model's state dict."""
    hidden, vocab = config["hidden_size"], config["vocab_size"]
    ndim = config.get("puzzle_emb_ndim", 0)
    prefix = (0 if hrm else config.get("puzzle_emb_len", 16)) or -(ndim // -hidden)
    length = prefix + config["seq_len"]
    found = {"embed_tokens.embedding_weight": (vocab, hidden), "lm_head.weight": (vocab, hidden)}
    found |= {"q_head.weight": (2, hidden), "q_head.bias": (2,), "H_init": (hidden,), "L_init": (hidden,)}
    if ndim > 0:
        found["puzzle_emb.weights"] = (config["num_puzzle_identifiers"], ndim)
    if config["pos_encodings"] == "learned":
        found["embed_pos.embedding_weight"] = (length, hidden)
    for level, layers in ({"L_level": config["L_layers"]} | ({"H_level": config["H_layers"]} if hrm else {})).items():
        for layer in range(layers):
            block = f"{level}.layers.{layer}"
            if config.get("mlp_t", False):
                found |= swiglu(f"{block}.mlp_t", length, config["expansion"])
            else:
                found[f"{block}.self_attn.qkv_proj.weight"] = (3 * hidden, hidden)
                found[f"{block}.self_attn.o_proj.weight"] = (hidden, hidden)
            found |= swiglu(f"{block}.mlp", hidden, config["expansion"])
    return found


class Inner(nn.Module):
    def __init__(self, config, hrm):
        super().__init__()
        self.config = config
        self.dtype = getattr(torch, config.get("forward_dtype", "bfloat16"))
        for name, shape in shapes(config, hrm).items():
            *path, last = name.split(".")
            module = self
            for part in path:
                if not hasattr(module, part):
                    module.add_module(part, nn.Module())
                module = getattr(module, part)
            if last in ("H_init", "L_init", "weights"):
                dtype = torch.float32 if last == "weights" else self.dtype
                module.register_buffer(last, torch.zeros(shape, dtype=dtype))
            else:
                module.register_parameter(last, nn.Parameter(torch.randn(shape) / math.sqrt(shape[-1])))

    def forward(self, carry, batch):
        model = Model(self.config, self.state_dict(), self.dtype)
        states, logits, q_halt, q_continue = model.step(
            (carry.z_H, carry.z_L), batch["inputs"].long(), batch["puzzle_identifiers"]
        )
        return InnerCarry(*states), logits, (q_halt, q_continue)


class Act(nn.Module):
    """Runs the inner model; in evaluation every row halts after `halt_max_steps`."""

    hrm = False

    def __init__(self, config_dict):
        super().__init__()
        self.config = config_dict
        self.inner = Inner(config_dict, self.hrm)

    def initial_carry(self, batch):
        rows = len(batch["inputs"])
        model = Model(self.config, self.inner.state_dict(), self.inner.dtype)
        shape = (rows, model.prefix + self.config["seq_len"], self.config["hidden_size"])
        # What is in it does not matter, since every row starts halted: not-a-number would show.
        unset = torch.full(shape, math.nan, dtype=self.inner.dtype)
        data = {name: torch.empty_like(tensor) for name, tensor in batch.items()}
        steps, halted = torch.zeros(rows, dtype=torch.int32), torch.ones(rows, dtype=torch.bool)
        return Carry(InnerCarry(unset, unset.clone()), steps, halted, data)

    def forward(self, carry, batch):
        def fresh(new, old):
            return torch.where(carry.halted.view(-1, *[1] * (old.ndim - 1)), new, old)

        inner = carry.inner_carry
        inner = InnerCarry(fresh(self.inner.H_init, inner.z_H), fresh(self.inner.L_init, inner.z_L))
        data = {name: fresh(batch[name], old) for name, old in carry.current_data.items()}
        inner, logits, (q_halt, q_continue) = self.inner(inner, data)
        steps = torch.where(carry.halted, 0, carry.steps) + 1
        carry = Carry(inner, steps, steps >= self.config["halt_max_steps"], data)
        return carry, {"logits": logits, "q_halt_logits": q_halt, "q_continue_logits": q_continue}
