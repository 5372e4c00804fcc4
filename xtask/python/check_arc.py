"""ARC data sets and votes against numpy: `check_arc.py TRM ARC_VOTES TASKS`, exit code 1 if a number differs.

TASKS is a file of Kaggle's, `arc_challenges.json`, with its solutions beside it. `trm dataset arc` writes a data set of it, and every example is mapped
back to its task by the rules of the public `build_arc_dataset.py` (names, turns, colours, end marks). Then 1,000 test inputs get random predictions, and
the example `arc_votes` has to rank them as the public `evaluators/arc.py` does: passes at 1 to 1000, and the two grids to hand in.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

SIDE = 30
CASES = 1000
PASS_AT = (1, 2, 5, 10, 100, 1000)
TURNS = (
    lambda grid: grid,
    lambda grid: np.rot90(grid, 1),
    lambda grid: np.rot90(grid, 2),
    lambda grid: np.rot90(grid, 3),
    np.fliplr,
    np.flipud,
    np.transpose,
    lambda grid: np.fliplr(np.rot90(grid, 1)),
)
BACK = (0, 3, 2, 1, 4, 5, 6, 7)


def told(name):
    """The task and the way back that a name tells."""
    if "|||" not in name:
        return name, lambda grid: grid
    task, turn, colours = name.split("|||")
    back = np.argsort([int(colour) for colour in colours])
    return task, lambda grid: back[TURNS[BACK[int(turn[1:])]](grid)]


def placed(grid, row=0, column=0):
    """A grid as tokens, its corner at a row and column: colours from 2 on, 1 beside and below."""
    canvas = np.zeros((SIDE, SIDE), np.int64)
    height, width = grid.shape
    canvas[row : row + height, column : column + width] = grid + 2
    canvas[row + height : row + height + 1, column : column + width] = 1
    canvas[row : row + height, column + width : column + width + 1] = 1
    return canvas.ravel()


def cropped(tokens):
    """The largest rectangle of colours from the top-left corner on, the first found of several."""
    canvas = np.asarray(tokens).reshape(SIDE, SIDE)
    best, size, width = 0, (0, 0), SIDE
    for height in range(1, SIDE + 1):
        row = canvas[height - 1, :width]
        stops = np.flatnonzero((row < 2) | (row > 11))
        width = int(stops[0]) if len(stops) else width
        if height * width > best:
            best, size = height * width, (height, width)
    return canvas[: size[0], : size[1]] - 2


def key(grid):
    return grid.shape, np.asarray(grid, np.uint8).tobytes()


def outermost(tokens):
    """The place of a grid on its canvas, and the grid."""
    canvas = tokens.reshape(SIDE, SIDE).astype(np.int64)
    rows, columns = np.nonzero(canvas >= 2)
    row, column = rows.min(), columns.min()
    return row, column, canvas[row : rows.max() + 1, column : columns.max() + 1] - 2


def check_data_set(folder, tasks):
    """The faults of a data set, whose examples must be those of its tasks."""
    faults = []
    names = json.loads((folder / "identifiers.json").read_text())
    if json.loads((folder / "test_puzzles.json").read_text()) != tasks:
        faults.append("test_puzzles.json is not the tasks")
    for split in ("train", "test"):
        array = {}
        for name in ("inputs", "labels", "puzzle_identifiers", "puzzle_indices", "group_indices"):
            array[name] = np.load(folder / split / f"all__{name}.npy")
        if [str(value.dtype) for value in array.values()] != ["uint8"] * 2 + ["int32"] * 3:
            faults.append(f"{split}: {[value.dtype for value in array.values()]}")
        indices = array["puzzle_indices"]
        for puzzle, identifier in enumerate(array["puzzle_identifiers"]):
            task, back = told(names[identifier])
            pairs = []
            for example in range(indices[puzzle], indices[puzzle + 1]):
                row, column, grid = outermost(array["inputs"][example])
                label = array["labels"][example]
                answer = outermost(label)[2]
                if (placed(grid, row, column) != array["inputs"][example]).any() or (placed(answer, row, column) != label).any():
                    faults.append(f"{split} {names[identifier]}: not as the public builder places it")
                if split == "test" and (row, column) != (0, 0):
                    faults.append(f"{split} {names[identifier]}: translated")
                pairs.append((key(back(grid)), key(back(answer))))
            expected = [(key(np.array(p["input"])), key(np.array(p["output"]))) for p in tasks[task][split]]
            if pairs != expected:
                faults.append(f"{split} {names[identifier]}: not the task's pairs")
        if array["group_indices"][-1] != len(array["puzzle_identifiers"]) or len(set(names)) != len(names):
            faults.append(f"{split}: groups or names do not fit")
    print(f"{len(names) - 1} puzzles of {len(tasks)} tasks are mapped back to their tasks")
    return faults


def cases(rng):
    """Tasks of one to three test inputs, 1,000 in all, no two inputs alike."""
    tasks, count = {}, 0
    while count < CASES:
        test = []
        for _ in range(min(rng.integers(1, 4), CASES - count)):
            grid = rng.integers(0, 10, rng.integers(3, 6, 2))
            test.append({"input": grid.tolist(), "output": rng.integers(0, 10, rng.integers(1, 6, 2)).tolist()})
            count += 1
        train = [{"input": [[1]], "output": [[2]]}]
        tasks[f"case{len(tasks)}"] = {"train": train, "test": test}
    return tasks


def predictions(rng, tasks):
    """Predictions for copies of test inputs, the right answer among them at random; halting logits are often equal."""
    for task, puzzle in tasks.items():
        for pair in puzzle["test"]:
            answers = [rng.integers(0, 10, rng.integers(1, 6, 2)) for _ in range(rng.integers(1, 6))]
            answers.append(np.array(pair["output"]))
            for _ in range(rng.integers(0, 25)):
                turn, colours = rng.integers(8), np.concatenate([[0], 1 + rng.permutation(9)])
                name = f"{task}|||t{turn}|||{''.join(map(str, colours))}" if rng.random() < 0.9 else task
                forth = (lambda grid: TURNS[turn](colours[grid])) if name != task else (lambda grid: grid)
                answer = placed(forth(answers[rng.integers(len(answers))]))
                # What networks draw outside of the grid, and holes in it.
                noise = rng.random(SIDE * SIDE) < rng.choice([0, 0, 0.001, 0.05])
                answer = np.where(noise, rng.integers(0, 12, SIDE * SIDE), answer)
                question = placed(forth(np.array(pair["input"])))
                yield {
                    "name": name,
                    "input": question.tolist(),
                    "answer": answer.tolist(),
                    "q_halt": float(rng.choice([-1.5, 0.0, 2.25])),
                }


def ranked(lines):
    """The grids voted for, by task and input."""
    votes = {}
    for line in lines:
        task, back = told(line["name"])
        grid = back(cropped(line["answer"]))
        of_input = votes.setdefault((task, key(back(cropped(line["input"])))), {})
        entry = of_input.setdefault(key(grid), [0, 0.0, grid])
        entry[0] += 1
        entry[1] += 1 / (1 + np.exp(-line["q_halt"]))
    best_first = lambda entry: (entry[0], entry[1] / entry[0])
    return {which: sorted(found.values(), key=best_first, reverse=True) for which, found in votes.items()}


def check_votes(program, folder, rng):
    tasks = cases(rng)
    lines = list(predictions(rng, tasks))
    path = folder / "cases.json"
    path.write_text(json.dumps(tasks))
    text = "".join(json.dumps(line) + "\n" for line in lines)
    report = json.loads(subprocess.run([program, path], input=text, check=True, stdout=subprocess.PIPE, text=True).stdout)
    votes, faults, passed = ranked(lines), [], np.zeros(len(PASS_AT))
    for task, puzzle in tasks.items():
        right = np.zeros(len(PASS_AT))
        for index, pair in enumerate(puzzle["test"]):
            found = votes.get((task, key(np.array(pair["input"]))), [])
            right += [any(key(grid) == key(np.array(pair["output"])) for _, _, grid in found[:k]) for k in PASS_AT]
            grids = [grid.tolist() for _, _, grid in found[:2]] or [[[0]]]
            attempts = {"attempt_1": grids[0], "attempt_2": grids[-1]}
            if report["submission"][task][index] != attempts:
                faults.append(f"{task} input {index}: handed in is {report['submission'][task][index]}, numpy says {attempts}")
        passed += right / len(puzzle["test"])
    expected = passed / len(tasks)
    for (k, share), right in zip(report["pass_at"], expected, strict=True):
        if abs(share - right) > 1e-12:
            faults.append(f"pass@{k} is {share}, numpy says {right}")
    if report["tasks"] != len(tasks) or len(set(expected.round(6))) < 3:
        faults.append(f"{report['tasks']} of {len(tasks)} tasks; {expected} does not tell the figures apart")
    print(f"{len(lines)} predictions for {CASES} test inputs are ranked as numpy does it: pass@k {expected.round(4).tolist()}")
    return faults


def main():
    trm, votes, challenges = map(Path, sys.argv[1:])
    tasks = json.loads(challenges.read_text())
    solutions = json.loads(challenges.with_name(challenges.name.replace("challenges", "solutions")).read_text())
    for task, grids in solutions.items():
        for pair, grid in zip(tasks[task]["test"], grids, strict=True):
            pair["output"] = grid
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "arc"
        command = [trm, "dataset", "arc", "--from", challenges, "--test-set", "arc", "--augment", "100", "--out", out]
        subprocess.run(command, check=True)
        faults = check_data_set(out, tasks)
        faults += check_votes(votes, Path(folder), np.random.default_rng(11))
    for fault in faults[:20]:
        print(f"FOUND: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
