"""What the sequence rankers share: a batch's histories, the layers, and how a model is stored.

NCF, DIN, Caser, GRU4Rec, DIEN and SLi-Rec as the server computes them; docs/models.md has their equations,
docs/snapshot.md the names of the tensors. The variant "deeprec" is what Microsoft's framework of that name
computes, "original" what a model's own authors do.

Inputs of `forward`, n rows: `item` [n] candidates, `user` [n], and `urec` [n, >= max_history] the user's
newest items, newest first, all as table rows. 0 is one that the model does not know, and behind the last
item none at all. Rows of one user that follow each other share what is made of its history.
"""

from dataclasses import dataclass

import torch

VARIANTS = ("deeprec", "original")

_NORM_EPSILON = 1e-4  # of batch normalisation
_DICE_MOMENTUM = 0.05  # with which frozen statistics follow those of the batches
_DICE_EPSILON = 1e-9
AUXILIARY = "auxiliary"  # a module of that name is training's alone and not stored


@dataclass
class Counts:
    """Rows of the tables, those of the unknown, row 0, included."""

    users: int
    items: int
    categories: int


@dataclass
class Inputs:
    """A batch of n rows of b histories. The times are microseconds, and None where no model reads them."""

    history: torch.Tensor  # [b, T] table rows, oldest first, 0 behind the last
    length: torch.Tensor  # [b]
    user: torch.Tensor  # [b]
    owner: torch.Tensor  # [n] whose row it is
    candidate: torch.Tensor  # [n]
    time_us: torch.Tensor = None  # [b, T] of the items
    previous_us: torch.Tensor = None  # [b] of the item before the first of `history`; 0: there is none
    first_us: torch.Tensor = None  # [b] of the user's oldest item
    now_us: torch.Tensor = None  # [b]

    @property
    def valid(self):
        """[b, T], by position: an unknown item is one, too."""
        return torch.arange(self.history.shape[1], device=self.length.device) < self.length[:, None]


def check(options, **choices):
    """Refuses an option whose value is none of its choices, and heads that are no pair of widths."""
    for name, allowed in choices.items():
        value = getattr(options, name)
        if value not in allowed:
            raise ValueError(f'{name} is "{value}"; it must be {" or ".join(f"{one!r}" for one in allowed)}'
                             .replace("'", '"'))
    for name in ("hidden", "head_hidden"):
        widths = getattr(options, name, (1, 1))
        if len(widths) != 2:
            raise ValueError(f"{name} is {list(widths)}; it must have two widths")


def masked_softmax(scores, mask):
    return scores.masked_fill(~mask, float("-inf")).softmax(-1)


def of_rows(of_histories, owner):
    """[n, ...] of [b, ...]: what belongs to the history of each row."""
    return of_histories.index_select(0, owner)  # its gradient is made faster than that of indexing


class Dice(torch.nn.Module):
    """p z + alpha (1 - p) z, p = sigmoid((z - mean) / std), per channel.

    In training mean and std are the batch's, and the stored ones follow them; in evaluation they are the
    stored ones, so that a score does not depend on who else is in the batch.
    """

    def __init__(self, width):
        super().__init__()
        self.alpha = torch.nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))

    def forward(self, z, valid=None):
        mean, std = self._of_batch(z, valid) if self.training else (self.mean, self.std)
        p = torch.sigmoid((z - mean) / std)
        return p * z + self.alpha * (1 - p) * z

    def _of_batch(self, z, valid):
        z = z.flatten(0, -2)
        counts = z.new_ones(len(z)) if valid is None else valid.flatten().to(z.dtype)
        share = counts / counts.sum()
        mean = share @ z
        std = (share @ (z - mean).square() + _DICE_EPSILON).sqrt() + _DICE_EPSILON
        with torch.no_grad():
            self.mean.lerp_(mean, _DICE_MOMENTUM)
            self.std.copy_(self.std.square().lerp(std.square(), _DICE_MOMENTUM).sqrt())
        return mean, std


