"""Attention methods as loops, straight from the papers' equations: on a BERT whose attention is computed by hand here,
and on any family with its own eager attention.

Nothing of the package is used. Slow, and meant to be: one entry at a time where that can be read.
"""

import math
from contextlib import ExitStack
from itertools import pairwise
from unittest import mock

import numpy as np
import torch
from scipy.optimize import linprog


class ByHand:
    """An eager BERT for two labels, run layer by layer, with every head's context times a factor and matrices given."""

    def __init__(self, model, batch):
        self.model, self.bert = model, model.bert
        self.heads = model.config.num_attention_heads
        with torch.no_grad():
            self.embedded = self.bert.embeddings(batch["input_ids"], token_type_ids=batch["token_type_ids"])

    def run(self, hidden=None, matrices=None, factors=None):
        """(logits, the matrices used); `matrices` {layer: (H, L, L)} replace, `factors` (layers, H) weigh heads."""
        hidden, used = self.embedded if hidden is None else hidden, []
        for k, layer in enumerate(self.bert.encoder.layer):
            own = layer.attention.self
            query, key, value = (
                m(hidden)[0].view(hidden.shape[1], self.heads, -1).transpose(0, 1)
                for m in (own.query, own.key, own.value)
            )
            probabilities = (query @ key.transpose(1, 2) / value.shape[-1] ** 0.5).softmax(-1)
            if matrices is not None and k in matrices:
                probabilities = matrices[k]
            if not probabilities.requires_grad:
                probabilities = probabilities.detach().requires_grad_()
            used.append(probabilities)
            context = probabilities @ value
            if factors is not None:
                context = context * factors[k][:, None, None]
            joined = context.transpose(0, 1).reshape(1, hidden.shape[1], -1)
            hidden = layer.attention.output(joined, hidden)
            hidden = layer.output(layer.intermediate(hidden), hidden)
        return self.model.classifier(self.bert.pooler(hidden))[0], used

    def at_input(self, label):
        """(matrices, their gradients) of a label's logit, (H, L, L) each."""
        logits, used = self.run()
        return [m.detach() for m in used], torch.autograd.grad(logits[label], used)


BERT = ("attention.output.dense", "attention.output.LayerNorm")
#: family -> its layers, their projection of what the heads found, and the norm after it where there is one
PLACES = {
    "bert": ("bert.encoder.layer.{}", *BERT),
    "distilbert": ("distilbert.transformer.layer.{}", "attention.out_lin", "sa_layer_norm"),
    "roberta": ("roberta.encoder.layer.{}", *BERT),
    "xlm-roberta": ("roberta.encoder.layer.{}", *BERT),
    "camembert": ("roberta.encoder.layer.{}", *BERT),
    "electra": ("electra.encoder.layer.{}", *BERT),
    "albert": (
        "albert.encoder.albert_layer_groups.0",
        "albert_layers.0.attention.dense",
        "albert_layers.0.attention.LayerNorm",
    ),
    "deberta": ("deberta.encoder.layer.{}", *BERT),
    "deberta-v2": ("deberta.encoder.layer.{}", *BERT),
    "mpnet": ("mpnet.encoder.layer.{}", "attention.attn.o", "attention.LayerNorm"),
    "modernbert": ("model.layers.{}", "attn.Wo", None),
    "gpt2": ("transformer.h.{}", "attn.c_proj", None),
    "llama": ("model.layers.{}", "self_attn.o_proj", None),
    "qwen2": ("model.layers.{}", "self_attn.o_proj", None),
    "bart": ("model.encoder.layers.{}", "self_attn.out_proj", "self_attn_layer_norm"),
    "t5": ("transformer.encoder.block.{}", "layer.0.SelfAttention.o", None),
    "opt": ("model.decoder.layers.{}", "self_attn.out_proj", None),
}


