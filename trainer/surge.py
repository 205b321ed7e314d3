"""SURGE (Chang et al., SIGIR 2021, arXiv 2106.14226): the ranker, as the server computes it.

A history becomes an interest graph: an edge where two items are similar under a learned metric. Fusion
passes messages along it, extraction pools it to the user's current interests, and an AUGRU follows
those in time. The variant "authors" is what the authors' published code computes, "paper" the equations
as printed; docs/models.md has both, equation by equation. Tensor names are those of docs/snapshot.md.

Inputs of `forward`, n rows: `item` [n] candidates and `urec` [n, >= max_history] the user's newest items,
newest first, as table rows. 0 is an item without a row of its own, and behind the last row no item at
all. Rows of one user that follow each other share its graph. A row without a history has the logit NaN:
no interest graph exists.
"""

import copy
from dataclasses import dataclass

import torch

VARIANTS = ("authors", "paper")

_LEAK = 0.2  # LeakyReLU's slope
_LENGTH_EPSILON = 1e-12  # inside the root of a vector's length
_LEAST_SIMILARITY = 1e-6  # below it rounding would decide what is zero where an item repeats
_DEGREE_EPSILON = 1e-7
_SCORE_MARGIN = 1e-7  # by which a score must exceed the threshold of pooling
_GRAPH_SHARE = 0.5  # of the similarities, how many become edges
# Adding and subtracting it rounds to a multiple of 2^-40: cosines that are equal in exact arithmetic
# are the same bits, here and in the server.
_TO_MULTIPLE_OF_2_TO_40 = 6144.0


@dataclass
class Options:
    variant: str = "authors"
    max_history: int = 50  # L, the newest items that are read
    pool_length: int = 30  # "authors": positions kept
    clusters: int = 10  # "paper": m, soft clusters
    heads: int = 1  # of the metric
    item_width: int = 32
    category_width: int = 8
    state_width: int = 40  # of the AUGRU
    hidden: tuple = (80, 40)  # of the attentions of "authors"; those of "paper" have the width d
    head_hidden: tuple = (100, 64)
    batch_norm: bool = True  # in the head, folded into its layers on export
    same_mapping: float = 0.0  # weights of the penalties of "paper", see SurgePaper.penalties
    single_affiliation: float = 0.0
    relative_position: float = 0.0
    without: tuple = ()  # ablations, of "fusion" and "extraction"; such a model is not served

    def __post_init__(self):
        if self.variant not in VARIANTS:
            raise ValueError(f'variant is "{self.variant}"; it must be "authors" or "paper"')
        for name in ("hidden", "head_hidden"):
            if len(getattr(self, name)) != 2:
                raise ValueError(f"{name} is {list(getattr(self, name))}; it must have two widths")
        unknown = set(self.without) - {"fusion", "extraction"}
        if unknown:
            raise ValueError(f"without has {sorted(unknown)}; it may have fusion and extraction")


def _masked_softmax(scores, mask):
    return scores.masked_fill(~mask, float("-inf")).softmax(-1)


def _mlp(widths, activation):
    """Linear layers 0, 2, ... with the activation between them."""
    layers = []
    for inputs, outputs in zip(widths, widths[1:]):
        layers += [torch.nn.Linear(inputs, outputs), activation]
    return torch.nn.Sequential(*layers[:-1])


class Attention(torch.nn.Module):
    """Softmax over the valid positions of MLP([a, q, a - q, a * q]), a = W_att x.

    With the first layer [W_a W_q W_d W_p] this is (W_a + W_d) a + (W_q - W_d) q + W_p (a * q): the
    first term is made once per history, the second once per query.
    """

    def __init__(self, dim, hidden):
        super().__init__()
        self.attention = torch.nn.Linear(dim, dim, bias=False)
        self.mlp = _mlp((4 * dim, *hidden, 1), torch.nn.ReLU())

    def forward(self, x, query, valid, owner=None):
        """x [b, T, d], valid as the result; query [b, T, d] -> [b, T].

        With `owner` [n], the history of each query: query [n, d] -> [n, T].
        """
        a = self.attention(x)
        weight = self.mlp[0].weight
        of_a, of_query, of_difference, of_product = weight.chunk(4, 1)
        own = a @ (of_a + of_difference).t() + self.mlp[0].bias
        if owner is not None:
            own, a, query = own[owner], a[owner], query[:, None]
        z = own + query @ (of_query - of_difference).t() + (a * query) @ of_product.t()
        return _masked_softmax(self.mlp[1:](z)[..., 0], valid)


