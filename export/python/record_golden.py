#!/usr/bin/env python3
"""Records a golden from the public code of TRM or HRM: what your checkpoint computes there, for `trm parity`.

    record_golden.py --code CHECKOUT --checkpoint FILE --data DIR --out my-golden
    trm parity --golden my-golden

CHECKOUT is your copy of the public repository; its model class is imported by the configuration's `arch.name`, and run
as its own evaluation runs it. The configuration is the `all_config.yaml` beside the checkpoint unless --config names it.
Instead of a data set, --inputs takes a .npy of token ids, [rows, cells].

Besides torch and numpy this needs what the checkout needs. docs/parity.md says what the folder holds and how the limits
in its manifest.json are found.
"""

import argparse
import copy
import dataclasses
import hashlib
import importlib
import inspect
import json
import math
import re
import shutil
import struct
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

VERSION = 1
IGNORED = -100
LOGITS_AT = (1, 2, 4, 8, 16)
PERTURBED_RUNS = 2
STATES = {"z_h": "z_H", "z_l": "z_L"}


class Refused(Exception):
    """The input cannot be recorded."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """How a limit follows from what the public code differs from its own variants."""

    factor: float  # of the largest difference
    floor: float  # at least this much of the largest number (and of 1)
    cap: float  # above this much of it a number says nothing: the step is chaotic


FLOAT32 = Rule(factor=20, floor=2e-5, cap=1e-2)
HALF = Rule(factor=2, floor=1e-2, cap=0.2)


def scalar(text):
    """A plain or quoted YAML scalar, or a list or mapping in JSON's form of YAML."""
    if text.startswith(("{", "[")):
        return json.loads(text)
    if text.startswith(("'", '"')):
        return text[1:-1]
    if text in ("null", "~", ""):
        return None
    if text in ("true", "false"):
        return text == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    return text


def arch_of(path):
    """The mapping under `arch:` of an all_config.yaml: nested `key: value` lines, all that the public code writes there. What
    is more YAML than that is read by PyYAML, which the public code brings."""
    try:
        return plain_arch_of(path)
    except (Refused, ValueError) as error:
        try:
            import yaml
        except ImportError:
            raise Refused(f"{error}\nhint: `pip install pyyaml` reads it") from error
        arch = yaml.safe_load(path.read_text()).get("arch")
        if not isinstance(arch, dict) or "@" not in str(arch.get("name")):
            raise
        # YAML 1.1 takes 1e-5 for a text.
        return {key: scalar(value) if isinstance(value, str) else value for key, value in arch.items()}


def plain_arch_of(path):
    arch, inner, inside = {}, None, False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        indent = len(line) - len(line.lstrip())
        if indent == 0:
            inside = line.rstrip() == "arch:"
        elif inside:
            match = re.fullmatch(r"([A-Za-z_]\w*):(?:\s+(.*))?", line.strip())
            if match is None or str(match[2]).startswith(("|", ">", "&", "*")):
                raise Refused(f"{path}:{number}: `{line.strip()}` is more YAML than the public code writes there")
            if indent == 2 and match[2] is None:
                inner = arch[match[1]] = {}
            else:
                (arch if indent == 2 else inner)[match[1]] = scalar((match[2] or "").strip())
    if "@" not in str(arch.get("name")):
        raise Refused(f"{path}: no `arch:` with a `name: module@Class`; expected the all_config.yaml of a training run")
    return arch


def read_checkpoint(path, wanted):
    """The weights by name, and whether they were one of several sets."""
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(loaded, dict):
        raise Refused(f"{path}: holds no dictionary of weights")
    if all(torch.is_tensor(value) for value in loaded.values()):
        return dict(loaded), False

    def is_set(value):
        return isinstance(value, dict) and len(value) > 0 and all(torch.is_tensor(t) for t in value.values())

    sets = {name: value for name, value in loaded.items() if is_set(value)}
    if wanted is None and len(sets) == 1:
        return next(iter(sets.values())), True
    if wanted not in sets:
        names = ", ".join(sorted(map(str, sets))) or "none"
        raise Refused(f"{path}: its sets of weights are {names}\nhint: name one by --weights")
    return sets[wanted], True


