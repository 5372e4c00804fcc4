"""The claims of the papers on recursive networks, tried at a scale that two cores can afford: `claims.py --trm TRM --out DIR`.

Every architecture learns every task from nothing with `trm train`, on one thread, for the same minutes. How many updates
that is, a short run of each says first, while nothing else should run on the machine (`--speeds` ends there); the runs
themselves then have their numbers of updates, each with its learning rate coming to its end, whatever else runs. Prints, as
Markdown, what share of fresh puzzles each answers after a quarter, a half and all of its updates, the seeds' puzzles together
with the 95 % Wilson interval, and the seeds apart. Runs that DIR holds already are not run again.
"""

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path

PUZZLES = 200
# Updates of a trial, of which the fastest stretch of 20 is its speed.
TRIAL = 60
TASKS = {
    "sudoku-2x3": ["evaluation.steps=0"],
    "maze-9": ["batch.groups=32", "batch.visits=[[0,8],[1000,16]]"],
    "sudoku-9": ["evaluation.steps=0"],
}
# In this order: each setting has to fit those before it.
SYMMETRIC = ["model.puzzle_emb_ndim=0", "model.pos_encodings=none", "model.hidden_size=32", "optimizer.clip_grad_norm=1"]
# What each architecture is beside the preset of `trm train --task`: TRM with two layers of width 128, MLP-T.
ARCHITECTURES = {
    "TRM, MLP-T": [],
    "TRM, MLP-T, 4 layers": ["model.L_layers=4", "model.L_cycles=1"],
    "TRM, attention": ["model.mixer=attention", "model.pos_encodings=rope"],
    "HRM, attention, 4 + 4 layers": [
        "model.architecture=hrm",
        "model.mixer=attention",
        "model.pos_encodings=rope",
        "model.H_layers=4",
        "model.L_layers=4",
        "model.no_ACT_continue=false",
    ],
    "TRM, symmetric": None,
}
SHARES = ("quarter", "half", "all")


def settings(task, architecture):
    own = ARCHITECTURES[architecture]
    if own is None:
        own = [f"model.mixer={'grid' if task.startswith('maze') else 'candidates'}", *SYMMETRIC]
    return [*TASKS[task], *own, "optimizer.ema=0.998", "schedule.lr_min_ratio=0.02"]


def train(trm, out, task, seed, steps, chosen):
    """Runs `trm train` and returns its log's records."""
    chosen = [*chosen, f"seed={seed}", f"schedule.steps={steps}", f"checkpoint.every={steps}"]
    command = [trm, "train", "--task", task, "--out", out, "--threads", "1"]
    for setting in chosen:
        command += ["--set", setting]
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if ran.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {ran.returncode}: {ran.stderr}")
    return [json.loads(line) for line in (Path(out) / "log.jsonl").read_text().splitlines()]


def slug(architecture):
    return "".join(c if c.isalnum() else "-" for c in architecture.lower())


def speed(arguments, task, architecture):
    """Samples a second of one thread, measured once."""
    folder = Path(arguments.out) / task / slug(architecture)
    known = folder / "speed.json"
    if not known.exists():
        chosen = [*settings(task, architecture), "evaluation.every=0"]
        log = train(arguments.trm, folder / "trial", task, 1, TRIAL, chosen)
        known.write_text(json.dumps(max(record["samples_per_s"] for record in log if record["kind"] == "train")))
    return json.loads(known.read_text())


def result(arguments, task, architecture, seed):
    """What a run came to, from its file if it is there."""
    folder = Path(arguments.out) / task / slug(architecture) / str(seed)
    done = folder / "result.json"
    if done.exists():
        return json.loads(done.read_text())
    updates = max(40, round(arguments.minutes * 60 * speed(arguments, task, architecture) / 32))
    print(f"{task}, {architecture}, seed {seed}: {updates} updates", file=sys.stderr, flush=True)
    evaluation = [f"evaluation.every={max(1, updates // 4)}", f"evaluation.puzzles={PUZZLES}"]
    log = train(arguments.trm, folder, task, seed, updates, [*settings(task, architecture), *evaluation])
    evaluations = {record["step"]: record for record in log if record["kind"] == "eval"}
    steps = sorted(evaluations)
    chosen_steps = [steps[0], steps[1], steps[-1]]
    found = {
        "updates": updates,
        "right": [round(evaluations[step]["exact"] * PUZZLES) for step in chosen_steps],
        "valid": [round(evaluations[step]["valid"] * PUZZLES) for step in chosen_steps],
    }
    done.write_text(json.dumps(found))
    return found


def interval(right, n, z=1.959964):
    share = right / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return f"{100 * share:.1f} % ({100 * (centre - half):.1f}-{100 * (centre + half):.1f})"


def main():
    parser = argparse.ArgumentParser(description="Compares architectures at equal minutes of one core.")
    parser.add_argument("--trm", required=True, metavar="FILE", help="the program")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the runs")
    parser.add_argument("--minutes", type=float, default=2.0, help="minutes of training a run")
    parser.add_argument("--speeds", action="store_true", help="only measure how fast each trains")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--architectures", nargs="+", choices=ARCHITECTURES, default=list(ARCHITECTURES))
    arguments = parser.parse_args()
    for task in arguments.tasks:
        for architecture in arguments.architectures:
            samples = speed(arguments, task, architecture)
            print(f"{task}, {architecture}: {samples:.0f} samples/s", file=sys.stderr, flush=True)
    for task in arguments.tasks if not arguments.speeds else []:
        print(f"\n{task}, valid answers of {PUZZLES} fresh puzzles a seed, {arguments.minutes:g} minutes of one thread:\n")
        print("| | samples/s | samples | after a quarter | half | all | seeds apart |\n| --- | --- | --- | --- | --- | --- | --- |")
        for architecture in arguments.architectures:
            runs = [result(arguments, task, architecture, seed) for seed in range(1, arguments.seeds + 1)]
            shares = [interval(sum(run["valid"][at] for run in runs), PUZZLES * len(runs)) for at in range(len(SHARES))]
            apart = " / ".join(f"{100 * run['valid'][-1] / PUZZLES:.1f}" for run in runs)
            row = [architecture, f"{speed(arguments, task, architecture):.0f}", f"{runs[0]['updates'] * 32}", *shares, apart]
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