class Query(torch.nn.Module):
    """MLP([a, t, a * t]), a = W x, for the target t of each row."""

    def __init__(self, dim):
        super().__init__()
        self.transform = torch.nn.Linear(dim, dim, bias=False)
        self.mlp = _mlp((3 * dim, dim, 1), torch.nn.LeakyReLU(_LEAK))

    def forward(self, x, target, owner):
        """x [b, T, d], target [n, d], owner [n] -> [n, T]."""
        a = self.transform(x)
        of_a, of_target, of_product = self.mlp[0].weight.chunk(3, 1)
        own = a @ of_a.t() + self.mlp[0].bias
        target = target[:, None]
        z = own[owner] + target @ of_target.t() + (a[owner] * target) @ of_product.t()
        return self.mlp[1:](z)[..., 0]


class Augru(torch.nn.Module):
    """A GRU whose update gate is scaled by 1 - attention."""

    def __init__(self, dim, width):
        super().__init__()
        self.gates = torch.nn.Linear(dim + width, 2 * width)
        self.candidate = torch.nn.Linear(dim + width, width)

    def of_inputs(self, x):
        """What gates and candidate take from their inputs: x [..., d] -> [..., 3 h]."""
        d = x.shape[-1]
        weight = torch.cat([self.gates.weight[:, :d], self.candidate.weight[:, :d]])
        return x @ weight.t() + torch.cat([self.gates.bias, self.candidate.bias])

    def forward(self, inputs, attention, valid):
        """inputs [n, steps, 3 h] of of_inputs; attention, valid [n, steps] -> the last state [n, h]."""
        width = self.candidate.out_features
        gates_state = self.gates.weight[:, -width:].t()
        candidate_state = self.candidate.weight[:, -width:].t()
        state = inputs.new_zeros(len(inputs), width)
        keep = (1 - attention)[..., None]
        for step in range(inputs.shape[1]):
            of_gates, of_candidate = inputs[:, step].split((2 * width, width), -1)
            reset, update = (of_gates + state @ gates_state).sigmoid().chunk(2, -1)
            fresh = (of_candidate + (reset * state) @ candidate_state).tanh()
            update = keep[:, step] * update
            state = torch.where(valid[:, step, None], update * state + (1 - update) * fresh, state)
        return state


class Head(torch.nn.ModuleDict):
    """Linear layers "0", "2" and "4" with ReLU between them.

    Batch normalisation, if there is any, is of the input and of each hidden layer before its ReLU.
    """

    def __init__(self, widths, batch_norm):
        super().__init__()
        for index, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
            self[str(2 * index)] = torch.nn.Linear(inputs, outputs)
        if batch_norm:
            for index, width in enumerate(widths[:-1]):
                self[f"norm{2 * index}"] = torch.nn.BatchNorm1d(width)

    def forward(self, x):
        last = max(int(name) for name in self if name.isdigit())
        if "norm0" in self:
            x = self["norm0"](x)
        for position in range(0, last + 1, 2):
            x = self[str(position)](x)
            if position < last:
                norm = f"norm{position + 2}"
                x = (self[norm](x) if norm in self else x).relu()
        return x[:, 0]

    @torch.no_grad()
    def folded(self):
        """The layers' tensors, weight and bias by name, with the frozen normalisation inside.

        A norm y = s z + c, s = gamma / sqrt(variance + epsilon), c = beta - s mean, behind the layer
        W x + b makes it (s W) x + (s b + c); before it, (W s) x + (W c + b).
        """
        tensors = {}
        for name in (name for name in self if name.isdigit()):
            weight, bias = self[name].weight.double(), self[name].bias.double()
            if name == "0" and "norm0" in self:
                scale, shift = _scale_and_shift(self["norm0"])
                weight, bias = weight * scale, bias + weight @ shift
            behind = f"norm{int(name) + 2}"
            if behind in self:
                scale, shift = _scale_and_shift(self[behind])
                weight, bias = weight * scale[:, None], bias * scale + shift
            tensors[f"{name}.weight"], tensors[f"{name}.bias"] = weight.float(), bias.float()
        return tensors