def read_data_set(folder, rows):
    """The first examples of a data set's test split (or of the folder itself), as the public loader gives them."""
    folder = folder / "test" if (folder / "test" / "dataset.json").is_file() else folder
    if not (folder / "dataset.json").is_file():
        raise Refused(f"{folder}: no dataset.json; expected a data set of the public code, or its `test` folder")
    metadata = json.loads((folder / "dataset.json").read_text())
    name = metadata["sets"][0]
    part = {key: np.load(folder / f"{name}__{key}.npy", mmap_mode="r") for key in ("inputs", "labels")}
    puzzles = np.load(folder / f"{name}__puzzle_identifiers.npy")
    starts = np.load(folder / f"{name}__puzzle_indices.npy")
    inputs, labels = (np.array(part[key][:rows], dtype=np.int32) for key in ("inputs", "labels"))
    if metadata.get("ignore_label_id") is not None:
        labels[labels == metadata["ignore_label_id"]] = IGNORED
    puzzle_of = np.searchsorted(starts, np.arange(len(inputs)), side="right") - 1
    return {"inputs": inputs, "labels": labels, "puzzle_identifiers": puzzles[puzzle_of].astype(np.int32)}


def read_batch(arguments):
    if arguments.data:
        batch = read_data_set(arguments.data, arguments.rows)
    else:
        batch = {"inputs": np.load(arguments.inputs)[: arguments.rows]}
        rows = len(batch["inputs"])
        ids = np.load(arguments.puzzle_ids)[:rows] if arguments.puzzle_ids else np.zeros(rows)
        batch["puzzle_identifiers"] = ids
        if arguments.labels:
            batch["labels"] = np.load(arguments.labels)[:rows]
    batch = {name: np.ascontiguousarray(array).astype(np.int32) for name, array in batch.items()}
    inputs = batch["inputs"]
    if inputs.ndim != 2 or inputs.size == 0:
        raise Refused(f"the inputs have the shape {list(inputs.shape)}, expected [rows, cells]")
    for name, shape in (("puzzle_identifiers", inputs.shape[:1]), ("labels", inputs.shape)):
        if name in batch and batch[name].shape != shape:
            raise Refused(f"`{name}` has the shape {list(batch[name].shape)}, expected {list(shape)}")
    return batch


def model_class(checkout, name):
    """The class that `arch.name` names, from the checkout's `models` package."""
    module, cls = name.split("@")
    if not (checkout / "models").is_dir():
        raise Refused(f"{checkout}: no folder `models`; expected a checkout of the public code")
    sys.path.insert(0, str(checkout))
    stand_in_for_flash_attention()
    try:
        return getattr(importlib.import_module(f"models.{module}"), cls)
    except (ImportError, AttributeError) as error:
        raise Refused(
            f"{checkout}: cannot import `{name}`: {error}\nhint: run this in the environment that the checkout is used in"
        ) from error


def stand_in_for_flash_attention():
    """FlashAttention knows neither the CPU nor float32; PyTorch's own attention computes the same."""

    def flash_attn_func(q, k, v, causal=False, **_):
        heads_first = (tensor.transpose(1, 2) for tensor in (q, k, v))
        return F.scaled_dot_product_attention(*heads_first, is_causal=causal).transpose(1, 2).contiguous()

    for name in ("flash_attn_interface", "flash_attn"):
        module = types.ModuleType(name)
        module.flash_attn_func = flash_attn_func
        sys.modules[name] = module


class Model:
    """The public model with given weights."""

    def __init__(self, cls, config, weights, device):
        self.device = torch.device(device)
        with self.device:
            self.model = cls(config)
        state = self.model.state_dict()
        self.model.load_state_dict({name: weights[by_suffix(name, weights)] for name in state})
        unused = set(weights) - {by_suffix(name, weights) for name in state}
        if unused:
            raise Refused(f"the checkpoint's `{sorted(unused)[0]}` is no weight of {cls.__name__} ({len(unused)} are not)")
        self.model.eval()

    def step(self, carry, batch):
        """The carry and outputs of a step; without a carry, of the first."""
        with self.device:
            return self.model(carry=carry or self.model.initial_carry(batch), batch=batch)

    def perturbed(self, seed):
        """Every weight off by up to 2^-23 of itself: a unit in the last place of a float32."""
        generator = torch.Generator().manual_seed(seed)
        other = copy.copy(self)
        other.model = copy.deepcopy(self.model)
        state = other.model.state_dict()
        for weight in state.values():
            if weight.is_floating_point():
                noise = torch.rand(weight.shape, generator=generator, dtype=torch.float64) * 2 - 1
                weight.copy_((weight.double() * (1 + noise.to(weight.device) * 2**-23)).to(weight.dtype))
        return other


