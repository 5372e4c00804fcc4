"""TRM's recursion over the mixers `grid`, `cross` and `candidates`, as an architecture of the public training code.

Copy this file into `models/recursive_reasoning/` of a checkout, and name it in an architecture's settings:

    name: recursive_reasoning.symmetric@SymmetricReasoningModel_ACTV1
    loss: {name: losses@ACTLossHead, loss_type: stablemax_cross_entropy}
    mixer: grid                                   # or cross, candidates
    board: {"height": 30, "width": 30}            # candidates: also "groups": ["rows", "columns", {"boxes": [3, 3]}]
    hidden_size: 32
    expansion: 2                                  # the inner width of a block is expansion * hidden_size
    H_cycles: 2
    L_cycles: 2
    L_layers: 2
    puzzle_emb_ndim: 0
    halt_max_steps: 16
    halt_exploration_prob: 0.1

Tokens are those of the public data sets: 0 padding, 1 blank (sudoku) or wall (maze). The names of the state dict are those
that `trm export` reads and `trm export --to torch` writes. States are `[batch, positions, hidden]`: a position for each cell
(grid), or for each pair of a cell and a symbol, cell by cell (candidates).
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

NEVER = -1e3  # logit of padding and blank, which are no answers of candidates
FIRST_SYMBOL = 2
# Rows and columns of a neighbourhood: the cell itself, the four beside it, the four at its corners.
OFFSETS = [(1, 1), (0, 1), (1, 0), (1, 2), (2, 1), (0, 0), (0, 2), (2, 0), (2, 2)]
KINDS = {"rows": "lines", "columns": "lines", "boxes": "boxes", "cells": "regions"}
TRUNCATED_DEVIATION = 0.8796256610342382


def truncated_normal(shape, deviation):
    """Normal numbers cut off at two deviations, scaled so that their own deviation is the one asked for."""
    scale = deviation / TRUNCATED_DEVIATION
    return nn.init.trunc_normal_(torch.empty(shape), std=scale, a=-2 * scale, b=2 * scale)


def rms_norm(x, eps):
    wide = x.float() if x.dtype != torch.float64 else x
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)).to(x.dtype)


class Linear(nn.Module):
    """Without bias, its weight `[out, in]` cast to the activations' type where it is used."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(truncated_normal((outputs, inputs), inputs**-0.5))

    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype))


class Embedding(nn.Module):
    def __init__(self, rows, width):
        super().__init__()
        self.embedding_weight = nn.Parameter(truncated_normal((rows, width), width**-0.5))


class Head(nn.Module):
    """Halt and continue, at first sure of nothing."""

    def __init__(self, inputs):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(2, inputs)), nn.Parameter(torch.full((2,), -5.0))


class Grid(nn.Module):
    """Each cell with its eight neighbours, zeros outside, and with the largest of the four beside it, channel by channel."""

    offsets = OFFSETS

    def __init__(self, config):
        super().__init__()
        self.board, width = config["board"], config["hidden_size"]
        self.neighbours, self.largest = Linear(len(self.offsets) * width, width), Linear(width, width)

    def forward(self, s):
        height, width = self.board["height"], self.board["width"]
        padded = F.pad(s.view(len(s), height, width, -1), (0, 0, 1, 1, 1, 1))
        around = [padded[:, row : row + height, column : column + width].reshape(s.shape) for row, column in self.offsets]
        return self.neighbours(torch.cat(around, -1)) + self.largest(torch.stack(around[1:5]).amax(0))


class Cross(Grid):
    """The same without the cells at the corners."""

    offsets = OFFSETS[:5]


class Candidates(nn.Module):
    """Each pair of a cell and a symbol with mean and maximum of its groups for the same symbol, and of its cell."""

    def __init__(self, config):
        super().__init__()
        self.per_cell, width = config["vocab_size"] - FIRST_SYMBOL, config["hidden_size"]
        self.groups = [(kind, torch.tensor(groups)) for kind, groups in groups_of(config["board"])]
        for kind in dict.fromkeys([kind for kind, _ in self.groups] + ["symbols"]):
            self.add_module(kind, Linear(2 * width, width))

    def forward(self, s):
        pairs = s.view(len(s), -1, self.per_cell, s.shape[-1])
        of_cell = self.symbols(torch.cat([pairs.mean(2), pairs.amax(2)], -1))
        heard = of_cell.unsqueeze(2).expand_as(pairs).contiguous()
        for kind, groups in self.groups:
            cells = groups.to(s.device)
            members = pairs[:, cells]
            message = getattr(self, kind)(torch.cat([members.mean(2), members.amax(2)], -1))
            heard = heard.index_add(1, cells.flatten(), message.repeat_interleave(cells.shape[1], 1))
        return heard.reshape(s.shape)