class Eager:
    """Any family with its own eager attention. All of them hand what leaves softmax to a dropout: there it is seen."""

    def __init__(self, model, batch, numbers=lambda output: output.logits):
        self.model, self.batch, self.numbers = model, batch, numbers
        model.set_attn_implementation("eager")

    def run(self, matrices=None, hooks=()):
        """(the first row's numbers, the matrices used); `matrices` {number: (H, Q, K)} replace their own.

        hooks: (module, "pre" or "post", hook), on for this pass.
        """
        used, own = [], torch.nn.functional.dropout

        def seen(x, *args, **kwargs):
            if x.ndim != 4:  # (B, H, Q, K)
                return own(x, *args, **kwargs)
            if matrices is not None and len(used) in matrices:
                x = matrices[len(used)][None].to(x.dtype)
            if not x.requires_grad:
                x = x.detach().requires_grad_()
            used.append(x)
            return x

        with ExitStack() as stack:
            for module, side, hook in hooks:
                register = module.register_forward_pre_hook if side == "pre" else module.register_forward_hook
                stack.callback(register(hook).remove)
            stack.enter_context(mock.patch("torch.nn.functional.dropout", seen))
            output = self.model(**self.batch)
        return self.numbers(output)[0], used

    def at_input(self, label):
        """(matrices, their gradients) of one of the numbers, (H, Q, K) each."""
        numbers, used = self.run()
        gradients = torch.autograd.grad(numbers[label], used)
        return [m[0].detach() for m in used], [g[0] for g in gradients]

    def modules(self, name, which):
        """Of each layer in its turn: the block itself, its projection, or its norm."""
        path, *inner = PLACES[name]
        inside = {"block": "", "projection": inner[0], "norm": inner[1]}[which]
        layers = self.model.config.num_hidden_layers
        return [self.model.get_submodule(f"{path.format(k)}.{inside}".rstrip(".")) for k in range(layers)]

    def passing(self, name, which, side, **how):
        """What the layers' modules take in ("pre") or give out ("post"), in the order in which they run."""
        found = []

        def note(module, args, output=None):
            value = args if side == "pre" else output
            found.append((value[0] if isinstance(value, tuple) else value)[0].detach())

        modules = dict.fromkeys(self.modules(name, which))
        with torch.no_grad():
            self.run(hooks=[(module, side, note) for module in modules], **how)
        return found


def rollout(matrices):
    """Abnar & Zuidema 2020, sec. 3: Ã(l) = A(l) Ã(l−1), A = ½ W + ½ I."""
    L = matrices[0].shape[-1]
    held = [[float(i == j) for j in range(L)] for i in range(L)]
    for matrix in matrices:
        mean = matrix.mean(0).tolist()
        held = [[sum((mean[i][k] + (i == k)) / 2 * held[k][j] for k in range(L)) for j in range(L)] for i in range(L)]
    return torch.tensor(held, dtype=torch.float64)


def rollout_across(encoder, decoder, cross):
    """The same over both sequences side by side, text first: positions that a layer does not touch stay themselves."""
    text, out = encoder[0].shape[-1], decoder[0].shape[-1]
    held = torch.eye(text + out, dtype=torch.float64)
    rows, columns = {"text": slice(0, text), "out": slice(text, None)}, slice(0, text)
    turns = [("text", "text", m) for m in encoder]
    for own, other in zip(decoder, cross, strict=True):
        turns += [("out", "out", own), ("out", "text", other)]
    for query, key, matrix in turns:
        mixing = torch.eye(text + out, dtype=torch.float64)
        mixing[rows[query]] *= 0.5
        mixing[rows[query], rows[key]] += 0.5 * matrix.mean(0)
        held = mixing @ held
    return held[rows["out"], columns]


