"""Whole puzzles in PyTorch as the public code evaluates them: a fixed batch, every puzzle for all its steps.

The model is pytorch_step.py's, which is held to the reference's recorded outputs. The benches start it as

    pytorch_puzzles.py --serve --config FILE --weights FILE --puzzles FILE --mode M --threads N

`FILE` of puzzles has the tokens of one in each line. Lines on stdin: `run BATCH FIRST COUNT` solves COUNT puzzles from number
FIRST on, in batches of BATCH (the last one filled up, as the public code does), and answers with one line of JSON, the seconds
and the answers; `quit` ends. The first run of a batch size compiles, with the modes that do.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from pytorch_step import Model, canonical

MODES = ("eager-fp32", "compile-fp32", "eager-bf16", "compile-bf16")


class Solver:
    def __init__(self, config, weights, mode):
        self.model = Model(config, weights, torch.bfloat16 if mode.endswith("bf16") else torch.float32)
        self.steps = config["halt_max_steps"]
        step = self.model.step
        self.step = torch.compile(step, dynamic=False) if mode.startswith("compile") else step

    def solve(self, tokens):
        """`[batch, seq]` to `[batch, seq]`."""
        puzzle_ids = torch.zeros(len(tokens), dtype=torch.int32)
        carry = self.model.initial_carry(len(tokens))
        for _ in range(self.steps):
            carry, logits, _, _ = self.step(carry, tokens, puzzle_ids)
        return logits.argmax(-1)


def run(solver, puzzles, batch, first, count):
    wanted = puzzles[first : first + count]
    answers = []
    started = time.perf_counter()
    for start in range(0, len(wanted), batch):
        rows = wanted[start : start + batch]
        filled = torch.cat((rows, rows[:1].expand(batch - len(rows), -1)))
        answers.append(solver.solve(filled)[: len(rows)])
    answers = torch.cat(answers).tolist()
    return {"seconds": time.perf_counter() - started, "answers": answers}


def main():
    parser = argparse.ArgumentParser(description="Whole puzzles in PyTorch, as the public code evaluates them.")
    parser.add_argument("--serve", action="store_true", required=True, help="answer the lines of the benches")
    parser.add_argument("--config", metavar="FILE", required=True)
    parser.add_argument("--weights", metavar="FILE", required=True)
    parser.add_argument("--puzzles", metavar="FILE", required=True)
    parser.add_argument("--mode", choices=MODES, default=MODES[0])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    lines = Path(arguments.puzzles).read_text().splitlines()
    puzzles = torch.tensor([[int(token) for token in line.split()] for line in lines], dtype=torch.int32)
    config = json.loads(Path(arguments.config).read_text())
    with torch.inference_mode():
        solver = Solver(config, canonical(load_file(arguments.weights)), arguments.mode)
        print(json.dumps({"ready": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
        for line in sys.stdin:
            command, *numbers = line.split()
            if command != "run":
                return
            print(json.dumps(run(solver, puzzles, *map(int, numbers))), flush=True)


if __name__ == "__main__":
    main()