def _scale_and_shift(norm):
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    return scale, norm.bias.double() - scale * norm.running_mean.double()


class _Surge(torch.nn.Module):
    """What both variants have."""

    needs_history, needs_user = True, False  # to score a row

    def __init__(self, items, category_of_item, options):
        super().__init__()
        self.options = options
        categories = int(category_of_item.max()) + 1
        d = self.dim = options.item_width + options.category_width
        self.item_embed = torch.nn.Embedding(items, options.item_width)
        self.cate_embed = torch.nn.Embedding(categories, options.category_width)
        self.register_buffer("category_of_item", category_of_item)
        self.metric = torch.nn.Embedding(options.heads, d)
        self.fusion = torch.nn.ModuleDict({"dense": torch.nn.Linear(d, d, bias=False)})
        self.augru = Augru(d, options.state_width)
        self.head = Head((options.state_width + 3 * d, *options.head_hidden, 1), options.batch_norm)
        for table in (self.item_embed, self.cate_embed):
            torch.nn.init.normal_(table.weight, std=0.1)
        torch.nn.init.normal_(self.metric.weight, mean=1.0, std=0.1)

    @property
    def item_rows(self):
        return self.item_embed.num_embeddings

    def embed(self, items):
        return torch.cat([self.item_embed(items), self.cate_embed(self.category_of_item[items])], -1)

    def forward(self, batch):
        """One logit per row; NaN without a history."""
        return self._logits(self.stages(*self.inputs(batch)), batch)

    def _logits(self, stages, batch):
        return stages["logit"].masked_fill((batch["urec"] == 0).all(1), float("nan"))

    def inputs(self, batch):
        """(history [b, T] oldest first, length [b], owner [n], candidate [n]) of a batch."""
        longest = self.options.max_history
        newest, owner = torch.unique_consecutive(batch["urec"][:, :longest], dim=0, return_inverse=True)
        places = torch.arange(1, newest.shape[1] + 1, device=newest.device)
        length = (places * (newest > 0)).amax(1).clamp_min(1)
        # One column of padding stands for all of it.
        columns = min(int(length.max()) + 1, longest)
        from_newest = length[:, None] - 1 - torch.arange(columns, device=newest.device)
        history = newest.gather(1, from_newest.clamp_min(0)).masked_fill(from_newest < 0, 0)
        return history, length, owner, batch["item"]

    @torch.no_grad()
    def _cosines(self, x):
        """By head: y y', y = w * x scaled to length 1, in double precision: [b, T, T] each."""
        for head in self.metric.weight.double():
            y = x.double() * head
            y = y * y.square().sum(-1, keepdim=True).clamp_min(_LENGTH_EPSILON).rsqrt()
            cosines = y @ y.transpose(1, 2)
            yield (cosines + _TO_MULTIPLE_OF_2_TO_40) - _TO_MULTIPLE_OF_2_TO_40

    def _edges(self, adjacency, x):
        """The adjacency as 0 and 1. In training with the gradient of the cosine behind each edge.

        A threshold has no gradient, so that the metric would never learn; this is a straight-through
        estimator (Bengio et al., 2013, arXiv 1308.3432). It does not change the values.
        """
        edges = adjacency.to(x.dtype)
        if not self.training:
            return edges
        y = torch.nn.functional.normalize(x[:, None] * self.metric.weight[:, None], dim=-1)
        cosines = (y @ y.transpose(2, 3)).mean(1)
        return edges + edges * (cosines - cosines.detach())

    def _fuse(self, scores, adjacency, edges, x):
        """LeakyReLU(W_f sum_j E_ij x_j + x_i), E_ij = softmax over {j: A_ij = 1} of scores_j."""
        if "fusion" in self.options.without:
            return x.expand(len(scores), -1, -1)
        # log A, which is 0, for the gradient of the edges.
        shares = _masked_softmax(scores[:, None] + (edges - edges.detach()), adjacency)
        return torch.nn.functional.leaky_relu(self.fusion["dense"](shares @ x) + x, _LEAK)

    def _head(self, state, readout, target):
        return self.head(torch.cat([state, readout, target, readout * target], 1))