MIXERS = {"grid": Grid, "cross": Cross, "candidates": Candidates}


def groups_of(board):
    """The kinds of groups of a board by the weight that they share, each with lists of cells."""
    height, width = board["height"], board["width"]
    cell = lambda row, column: row * width + column  # noqa: E731
    for entry in board.get("groups", []):
        name, value = (entry, None) if isinstance(entry, str) else next(iter(entry.items()))
        if name == "rows":
            groups = [[cell(row, column) for column in range(width)] for row in range(height)]
        elif name == "columns":
            groups = [[cell(row, column) for row in range(height)] for column in range(width)]
        elif name == "boxes":
            rows, columns = value
            corners = [(top, left) for top in range(0, height, rows) for left in range(0, width, columns)]
            inside = [(row, column) for row in range(rows) for column in range(columns)]
            groups = [[cell(top + row, left + column) for row, column in inside] for top, left in corners]
        elif name == "cells":
            groups = value
        else:
            raise ValueError(f"there are no groups `{name}`, expected rows, columns, boxes or cells")
        # As tensors: the groups of one entry have one length.
        yield KINDS[name], groups


class Mlp(nn.Module):
    def __init__(self, width, expansion):
        super().__init__()
        inner = round(expansion * width)
        self.gate_up_proj, self.down_proj = Linear(width, 2 * inner), Linear(inner, width)

    def forward(self, x):
        gate, up = self.gate_up_proj(x).chunk(2, -1)
        return self.down_proj(F.silu(gate) * up)


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.name, self.eps = config["mixer"], config["rms_norm_eps"]
        self.add_module(self.name, MIXERS[self.name](config))
        self.mlp = Mlp(config["hidden_size"], config["expansion"])

    def forward(self, s):
        s = rms_norm(s + getattr(self, self.name)(s), self.eps)
        return rms_norm(s + self.mlp(s), self.eps)


