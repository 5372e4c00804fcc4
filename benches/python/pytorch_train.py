"""One supervision step of TRM's training in PyTorch: the baseline that the training bench compares with.

Forward, stablemax cross entropy in float64 and halting loss, backward through the last cycle only, Adam-atan2 (or AdamW),
sign-SGD of the puzzle embedding, moving average. The model is pytorch_step.py's. It is held to the reference's records:

    pytorch_train.py --check GOLDEN_DIR [GOLDEN_DIR…]

checks the loss and every gradient of one step and three optimiser steps. By itself it prints its speed,

    pytorch_train.py --preset sudoku --mode compile-bf16 --threads 2 [--json]

and the bench starts it as

    pytorch_train.py --serve --config FILE --weights FILE --data FILE --mode M --threads N

and sends lines on stdin: `run N` trains N steps and answers with one line of JSON, `quit` ends.
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

from pytorch_step import Model, canonical

MODES = ("eager-fp32", "compile-fp32", "eager-bf16", "compile-bf16")
IGNORED = -100
# Not trained by gradients: the initial states are buffers, the puzzle embedding has its own rule.
BUFFERS = ("H_init", "L_init", "puzzle_emb.weights")
PUBLISHED = {"lr": 1e-4, "puzzle_emb_lr": 1e-4, "weight_decay": 1.0, "puzzle_emb_weight_decay": 1.0}
DEFAULTS = PUBLISHED | {"beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "ema": 0.999, "optimizer": "adam-atan2"}


class TrainModel(Model):
    """The model with parameters that require gradients, and the loss of one step."""

    def __init__(self, config, weights, dtype=torch.float32):
        weights = {name: weight.detach().float().clone() for name, weight in weights.items()}
        self.parameters = {name: w.requires_grad_() for name, w in weights.items() if name not in BUFFERS}
        super().__init__(config, weights, dtype)
        if self.hrm:
            raise SystemExit("error: this baseline trains TRM only")
        self.rows = None

    def puzzle_rows(self, puzzle_ids):
        """The batch's own copy of the embedding's rows, whose gradients sign-SGD takes."""
        return self.rows

    def loss(self, carry, reset, tokens, labels, puzzle_ids, rows):
        """Summed over the batch: `(loss, new carry, q_halt)`."""
        self.rows = rows
        fresh = (self.weights[name].to(self.dtype) for name in ("H_init", "L_init"))
        z_h, z_l = (torch.where(reset.view(-1, 1, 1), init, state) for init, state in zip(fresh, carry))
        x = self.embed(tokens, puzzle_ids)
        with torch.no_grad():
            for _ in range(self.config["H_cycles"] - 1):
                z_h, z_l = self.cycle(z_h, z_l, x)
        z_h, z_l = self.cycle(z_h, z_l, x)
        logits, q = self.heads_of(z_h)
        loss = step_loss(logits, q[:, 0], labels)
        return loss, (z_h.detach(), z_l.detach()), q[:, 0].detach()


def step_loss(logits, q_halt, labels):
    labelled = labels != IGNORED
    count = labelled.sum(-1)
    wide = logits.double()
    s = torch.where(wide < 0, 1 / (1 - wide + 1e-30), wide + 1)
    log_p = torch.log(s / s.sum(-1, keepdim=True))
    picked = log_p.gather(-1, torch.where(labelled, labels, 0).long().unsqueeze(-1)).squeeze(-1)
    cross_entropy = -torch.where(labelled, picked, 0).sum(-1) / count.clamp_min(1)
    with torch.no_grad():
        right = (labelled & (logits.argmax(-1) == labels)).sum(-1) == count
    halting = F.binary_cross_entropy_with_logits(q_halt, right.to(q_halt.dtype), reduction="sum")
    return cross_entropy.sum() + 0.5 * halting


class Trainer:
    """Model, optimiser and carry of one batch of rows."""

    def __init__(self, config, weights, batch, mode="eager-fp32", hyper=None):
        self.hyper = DEFAULTS | (hyper or {})
        self.model = TrainModel(config, weights, torch.bfloat16 if mode.endswith("bf16") else torch.float32)
        self.batch = batch
        self.parameters = list(self.model.parameters.values())
        self.first = [torch.zeros_like(p) for p in self.parameters]
        self.second = [torch.zeros_like(p) for p in self.parameters]
        self.ema = [p.detach().clone() for p in self.parameters] if self.hyper["ema"] else []
        self.carry = tuple(state.clone() for state in self.model.initial_carry(batch))
        self.steps = 0
        # The public code compiles the model; here the optimiser is compiled as well, which only helps it.
        compiled = (lambda f: torch.compile(f, dynamic=False)) if mode.startswith("compile") else (lambda f: f)
        self.loss, self.adam = compiled(self.model.loss), compiled(adam)

    def backward(self, reset, tokens, labels, puzzle_ids, divisor):
        """One supervision step; gradients are left in the parameters. Returns the loss, q_halt and the rows."""
        rows = None
        if "puzzle_emb.weights" in self.model.weights:
            rows = self.model.weights["puzzle_emb.weights"][puzzle_ids.long()].requires_grad_()
        loss, self.carry, q_halt = self.loss(self.carry, reset, tokens, labels, puzzle_ids, rows)
        (loss / divisor).backward()
        return loss.item(), q_halt, rows

    @torch.no_grad()
    def update(self, puzzle_ids, rows):
        hyper = self.hyper
        self.steps += 1
        if rows is not None:
            sign_sgd(self.model.weights["puzzle_emb.weights"], puzzle_ids, rows.grad, hyper)
        # As tensors, or every step would be compiled anew.
        corrections = [torch.tensor(1 - hyper[beta] ** self.steps) for beta in ("beta1", "beta2")]
        grads = [p.grad for p in self.parameters]
        self.adam(self.parameters, grads, self.first, self.second, self.ema, hyper, *corrections)
        for parameter in self.parameters:
            parameter.grad = None

    def train(self, reset, tokens, labels, puzzle_ids):
        loss, q_halt, rows = self.backward(reset, tokens, labels, puzzle_ids, self.batch)
        self.update(puzzle_ids, rows)
        return loss / self.batch, q_halt


def adam(parameters, grads, first, second, ema, hyper, correction1, correction2):
    lr, beta1, beta2 = hyper["lr"], hyper["beta1"], hyper["beta2"]
    torch._foreach_mul_(parameters, 1 - lr * hyper["weight_decay"])
    torch._foreach_lerp_(first, grads, 1 - beta1)
    torch._foreach_mul_(second, beta2)
    torch._foreach_addcmul_(second, grads, grads, 1 - beta2)
    root = torch._foreach_div(torch._foreach_sqrt(second), correction2.sqrt())
    if hyper["optimizer"] == "adamw":
        torch._foreach_add_(root, hyper["eps"])
        moves = torch._foreach_div(torch._foreach_div(first, correction1), root)
        torch._foreach_add_(parameters, moves, alpha=-lr)
    else:
        # The first moment's correction stays outside, as the public optimiser has it.
        moves = [torch.atan2(m, v) / correction1 for m, v in zip(first, root)]
        torch._foreach_add_(parameters, moves, alpha=-lr)
    if ema:
        torch._foreach_lerp_(ema, parameters, 1 - hyper["ema"])


def sign_sgd(table, puzzle_ids, grads, hyper):
    """Rows of the batch only; an identity that occurs more than once is moved once, by the sum."""
    ids, inverse = puzzle_ids.long().unique(return_inverse=True)
    total = torch.zeros(len(ids), grads.shape[-1]).index_add_(0, inverse, grads)
    lr = hyper["puzzle_emb_lr"]
    table[ids] = table[ids] * (1 - lr * hyper["puzzle_emb_weight_decay"]) - lr * total.sign()


def relative(value, expected):
    """Of the recorded numbers of one tensor: its l2 norm and its first elements, against that norm."""
    value = value.detach().double().flatten()
    scale = max(expected["l2"], 1e-12)
    head = torch.tensor(expected["first8"], dtype=torch.float64)
    return max(abs(float(value.norm()) - expected["l2"]), float((value[: len(head)] - head).norm())) / scale


def check_all(goldens):
    """Every golden that this baseline can be compared with, whatever the first one says; at least one."""
    manifests = {golden: json.loads((golden / "manifest.json").read_text()) for golden in goldens}
    comparable = []
    for golden, manifest in manifests.items():
        if manifest["arch"]["forward_dtype"] != "float32":
            print(f"{golden.name}: skipped, computed in {manifest['arch']['forward_dtype']}")
        elif any(".H_level." in name for name in manifest["state_dict"]):
            print(f"{golden.name}: skipped, an HRM, which this baseline does not train")
        else:
            comparable.append(check(golden, manifest))
    return bool(comparable) and all(comparable)


def check(golden, manifest):
    """Prints the largest errors against the reference's records and returns whether all are within tolerance."""
    weights = canonical(torch.load(golden / "step_1000", map_location="cpu", weights_only=True))
    data = load_file(golden / "outputs.safetensors")
    batch = (data["inputs"], data["labels"], data["puzzle_identifiers"])
    size, everything = len(batch[0]), torch.ones(len(batch[0]), dtype=torch.bool)

    expected = manifest["training"]["A_one_act_step"]
    trainer = Trainer(manifest["arch"], weights, size)
    loss, _, rows = trainer.backward(everything, *batch, 1)
    grads = {f"model.inner.{name}": p.grad for name, p in trainer.model.parameters.items()}
    if rows is not None:
        grads["model.inner.puzzle_emb.local_weights"] = rows.grad
    if missing := sorted(set(expected["grads"]) ^ set(grads)):
        print(f"{golden.name}: recorded on one side only: {', '.join(missing)}")
        return False
    errors = {"loss of A": (abs(loss - expected["loss"]), 1e-6)}
    errors |= {f"gradient of {name}": (relative(grads[name], e), 1e-4) for name, e in expected["grads"].items()}

    expected = manifest["training"]["C_three_optimizer_steps"]
    trainer = Trainer(manifest["arch"], weights, size, hyper=expected["hyper"] | {"ema": 0.999})
    halted = everything
    for number, step in enumerate(expected["steps"], 1):
        loss, q_halt = trainer.train(halted, *batch)
        halted = q_halt > 0
        errors[f"loss {number} of C"] = (abs(loss * size - step["loss"]), 1e-5)
    for name, e in expected["params_after"].items():
        value = trainer.model.weights[name.removeprefix("model.inner.")].detach().flatten()
        head = torch.tensor(e["first8"])
        errors[f"{name} after C"] = (float((value[: len(head)] - head).abs().max()), 1e-5)
        errors[f"l2 of {name} after C"] = (abs(float(value.double().norm()) / max(e["l2"], 1e-12) - 1), 1e-5)

    # NaN is no `<=`, so it fails.
    failed = {name: pair for name, pair in errors.items() if not pair[0] <= pair[1]}
    for name, (error, limit) in failed.items():
        print(f"{golden.name}: {name} differs by {error:.1e}, tolerance {limit:.0e}")
    worst = lambda part: max(error for name, (error, _) in errors.items() if part in name)
    print(
        f"{golden.name}: loss {worst('of A'):.1e}, gradients {worst('gradient'):.1e} relative, "
        f"three steps: losses {worst(' of C'):.1e}, parameters {worst('after C'):.1e}"
    )
    return not failed


