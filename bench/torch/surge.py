"""SURGE (SIGIR 2021, arXiv 2106.14226) as batched serving modules, variants "authors" and "paper".

`forward(history, length, candidate)` gives one logit per candidate: `candidate` [n] holds item rows,
`history` [b, L] the user's, the oldest first, 0 from position `length` [b] on. b is 1, the user of the
request, for whom everything that does not depend on the candidate is computed once; or n, as training
batches have it. Tensor names as in checkpoints, and `category_of_item`, the category row of every item
row.
"""

from typing import Final

import torch
from torch import Tensor, nn

LEAK = 0.2  # LeakyReLU's slope


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    return torch.softmax(scores.masked_fill(~mask, float("-inf")), -1)


def mlp(shapes: dict, name: str, activation: nn.Module) -> nn.Sequential:
    """Linear layers NAME.0, NAME.2, ... with the activation between them."""
    layers = []
    while f"{name}.{len(layers)}.weight" in shapes:
        width, inputs = shapes[f"{name}.{len(layers)}.weight"]
        layers += [nn.Linear(inputs, width), activation]
    return nn.Sequential(*layers[:-1])


class Embedding(nn.Module):
    """[item | category] of item rows. Its parameters are those of the model that holds it."""

    def __init__(self, shapes: dict):
        super().__init__()
        self.item_embed = nn.Embedding(*shapes["item_embed.weight"])
        self.cate_embed = nn.Embedding(*shapes["cate_embed.weight"])
        categories = torch.zeros(shapes["item_embed.weight"][0], dtype=torch.int64)
        self.register_buffer("category_of_item", categories)

    def embed(self, items: Tensor) -> Tensor:
        return torch.cat([self.item_embed(items), self.cate_embed(self.category_of_item[items])], -1)


class Attention(nn.Module):
    """Softmax over the valid positions of MLP([a, q, a - q, a q]), a = W_att x."""

    def __init__(self, shapes: dict, name: str):
        super().__init__()
        width, dim = shapes[f"{name}.attention.weight"]
        self.attention = nn.Linear(dim, width, bias=False)
        self.mlp = mlp(shapes, f"{name}.mlp", nn.ReLU())

    def forward(self, query: Tensor, x: Tensor, valid: Tensor) -> Tensor:
        """query and x broadcast to [n, positions, d], valid to [n, positions] -> [n, positions]."""
        a, q = torch.broadcast_tensors(self.attention(x), query)
        return masked_softmax(self.mlp(torch.cat([a, q, a - q, a * q], -1)).squeeze(-1), valid)


class Augru(nn.Module):
    """A GRU whose update gate is scaled by 1 - attention."""

    def __init__(self, shapes: dict):
        super().__init__()
        for name in ("gates", "candidate"):
            width, inputs = shapes[f"augru.{name}.weight"]
            setattr(self, name, nn.Linear(inputs, width))

    def forward(self, x: Tensor, attention: Tensor, valid: Tensor) -> Tensor:
        """x [n, steps, d], attention and valid [n, steps] -> the last valid state [n, h]."""
        state = torch.zeros(x.size(0), self.candidate.out_features, dtype=x.dtype)
        for step in range(x.size(1)):
            now = x[:, step]
            reset, update = torch.sigmoid(self.gates(torch.cat([now, state], 1))).chunk(2, 1)
            fresh = torch.tanh(self.candidate(torch.cat([now, reset * state], 1)))
            update = (1 - attention[:, step, None]) * update
            state = torch.where(valid[:, step, None], update * state + (1 - update) * fresh, state)
        return state