def by_suffix(name, weights):
    """The checkpoint's key for a weight: the name, after whatever wrappers put in front, if need be without `inner.`."""
    found = []
    for tail in (name, name.removeprefix("inner.")):
        found = found or [key for key in weights if key == tail or key.endswith("." + tail)]
    if len(found) != 1:
        what = "no weight" if not found else f"{len(found)} weights"
        raise Refused(f"the checkpoint has {what} for `{name}`\nhint: is the configuration this checkpoint's own?")
    return found[0]


def numbers_of(carry, outputs):
    """What is compared of a step, in float64."""
    found = {name: outputs[f"{name}_logits"] for name in ("q_halt", "q_continue")} | {"logits": outputs["logits"]}
    found |= {quantity: getattr(carry.inner_carry, name) for quantity, name in STATES.items()}
    return {name: tensor.detach().double().cpu() for name, tensor in found.items()}


def run(model, batch, steps):
    """The numbers and the carry of every step, from the start."""
    carry, numbers, carries = None, [], []
    for step in range(1, steps + 1):
        carry, outputs = model.step(carry, batch)
        found = numbers_of(carry, outputs)
        for name, tensor in found.items():
            if not torch.isfinite(tensor).all():
                raise Refused(f"{name} is not finite at step {step}: there is nothing to compare with")
        numbers.append(found)
        carries.append(carry)
    return numbers, carries


def run_from(model, batch, carries, dtype):
    """The numbers of every step but the first, each from the recorded carry of the one before."""
    numbers = []
    for carry in carries[:-1]:
        carry = copy.copy(carry)
        inner = carry.inner_carry
        carry.inner_carry = dataclasses.replace(inner, z_H=inner.z_H.to(dtype), z_L=inner.z_L.to(dtype))
        numbers.append(numbers_of(*model.step(carry, batch)))
    return numbers


def largest_differences(recorded, variants):
    """For each quantity, how far the furthest variant is from the recording."""
    return {name: max(float((variant[name] - recorded[name]).abs().max()) for variant in variants) for name in recorded}


def largest_of(name, tensor):
    """The largest number. A token whose logit is the same in every cell is a constant of the architecture and says nothing."""
    if name == "logits":
        by_token = tensor.reshape(-1, tensor.shape[-1])
        varies = by_token.amax(0) != by_token.amin(0)
        tensor = by_token[:, varies] if varies.any() else tensor
    return float(tensor.abs().max())


def limits_of(recorded, differences, rule):
    """The limit of each quantity, rounded up to one digit; None where the step is chaotic."""
    limits = {}
    for name, tensor in recorded.items():
        largest = largest_of(name, tensor)
        scale = max(1.0, largest)
        limit = round_up(max(rule.factor * differences[name], rule.floor * scale))
        # NaN is no `<=`: chaotic. So is a limit that zeros would meet, which `trm parity` takes for none.
        if not limit <= rule.cap * scale or (limit > 1e-2 and limit >= largest):
            return None
        limits[name] = limit
    return limits


def round_up(value):
    if not math.isfinite(value):
        return value
    digit = 10.0 ** math.floor(math.log10(value))
    return float(f"{math.ceil(value / digit - 1e-9) * digit:.0e}")


def judged_step(step, limits, recorded, names):
    """A row of the section `judge`: limits for what is recorded of the step."""
    row = {"step": step, "limits": {name: limits[name] for name in names}}
    if "logits" in names:
        # Cells whose best two logits are so near that a difference within the limit may swap them.
        best = recorded["logits"].topk(2, dim=-1).values
        row["limits"]["answer"] = int((best[..., 0] - best[..., 1] <= 2 * limits["logits"]).sum())
    return row


def judge(numbers, from_start, from_recorded, rule):
    """The rows of the section `judge`, and the steps whose carry they start from."""
    steps = len(numbers)
    plan, carries = [], {1, steps}
    for step, recorded in enumerate(numbers, 1):
        own, again = limits_of(recorded, from_start[step - 1], rule), None
        if own is None and step > 1:
            again = limits_of(recorded, from_recorded[step - 2], rule)
        if again is not None:
            carries.add(step - 1)
        plan.append((step, recorded, own, again))
    rows = []
    for step, recorded, own, again in plan:
        names = ["q_halt", "q_continue"]
        names += ["logits"] if step in LOGITS_AT or step == steps else []
        names += ["z_h", "z_l"] if step in carries else []
        if own is not None:
            rows.append(judged_step(step, own, recorded, names))
            continue
        shown = names + (["answer"] if step == steps else [])
        rows.append({"step": step, "shown": shown, "why": "rounding has grown too large by this step"})
        if again is not None:
            rows.append(judged_step(step, again, recorded, names) | {"from": "recorded"})
    return rows, carries