def flow(matrices, reader):
    """Abnar & Zuidema 2020, sec. 3: the maximum flow from `reader` at the top to each token, as a linear program."""
    L = matrices[0].shape[-1]
    edges, capacity = [], []
    for layer, matrix in enumerate(matrices):
        mean = matrix.mean(0)
        for i in range(L):
            for j in range(L):
                edges.append(((layer + 1, i), (layer, j)))
                capacity.append(float((mean[i, j] + (i == j)) / 2))
    source, found = (len(matrices), reader), []
    for token in range(L):
        nodes = {node for edge in edges for node in edge} - {source, (0, token)}
        conserved = [[(a == node) - (b == node) for a, b in edges] for node in sorted(nodes)]
        gain = [-float(a == source) for a, _ in edges]
        best = linprog(gain, A_eq=conserved, b_eq=[0] * len(conserved), bounds=[(0, c) for c in capacity])
        found.append(-best.fun)
    return torch.tensor(found, dtype=torch.float64)


def relevance(matrices, gradients):
    """Chefer et al. 2021b, eq. 5 and 6: Ā = E_h((∇A ⊙ A)⁺), R ← R + Ā R."""
    H, L, _ = matrices[0].shape
    held = torch.eye(L, dtype=torch.float64)
    for matrix, gradient in zip(matrices, gradients, strict=True):
        kept = torch.zeros(L, L, dtype=torch.float64)
        for h in range(H):
            for i in range(L):
                for j in range(L):
                    kept[i, j] += max(0.0, float(matrix[h, i, j] * gradient[h, i, j])) / H
        held = held + kept @ held
    return held


def cross_relevance(encoder, decoder, cross):
    """Chefer et al. 2021b for an encoder–decoder: eq. 6 in each, eq. 10 with normalised relevances across.

    Each argument: [(matrix, gradient)] of its layers; decoder and cross take turns. Gives what outputs hold of tokens.
    """

    def kept(matrix, gradient):
        return (matrix * gradient).clamp(min=0).mean(0)

    def normalised(held):
        added = held - torch.eye(len(held), dtype=held.dtype)
        rows = [row / row.sum() if row.sum() > 0 else row for row in added]
        return torch.stack(rows) + torch.eye(len(held), dtype=held.dtype)

    text = torch.eye(encoder[0][0].shape[-1], dtype=torch.float64)
    for matrix, gradient in encoder:
        text = text + kept(matrix, gradient) @ text
    out = torch.eye(decoder[0][0].shape[-1], dtype=torch.float64)
    between = torch.zeros(len(out), len(text), dtype=torch.float64)
    for own, other in zip(decoder, cross, strict=True):
        cam = kept(*own)
        out, between = out + cam @ out, between + cam @ between
        between = between + normalised(out).T @ kept(*other) @ normalised(text)
    return between


def norms(layer, entering, matrix, heads):
    """Kobayashi et al. 2020 and 2021, vector by vector: {"heads", "layer", "residual", "normalised"}."""
    own, output = layer.attention.self, layer.attention.output
    L, D = entering.shape
    weight = output.dense.weight.view(D, heads, -1)
    values = own.value(entering).view(L, heads, -1)
    found = {
        "heads": torch.zeros(heads, L, L, dtype=torch.float64),
        **{name: torch.zeros(1, L, L, dtype=torch.float64) for name in ("layer", "residual", "normalised")},
    }
    for i in range(L):
        total = output.dense.bias + entering[i]
        for j in range(L):
            vectors = [matrix[h, i, j] * (weight[:, h] @ values[j, h]) for h in range(heads)]
            for h in range(heads):
                found["heads"][h, i, j] = vectors[h].norm()
            summed = sum(vectors)
            total = total + summed
            found["layer"][0, i, j] = summed.norm()
            found["residual"][0, i, j] = (summed + (entering[i] if i == j else 0)).norm()
        spread = ((total - total.mean()) ** 2).mean() + output.LayerNorm.eps
        for j in range(L):
            summed = sum(matrix[h, i, j] * (weight[:, h] @ values[j, h]) for h in range(heads))
            vector = summed + (entering[i] if i == j else 0)
            normal = (vector - vector.mean()) / spread.sqrt() * output.LayerNorm.weight
            found["normalised"][0, i, j] = normal.norm()
    return found