class Stateless(torch.nn.Module):
    """ReLU or sigmoid, beside Dice."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, z, valid=None):
        return self.function(z)


_ACTIVATIONS = {"relu": lambda width: Stateless(torch.relu),
                "sigmoid": lambda width: Stateless(torch.sigmoid), "dice": Dice}


class Mlp(torch.nn.ModuleDict):
    """Linear layers "0", "2", ... with the activations "1", "3", ... between them, none behind the last.

    Batch normalisation, if there is any, is of each hidden layer before its activation.
    """

    def __init__(self, widths, activation, batch_norm=False):
        super().__init__()
        for index, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
            self[str(2 * index)] = torch.nn.Linear(inputs, outputs)
            if index + 2 == len(widths):
                continue
            self[str(2 * index + 1)] = _ACTIVATIONS[activation](outputs)
            if batch_norm:
                self[f"norm{2 * index}"] = torch.nn.BatchNorm1d(outputs, eps=_NORM_EPSILON)
        self.last = 2 * (len(widths) - 2)

    def forward(self, x, valid=None):
        return self.behind_first(self["0"](x), valid)

    def behind_first(self, z, valid=None):
        """Likewise, of what the first layer made. `valid`: whose statistics count in training."""
        for position in range(0, self.last, 2):
            if f"norm{position}" in self:
                z = self[f"norm{position}"](z)
            z = self[str(position + 2)](self[str(position + 1)](z, valid))
        return z

    @torch.no_grad()
    def folded(self):
        """Its tensors by name, with the frozen normalisation inside the layer before it: y = s z + c,
        s = gamma / sqrt(variance + epsilon), c = beta - s mean, makes of W x + b (s W) x + (s b + c)."""
        found = {name: value for name, value in self.state_dict().items() if not name.startswith("norm")}
        for position in range(0, self.last + 1, 2):
            norm = self[f"norm{position}"] if f"norm{position}" in self else None
            if norm is None:
                continue
            scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
            shift = norm.bias.double() - scale * norm.running_mean.double()
            weight, bias = f"{position}.weight", f"{position}.bias"
            found[weight] = (found[weight].double() * scale[:, None]).float()
            found[bias] = (found[bias].double() * scale + shift).float()
        return found


class Query(torch.nn.Linear):
    """PReLU(W q + b), a slope per channel."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.alpha = torch.nn.Parameter(torch.full((outputs,), 0.1))

    def forward(self, q):
        z = super().forward(q)
        return z.clamp_min(0) + self.alpha * z.clamp_max(0)


class TargetAttention(torch.nn.Module):
    """Softmax over the valid positions of MLP([a, q, a - q, a * q]), for the query q of each row.

    a = W k of the keys k, or with `transforms` "query" a = k, and the query is first PReLU(W q + b);
    "none": both as they are. With the first layer [W_a W_q W_d W_p] it is
    (W_a + W_d) a + (W_q - W_d) q + W_p (a * q): the first term is made once per history.
    """

    def __init__(self, key_width, query_width, hidden, activation, transforms="keys"):
        super().__init__()
        width = query_width if transforms == "keys" else key_width
        if transforms == "keys":
            self.attention = torch.nn.Linear(key_width, query_width, bias=False)
        elif transforms == "query":
            self.query = Query(query_width, key_width)
        self.mlp = Mlp((4 * width, *hidden, 1), activation)

    def forward(self, keys, query, valid, owner):
        """keys [b, T, k], query [n, q], valid [b, T], owner [n] -> [n, T]."""
        a = self.attention(keys) if hasattr(self, "attention") else keys
        if hasattr(self, "query"):
            query = self.query(query)
        first = self.mlp["0"]
        of_a, of_query, of_difference, of_product = first.weight.chunk(4, 1)
        own = a @ (of_a + of_difference).t() + first.bias
        z = of_rows(own, owner) + (query @ (of_query - of_difference).t())[:, None]
        z = z + (of_rows(a, owner) * query[:, None]) @ of_product.t()
        valid = valid[owner]
        return masked_softmax(self.mlp.behind_first(z, valid)[..., 0], valid)


