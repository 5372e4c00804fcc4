"""What Python's own ONNX tools say of exported bundles: `check_onnx.py BUNDLE…`, exit code 1 if one is found wanting.

For each graph of each bundle: onnx.checker with full type and shape inference, every value's type and rank inferred, inputs
and outputs dynamic in the batch only; it loads in stock ONNX Runtime; the step graph repeats the bundle's
self-test; and the solve and unrolled graphs halt and answer as the step graph does when it is stepped by hand. Of a classifier's
bundle: its file as well, and that its probabilities are some.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from safetensors import safe_open

# The self-test was computed in float64; a trained recursion keeps float32's differences small.
Q_HALT_TOLERANCE = 1e-2
CARRY_COSINE = 0.999


class Finding(Exception):
    """Something is wrong with a bundle."""


def expect(condition, message):
    if not condition:
        raise Finding(message)


def check_file(path):
    """The file by itself: well formed, and nothing in it left to guess."""
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(str(path))
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    nodes = check_types(inferred.graph)
    for value in (*inferred.graph.input, *inferred.graph.output):
        symbols = {dim.dim_param for dim in value.type.tensor_type.shape.dim if not dim.HasField("dim_value")}
        expect(symbols <= {"batch"}, f"{value.name} is dynamic in {sorted(symbols)}, expected the batch only")
    return {opset.domain or "ai.onnx": opset.version for opset in model.opset_import}, nodes


def check_types(graph):
    """Every value of a graph and of the graphs inside it has a type and a rank. Returns the number of nodes."""
    types = {value.name: value.type.tensor_type for value in (*graph.value_info, *graph.input, *graph.output)}
    nodes = len(graph.node)
    for node in graph.node:
        for name in filter(None, node.output):
            known = name in types and types[name].elem_type != 0 and types[name].HasField("shape")
            expect(known, f"no type or shape is inferred for {name} of {node.op_type}")
        nodes += sum(check_types(attribute.g) for attribute in node.attribute if attribute.HasField("g"))
    return nodes


def load(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(session, inputs):
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


def step_by_step(session, puzzles, steps):
    """The outputs of every step, the carry handed from one to the next."""
    shapes = {value.name: value.shape for value in session.get_inputs()}
    rows = len(puzzles["tokens"])
    carry = {name: np.zeros((rows, *shapes[name][1:]), np.float32) for name in ("z_h", "z_l")}
    outputs = []
    for step in range(steps):
        output = run(session, puzzles | carry | {"reset": np.full(rows, step == 0)})
        carry = {"z_h": output["z_h_next"], "z_l": output["z_l_next"]}
        outputs.append(output)
    return outputs


def read_self_test(path):
    """The tensors, and the number of steps that they are the outcome of."""
    with safe_open(path, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, int(file.metadata()["steps"])


def check_self_test(outputs, expected):
    last = outputs[-1]
    differences = int((last["answer"] != expected["answer"]).sum())
    expect(differences == 0, f"the self-test's answer differs in {differences} cells")
    error = np.abs(last["q_halt"] - expected["q_halt"]).max()
    expect(error <= Q_HALT_TOLERANCE, f"the self-test's q_halt differs by {error:.1e}")
    cosine = min(cosines(last["z_h_next"], expected["z_h"]).min(), cosines(last["z_l_next"], expected["z_l"]).min())
    expect(cosine >= CARRY_COSINE, f"the cosine of the self-test's carry is {cosine:.6f}")
    return f"q_halt {error:.1e}, carry cosine {cosine:.6f}"


def cosines(ours, theirs):
    """Row by row."""
    ours, theirs = (z.astype(np.float64).reshape(len(z), -1) for z in (ours, theirs))
    return (ours * theirs).sum(1) / np.sqrt((ours * ours).sum(1) * (theirs * theirs).sum(1))


def check_halting(session, puzzles, outputs, by_q_learning, limit_is_input):
    """A whole-puzzle graph against the same number of steps run by hand, without and with halting."""
    for threshold in (np.inf, 0.0, median_signal(outputs, by_q_learning)):
        inputs = puzzles | {"halt_threshold": np.array(threshold, np.float32)}
        if limit_is_input:
            inputs["max_steps"] = np.array(len(outputs), np.int64)
        found = run(session, inputs)
        for row in range(len(puzzles["tokens"])):
            margins = [signal(output, by_q_learning)[row] - threshold for output in outputs]
            halted = next((step for step, margin in enumerate(margins) if margin > 0), len(outputs) - 1)
            if any(abs(margin) < 1e-3 for margin in margins[: halted + 1]):
                continue  # too close to the threshold for the two to agree in float32
            at = f"row {row}, threshold {threshold:g}"
            expect(found["steps"][row] == halted + 1, f"{at}: {found['steps'][row]} steps, expected {halted + 1}")
            same = np.array_equal(found["answer"][row], outputs[halted]["answer"][row])
            expect(same, f"{at}: the answer is not the step graph's after {halted + 1} steps")


def signal(output, by_q_learning):
    return output["q_halt"] - output["q_continue"] if by_q_learning else output["q_halt"]


def median_signal(outputs, by_q_learning):
    """A threshold that some rows and steps pass and others do not, away from any of them."""
    signals = np.sort(np.concatenate([signal(output, by_q_learning) for output in outputs]))
    gaps = np.diff(signals)
    widest = int(np.argmax(gaps)) if len(gaps) else 0
    return float(signals[widest : widest + 2].mean())


def check_bundle(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    if "classes" in manifest:
        check_classifier(folder, manifest)
        return
    expected, steps = read_self_test(folder / "selftest.safetensors")
    puzzles = {name: expected[name] for name in ("tokens", "puzzle_ids")}
    config = manifest["config"]
    by_q_learning = config["architecture"] == "hrm" or not config["no_ACT_continue"]

    graphs = manifest["graphs"]
    sessions = {}
    for kind, graph in graphs.items():
        opsets, nodes = check_file(folder / graph["file"])
        sessions[kind] = load(folder / graph["file"])
        print(f"{folder.name}/{graph['file']}: {nodes} nodes, opset {opsets}")
    unrolled = graphs.get("unrolled", {}).get("steps") or 0
    outputs = step_by_step(sessions["step"], puzzles, max(steps, unrolled))
    print(f"{folder.name}: self-test of {steps} steps: {check_self_test(outputs[:steps], expected)}")
    if "solve" in sessions:
        check_halting(sessions["solve"], puzzles, outputs[:steps], by_q_learning, True)
        print(f"{folder.name}: the solve graph halts and answers as the step graph")
    if "unrolled" in sessions:
        check_halting(sessions["unrolled"], puzzles, outputs[:unrolled], by_q_learning, False)
        print(f"{folder.name}: the unrolled graph halts and answers as the step graph")


def check_classifier(folder, manifest):
    """A classifier: well formed, and its probabilities are some, for any number of pictures."""
    opsets, nodes = check_file(folder / "classify.onnx")
    session = load(folder / "classify.onnx")
    size, classes = manifest["size"], len(manifest["classes"])
    random = np.random.default_rng(1)
    for count in (1, 7):
        pictures = random.random((count, size, size), dtype=np.float32)
        (probabilities,) = session.run(["probabilities"], {"pictures": pictures})
        expect(probabilities.shape == (count, classes), f"{count} pictures gave {probabilities.shape}")
        expect(np.all(probabilities >= 0), "a probability is negative or none")
        expect(np.allclose(probabilities.sum(axis=1), 1, atol=1e-5), "probabilities do not add up to 1")
    print(f"{folder.name}/classify.onnx: {nodes} nodes, opset {opsets}, probabilities of {classes} classes")


def main(folders):
    if not folders:
        sys.exit("usage: check_onnx.py BUNDLE…")
    failed = 0
    for folder in map(Path, folders):
        try:
            check_bundle(folder)
        except (Finding, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as finding:
            print(f"{folder}: {finding}", file=sys.stderr)
            failed += 1
    print(f"{len(folders) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