def norms_by_columns(eager, name, layer):
    """The same for any family: α f(x) is what the projection gives out more when one head looks at one key alone.

    The projection is linear in the matrix, so no weight need be looked at; its bias is in both and falls out.
    """
    with torch.no_grad():
        _, used = eager.run()
    matrix = used[layer][0]
    heads, L, _ = matrix.shape

    def given(replacement):
        return eager.passing(name, "projection", "post", matrices={layer: replacement})[layer]

    nothing = given(torch.zeros_like(matrix))
    vectors = torch.zeros(heads, L, L, nothing.shape[-1], dtype=torch.float64)  # (H, Q, K, D)
    for h in range(heads):
        for j in range(L):
            alone = torch.zeros_like(matrix)
            alone[h, :, j] = matrix[h, :, j]
            vectors[h, :, j] = given(alone) - nothing
    entering = eager.passing(name, "block", "pre")[layer]
    found = {"heads": vectors.norm(dim=-1), "layer": vectors.sum(0).norm(dim=-1)[None]}
    summed = vectors.sum(0)
    for i in range(L):
        summed[i, i] += entering[i]
    found["residual"] = summed.norm(dim=-1)[None]
    if PLACES[name][2]:
        norm, total = eager.modules(name, "norm")[layer], eager.passing(name, "norm", "pre")[layer]
        epsilon = norm.variance_epsilon if name == "deberta" else norm.eps
        spread = ((total - total.mean(-1, keepdim=True)) ** 2).mean(-1) + epsilon
        normal = (summed - summed.mean(-1, keepdim=True)) / spread.sqrt()[:, None, None] * norm.weight.detach()
        found["normalised"] = normal.norm(dim=-1)[None]
    return found


def midpoint(steps):
    """[(t, weight)] of the sum in Hao et al. 2021, eq. 5, taken in the middle of its steps."""
    return [((step + 0.5) / steps, 1 / steps) for step in range(steps)]


def gauss(steps):
    """[(t, weight)] of Gauss and Legendre."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return [((t + 1) / 2, w / 2) for t, w in zip(nodes.tolist(), weights.tolist(), strict=True)]


def integrated(runs, label, starts, rule):
    """Hao et al. 2021, eq. 4: matrices go from `starts` {number: (H, Q, K)} to what they are, the others are free."""
    _, used = runs.run()
    ends = {k: used[k].detach().reshape(starts[k].shape) for k in starts}
    totals = dict.fromkeys(starts, 0.0)
    for t, weight in rule:
        points = {k: (starts[k] + t * (ends[k] - starts[k])).requires_grad_() for k in starts}
        logits, _ = runs.run(matrices=points)
        gradients = torch.autograd.grad(logits[label], list(points.values()))
        totals = {k: totals[k] + weight * g for k, g in zip(starts, gradients, strict=True)}
    return {k: (ends[k] - starts[k]) * totals[k] for k in starts}


def lost(runs, label, starts):
    """F(A) − F(A₀), both computed anew."""
    with torch.no_grad():
        return float(runs.run()[0][label] - runs.run(matrices=starts)[0][label])


def uniform(matrix):
    """Every key that may be looked at gets the same share."""
    start = torch.zeros_like(matrix)
    for h in range(len(matrix)):
        for q, row in enumerate(matrix[h].tolist()):
            allowed = [k for k, p in enumerate(row) if p > 0]
            for k in allowed:
                start[h, q, k] = 1 / len(allowed)
    return start


def shares(matrix, gradient):
    """How much the target reads each query: the length of its row's gradient, over keys that may be looked at."""
    H, Q, K = matrix.shape
    sizes = []
    for q in range(Q):
        seen = [(h, k) for h in range(H) for k in range(K) if matrix[h, q, k] > 0]
        sizes.append(math.sqrt(sum(float(gradient[h, q, k]) ** 2 for h, k in seen)))
    return torch.tensor([size / sum(sizes) for size in sizes], dtype=torch.float64)