def flops(config, prefix, batch):
    """Of the matrix products of one training step: the backward pass costs twice the forward pass of the last cycle."""
    hidden, seq = config["hidden_size"], config["seq_len"]
    length = prefix + seq
    inner = lambda width: 256 * math.ceil(round(config["expansion"] * width * 2 / 3) / 256)
    if config["mlp_t"]:
        mixing = 3 * hidden * length * inner(length)
    else:
        mixing = 4 * length * hidden * hidden + 2 * length * length * hidden
    one_pass = config["L_layers"] * (mixing + 3 * length * hidden * inner(hidden))
    cycle = (config["L_cycles"] + 1) * one_pass
    heads = length * hidden * config["vocab_size"]
    return 2 * batch * ((config["H_cycles"] + 2) * cycle + 3 * heads)


def presets():
    small = {"hidden_size": 128, "num_heads": 4, "expansion": 2, "H_cycles": 2, "L_cycles": 2, "puzzle_emb_len": 1}
    small |= {"seq_len": 81, "vocab_size": 11, "L_layers": 2, "mlp_t": True, "pos_encodings": "none"}
    small |= {"puzzle_emb_ndim": 128, "num_puzzle_identifiers": 1, "batch": 32}
    full = {"hidden_size": 512, "num_heads": 8, "expansion": 4, "H_cycles": 3, "L_cycles": 6}
    full |= {"puzzle_emb_len": 16, "puzzle_emb_ndim": 512, "batch": 4}
    return {"sudoku": small, "maze": small | {"vocab_size": 6}, "full": small | full}