class SurgeAuthors(Embedding):
    """What the authors' published code computes."""

    # TorchScript sees constants of the class only.
    norm_epsilon: Final[float] = 1e-12
    repeat_epsilon: Final[float] = 1e-6  # similarities below count as none
    degree_epsilon: Final[float] = 1e-7
    score_margin: Final[float] = 1e-7
    graph_share: Final[float] = 0.5  # of the similarities, how many become edges
    leak: Final[float] = LEAK

    def __init__(self, shapes: dict, max_history: int, pool_length: int):
        super().__init__(shapes)
        self.max_history, self.pool_length = max_history, pool_length
        self.metric = nn.Embedding(*shapes["metric.weight"])
        self.fusion = nn.ModuleDict(
            {"dense": nn.Linear(*reversed(shapes["fusion.dense.weight"]), bias=False)})
        self.f1, self.f2 = Attention(shapes, "f1"), Attention(shapes, "f2")
        self.augru_attention = Attention(shapes, "augru_attention")
        self.augru = Augru(shapes)
        self.head = mlp(shapes, "head", nn.ReLU())

    def interest_graph(self, x: Tensor, valid: Tensor) -> Tensor:
        """x [b, L, d], valid [b, L] -> A [b, L, L], 1 on the diagonal. The padding takes part in the
        normalisation, but has no edges."""
        y = x.unsqueeze(1) * self.metric.weight[:, None]
        y = y * torch.rsqrt((y * y).sum(-1, keepdim=True).clamp_min(self.norm_epsilon))
        similarity = y @ y.transpose(2, 3)
        low, high = similarity.amin(-1, keepdim=True), similarity.amax(-1, keepdim=True)
        spread = torch.where(high > low, high - low, torch.ones_like(high))
        similarity = ((similarity - low) / spread).mean(1)
        pairs = valid[:, None] & valid[:, :, None]
        similarity = similarity.masked_fill(~pairs | (similarity < self.repeat_epsilon), 0.0)
        flat = similarity.flatten(1)
        kept = torch.ceil(self.graph_share * torch.count_nonzero(flat, dim=1)).to(torch.int64)
        threshold = torch.sort(flat, dim=1, descending=True)[0].gather(1, kept[:, None])
        return (similarity > threshold[:, :, None]) | torch.eye(x.size(1), dtype=torch.bool)

    def fuse(self, x: Tensor, adjacency: Tensor, normalised: Tensor, valid: Tensor) -> Tensor:
        own = self.f1(normalised @ (normalised @ x), x, valid)
        edges = masked_softmax(own.unsqueeze(1).expand_as(adjacency), adjacency)
        return nn.functional.leaky_relu(self.fusion["dense"](edges @ x) + x, self.leak)

    def pool(self, score: Tensor, length: Tensor) -> Tensor:
        """Which positions are kept: those of the highest scores, or of any score at all."""
        threshold = torch.zeros_like(score[:, :1])
        if score.size(1) > self.pool_length:
            next_best = torch.sort(score, 1, descending=True)[0][:, self.pool_length, None]
            threshold = torch.where(length[:, None] > self.pool_length, next_best, threshold)
        return score > threshold + self.score_margin

    def forward(self, history: Tensor, length: Tensor, candidate: Tensor) -> Tensor:
        x = self.embed(history)
        valid = torch.arange(history.size(1)) < length[:, None]
        adjacency = self.interest_graph(x, valid)
        longest = int(length.max())
        x, valid, adjacency = x[:, :longest], valid[:, :longest], adjacency[:, :longest, :longest]
        degree = adjacency.sum(2).to(x.dtype).sqrt() + self.degree_epsilon
        normalised = adjacency.to(x.dtype) / (degree[:, :, None] * degree[:, None])
        fused = self.fuse(x, adjacency, normalised, valid)

        target = self.embed(candidate)
        own = self.f1(normalised @ (normalised @ fused), fused, valid)
        score = masked_softmax(own + self.f2(target[:, None], fused, valid), valid)
        kept = self.pool(score, length)
        weights = score * kept
        if fused.size(0) == 1:
            readout = weights @ fused[0]
        else:
            readout = torch.bmm(weights.unsqueeze(1), fused).squeeze(1)

        # The kept rows in their time order, moved to the front.
        count = kept.sum(1)
        steps = int(count.max())
        order = torch.sort(kept.to(torch.uint8), dim=1, descending=True, stable=True)[1][:, :steps]
        is_kept = torch.arange(steps) < count[:, None]
        pooled = fused[torch.arange(fused.size(0))[:, None], order]
        attention = self.augru_attention(target[:, None], pooled, is_kept)
        state = self.augru(pooled, attention, is_kept)
        return self.head(torch.cat([state, readout, target, readout * target], 1)).squeeze(1)