def head_importance(by_hand, label):
    """Michel et al. 2019, eq. 2: the derivative by a factor on each head's context, (layers, H)."""
    layers = len(by_hand.bert.encoder.layer)
    factors = torch.ones(layers, by_hand.heads, dtype=torch.float64, requires_grad=True)
    logits, _ = by_hand.run(factors=factors)
    return torch.autograd.grad(logits[label], factors)[0]


def head_importance_by_factors(eager, name, label):
    """The same for any family: factors multiply the heads' parts of what enters each layer's projection."""
    modules = eager.modules(name, "projection")
    heads = eager.model.config.num_attention_heads
    factors = torch.ones(len(modules), heads, dtype=torch.float64, requires_grad=True)
    turn = iter(range(len(modules)))

    def weigh(module, args):
        parts = args[0].unflatten(-1, (heads, -1)) * factors[next(turn)][:, None]
        return (parts.flatten(-2), *args[1:])

    numbers, _ = eager.run(hooks=[(module, "pre", weigh) for module in dict.fromkeys(modules)])
    return torch.autograd.grad(numbers[label], factors)[0]


def conductance_by_path(eager, label, embeddings, start, steps):
    """The same for any family: what `embeddings` gives out goes from `start` (L, D) to what it is.

    Where a decoder shares the module (T5) its own embeddings, which come second, stay.
    """
    seen = []
    with torch.no_grad():
        eager.run(hooks=[(embeddings, "post", lambda module, args, output: seen.append(output[0]))])

    def at(t):
        points = [(start + t * (seen[0] - start))[None]]
        return eager.run(hooks=[(embeddings, "post", lambda module, args, output: points.pop() if points else None)])

    total = None
    for step in range(steps):
        numbers, used = at(step / steps)
        gradients = torch.autograd.grad(numbers[label], used)
        _, after = at((step + 1) / steps)
        moved = [g * (b - a).detach() for g, a, b in zip(gradients, used, after, strict=True)]
        total = moved if total is None else [t + m for t, m in zip(total, moved, strict=True)]
    return [t[0] for t in total]


def conductance(by_hand, label, start, steps):
    """dF/dA along the embeddings' path, gradient at the left of each of `steps` equal steps."""
    points = [start + t / steps * (by_hand.embedded - start) for t in range(steps + 1)]
    total = 0.0
    for left, right in pairwise(points):
        logits, used = by_hand.run(hidden=left.detach().requires_grad_())
        gradients = torch.autograd.grad(logits[label], used)
        _, after = by_hand.run(hidden=right)
        total = total + torch.stack([g * (b - a).detach() for g, a, b in zip(gradients, used, after, strict=True)])
    return total


def looking_at_each_other(own, across):
    """Chefer et al. 2021b for two sequences whose layers look at each other at the same time (LXMERT).

    own: for each of the two, positive gradient × attention of a layer on itself, (L, L); across: each looking at the
    other. Gives, for the second one: what it holds of itself and of the other, after that one layer of both kinds.
    """
    sizes = [matrix.shape[0] for matrix in own]
    held = {(a, b): np.eye(sizes[a]) if a == b else np.zeros((sizes[a], sizes[b])) for a in (0, 1) for b in (0, 1)}
    for a in (0, 1):  # eq. 6
        held[a, a] = held[a, a] + own[a] @ held[a, a]
    before = {pair: matrix.copy() for pair, matrix in held.items()}
    for a, b in ((0, 1), (1, 0)):
        tilted = []
        for side in (a, b):  # eq. 8 and 9
            added = before[side, side] - np.eye(sizes[side])
            tilted.append(added / added.sum(1, keepdims=True) + np.eye(sizes[side]))
        held[a, b] = before[a, b] + tilted[0].T @ across[a] @ tilted[1]  # eq. 10
        held[a, a] = before[a, a] + across[a] @ before[b, a]  # eq. 11
    return held[1, 1], held[1, 0]