def random_weights(config):
    """What the model's own names and shapes call for; the time of a step does not depend on the values."""
    hidden, vocab = config["hidden_size"], config["vocab_size"]
    length = config["puzzle_emb_len"] + config["seq_len"]
    shapes = {"embed_tokens.embedding_weight": (vocab, hidden), "lm_head.weight": (vocab, hidden)}
    shapes |= {"q_head.weight": (2, hidden), "q_head.bias": (2,), "H_init": (hidden,), "L_init": (hidden,)}
    shapes["puzzle_emb.weights"] = (1, config["puzzle_emb_ndim"])
    for block in range(config["L_layers"]):
        for name, width in (("mlp_t", length), ("mlp", hidden)):
            inner = 256 * math.ceil(round(config["expansion"] * width * 2 / 3) / 256)
            prefix = f"L_level.layers.{block}.{name}"
            shapes[f"{prefix}.gate_up_proj.weight"] = (2 * inner, width)
            shapes[f"{prefix}.down_proj.weight"] = (width, inner)
    return {name: torch.randn(shape) / (math.sqrt(shape[-1]) if len(shape) > 1 else 1) for name, shape in shapes.items()}


def random_data(config, batch, steps=8):
    shape = (steps, batch, config["seq_len"])
    tokens, labels = (torch.randint(1, config["vocab_size"], shape, dtype=torch.int32) for _ in range(2))
    reset = torch.rand(steps, batch) < 0.25
    reset[0] = True
    return {"tokens": tokens, "labels": labels, "reset": reset.int()}


