"""One ACT step of TRM and HRM in PyTorch: the baseline that the benches compare with.

Written from the description of the model, with the operators that the public code uses (F.linear,
scaled_dot_product_attention, rms norm in float32), and held to the reference's recorded outputs:

    pytorch_step.py --check-goldens DIR

checks every golden in DIR at the steps, and by the limits, that its manifest.json has. The benches start it as

    pytorch_step.py --serve --config FILE --weights FILE --threads N [--reference DIR]

and send lines on stdin: `tokens I I I…` sets the puzzle and starts it over, `run N` runs N steps and answers with one
line of JSON, `quit` ends. With --reference, a checkout of the public code computes instead.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

RMS_NORM_EPS = 1e-5
ROPE_THETA = 10000.0


def rms_norm(x, eps):
    wide = x.float()
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)).to(x.dtype)


def linear(x, weight, bias=None):
    """The weight is cast to the activations' type where it is used, as the public code does."""
    return F.linear(x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype))


def rotate_half(x):
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


class Model:
    """The weights by name, `[out, in]`, and the recursion over them. States are `[batch, prefix + seq, hidden]`."""

    def __init__(self, config, weights, dtype=torch.float32):
        self.config = config
        self.dtype = dtype
        self.weights = weights
        self.hidden = config["hidden_size"]
        self.heads = config["num_heads"]
        self.eps = config.get("rms_norm_eps", RMS_NORM_EPS)
        self.hrm = any(name.startswith("H_level.") for name in weights)
        ndim = config.get("puzzle_emb_ndim", 0)
        length = 0 if self.hrm else config.get("puzzle_emb_len", 16)
        self.prefix = length or -(ndim // -self.hidden)
        self.rope = self._rope() if config["pos_encodings"] == "rope" else None
        self.levels = {"L": self._layers("L_level"), "H": self._layers("H_level" if self.hrm else "L_level")}

    def _rope(self):
        """cos and sin, `[positions, 1, head width]`: the frequencies twice in a row."""
        width = self.hidden // self.heads
        theta = self.config.get("rope_theta", ROPE_THETA)
        frequencies = 1.0 / (theta ** (torch.arange(0, width, 2, dtype=torch.float32) / width))
        positions = torch.arange(self.prefix + self.config["seq_len"], dtype=torch.float32)
        angles = torch.outer(positions, frequencies)
        angles = torch.cat((angles, angles), dim=-1).unsqueeze(-2)
        return angles.cos(), angles.sin()

    def _layers(self, level):
        """For each block of a level, its weights by their names inside the block."""
        blocks = {}
        for name, weight in self.weights.items():
            if name.startswith(f"{level}.layers."):
                index, inside = name.removeprefix(f"{level}.layers.").split(".", 1)
                blocks.setdefault(int(index), {})[inside.removesuffix(".weight")] = weight
        return [blocks[index] for index in sorted(blocks)]

    def initial_carry(self, batch):
        shape = (batch, self.prefix + self.config["seq_len"], self.hidden)
        return tuple(self.weights[name].to(self.dtype).expand(shape).contiguous() for name in ("H_init", "L_init"))

    def puzzle_rows(self, puzzle_ids):
        return self.weights["puzzle_emb.weights"][puzzle_ids.long()]

    def embed(self, tokens, puzzle_ids):
        x = F.embedding(tokens, self.weights["embed_tokens.embedding_weight"].to(self.dtype))
        if "puzzle_emb.weights" in self.weights:
            rows = self.puzzle_rows(puzzle_ids).to(self.dtype)
            rows = F.pad(rows, (0, self.prefix * self.hidden - rows.shape[-1]))
            x = torch.cat((rows.view(-1, self.prefix, self.hidden), x), dim=-2)
        if self.config["pos_encodings"] == "learned":
            x = 0.707106781 * (x + self.weights["embed_pos.embedding_weight"].to(self.dtype))
        return math.sqrt(self.hidden) * x

    def swiglu(self, x, block, name):
        gate, up = linear(x, block[f"{name}.gate_up_proj"]).chunk(2, dim=-1)
        return linear(F.silu(gate) * up, block[f"{name}.down_proj"])

    def attention(self, x, block):
        batch, length, _ = x.shape
        qkv = linear(x, block["self_attn.qkv_proj"]).view(batch, length, 3 * self.heads, -1)
        q, k, v = qkv.chunk(3, dim=-2)
        if self.rope is not None:
            cos, sin = self.rope
            q = (q * cos + rotate_half(q) * sin).to(x.dtype)
            k = (k * cos + rotate_half(k) * sin).to(x.dtype)
        heads_first = (t.transpose(1, 2) for t in (q, k, v))
        out = F.scaled_dot_product_attention(*heads_first)
        return linear(out.transpose(1, 2).reshape(batch, length, -1), block["self_attn.o_proj"])

    def net(self, level, state, injection):
        x = state + injection
        for block in self.levels[level]:
            if "self_attn.qkv_proj" in block:
                x = rms_norm(x + self.attention(x, block), self.eps)
            else:
                x = x.transpose(1, 2)
                x = rms_norm(x + self.swiglu(x, block, "mlp_t"), self.eps)
                x = x.transpose(1, 2)
            x = rms_norm(x + self.swiglu(x, block, "mlp"), self.eps)
        return x

    def step(self, carry, tokens, puzzle_ids):
        """Returns the new carry, logits `[batch, seq, vocab]`, q_halt and q_continue `[batch]`."""
        z_h, z_l = carry
        x = self.embed(tokens, puzzle_ids)
        for _ in range(self.config["H_cycles"]):
            z_h, z_l = self.cycle(z_h, z_l, x)
        logits, q = self.heads_of(z_h)
        return (z_h, z_l), logits, q[:, 0], q[:, 1]

    def cycle(self, z_h, z_l, x):
        for _ in range(self.config["L_cycles"]):
            z_l = self.net("L", z_l, z_h + x)
        return self.net("H", z_h, z_l), z_l

    def heads_of(self, z_h):
        logits = linear(z_h, self.weights["lm_head.weight"])[:, self.prefix :]
        return logits, linear(z_h[:, 0], self.weights["q_head.weight"], self.weights["q_head.bias"]).float()


class Reference:
    """The same interface over a checkout of the public code (which needs einops and pydantic)."""

    def __init__(self, config, weights, checkout):
        sys.path.insert(0, str(checkout))
        from models.recursive_reasoning.trm import (
            TinyRecursiveReasoningModel_ACTV1,
            TinyRecursiveReasoningModel_ACTV1InnerCarry,
        )

        self.carry_type = TinyRecursiveReasoningModel_ACTV1InnerCarry
        self.config = config
        with torch.device("cpu"):
            model = TinyRecursiveReasoningModel_ACTV1({**config, "batch_size": 1, "forward_dtype": "float32"})
        self.inner = model.inner.eval()
        self.inner.load_state_dict(weights)

    def initial_carry(self, batch):
        shape = (batch, self.inner.puzzle_emb_len + self.config["seq_len"], self.config["hidden_size"])
        return tuple(init.expand(shape).contiguous() for init in (self.inner.H_init, self.inner.L_init))

    def step(self, carry, tokens, puzzle_ids):
        batch = {"inputs": tokens, "puzzle_identifiers": puzzle_ids}
        carry, logits, (q_halt, q_continue) = self.inner(self.carry_type(*carry), batch)
        return (carry.z_H, carry.z_L), logits, q_halt, q_continue


def canonical(weights):
    """Names without the wrappers' prefixes, values in float32."""
    names = {}
    for name, weight in weights.items():
        for prefix in ("_orig_mod.", "model.", "inner."):
            name = name.removeprefix(prefix)
        names[name] = weight.float()
    return names


def check_goldens(folder):
    """Prints the largest error of every golden and returns whether all are within tolerance."""
    goldens = sorted(path.parent for path in Path(folder).glob("*/manifest.json"))
    compared, good = 0, True
    for golden in goldens:
        manifest = json.loads((golden / "manifest.json").read_text())
        config = manifest["arch"]
        if config["forward_dtype"] != "float32":
            print(f"{golden.name}: computed in {config['forward_dtype']}, not comparable with float32")
            continue
        weights = torch.load(golden / "step_1000", map_location="cpu", weights_only=True)
        expected = load_file(golden / "outputs.safetensors")
        model = Model(config, canonical(weights))
        within = check_golden(golden.name, model, expected, manifest["judge"])
        compared, good = compared + 1, good and within
    if compared == 0:
        print(f"no golden to compare with in {folder}")
    return good and compared > 0


def check_golden(name, model, expected, judge):
    tokens, puzzle_ids = expected["inputs"], expected["puzzle_identifiers"]
    carry = model.initial_carry(len(tokens))
    limits_at = {row["step"]: row.get("limits", {}) for row in judge["steps"] if row.get("from", "own") == "own"}
    judged = [step for step, limits in limits_at.items() if limits]
    good = bool(judged)
    for step in range(1, max(judged, default=0) + 1):
        carry, logits, q_halt, q_continue = model.step(carry, tokens, puzzle_ids)
        found = {"logits": logits, "z_h": carry[0], "z_l": carry[1], "q_halt": q_halt, "q_continue": q_continue}
        errors = {}
        for quantity, limit in limits_at.get(step, {}).items():
            if quantity == "answer":
                wrong = int((logits.argmax(-1) != expected[f"logits_step{step:02}"].argmax(-1)).sum())
                if wrong > limit:
                    print(f"{name} step {step}: the answer differs in {wrong} cells")
                    good = False
                continue
            for recorded in recordings(expected, step, quantity, max(limits_at)):
                error = float((found[quantity] - recorded).abs().max())
                errors[quantity] = max(error, errors.get(quantity, 0.0))
                # NaN is no `<=`, so it fails.
                if not error <= limit:
                    print(f"{name} step {step}: {quantity} differs by {error:.1e}, limit {limit:.0e}")
                    good = False
        if errors and step in (1, 2, 16):
            worst = max(errors, key=errors.get)
            print(f"{name} step {step}: {worst} {errors[worst]:.1e}")
    return good


def recordings(expected, step, quantity, last):
    """The recorded tensors of a quantity at a step."""
    if quantity in ("q_halt", "q_continue"):
        return [expected[f"{quantity}_logits"][step - 1]]
    tensor = {"logits": "logits", "z_h": "z_H", "z_l": "z_L"}[quantity]
    names = [f"{tensor}_step{step:02}"] + ([f"{tensor}_final"] if step == last else [])
    return [expected[name] for name in names if name in expected]


def serve(config, weights, reference):
    """Answers the lines of the benches until `quit` or the end of stdin."""
    model = Reference(config, weights, reference) if reference else Model(config, weights)
    puzzle_ids = torch.zeros(1, dtype=torch.int32)
    tokens = carry = None
    answer = {"ready": torch.__version__, "threads": torch.get_num_threads()}
    print(json.dumps(answer), flush=True)
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "tokens":
            tokens = torch.tensor([[int(token) for token in arguments]], dtype=torch.int32)
            carry = model.initial_carry(1)
            answer = {"seq_len": tokens.shape[1]}
        elif command == "run":
            seconds = []
            for _ in range(int(arguments[0])):
                started = time.perf_counter()
                carry, logits, q_halt, _ = model.step(carry, tokens, puzzle_ids)
                prediction = logits.argmax(-1)
                seconds.append(time.perf_counter() - started)
            answer = {"seconds": seconds, "answer": prediction[0].tolist(), "q_halt": float(q_halt[0])}
        else:
            return
        print(json.dumps(answer), flush=True)


def main():
    parser = argparse.ArgumentParser(description="One ACT step of TRM and HRM in PyTorch.")
    parser.add_argument("--check-goldens", metavar="DIR", help="compare with the reference's recorded outputs")
    parser.add_argument("--serve", action="store_true", help="run steps for the benches")
    parser.add_argument("--config", metavar="FILE", help="the model's configuration as JSON")
    parser.add_argument("--weights", metavar="FILE", help="its weights as safetensors")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reference", metavar="DIR", help="a checkout of the public code to run instead")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with torch.inference_mode():
        if arguments.check_goldens:
            sys.exit(0 if check_goldens(arguments.check_goldens) else 1)
        if not (arguments.serve and arguments.config and arguments.weights):
            parser.error("expected --check-goldens DIR, or --serve with --config and --weights")
        config = json.loads(Path(arguments.config).read_text())
        serve(config, canonical(load_file(arguments.weights)), arguments.reference)


if __name__ == "__main__":
    main()