class SurgeAuthors(_Surge):
    """What the authors' published code computes; without f2's part in fusion, which cancels."""

    def __init__(self, items, category_of_item, options):
        super().__init__(items, category_of_item, options)
        self.f1 = Attention(self.dim, options.hidden)
        self.f2 = Attention(self.dim, options.hidden)
        self.augru_attention = Attention(self.dim, options.hidden)

    @torch.no_grad()
    def adjacency(self, x, valid):
        """A [b, T, T], 1 on the diagonal. The padding takes part in the normalisation of the
        similarities, but has no edges."""
        similarity = 0.0
        for cosines in self._cosines(x):
            low, high = cosines.amin(-1, keepdim=True), cosines.amax(-1, keepdim=True)
            spread = torch.where(high > low, high - low, torch.ones_like(high))
            similarity = similarity + (1.0 / self.options.heads) * ((cosines - low) / spread)
        pairs = valid[:, None] & valid[:, :, None]
        similarity = similarity.masked_fill(~pairs | (similarity < _LEAST_SIMILARITY), 0.0)
        flat = similarity.flatten(1)
        edges = torch.ceil(_GRAPH_SHARE * (flat != 0).sum(1)).long().clamp_max(flat.shape[1] - 1)
        threshold = flat.sort(1, descending=True)[0].gather(1, edges[:, None])
        own = torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
        return (similarity > threshold[:, :, None]) | own

    def _keep(self, score, length):
        """Which positions pooling keeps: [n, T]."""
        return score > self._threshold(score, length)

    def _threshold(self, score, length):
        pool_length = self.options.pool_length
        threshold = torch.zeros_like(score[:, :1])
        if score.shape[1] > pool_length and "extraction" not in self.options.without:
            next_best = score.sort(1, descending=True)[0][:, pool_length, None]
            threshold = torch.where(length[:, None] > pool_length, next_best, threshold)
        return threshold + _SCORE_MARGIN

    def stages(self, history, length, owner, candidate):
        """score and selected [n, T], state [n, h], readout [n, d], logit [n]; for comparisons, too,
        adjacency [b, T, T]."""
        x, target = self.embed(history), self.embed(candidate)
        valid = torch.arange(x.shape[1], device=x.device) < length[:, None]
        adjacency = self.adjacency(x, valid)
        edges = self._edges(adjacency, x)
        degree = edges.sum(2).sqrt() + _DEGREE_EPSILON
        normalised = edges / (degree[:, :, None] * degree[:, None])
        propagate = lambda rows: normalised @ (normalised @ rows)
        fused = self._fuse(self.f1(x, propagate(x), valid), adjacency, edges, x)

        own = self.f1(fused, propagate(fused), valid)
        valid_of_row = valid[owner]
        score = _masked_softmax(own[owner] + self.f2(fused, target, valid_of_row, owner), valid_of_row)
        kept = self._keep(score, length[owner])
        readout = ((score * kept)[:, None] @ fused[owner])[:, 0]
        state = self._evolve(fused, target, kept, owner)
        return {"adjacency": adjacency, "score": score, "selected": kept, "state": state,
                "readout": readout, "logit": self._head(state, readout, target)}

    def _evolve(self, fused, target, kept, owner):
        """The AUGRU over the kept positions in their order."""
        count = kept.sum(1)
        steps = int(count.max())
        # Stable, so that the kept ones come first and stay in their order.
        order = (~kept).long().sort(dim=1, stable=True)[1][:, :steps]
        attention = self.augru_attention(fused, target, self._some(kept), owner)
        inputs = self.augru.of_inputs(fused)[owner[:, None], order]
        valid = torch.arange(steps, device=count.device) < count[:, None]
        return self.augru(inputs, attention.gather(1, order), valid)

    @staticmethod
    def _some(kept):
        """kept, or everything where nothing is kept: a softmax over nothing is not a number."""
        return kept | ~kept.any(1, keepdim=True)

    @torch.no_grad()
    def decided(self, batch, margin=1e-6):
        """Rows [n] on which rounding cannot decide what pooling keeps: no score lies within `margin`
        of the threshold, but for those equal to the score that the threshold is made of."""
        _, length, owner, _ = inputs = self.inputs(batch)
        # In double precision equal items have equal scores, but for 1e-15.
        score = copy.deepcopy(self).double().stages(*inputs)["score"]
        distance = (score - self._threshold(score, length[owner])).abs()
        equal = (distance - _SCORE_MARGIN).abs() < 1e-12
        is_position = torch.arange(score.shape[1], device=score.device) < length[owner, None]
        return ~((distance < margin) & ~equal & is_position).any(1)