def read_data(path):
    """Lists a step, each row after row."""
    data = {key: torch.tensor(steps, dtype=torch.int32) for key, steps in json.loads(Path(path).read_text()).items()}
    steps, batch = data["reset"].shape
    return data | {key: data[key].view(steps, batch, -1) for key in ("tokens", "labels")}


class Run:
    """Goes round and round through the recorded batches."""

    def __init__(self, config, weights, data, mode, optimizer):
        self.data = data
        self.puzzle_ids = torch.zeros(data["tokens"].shape[1], dtype=torch.int32)
        self.trainer = Trainer(config, weights, len(self.puzzle_ids), mode, {"optimizer": optimizer})

    def steps(self, count):
        seconds, losses = [], []
        for _ in range(count):
            index = self.trainer.steps % len(self.data["tokens"])
            tokens, labels, reset = (self.data[key][index] for key in ("tokens", "labels", "reset"))
            started = time.perf_counter()
            loss, _ = self.trainer.train(reset.bool(), tokens, labels, self.puzzle_ids)
            seconds.append(time.perf_counter() - started)
            losses.append(loss)
        return {"seconds": seconds, "losses": losses}


def serve(run):
    """Answers the lines of the bench until `quit` or the end of stdin."""
    print(json.dumps({"ready": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        command, *arguments = line.split()
        if command != "run":
            return
        print(json.dumps(run.steps(int(arguments[0]))), flush=True)


def peak_rss():
    """Bytes, from Linux's record of the most memory that this process ever held."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def measure(run, config, arguments):
    started = time.perf_counter()
    run.steps(3)
    warm_up = time.perf_counter() - started
    seconds = run.steps(arguments.steps)["seconds"]
    batch, median = len(run.puzzle_ids), sorted(seconds)[len(seconds) // 2]
    result = {
        "mode": arguments.mode,
        "threads": torch.get_num_threads(),
        "batch": batch,
        "steps": len(seconds),
        "milliseconds": median * 1e3,
        "samples_per_s": batch / median,
        "gflops": flops(config, run.trainer.model.prefix, batch) / median / 1e9,
        "peak_rss_bytes": peak_rss(),
        "warm_up_seconds": warm_up,
    }
    if arguments.json:
        print(json.dumps(result))
    else:
        print(
            f"{arguments.mode}, {result['threads']} threads, batch {batch}: {result['samples_per_s']:.1f} samples/s, "
            f"{result['gflops']:.1f} GFLOP/s, {result['milliseconds']:.1f} ms a step (median of {len(seconds)}), "
            f"peak {result['peak_rss_bytes'] / 2**20:.0f} MiB, warm-up {warm_up:.1f} s"
        )


def main():
    parser = argparse.ArgumentParser(description="One supervision step of TRM's training in PyTorch.")
    parser.add_argument("--check", nargs="+", metavar="GOLDEN_DIR", help="compare with the reference's training records")
    parser.add_argument("--serve", action="store_true", help="train for the bench")
    parser.add_argument("--config", metavar="FILE", help="the model's configuration as JSON")
    parser.add_argument("--weights", metavar="FILE", help="its weights as safetensors")
    parser.add_argument("--data", metavar="FILE", help="tokens, labels and resets of successive steps as JSON")
    parser.add_argument("--preset", choices=presets(), help="a model with random weights and data instead of files")
    parser.add_argument("--mode", choices=MODES, default="eager-fp32")
    parser.add_argument("--optimizer", choices=("adam-atan2", "adamw"), default="adam-atan2")
    parser.add_argument("--batch", type=int, help="rows of a preset's batch")
    parser.add_argument("--steps", type=int, default=20, help="steps to time")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.check:
        sys.exit(0 if check_all([Path(golden) for golden in arguments.check]) else 1)
    if arguments.preset:
        torch.manual_seed(1)
        config = presets()[arguments.preset]
        weights, data = random_weights(config), random_data(config, arguments.batch or config["batch"])
    elif arguments.config and arguments.weights and arguments.data:
        config = json.loads(Path(arguments.config).read_text())
        weights, data = canonical(load_file(arguments.weights)), read_data(arguments.data)
    else:
        parser.error("expected --check, --preset, or --config with --weights and --data")
    run = Run(config, weights, data, arguments.mode, arguments.optimizer)
    serve(run) if arguments.serve else measure(run, config, arguments)


if __name__ == "__main__":
    main()
