"""Trains an architecture of the public code on one or several machines, from and into the public code's files.

    torchrun --nproc-per-node 2 benches/python/pretrain.py --data DATA --arch arch.json --steps 20000 --out DIR

`DATA` is a folder of the public format that holds `train/` (`trm generate KIND --out DATA/train` writes one), `arch.json`
the architecture's settings as its config has them under `arch`, `name` included: `recursive_reasoning.symmetric@…` is
symmetric.py beside this file, others are looked up in the checkout that `--code` names. `DIR` gets `step_N`,
`all_config.yaml` (JSON, which is YAML) and `dataset.json`: what `trm export DIR/step_N` reads.

It is the public `pretrain.py` without its loggers, and runs on CPUs as well (gloo; on GPUs nccl): deep supervision, a
process taking its own share of a batch, gradients summed, Adam-atan2, moving average. Every process must come to the same
weights: that is checked at the end.
"""

import argparse
import importlib
import json
import math
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from pytorch_train import IGNORED, adam, step_loss  # noqa: E402


class Puzzles:
    """Examples of a data set without end: groups in a new order each time, a puzzle and an example of it at random."""

    def __init__(self, folder, seed, rank, world):
        self.metadata = json.loads((folder / "dataset.json").read_text())
        sets = self.metadata["sets"]
        if len(sets) != 1:
            raise SystemExit(f"error: {folder} has the sets {sets}, expected one")
        read = lambda name: np.load(folder / f"{sets[0]}__{name}.npy", mmap_mode="r")  # noqa: E731
        self.inputs, self.labels, self.identifiers = read("inputs"), read("labels"), read("puzzle_identifiers")
        self.puzzles, self.groups = read("puzzle_indices"), read("group_indices")
        # All processes draw the same rows and each takes its own.
        self.rng, self.rank, self.world, self.order = np.random.default_rng(seed), rank, world, []

    def row(self):
        if not self.order:
            self.order = list(self.rng.permutation(len(self.groups) - 1))
        group = self.order.pop()
        puzzle = self.rng.integers(self.groups[group], self.groups[group + 1])
        return self.rng.integers(self.puzzles[puzzle], self.puzzles[puzzle + 1]), self.identifiers[puzzle]

    def batch(self, size, device):
        rows = [self.row() for _ in range(size)][self.rank :: self.world]
        examples = [example for example, _ in rows]
        labels = self.labels[examples].astype(np.int64)
        if (ignored := self.metadata["ignore_label_id"]) is not None:
            labels[labels == ignored] = IGNORED
        arrays = {
            "inputs": self.inputs[examples].astype(np.int32),
            "labels": labels,
            "puzzle_identifiers": np.array([identifier for _, identifier in rows], np.int32),
        }
        return {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}


def architecture(arch, metadata, rows, code):
    """The class that `name` asks for, built with what the public code adds to an architecture's settings."""
    module, name = arch["name"].split("@")
    if module == "recursive_reasoning.symmetric":
        loaded = importlib.import_module("symmetric")
    elif code:
        sys.path.insert(0, str(Path(code).resolve()))
        loaded = importlib.import_module(f"models.{module}")
    else:
        raise SystemExit(f"error: the architecture {module} is not here, --code names the checkout that has it")
    if arch.get("puzzle_emb_ndim", 0) > 0:
        raise SystemExit("error: puzzle_emb_ndim must be 0: the table's own optimiser is only in the public pretrain.py")
    known = {key: metadata[key] for key in ("vocab_size", "seq_len", "num_puzzle_identifiers")}
    settings = {key: value for key, value in arch.items() if key not in ("name", "loss")}
    return getattr(loaded, name)(settings | known | {"batch_size": rows, "causal": False})


class Wrapped(torch.nn.Module):
    """The names of the public code's checkpoints, which its loss head gives."""

    def __init__(self, model):
        super().__init__()
        self.model = model


def rate(arguments, step):
    """Linear warm-up, then cosine down to a share."""
    if step < arguments.warmup:
        return arguments.lr * step / arguments.warmup
    share = (step - arguments.warmup) / max(1, arguments.steps - arguments.warmup)
    return arguments.lr * (arguments.lr_min_ratio + (1 - arguments.lr_min_ratio) * 0.5 * (1 + math.cos(math.pi * share)))