def tensors_of(batch, numbers, carries):
    """What outputs.safetensors holds."""

    def float32(tensor):
        return np.ascontiguousarray(tensor.float().numpy())

    steps = len(numbers)
    tensors = dict(batch)
    for step, recorded in enumerate(numbers, 1):
        if step in LOGITS_AT or step == steps:
            tensors[f"logits_step{step:02}"] = float32(recorded["logits"])
        if step in carries:
            tensors |= {f"{name}_step{step:02}": float32(recorded[quantity]) for quantity, name in STATES.items()}
    for quantity in ("q_halt", "q_continue"):
        tensors[f"{quantity}_logits"] = np.stack([float32(recorded[quantity]) for recorded in numbers])
    tensors[f"preds_step{steps:02}"] = numbers[-1]["logits"].argmax(-1).numpy().astype(np.int32)
    return tensors


def digests(tensors, rows):
    """SHA-256 of what no limit holds by itself: inputs, labels, answers, tensors with a part that is only shown."""
    held = {(row["step"], name) for row in rows for name in row.get("limits", {})}
    # Without the answer: its limit is met by the logits as well, so only a digest tells that it is gone.
    quantities = {"logits": "logits", "z_H": "z_h", "z_L": "z_l"}

    def is_held(name, tensor):
        if name in ("q_halt_logits", "q_continue_logits"):
            return all((step, name.removesuffix("_logits")) in held for step in range(1, len(tensor) + 1))
        what, _, step = name.partition("_step")
        return what in quantities and (int(step), quantities[what]) in held

    free = {name: tensor for name, tensor in tensors.items() if not is_held(name, tensor)}
    return {name: hashlib.sha256(tensor.tobytes()).hexdigest() for name, tensor in free.items()}


