"""The recorder of goldens, run as a user runs it: `check_recorder.py TRM GOLDENS`, exit code 1 if anything is not as it should.

Records the checkpoints in GOLDENS with `export/python/record_golden.py` from classes that have the public code's names and
equations (`benches/python/public`), and expects
- the numbers that the public code itself computed of them, which GOLDENS holds;
- `trm parity` to pass on each new recording, and to fail once a weight is changed;
- steps of a chaotic recursion to be judged from the recorded carry;
- what cannot be recorded to be refused.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[2]
RECORDER = ROOT / "export/python/record_golden.py"
PUBLIC = ROOT / "benches/python/public"
# Bit for bit on the machine that recorded; elsewhere PyTorch sums in another order.
SAME_CODE = 2e-5


class Finding(Exception):
    """Something is not as it should be."""


def expect(condition, message):
    if not condition:
        raise Finding(message)


def record(out, checkpoint, *arguments, code=PUBLIC):
    command = [sys.executable, str(RECORDER), "--code", str(code), "--checkpoint", str(checkpoint), "--out", str(out)]
    return subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True)


def recorded(out, checkpoint, *arguments):
    ran = record(out, checkpoint, *arguments)
    expect(ran.returncode == 0, f"{out.name}: the recorder ended with {ran.returncode}: {ran.stderr}")
    return load_file(out / "outputs.safetensors"), json.loads((out / "manifest.json").read_text())


def refused(expected, *arguments, **options):
    with tempfile.TemporaryDirectory() as folder:
        ran = record(Path(folder) / "new", *arguments, **options)
        expect(ran.returncode == 2, f"exit code {ran.returncode} instead of a refusal that says {expected!r}: {ran.stderr}")
        expect(expected in ran.stderr, f"expected a refusal that says {expected!r}, found {ran.stderr}")
        expect(not list(Path(folder).iterdir()), f"a refusal that says {expected!r} left something behind")


def parity(trm, golden, *arguments):
    command = [str(trm), "parity", "--golden", str(golden), "--json", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True)
    expect(ran.returncode in (0, 1), f"{golden.name}: trm parity ended with {ran.returncode}: {ran.stderr}")
    report = json.loads(ran.stdout)
    expect((ran.returncode == 0) == (report["outcome"] == "passed"), f"{golden.name}: exit code {ran.returncode}: {report}")
    return report


def passed(trm, golden, *arguments):
    report = parity(trm, golden, *arguments)
    failed = [row for row in report["steps"] if row.get("passed") is False]
    expect(report["outcome"] == "passed", f"{golden.name}: {report['outcome']}: {report['not_judged']} {failed}")
    return report


def inputs_of(golden, folder):
    """The arguments that give the recorder a golden's own inputs."""
    tensors = load_file(golden / "outputs.safetensors")
    names = {"inputs": "--inputs", "puzzle_identifiers": "--puzzle-ids", "labels": "--labels"}
    arguments = []
    for name, option in names.items():
        np.save(folder / f"{name}.npy", tensors[name])
        arguments += [option, folder / f"{name}.npy"]
    return tensors, arguments


def check_golden(trm, golden, folder, steps_from_start, *more):
    """`steps_from_start`: how many steps are no chaos, so that the numbers are those of the public code."""
    tensors, arguments = inputs_of(golden, folder)
    out = folder / golden.name
    found, manifest = recorded(out, golden / "step_1000", *arguments, *more)
    for name, tensor in tensors.items():
        step = int(name[-2:]) if name[-2:].isdigit() else 16
        if name in found and step <= steps_from_start and not name.startswith("q_"):
            error = np.abs(found[name].astype(np.float64) - tensor).max()
            expect(error <= SAME_CODE, f"{golden.name}: {name} is {error:.1e} from the public code's own")
    for name in ("q_halt_logits", "q_continue_logits"):
        error = np.abs(found[name][:steps_from_start] - tensors[name][:steps_from_start]).max()
        expect(error <= SAME_CODE, f"{golden.name}: {name} is {error:.1e} from the public code's own")
    for backend in ("ort", "tract"):
        report = passed(trm, out, "--backend", backend)
        worst = max(row[name] / limit for row in report["steps"] for name, limit in row.get("limits", {}).items() if name in row)
        judged = sum("passed" in row for row in report["steps"])
        print(f"{golden.name}: {judged} steps judged on {backend}, largest error {100 * worst:.0f} % of its limit")
    return out, manifest


def check_changed_weight(trm, golden, folder):
    """A weight that is off by a hundredth is found."""
    changed = folder / "changed"
    shutil.copytree(golden, changed)
    path = next(changed.glob("step_*"))
    weights = torch.load(path, weights_only=True)
    name = next(name for name in weights if name.endswith("lm_head.weight"))
    weights[name] *= 1.01
    torch.save(weights, path)
    report = parity(trm, changed, "--backend", "tract")
    expect(report["outcome"] == "failed", f"a changed weight is {report['outcome']}")