def train(arguments, model, puzzles, device):
    """The steps of one process; its loss is printed by the first."""
    parameters = list(model.parameters())
    first, second = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    average = [p.detach().clone() for p in parameters]
    hyper = {"beta1": 0.9, "beta2": 0.95, "weight_decay": arguments.weight_decay, "optimizer": "adam-atan2"}
    carry = None
    for step in range(1, arguments.steps + 1):
        batch = puzzles.batch(arguments.batch, device)
        with torch.device(device):
            carry = carry or model.initial_carry(batch)
        carry, outputs = model(carry, batch)
        loss = step_loss(outputs["logits"], outputs["q_halt_logits"], carry.current_data["labels"])
        (loss / arguments.batch).backward()
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        total = loss.detach().clone()
        for tensor in [*gradients, total]:
            dist.all_reduce(tensor)
        corrections = [torch.tensor(1 - hyper[beta] ** step, device=device) for beta in ("beta1", "beta2")]
        now = {"lr": rate(arguments, step), "ema": arguments.ema}
        with torch.no_grad():
            adam(parameters, gradients, first, second, average, hyper | now, *corrections)
        for parameter in parameters:
            parameter.grad = None
        if puzzles.rank == 0 and (step % arguments.every == 0 or step == arguments.steps):
            print(json.dumps({"step": step, "samples": step * arguments.batch, "loss": total.item() / arguments.batch}), flush=True)
    return dict(zip((name for name, _ in model.named_parameters()), average))


def same_everywhere(weights):
    """True if all processes hold the same numbers."""
    mine = torch.stack([weight.double().sum() for weight in weights.values()])
    least, most = mine.clone(), mine.clone()
    dist.all_reduce(least, dist.ReduceOp.MIN)
    dist.all_reduce(most, dist.ReduceOp.MAX)
    return bool((least == most).all())


def save(arguments, model, weights):
    """The moving average under the public names, written beside its place and then renamed."""
    model.load_state_dict(model.state_dict() | weights)
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"step_{arguments.steps}"
    torch.save(Wrapped(model).state_dict(), target.with_suffix(".unfinished"))
    os.replace(target.with_suffix(".unfinished"), target)
    (out / "all_config.yaml").write_text(json.dumps({"arch": json.loads(Path(arguments.arch).read_text())}, indent=2))
    shutil.copy(Path(arguments.data) / "train" / "dataset.json", out / "dataset.json")
    print(f"wrote {target}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description="Trains an architecture of the public code, under torchrun.")
    parser.add_argument("--data", required=True, metavar="DIR", help="folder that holds train/")
    parser.add_argument("--arch", required=True, metavar="FILE", help="the architecture's settings as JSON")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the checkpoint")
    parser.add_argument("--code", metavar="DIR", help="checkout of the public code, for its own architectures")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch", type=int, default=32, help="rows of all processes together")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--lr-min-ratio", type=float, default=0.02)
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--ema", type=float, default=0.998)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=20, help="steps between two lines on stdout")
    arguments = parser.parse_args()

    gpu = torch.cuda.is_available()
    dist.init_process_group("nccl" if gpu else "gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    if arguments.batch % world:
        raise SystemExit(f"error: --batch {arguments.batch} does not divide into {world} processes")
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if gpu else torch.device("cpu")
    torch.manual_seed(arguments.seed)
    puzzles = Puzzles(Path(arguments.data) / "train", arguments.seed, rank, world)
    arch = json.loads(Path(arguments.arch).read_text())
    with torch.device(device):
        model = architecture(arch, puzzles.metadata, arguments.batch // world, arguments.code).train()
    for tensor in [*model.parameters(), *model.buffers()]:
        dist.broadcast(tensor.data, src=0)
    # Rows halt at random: not the same ones in every process.
    torch.manual_seed(arguments.seed * world + rank + 1)
    weights = train(arguments, model, puzzles, device)
    if not same_everywhere(weights):
        raise SystemExit("error: the processes have come to different weights")
    if rank == 0:
        save(arguments, model, weights)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