class SurgePaper(_Surge):
    """The equations as printed; without alpha, which cancels. Padding has no part in them.

    The tensors of alpha's MLP, `cluster`, belong to the format and are never trained.
    """

    def __init__(self, items, category_of_item, options):
        super().__init__(items, category_of_item, options)
        self.cluster, self.query = Query(self.dim), Query(self.dim)
        self.pool = torch.nn.Linear(self.dim, options.clusters, bias=False)

    @torch.no_grad()
    def adjacency(self, x, valid, length):
        """A [b, T, T]; of the padding, the diagonal alone is 1."""
        similarity = 0.0
        for cosines in self._cosines(x):
            similarity = similarity + (1.0 / self.options.heads) * cosines
        pairs = valid[:, None] & valid[:, :, None]
        similarity = similarity.masked_fill(~pairs, float("-inf"))
        index = (length * length + 1) // 2 - 1
        ordered = similarity.flatten(1).sort(1, descending=True)[0]
        threshold = ordered.gather(1, index[:, None])
        own = torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
        return (similarity >= threshold[:, :, None]) & pairs | (own & ~valid[:, :, None])

    def stages(self, history, length, owner, candidate):
        """assignment S [n, T, m], cluster_score and positions valid [n, T], edges [n, T, T], state,
        readout, logit."""
        x, target = self.embed(history), self.embed(candidate)
        valid = torch.arange(x.shape[1], device=x.device) < length[:, None]
        adjacency = self.adjacency(x, valid, length)
        edges = self._edges(adjacency, x)
        beta = self.query(x, target, owner)
        adjacency, edges, x, valid = adjacency[owner], edges[owner], x[owner], valid[owner]
        fused = self._fuse(beta, adjacency, edges, x)
        gamma = _masked_softmax(beta, valid)
        readout = (gamma[:, None] @ fused)[:, 0]
        stages = {"edges": edges, "valid": valid, "readout": readout}
        if "extraction" in self.options.without:
            state = self.augru(self.augru.of_inputs(fused), gamma, valid)
        else:
            # W_p comes first, since there are fewer clusters than columns.
            assignment = (edges @ self.pool(fused)).softmax(-1) * valid[..., None]
            by_cluster = assignment.transpose(1, 2)
            cluster_score = (by_cluster @ gamma[..., None])[..., 0]
            state = self.augru(self.augru.of_inputs(by_cluster @ fused), cluster_score,
                               torch.ones_like(cluster_score, dtype=torch.bool))
            stages |= {"assignment": assignment, "cluster_score": cluster_score}
        return {**stages, "state": state, "logit": self._head(state, readout, target)}

    def logits_and_penalty(self, batch):
        """(logits [n], the weighted sum of the penalties)."""
        stages = self.stages(*self.inputs(batch))
        logits = self._logits(stages, batch)
        weights = {name: getattr(self.options, name)
                   for name in ("same_mapping", "single_affiliation", "relative_position")}
        if "assignment" not in stages or not any(weights.values()):
            return logits, logits.new_zeros(())
        found = self.penalties(stages["assignment"], stages["edges"], stages["valid"])
        return logits, sum(weight * found[name] for name, weight in weights.items())

    @staticmethod
    def penalties(assignment, edges, valid):
        """The paper's three regularisers of the assignment S [n, T, m], means over the rows.

            same_mapping        || A - S S' ||_F        similar items share a cluster
            single_affiliation  1/n sum_i H(S_i)        an item belongs to one cluster
            relative_position   || P_n S - P_m ||_2     clusters keep the order of their items

        H is the entropy, P_n = (1, ..., n), P_m = (1, ..., m). n is a history's length; padding has
        zeros in S.
        """
        count = valid.sum(1).to(assignment.dtype)
        # The norms' gradient has no value at 0.
        root = lambda squares: (squares + _LENGTH_EPSILON).sqrt()
        pairs = valid[:, None] & valid[:, :, None]
        difference = (edges - assignment @ assignment.transpose(1, 2)) * pairs
        entropy = -(assignment * assignment.clamp_min(_LENGTH_EPSILON).log()).sum((1, 2)) / count
        places = torch.arange(1, assignment.shape[1] + 1, device=count.device).to(assignment.dtype)
        order = places[: assignment.shape[2]]
        if len(order) < assignment.shape[2]:  # more clusters than positions
            order = torch.arange(1, assignment.shape[2] + 1, device=count.device).to(assignment.dtype)
        return {"same_mapping": root(difference.square().sum((1, 2))).mean(),
                "single_affiliation": entropy.mean(),
                "relative_position": root((places @ assignment - order).square().sum(1)).mean()}