def write_safetensors(path, tensors):
    kinds = {np.dtype(np.float32): "F32", np.dtype(np.int32): "I32"}
    header, offset = {}, 0
    for name, tensor in tensors.items():
        end = offset + tensor.nbytes
        header[name] = {"dtype": kinds[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.astype(tensor.dtype.newbyteorder("<")).tobytes())


def vocab_size(arguments, config, weights):
    """Of the settings or the data set. The embedding has a row for each token, but for candidates."""
    if "vocab_size" in config:
        return config["vocab_size"]
    for folder in (arguments.data, arguments.checkpoint.parent):
        if folder and (folder / "dataset.json").is_file():
            return json.loads((folder / "dataset.json").read_text())["vocab_size"]
    return len(weights[by_suffix("embed_tokens.embedding_weight", weights)])


def record(arguments):
    config_file = arguments.config or arguments.checkpoint.parent / "all_config.yaml"
    if not config_file.is_file():
        raise Refused(f"{config_file}: no such file\nhint: --config names the all_config.yaml of the training run")
    arch = arch_of(config_file)
    weights, is_part = read_checkpoint(arguments.checkpoint, arguments.weights)
    batch = read_batch(arguments)
    config = {key: value for key, value in arch.items() if key not in ("name", "loss")}
    dtype = config.get("forward_dtype", "bfloat16") if arguments.dtype == "config" else arguments.dtype
    has_ids = [key for key in weights if key.endswith("puzzle_emb.weights")]
    config |= {
        "batch_size": len(batch["inputs"]),
        "seq_len": batch["inputs"].shape[1],
        "vocab_size": vocab_size(arguments, config, weights),
        "num_puzzle_identifiers": len(weights[has_ids[0]]) if has_ids else 1,
        "causal": False,
        "forward_dtype": dtype,
    }
    for name, limit in (("inputs", "vocab_size"), ("puzzle_identifiers", "num_puzzle_identifiers")):
        if batch[name].min() < 0 or batch[name].max() >= config[limit]:
            raise Refused(f"`{name}` has {batch[name].max()}, expected 0 to {config[limit] - 1}: {limit} of the checkpoint")
    steps = arguments.steps or config["halt_max_steps"]
    if not 1 <= steps <= config["halt_max_steps"]:
        raise Refused(f"{steps} steps: expected 1 to halt_max_steps, which is {config['halt_max_steps']}")
    cls = model_class(arguments.code, arch["name"])
    on_device = {name: torch.from_numpy(array).to(arguments.device) for name, array in batch.items()}

    def make(forward_dtype):
        return Model(cls, config | {"forward_dtype": forward_dtype}, weights, arguments.device)

    model = make(dtype)
    say(f"{arch['name']}, {len(batch['inputs'])} rows, {steps} steps in {dtype} on {arguments.device}")
    numbers, carries = run(model, on_device, steps)
    exact = dtype == "float32"
    rule, other = (FLOAT32, "float64") if exact else (HALF, "float32")
    variants = [(make(other), getattr(torch, other))]
    if exact:
        variants += [(model.perturbed(seed), torch.float32) for seed in range(PERTURBED_RUNS)]
    from_start, from_recorded = [[] for _ in numbers], [[] for _ in numbers[1:]]
    for number, (variant, precision) in enumerate(variants, 1):
        say(f"variant {number} of {len(variants)}")
        for step, found in enumerate(run(variant, on_device, steps)[0]):
            from_start[step].append(found)
        for step, found in enumerate(run_from(variant, on_device, carries, precision)):
            from_recorded[step].append(found)
    differences = [largest_differences(*pair) for pair in zip(numbers, from_start)]
    again = [largest_differences(*pair) for pair in zip(numbers[1:], from_recorded)]
    rows, kept = judge(numbers, differences, again, rule)
    tensors = tensors_of(batch, numbers, kept)
    how = (
        f"{rule.factor:g} times what the public code in {dtype} differs from itself in {other}"
        + (f" and in {PERTURBED_RUNS} runs with every weight off by up to 2^-23 of itself" if exact else "")
        + f", at least {rule.floor:g} of the largest number (and of 1); above {rule.cap:g} of it a step is only shown, and "
        "judged from the carry recorded before it"
    )
    manifest = {
        "judge": {"version": VERSION, "how": how, "steps": rows, "sha256": digests(tensors, rows)},
        "name": arguments.out.name,
        "arch": config,
        "recorded_from": arch["name"],
        "source_sha256": hashlib.sha256(Path(inspect.getfile(cls)).read_bytes()).hexdigest(),
        "attention": "scaled_dot_product_attention of PyTorch, also where the code asks for FlashAttention",
        "torch": torch.__version__,
        "device": str(arguments.device),
        "steps_run": steps,
        "differences": [{name: float(f"{value:.3g}") for name, value in step.items()} for step in differences],
    }
    write_folder(arguments, manifest, tensors, config_file, weights if is_part else None)
    judged = sum("limits" in row for row in rows)
    say(f"{arguments.out}: {judged} steps to be judged, {sum('shown' in row for row in rows)} only shown from the start")


def write_folder(arguments, manifest, tensors, config_file, part):
    """Writes everything into a sibling that becomes the folder when it is whole."""
    out = arguments.out
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as unfinished:
        folder = Path(unfinished) / "golden"
        folder.mkdir()
        write_safetensors(folder / "outputs.safetensors", tensors)
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        shutil.copyfile(config_file, folder / "all_config.yaml")
        name = arguments.checkpoint.name
        if part is not None:
            torch.save(part, folder / "checkpoint.pt")
        elif re.fullmatch(r"step_\d+", name):
            shutil.copyfile(arguments.checkpoint, folder / name)
        else:
            shutil.copyfile(arguments.checkpoint, folder / "checkpoint.pt")
        folder.rename(out)


def say(text):
    print(text, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--code", type=Path, required=True, metavar="DIR", help="checkout of the public code")
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="FILE", help="what training saved: step_N")
    parser.add_argument("--config", type=Path, metavar="FILE", help="its all_config.yaml, if not beside it")
    parser.add_argument("--weights", metavar="NAME", help="which set of weights, in a checkpoint with several")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, metavar="DIR", help="data set whose first examples are taken")
    source.add_argument("--inputs", type=Path, metavar="FILE", help=".npy of token ids, [rows, cells]")
    parser.add_argument("--puzzle-ids", type=Path, metavar="FILE", help=".npy of puzzle ids, [rows]; 0 if left out")
    parser.add_argument("--labels", type=Path, metavar="FILE", help=".npy of labels, [rows, cells]")
    parser.add_argument("--rows", type=int, default=3, metavar="N", help="puzzles to record (3)")
    parser.add_argument("--steps", type=int, metavar="N", help="ACT steps (the configuration's halt_max_steps)")
    parser.add_argument(
        "--dtype",
        default="float32",
        choices=("float32", "bfloat16", "float16", "config"),
        help="what the public code computes in (float32, as trm does; `config`: as it was trained)",
    )
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for forks that know nothing else")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder for the golden")
    arguments = parser.parse_args()
    try:
        if arguments.out.exists():
            raise Refused(f"{arguments.out} is there already\nhint: name a new folder")
        with torch.no_grad():
            record(arguments)
    except (Refused, OSError) as refusal:
        say(f"error: {refusal}")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