class Gru(torch.nn.Module):
    """r, u = sigmoid(Wg [x, s] + bg), s = u s + (1 - u) c; where the reset r stands is `reset`:

    "before", c = tanh(Wc [x, r * s] + bc), or "after", c = tanh(Wx x + bc + r * (Ws s + bs)).
    """

    def __init__(self, inputs, width, reset="before"):
        super().__init__()
        self.reset = reset
        self.gates = torch.nn.Linear(inputs + width, 2 * width)
        self.candidate = torch.nn.Linear(inputs + width, width)
        if reset == "after":
            self.candidate.register_parameter("state_bias", torch.nn.Parameter(torch.zeros(width)))

    def of_inputs(self, x):
        """What gates and candidate take from their inputs: x [..., d] -> [..., 3 h]."""
        d = x.shape[-1]
        weight = torch.cat([self.gates.weight[:, :d], self.candidate.weight[:, :d]])
        return x @ weight.t() + torch.cat([self.gates.bias, self.candidate.bias])

    def gates_and_candidate(self, of_inputs, state):
        """(u, c) of one step: of_inputs [n, 3 h], state [n, h]."""
        width = state.shape[1]
        of_gates, of_candidate = of_inputs.split((2 * width, width), -1)
        reset, update = (of_gates + state @ self.gates.weight[:, -width:].t()).sigmoid().chunk(2, -1)
        of_state = self.candidate.weight[:, -width:].t()
        if self.reset == "before":
            return update, (of_candidate + (reset * state) @ of_state).tanh()
        return update, (of_candidate + reset * (state @ of_state + self.candidate.state_bias)).tanh()

    def forward(self, x):
        """x [b, T, d] -> all states [b, T, h]; behind the last item they mean nothing."""
        inputs, states = self.of_inputs(x), []
        state = x.new_zeros(len(x), self.candidate.out_features)
        for of_step in inputs.unbind(1):
            update, candidate = self.gates_and_candidate(of_step, state)
            state = update * state + (1 - update) * candidate
            states.append(state)
        return torch.stack(states, 1)


class OutputItems(torch.nn.Module):
    """A row and a bias for each item, with which a user's vector is multiplied."""

    def __init__(self, items, width):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(items, width) * 0.1)
        self.bias = torch.nn.Parameter(torch.zeros(items))

    def forward(self, candidate, vector):
        """[n]; minus infinity for an unknown item, which is nothing but its row."""
        logit = (self.weight[candidate] * vector).sum(-1) + self.bias[candidate]
        return logit.masked_fill(candidate == 0, float("-inf"))


class SequenceRanker(torch.nn.Module):
    """A network over a user's newest items; `stages(inputs)` gives what it computes by name, the `logit`
    among it. A row without a history has the logit NaN."""

    needs_history, needs_user = True, False
    reads_times = False

    def __init__(self, counts, options, has_categories=True):
        super().__init__()
        self.options = options
        self.item_embed = torch.nn.Embedding(counts.items, options.item_width)
        torch.nn.init.normal_(self.item_embed.weight, std=0.1)
        self.dim = options.item_width
        if has_categories:
            self.cate_embed = torch.nn.Embedding(counts.categories, options.category_width)
            torch.nn.init.normal_(self.cate_embed.weight, std=0.1)
            self.register_buffer("category_of_item", torch.zeros(counts.items, dtype=torch.long))
            self.dim += options.category_width

    @property
    def item_rows(self):
        return self.item_embed.num_embeddings

    def embed(self, items):
        if not hasattr(self, "cate_embed"):
            return self.item_embed(items)
        return torch.cat([self.item_embed(items), self.cate_embed(self.category_of_item[items])], -1)

    def forward(self, batch):
        """One logit per row."""
        logit = self.stages(self.inputs(batch))["logit"]
        return logit.masked_fill((batch["urec"] == 0).all(1), float("nan"))

    def inputs(self, batch):
        """The Inputs of a batch: rows that follow each other and have one user and moment share them."""
        of_user = [batch["user"][:, None], batch["urec"]]
        if self.reads_times:
            of_user += [batch["urec_time_us"], batch["ufirst_time_us"][:, None], batch["unow_us"][:, None]]
        rows, owner = torch.unique_consecutive(torch.cat(of_user, 1), dim=0, return_inverse=True)
        user, newest, *times = rows.split([part.shape[1] for part in of_user], 1)
        places = torch.arange(1, newest.shape[1] + 1, device=newest.device)
        whole = (places * (newest > 0)).amax(1)
        length = whole.clamp(1, self.options.max_history)
        columns = int(length.max())
        from_newest = length[:, None] - 1 - torch.arange(columns, device=newest.device)
        oldest_first = lambda values: values.gather(1, from_newest.clamp_min(0)).masked_fill(
            from_newest < 0, 0)
        found = Inputs(oldest_first(newest), length, user[:, 0], owner, batch["item"])
        if times:
            time_us, first_us, now_us = times
            found.time_us, found.first_us, found.now_us = oldest_first(time_us), first_us[:, 0], now_us[:, 0]
            before = length.clamp_max(newest.shape[1] - 1)[:, None]
            found.previous_us = time_us.gather(1, before)[:, 0].masked_fill(whole <= length, 0)
        return found

    @staticmethod
    def last_of(states, length):
        """[b, h], of states [b, T, h]."""
        at = (length - 1).clamp_min(0)[:, None, None].expand(-1, 1, states.shape[2])
        return states.gather(1, at)[:, 0]