def from_catalogue(options, catalogue):
    """A Surge to train."""
    return build(options, catalogue.start_tables(options.item_width)["item_embed"],
                 catalogue.category_of_item)


def build(options, item_table, category_of_item):
    """Likewise: item_table [items + 1, item_width] are its start values.

    category_of_item [items + 1] are rows of the categories' table, 0 for unknown.
    """
    kind = {"authors": SurgeAuthors, "paper": SurgePaper}[options.variant]
    model = kind(len(item_table), torch.as_tensor(category_of_item).long(), options)
    with torch.no_grad():
        model.item_embed.weight.copy_(torch.as_tensor(item_table))
    return model


def manifest_options(options):
    if options.without:
        raise ValueError(f"a model without {', '.join(options.without)} is an ablation: the server has "
                         "no such form")
    found = {"variant": options.variant, "max_history": str(options.max_history)}
    if options.variant == "authors":
        found["pool_length"] = str(options.pool_length)
    return found


def tensors(model):
    """The tensors of the model's file, batch normalisation folded."""
    found = {name: value.cpu() for name, value in model.state_dict().items()
             if not name.startswith("head.")}
    found |= {f"head.{name}": value.cpu() for name, value in model.head.folded().items()}
    return {name: value.numpy() for name, value in found.items()}


def from_tensors(tensors_by_name, options):
    """The Surge, in evaluation mode, of a snapshot's tensors and its options in the manifest."""
    shape = {name: values.shape for name, values in tensors_by_name.items()}
    item_width, category_width = shape["item_embed.weight"][1], shape["cate_embed.weight"][1]
    hidden = Options.hidden
    if options["variant"] == "authors":
        hidden = tuple(shape[f"f1.mlp.{layer}.weight"][0] for layer in (0, 2))
    made = Options(
        variant=options["variant"], max_history=int(options["max_history"]),
        pool_length=int(options.get("pool_length", 0)), heads=shape["metric.weight"][0],
        clusters=shape["pool.weight"][0] if "pool.weight" in shape else 0, item_width=item_width,
        category_width=category_width, state_width=shape["augru.candidate.weight"][0], hidden=hidden,
        head_hidden=tuple(shape[f"head.{layer}.weight"][0] for layer in (0, 2)), batch_norm=False)
    model = build(made, tensors_by_name["item_embed.weight"].copy(),
                  tensors_by_name["category_of_item"].copy())
    # Categories without an item have a row, too.
    model.cate_embed = torch.nn.Embedding(*shape["cate_embed.weight"])
    # Copies, since PyTorch has no tensor that must not be written to.
    model.load_state_dict({name: torch.from_numpy(tensors_by_name[name].copy())
                           for name in model.state_dict()})
    return model.eval()
