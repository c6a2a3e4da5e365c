"""Attention methods as loops, straight from the papers' equations, on a BERT whose attention is computed by hand here.

Nothing of the package is used. Slow, and meant to be: one entry at a time where that can be read.
"""

from itertools import pairwise

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


def rollout(matrices):
    """Abnar & Zuidema 2020, sec. 3: Ã(l) = A(l) Ã(l−1), A = ½ W + ½ I."""
    L = matrices[0].shape[-1]
    held = [[float(i == j) for j in range(L)] for i in range(L)]
    for matrix in matrices:
        mean = matrix.mean(0).tolist()
        held = [[sum((mean[i][k] + (i == k)) / 2 * held[k][j] for k in range(L)) for j in range(L)] for i in range(L)]
    return torch.tensor(held, dtype=torch.float64)


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


def integrated(by_hand, label, layer, start, steps):
    """Hao et al. 2021, eq. 4: a layer's matrix from `start` (H, L, L), the layers above free; midpoint sum."""
    _, used = by_hand.run()
    end, total = used[layer].detach(), 0.0
    for step in range(steps):
        point = (start + (step + 0.5) / steps * (end - start)).requires_grad_()
        logits, _ = by_hand.run(matrices={layer: point})
        total = total + torch.autograd.grad(logits[label], point)[0]
    return (end - start) * total / steps


def head_importance(by_hand, label):
    """Michel et al. 2019, eq. 2: the derivative by a factor on each head's context, (layers, H)."""
    layers = len(by_hand.bert.encoder.layer)
    factors = torch.ones(layers, by_hand.heads, dtype=torch.float64, requires_grad=True)
    logits, _ = by_hand.run(factors=factors)
    return torch.autograd.grad(logits[label], factors)[0]


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
