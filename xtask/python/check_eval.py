"""What `trm eval` counts, against numpy: `check_eval.py TRM BUNDLE`, exit code 1 if a figure differs.

Makes a data set of 4x4 sudokus whose labels are partly wrong and partly ignored, runs the bundle's step graph in Python's ONNX
Runtime, and compares `accuracy`, `exact` and `cell` of every step with the lines of the public loss head.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime

PUZZLES = 60
IGNORED = -100


def sudokus(rng):
    """Solved 4x4 grids with some of their cells given, as tokens: 1 is blank, 2 to 5 are the digits."""
    base = np.array([[1, 2, 3, 4], [3, 4, 1, 2], [2, 1, 4, 3], [4, 3, 2, 1]])
    for _ in range(PUZZLES):
        solution = rng.permutation([2, 3, 4, 5])[base - 1]
        bands = np.concatenate([band * 2 + rng.permutation(2) for band in rng.permutation(2)])
        solution = solution[bands].T.ravel()
        yield np.where(rng.random(16) < 0.4, solution, 1), solution


def make(folder, rng):
    inputs, solutions = map(np.array, zip(*sudokus(rng)))
    wrong = rng.random(solutions.shape) < 0.1
    labels = np.where(wrong, 2 + (solutions - 1) % 4, solutions)
    # Every puzzle another share of cells without a label, the first with none at all.
    labels[rng.random(labels.shape) < rng.random((PUZZLES, 1))] = 0
    labels[0] = 0
    arrays = {
        "inputs": inputs,
        "labels": labels,
        "puzzle_identifiers": np.zeros(PUZZLES),
        "puzzle_indices": np.arange(PUZZLES + 1),
        "group_indices": np.arange(PUZZLES + 1),
    }
    for name, array in arrays.items():
        np.save(folder / f"all__{name}.npy", array.astype(np.int32))
    metadata = {"pad_id": 0, "ignore_label_id": 0, "blank_identifier_id": 0, "vocab_size": 6, "seq_len": 16}
    metadata |= {"num_puzzle_identifiers": 1, "total_groups": PUZZLES, "mean_puzzle_examples": 1, "sets": ["all"]}
    (folder / "dataset.json").write_text(json.dumps(metadata))
    return inputs.astype(np.int32), np.where(labels == 0, IGNORED, labels)


def answers(bundle, inputs, steps):
    """The answer after every step, none halting early."""
    session = onnxruntime.InferenceSession(str(bundle / "step.onnx"), providers=["CPUExecutionProvider"])
    shapes = {value.name: value.shape[1:] for value in session.get_inputs()}
    carry = [np.zeros((PUZZLES, *shapes[name]), np.float32) for name in ("z_h", "z_l")]
    for step in range(steps):
        feed = {"tokens": inputs, "puzzle_ids": np.zeros(PUZZLES, np.int32), "reset": np.full(PUZZLES, step == 0)}
        feed |= {"z_h": carry[0], "z_l": carry[1]}
        answer, *carry = session.run(["answer", "z_h_next", "z_l_next"], feed)
        yield answer


def figures(labels, answer):
    """The public loss head's lines."""
    mask = labels != IGNORED
    loss_counts = mask.sum(-1)
    is_correct = mask & (answer == labels)
    valid = loss_counts > 0
    return {
        "accuracy": (is_correct / np.maximum(loss_counts, 1)[:, None]).sum(-1)[valid].mean(),
        "exact": (is_correct.sum(-1) == loss_counts)[valid].mean(),
        "cell": is_correct.sum() / mask.sum(),
    }


def main():
    trm, bundle = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        inputs, labels = make(Path(folder), np.random.default_rng(7))
        command = [str(trm), "eval", str(bundle), "--data", folder, "--backend", "tract", "--json"]
        report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    by_step = report["by_step"]
    expected = [figures(labels, answer) for answer in answers(bundle, inputs, len(by_step))]
    different = 0
    for step, (found, right) in enumerate(zip(by_step + [report], expected + [expected[-1]]), 1):
        for name, value in right.items():
            if abs(found[name] - value) > 1e-9:
                print(f"FOUND: step {step}: {name} is {found[name]}, numpy says {value}")
                different += 1
    spread = {name: round(float(value), 4) for name, value in expected[-1].items()}
    if len(set(spread.values())) < 3:
        print(f"FOUND: {spread} does not tell the figures apart")
        different += 1
    print(f"trm eval counts as numpy does at {len(by_step)} steps: {spread}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