class Transformed(nn.Module):
    """MLP([W x, y, W x * y])."""

    def __init__(self, shapes: dict, name: str):
        super().__init__()
        width, dim = shapes[f"{name}.transform.weight"]
        self.transform = nn.Linear(dim, width, bias=False)
        self.mlp = mlp(shapes, f"{name}.mlp", nn.LeakyReLU(LEAK))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        a, b = torch.broadcast_tensors(self.transform(x), y)
        return self.mlp(torch.cat([a, b, a * b], -1)).squeeze(-1)


class SurgePaper(Embedding):
    """The equations as printed. Padding has no part in them."""

    leak: Final[float] = LEAK

    def __init__(self, shapes: dict):
        super().__init__(shapes)
        self.metric = nn.Embedding(*shapes["metric.weight"])
        self.cluster, self.query = Transformed(shapes, "cluster"), Transformed(shapes, "query")
        self.fusion = nn.ModuleDict(
            {"dense": nn.Linear(*reversed(shapes["fusion.dense.weight"]), bias=False)})
        self.pool = nn.Linear(*reversed(shapes["pool.weight"]), bias=False)
        self.augru = Augru(shapes)
        self.head = mlp(shapes, "head", nn.ReLU())

    def interest_graph(self, h: Tensor, valid: Tensor, length: Tensor) -> Tensor:
        """h [b, L, d], valid [b, L] -> A [b, L, L]; of the padding, the diagonal alone is 1."""
        y = nn.functional.normalize(h.unsqueeze(1) * self.metric.weight[:, None], dim=-1)
        similarity = (y @ y.transpose(2, 3)).mean(1)
        pairs = valid[:, None] & valid[:, :, None]
        similarity = similarity.masked_fill(~pairs, float("-inf"))
        kept = (length * length + 1) // 2
        ordered = torch.sort(similarity.flatten(1), dim=1, descending=True)[0]
        threshold = ordered.gather(1, kept[:, None] - 1)
        padding = ~valid[:, :, None] & torch.eye(h.size(1), dtype=torch.bool)
        return (similarity >= threshold[:, :, None]) | padding

    def forward(self, history: Tensor, length: Tensor, candidate: Tensor) -> Tensor:
        longest = int(length.max())
        valid = torch.arange(longest) < length[:, None]
        h, target = self.embed(history[:, :longest]), self.embed(candidate)
        adjacency = self.interest_graph(h, valid, length)
        edges = adjacency.to(h.dtype)
        centre = edges @ h / edges.sum(2, keepdim=True)

        alpha = self.cluster(h, centre)
        beta = self.query(h, target[:, None])
        gathered = masked_softmax(alpha[:, :, None] + beta[:, None], adjacency) @ h
        fused = nn.functional.leaky_relu(self.fusion["dense"](gathered) + h, self.leak)

        assignment = torch.softmax(self.pool(edges @ fused), -1) * valid[:, :, None]
        gamma = masked_softmax(beta, valid)[:, :, None]
        pooled = assignment.transpose(1, 2) @ fused
        attention = (assignment.transpose(1, 2) @ gamma).squeeze(2)
        readout = (gamma * fused).sum(1)
        state = self.augru(pooled, attention, torch.ones_like(attention, dtype=torch.bool))
        return self.head(torch.cat([state, readout, target, readout * target], 1)).squeeze(1)