class Level(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.layers = nn.ModuleList(Block(config) for _ in range(config["L_layers"]))

    def forward(self, state, injected):
        state = state + injected
        for layer in self.layers:
            state = layer(state)
        return state


@dataclass
class InnerCarry:
    z_H: torch.Tensor
    z_L: torch.Tensor


@dataclass
class Carry:
    inner_carry: InnerCarry
    steps: torch.Tensor
    halted: torch.Tensor
    current_data: dict


class Inner(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config, self.dtype = config, getattr(torch, config["forward_dtype"])
        width, vocabulary = config["hidden_size"], config["vocab_size"]
        self.on_pairs = config["mixer"] == "candidates"
        self.positions = config["seq_len"] * (vocabulary - FIRST_SYMBOL if self.on_pairs else 1)
        self.embed_tokens = Embedding(3 if self.on_pairs else vocabulary, width)
        self.lm_head = Linear(width, 1 if self.on_pairs else vocabulary)
        self.q_head = Head((3 if self.on_pairs else 2) * width)
        self.L_level = Level(config)
        for name in ("H_init", "L_init"):
            self.register_buffer(name, truncated_normal((width,), 1.0).to(self.dtype))

    def embed(self, tokens):
        table = self.embed_tokens.embedding_weight.to(self.dtype)
        if self.on_pairs:
            # A pair is told: its cell is blank 0, its symbol is given 1, another one is 2.
            symbols = torch.arange(FIRST_SYMBOL, self.config["vocab_size"], device=tokens.device)
            given = torch.where(tokens[..., None] == symbols, 1, 2)
            tokens = torch.where(tokens[..., None] < FIRST_SYMBOL, 0, given).flatten(1)
        return math.sqrt(self.config["hidden_size"]) * F.embedding(tokens, table)

    def heads(self, z_h):
        pooled = [z_h.mean(1), z_h.amax(1)]
        logits = self.lm_head(z_h)
        if self.on_pairs:
            symbols = self.config["vocab_size"] - FIRST_SYMBOL
            by_cell = z_h.view(len(z_h), -1, symbols, z_h.shape[-1]).amax(2)
            pooled = [pooled[0], by_cell.amax(1), by_cell.amin(1)]
            logits = F.pad(logits.view(len(z_h), -1, symbols), (FIRST_SYMBOL, 0), value=NEVER)
        wide = torch.cat(pooled, 1)
        wide = wide if wide.dtype == torch.float64 else wide.float()
        q = F.linear(wide, self.q_head.weight.to(wide.dtype), self.q_head.bias.to(wide.dtype))
        return logits, (q[:, 0], q[:, 1])

    def cycle(self, z_h, z_l, x):
        for _ in range(self.config["L_cycles"]):
            z_l = self.L_level(z_l, z_h + x)
        return self.L_level(z_h, z_l), z_l

    def forward(self, carry, batch):
        x, z_h, z_l = self.embed(batch["inputs"].long()), carry.z_H, carry.z_L
        with torch.no_grad():
            for _ in range(self.config["H_cycles"] - 1):
                z_h, z_l = self.cycle(z_h, z_l, x)
        z_h, z_l = self.cycle(z_h, z_l, x)
        logits, q = self.heads(z_h)
        return InnerCarry(z_h.detach(), z_l.detach()), logits, q


class SymmetricReasoningModel_ACTV1(nn.Module):
    """The public code's wrapper: a halted row takes the batch's puzzle with a fresh carry."""

    def __init__(self, config_dict):
        super().__init__()
        defaults = {"rms_norm_eps": 1e-5, "forward_dtype": "bfloat16", "puzzle_emb_ndim": 0, "no_ACT_continue": True}
        self.config = defaults | config_dict
        if self.config["puzzle_emb_ndim"] > 0:
            raise ValueError("puzzle_emb_ndim must be 0: this architecture has no puzzle embedding")
        if not self.config["no_ACT_continue"]:
            raise ValueError("no_ACT_continue must be true: this architecture halts on q_halt alone")
        board = self.config["board"]
        if board["height"] * board["width"] != self.config["seq_len"]:
            raise ValueError(f"board {board['height']}x{board['width']} for a data set of {self.config['seq_len']} cells")
        self.inner = Inner(self.config)

    def initial_carry(self, batch):
        rows, inner = len(batch["inputs"]), self.inner
        device = inner.H_init.device
        empty = torch.zeros(rows, inner.positions, self.config["hidden_size"], dtype=inner.dtype, device=device)
        steps = torch.zeros(rows, dtype=torch.int32, device=device)
        halted = torch.ones(rows, dtype=torch.bool, device=device)
        return Carry(InnerCarry(empty, empty.clone()), steps, halted, {k: torch.empty_like(v) for k, v in batch.items()})

    def forward(self, carry, batch):
        inner, fresh = self.inner, carry.halted.view(-1, 1, 1)
        states = [
            torch.where(fresh, init, state)
            for init, state in ((inner.H_init, carry.inner_carry.z_H), (inner.L_init, carry.inner_carry.z_L))
        ]
        steps = torch.where(carry.halted, 0, carry.steps)
        shape = lambda v: (-1,) + (1,) * (v.ndim - 1)  # noqa: E731
        data = {k: torch.where(carry.halted.view(shape(batch[k])), batch[k], v) for k, v in carry.current_data.items()}
        new_carry, logits, (q_halt, q_continue) = inner(InnerCarry(*states), data)
        with torch.no_grad():
            steps, most = steps + 1, self.config["halt_max_steps"]
            halted = steps >= most
            if self.training and most > 1:
                halted = halted | (q_halt > 0)
                explores = torch.rand_like(q_halt) < self.config["halt_exploration_prob"]
                halted = halted & (steps >= explores * torch.randint_like(steps, 2, most + 1))
        outputs = {"logits": logits, "q_halt_logits": q_halt, "q_continue_logits": q_continue}
        return Carry(new_carry, steps, halted, data), outputs