def check_chaotic(trm, golden, folder):
    """Steps after chaos has set in are judged from the carry recorded before them."""
    out, manifest = check_golden(trm, golden, folder, 1, "--steps", 6)
    rows = manifest["judge"]["steps"]
    again = [row["step"] for row in rows if row.get("from") == "recorded"]
    expect(again, f"{golden.name}: no step is judged from a recorded carry: {rows}")
    report = passed(trm, out, "--backend", "tract")
    judged = [row["step"] for row in report["steps"] if row["start"] == "recorded" and row["passed"]]
    expect(judged == again, f"{golden.name}: steps {judged} of {again} are judged from a recorded carry")
    print(f"{golden.name}: steps {again} judged from the carry before")


def check_data_set(trm, golden, folder):
    """The first examples of a data set, and a checkpoint that is one of several sets of weights."""
    tensors = load_file(golden / "outputs.safetensors")
    data = folder / "data/test"
    data.mkdir(parents=True)
    rows = len(tensors["inputs"])
    labels = np.where(tensors["labels"] == -100, 0, tensors["labels"])
    arrays = {"inputs": tensors["inputs"], "labels": labels, "puzzle_identifiers": np.zeros(rows), "puzzle_indices": np.arange(rows + 1)}
    for name, array in arrays.items():
        np.save(data / f"all__{name}.npy", array.astype(np.int32))
    (data / "dataset.json").write_text(json.dumps({"sets": ["all"], "ignore_label_id": 0}))
    weights = torch.load(golden / "step_1000", weights_only=True)
    checkpoint = folder / "sets.pt"
    torch.save({"model": weights, "ema": weights, "step": 3}, checkpoint)
    shared = ["--config", golden / "all_config.yaml", "--data", folder / "data", "--rows", 2, "--steps", 4]
    refused("its sets of weights are ema, model\nhint: name one by --weights", checkpoint, *shared)
    out = folder / "from-data"
    found, manifest = recorded(out, checkpoint, *shared, "--weights", "ema")
    expect(found["inputs"].shape == (2, 81) and (found["labels"] == tensors["labels"][:2]).all(), "other examples were taken")
    expect(np.abs(found["logits_step04"] - tensors["logits_step04"][:2]).max() <= SAME_CODE, "other logits than in a batch of three")
    expect((out / "checkpoint.pt").is_file(), "the set of weights is not in the golden")
    passed(trm, out, "--backend", "tract")
    expect(manifest["steps_run"] == 4, f"{manifest['steps_run']} steps")


def check_half(golden, folder):
    """What is recorded in bfloat16 has limits for that."""
    _, arguments = inputs_of(golden, folder)
    found, manifest = recorded(folder / "half", golden / "step_1000", *arguments, "--dtype", "config", "--steps", 2)
    expect(manifest["arch"]["forward_dtype"] == "bfloat16", manifest["arch"])
    limits = [row["limits"]["logits"] for row in manifest["judge"]["steps"] if "logits" in row.get("limits", {})]
    expect(limits and min(limits) >= 1e-2, f"limits {limits} in bfloat16")
    return folder / "half"


def check_refusals(golden, folder):
    tensors, arguments = inputs_of(golden, folder)
    checkpoint = golden / "step_1000"
    refused("no folder `models`", checkpoint, *arguments, code=folder)
    refused("expected 1 to halt_max_steps, which is 16", checkpoint, *arguments, "--steps", 17)
    np.save(folder / "wrong.npy", tensors["inputs"] + 100)
    refused("vocab_size of the checkpoint", checkpoint, "--inputs", folder / "wrong.npy")
    weights = torch.load(checkpoint, weights_only=True)
    extra, less = folder / "extra.pt", folder / "less.pt"
    torch.save(weights | {"model.inner.extra.weight": torch.zeros(1)}, extra)
    refused("is no weight of TinyRecursiveReasoningModel_ACTV1", extra, *arguments, "--config", golden / "all_config.yaml")
    torch.save({name: weight for name, weight in weights.items() if "q_head.bias" not in name}, less)
    refused("no weight for `inner.q_head.bias`", less, *arguments, "--config", golden / "all_config.yaml")
    endless = {name: weight * float("nan") if "lm_head" in name else weight for name, weight in weights.items()}
    torch.save(endless, less)
    refused("logits is not finite at step 1", less, *arguments, "--config", golden / "all_config.yaml")


def main():
    trm, goldens = Path(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        try:
            first, _ = check_golden(trm, goldens / "sudoku_mlp_stable", folder, 16)
            check_golden(trm, goldens / "maze_att_stable", folder, 4, "--steps", 4)
            check_golden(trm, goldens / "hrm_att_stable", folder, 4, "--steps", 4)
            check_changed_weight(trm, first, folder)
            check_chaotic(trm, goldens / "sudoku_mlp", folder)
            check_data_set(trm, goldens / "sudoku_mlp_stable", folder)
            passed(trm, check_half(goldens / "sudoku_mlp_bf16_stable", folder), "--backend", "tract")
            check_refusals(goldens / "sudoku_mlp_stable", folder)
        except Finding as finding:
            print(f"FOUND: {finding}")
            return 1
    print("the recorder is as it should be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