def counts(catalogue):
    return Counts(len(catalogue.user) + 1, len(catalogue.item) + 1, int(catalogue.category_of_item.max()) + 1)


@torch.no_grad()
def start(model, catalogue):
    """`model` with the embeddings' directions and the categories of the catalogue."""
    def fill(table, name):
        table.weight.copy_(torch.as_tensor(catalogue.start_tables(table.weight.shape[1])[name]))

    fill(model.item_embed, "item_embed")
    if hasattr(model, "user_embed"):
        fill(model.user_embed, "user_embed")
    if hasattr(model, "category_of_item"):
        model.category_of_item.copy_(torch.as_tensor(catalogue.category_of_item))
    return model


def tensors(model):
    """The tensors of the model's file: batch normalisation folded, training's own left out. An unknown
    user is the mean of those known."""
    found = dict(model.state_dict())
    for prefix, module in model.named_modules():
        if isinstance(module, Mlp):
            found = {name: value for name, value in found.items() if not name.startswith(f"{prefix}.")}
            found |= {f"{prefix}.{name}": value for name, value in module.folded().items()}
    found = {name: value.cpu() for name, value in found.items() if not name.startswith(f"{AUXILIARY}.")}
    if "user_embed.weight" in found:
        table = found["user_embed.weight"].clone()
        table[0] = table[1:].mean(0)
        found["user_embed.weight"] = table
    return {name: value.contiguous().numpy() for name, value in found.items()}


def counts_of(tensors_by_name):
    rows = lambda *names: next((len(tensors_by_name[name]) for name in names if name in tensors_by_name), 1)
    return Counts(rows("user_embed.weight", "user_gmf.weight"), rows("item_embed.weight", "item_gmf.weight"),
                  rows("cate_embed.weight"))


def widths_of(tensors_by_name, name):
    """The outputs of the hidden layers of an Mlp."""
    return tuple(len(tensors_by_name[f"{name}.{layer}.weight"]) for layer in (0, 2))


def table_widths(tensors_by_name):
    """Of the tables of items and categories, as options are called."""
    found = {"item_width": tensors_by_name["item_embed.weight"].shape[1]}
    if "cate_embed.weight" in tensors_by_name:
        found["category_width"] = tensors_by_name["cate_embed.weight"].shape[1]
    return found


def load(model, tensors_by_name):
    """`model` in evaluation mode with the values of a file, which has all of its tensors and no other."""
    # Copies, since PyTorch has no tensor that must not be written to.
    values = {name: torch.from_numpy(values.copy()) for name, values in tensors_by_name.items()}
    ours = {name for name in model.state_dict() if not name.startswith(f"{AUXILIARY}.")}
    if ours != set(values):
        raise ValueError("the model's tensors are not those of its options: "
                         f"{', '.join(sorted(ours.symmetric_difference(values)))}")
    model.load_state_dict(values, strict=False)
    return model.eval()
