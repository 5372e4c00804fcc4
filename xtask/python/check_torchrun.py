"""Training under torchrun in two processes, as a user of the public code starts it: `check_torchrun.py TRM`.

For each symmetric mixer: a data set that `trm generate` writes, a few steps of `benches/python/pretrain.py` in two gloo
processes, the checkpoint recorded by `export/python/record_golden.py` on puzzles of the data set, and `trm parity` on that:
answers and numbers equal. Exit code 1 if anything is not as it should be.
"""

import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMON = {
    "name": "recursive_reasoning.symmetric@SymmetricReasoningModel_ACTV1",
    "loss": {"name": "losses@ACTLossHead", "loss_type": "stablemax_cross_entropy"},
    "hidden_size": 16,
    "expansion": 2,
    "H_cycles": 2,
    "L_cycles": 2,
    "L_layers": 2,
    "puzzle_emb_ndim": 0,
    "halt_max_steps": 8,
    "halt_exploration_prob": 0.1,
    "forward_dtype": "float32",
}
SUDOKU = {"height": 6, "width": 6, "groups": ["rows", "columns", {"boxes": [2, 3]}]}
RUNS = {
    "grid": (["maze", "--size", "8x11"], {"mixer": "grid", "board": {"height": 8, "width": 11}}),
    "cross": (["maze", "--size", "6x5"], {"mixer": "cross", "board": {"height": 6, "width": 5}}),
    "candidates": (["sudoku-easy", "--size", "6x6"], {"mixer": "candidates", "board": SUDOKU}),
}
STEPS = 8


def run(command, **options):
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    if ran.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {ran.returncode}:\n{ran.stdout}\n{ran.stderr}")
    return ran.stdout


def check(trm, name, puzzles, settings, folder):
    data, out, golden = folder / "data", folder / "run", folder / "golden"
    run([trm, "generate", *puzzles, "--count", 64, "--seed", 5, "--out", data / "train"])
    (folder / "arch.json").write_text(json.dumps(COMMON | settings))
    pretrain = [ROOT / "benches/python/pretrain.py", "--data", data, "--arch", folder / "arch.json", "--out", out]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2]
    lines = run([*torchrun, *pretrain, "--steps", STEPS, "--warmup", 2, "--ema", 0.5, "--batch", 8, "--every", 1]).splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    if len(losses) != STEPS or not all(map(math.isfinite, losses)) or not losses[-1] < losses[0]:
        sys.exit(f"{name}: {STEPS} finite losses that fall were expected, not {losses}")

    recorder = [ROOT / "export/python/record_golden.py", "--code", ROOT / "benches/python/public"]
    recorder += ["--checkpoint", out / f"step_{STEPS}", "--data", data / "train", "--out", golden]
    run([sys.executable, *recorder])
    report = json.loads(run([trm, "parity", "--golden", golden, "--json"]))
    if report["outcome"] != "passed":
        sys.exit(f"{name}: parity {report}")
    print(f"{name}: {STEPS} steps in two processes, loss {losses[0]:.3f} to {losses[-1]:.3f}, its checkpoint's answers equal")


def main():
    trm = Path(sys.argv[1]).resolve()
    for name, (puzzles, settings) in RUNS.items():
        with tempfile.TemporaryDirectory() as folder:
            check(trm, name, puzzles, settings, Path(folder))


if __name__ == "__main__":
    main()
