"""SURGE (SIGIR 2021, arXiv 2106.14226) as batched serving modules, variants "authors" and "paper".

`forward(history, length, candidate)` gives one logit per candidate of one user: `history` [L] holds
item rows, the oldest first, 0 from position `length` on; `candidate` [n] holds item rows. What does
not depend on the candidate is computed once. Tensor names as in checkpoints, and
`category_of_item`, the category row of every item row.
"""

from typing import Final

import torch
from torch import Tensor, nn

LEAK = 0.2  # LeakyReLU's slope


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
    """Softmax over the positions of MLP([a, q, a - q, a q]), a = W_att x."""

    def __init__(self, shapes: dict, name: str):
        super().__init__()
        width, dim = shapes[f"{name}.attention.weight"]
        self.attention = nn.Linear(dim, width, bias=False)
        self.mlp = mlp(shapes, f"{name}.mlp", nn.ReLU())

    def forward(self, query: Tensor, x: Tensor) -> Tensor:
        """query and x broadcast to [n, positions, d] -> scores before the softmax [n, positions]."""
        a, q = torch.broadcast_tensors(self.attention(x), query)
        return self.mlp(torch.cat([a, q, a - q, a * q], -1)).squeeze(-1)


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

    def interest_graph(self, x: Tensor, length: int) -> Tensor:
        """A [length, length] of the padded history x [L, d]; the padding has no edges."""
        y = x * self.metric.weight[:, None]
        y = y * torch.rsqrt((y * y).sum(-1, keepdim=True).clamp_min(self.norm_epsilon))
        similarity = y @ y.transpose(1, 2)
        low, high = similarity.amin(-1, keepdim=True), similarity.amax(-1, keepdim=True)
        spread = torch.where(high > low, high - low, torch.ones_like(high))
        similarity = ((similarity - low) / spread).mean(0)[:length, :length]
        similarity = similarity.masked_fill(similarity < self.repeat_epsilon, 0.0)
        kept = int(torch.ceil(self.graph_share * torch.count_nonzero(similarity)))
        flat = torch.sort(similarity.flatten(), descending=True)[0]
        threshold = flat[kept] if kept < flat.numel() else torch.zeros_like(flat[0])
        return similarity > threshold

    def fuse(self, x: Tensor, adjacency: Tensor, normalised: Tensor) -> Tensor:
        query = normalised @ (normalised @ x)
        own = torch.softmax(self.f1(query, x), -1)
        edges = torch.softmax(own.masked_fill(~adjacency, float("-inf")), -1)
        return nn.functional.leaky_relu(self.fusion["dense"](edges @ x) + x, self.leak)

    def forward(self, history: Tensor, length: int, candidate: Tensor) -> Tensor:
        x = self.embed(history)
        adjacency = self.interest_graph(x, length)
        adjacency = adjacency | torch.eye(length, dtype=torch.bool)
        x = x[:length]
        degree = adjacency.sum(1).to(x.dtype).sqrt() + self.degree_epsilon
        normalised = adjacency.to(x.dtype) / (degree[:, None] * degree)
        fused = self.fuse(x, adjacency, normalised)

        target = self.embed(candidate)
        own = torch.softmax(self.f1(normalised @ (normalised @ fused), fused), -1)
        score = torch.softmax(own + torch.softmax(self.f2(target[:, None], fused), -1), -1)
        threshold = torch.zeros(1, dtype=x.dtype)
        if length > self.pool_length:
            threshold = torch.sort(score, 1, descending=True)[0][:, self.pool_length, None]
        kept = score > threshold + self.score_margin
        readout = (score * kept) @ fused

        # The kept rows in their time order, moved to the front.
        count = kept.sum(1)
        steps = int(count.max())
        order = torch.sort(kept.to(torch.uint8), dim=1, descending=True, stable=True)[1][:, :steps]
        valid = torch.arange(steps) < count[:, None]
        pooled = fused[order]
        attention = self.augru_attention(target[:, None], pooled)
        attention = torch.softmax(attention.masked_fill(~valid, float("-inf")), -1)
        state = self.augru(pooled, attention, valid)
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
    """The equations as printed."""

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

    def interest_graph(self, h: Tensor) -> Tensor:
        y = nn.functional.normalize(h * self.metric.weight[:, None], dim=-1)
        similarity = (y @ y.transpose(1, 2)).mean(0)
        kept = (similarity.numel() + 1) // 2
        threshold = torch.sort(similarity.flatten(), descending=True)[0][kept - 1]
        return similarity >= threshold

    def forward(self, history: Tensor, length: int, candidate: Tensor) -> Tensor:
        h, target = self.embed(history[:length]), self.embed(candidate)
        adjacency = self.interest_graph(h)
        edges = adjacency.to(h.dtype)
        centre = edges @ h / edges.sum(1, keepdim=True).clamp_min(1)

        alpha = self.cluster(h, centre)
        beta = self.query(h, target[:, None])
        scores = (alpha[:, None] + beta[:, None]).masked_fill(~adjacency, float("-inf"))
        gathered = torch.softmax(scores, -1) @ h
        fused = nn.functional.leaky_relu(self.fusion["dense"](gathered) + h, self.leak)

        assignment = torch.softmax(self.pool(edges @ fused), -1).transpose(1, 2)
        gamma = torch.softmax(beta, -1)[:, :, None]
        pooled = assignment @ fused
        attention = (assignment @ gamma).squeeze(2)
        readout = (gamma * fused).sum(1)
        state = self.augru(pooled, attention, torch.ones_like(attention, dtype=torch.bool))
        return self.head(torch.cat([state, readout, target, readout * target], 1)).squeeze(1)
