"""Caser (Tang and Wang, WSDM 2018, arXiv 1809.07426): the ranker, as the server computes it.

The embeddings of the user's newest items, one below the other, are a picture that filters read. What is
read is in trainer/sequence.py, the equations are in docs/models.md.
"""

from dataclasses import dataclass

import torch

from trainer import sequence

PADDINGS = ("included", "masked")
# Filters and history as published, where an option is 0.
_PUBLISHED = {"deeprec": {"max_history": 50, "vertical": 128, "horizontal": 128},
              "original": {"max_history": 5, "vertical": 4, "horizontal": 16}}


@dataclass
class Options:
    variant: str = "deeprec"
    padding: str = "included"  # "deeprec"
    max_history: int = 0  # 0, here and of the filters: as published
    item_width: int = 32
    category_width: int = 8  # "deeprec"
    user_width: int = 32  # "original"
    vertical: int = 0  # filters
    horizontal: int = 0  # filters of each length of window
    windows: int = 3  # "deeprec": lengths of window, from 1; in "original" from 1 to max_history
    z_width: int = 50  # "original": of the layer behind the filters
    head_hidden: tuple = (100, 64)  # "deeprec"
    batch_norm: bool = True  # in the head, folded into its layers on export

    def __post_init__(self):
        sequence.check(self, variant=sequence.VARIANTS, padding=PADDINGS)
        for name, published in _PUBLISHED[self.variant].items():
            if getattr(self, name) == 0:
                setattr(self, name, published)
        if self.variant == "deeprec" and not 1 <= self.windows <= self.max_history:
            raise ValueError(f"windows is {self.windows}; it must be 1 to max_history, {self.max_history}")


class Horizontal(torch.nn.ModuleDict):
    """Filters "1" to "H" over windows of so many positions, each at its greatest."""

    def __init__(self, windows, width, filters):
        super().__init__({str(k): torch.nn.Linear(k * width, filters) for k in range(1, windows + 1)})

    def forward(self, picture, inside):
        """picture [b, L, d], inside [b]: windows lie within so many positions -> [b, H filters]."""
        found = []
        for name, layer in self.items():
            k = int(name)
            windows = picture.unfold(1, k, 1).transpose(2, 3).flatten(2)
            begins = torch.arange(windows.shape[1], device=picture.device)
            outside = begins[:, None] + k > inside[:, None, None]
            # Without a window 0, as behind ReLU.
            found.append(layer(windows).masked_fill(outside, float("-inf")).amax(1).relu())
        return torch.cat(found, 1)


class Part(torch.nn.Module):
    """The filters of "deeprec" over one table's picture."""

    def __init__(self, options, width):
        super().__init__()
        self.vertical = torch.nn.Linear(options.max_history * width, options.vertical)
        self.horizontal = Horizontal(options.windows, width, options.horizontal)

    def forward(self, picture, inside):
        return torch.cat([self.vertical(picture.flatten(1)).relu(), self.horizontal(picture, inside)], 1)


class CaserDeeprec(sequence.SequenceRanker):
    def __init__(self, counts, options):
        super().__init__(counts, options)
        self.item = Part(options, options.item_width)
        self.cate = Part(options, options.category_width)
        features = 2 * (options.vertical + options.windows * options.horizontal)
        self.head = sequence.Mlp((features + self.dim, *options.head_hidden, 1), "relu", options.batch_norm)

    def stages(self, inputs):
        """user.features [b, .], logit [n]."""
        longest = self.options.max_history
        history = torch.nn.functional.pad(inputs.history, (0, longest - inputs.history.shape[1]))
        picture = self.embed(history)
        inside = inputs.length
        if self.options.padding == "masked":
            valid = torch.arange(longest, device=inside.device) < inside[:, None]
            picture = picture * valid[..., None]
        else:
            inside = torch.full_like(inside, longest)
        of_item, of_category = picture.split((self.options.item_width, self.options.category_width), -1)
        features = torch.cat([self.item(of_item, inside), self.cate(of_category, inside)], 1)
        logit = self.head(torch.cat([features[inputs.owner], self.embed(inputs.candidate)], 1))[:, 0]
        return {"user.features": features, "logit": logit}


class CaserOriginal(sequence.SequenceRanker):
    def __init__(self, counts, options):
        super().__init__(counts, options, has_categories=False)
        longest = options.max_history
        self.user_embed = torch.nn.Embedding(counts.users, options.user_width)
        torch.nn.init.normal_(self.user_embed.weight, std=0.1)
        self.vertical = torch.nn.Linear(longest, options.vertical)
        self.horizontal = Horizontal(longest, self.dim, options.horizontal)
        self.fc = torch.nn.Linear(options.vertical * self.dim + longest * options.horizontal, options.z_width)
        self.output = sequence.OutputItems(counts.items, options.z_width + options.user_width)

    def stages(self, inputs):
        """user.vertical, user.horizontal, user.z [b, .], logit [n]."""
        longest = self.options.max_history
        # Row 0 stands in front of the oldest item.
        at = torch.arange(longest, device=inputs.length.device) - longest + inputs.length[:, None]
        history = inputs.history.gather(1, at.clamp_min(0)).masked_fill(at < 0, 0)
        picture = self.embed(history)
        vertical = self.vertical(picture.transpose(1, 2)).transpose(1, 2).flatten(1)
        horizontal = self.horizontal(picture, torch.full_like(inputs.length, longest))
        z = self.fc(torch.cat([vertical, horizontal], 1)).relu()
        of_user = torch.cat([z, self.user_embed(inputs.user)], 1)
        return {"user.vertical": vertical, "user.horizontal": horizontal, "user.z": z,
                "logit": self.output(inputs.candidate, of_user[inputs.owner])}


_MODELS = {"deeprec": CaserDeeprec, "original": CaserOriginal}


def from_catalogue(options, catalogue):
    """A Caser to train."""
    return sequence.start(_MODELS[options.variant](sequence.counts(catalogue), options), catalogue)


def manifest_options(options):
    found = {"variant": options.variant, "max_history": str(options.max_history)}
    return found | ({"padding": options.padding} if options.variant == "deeprec" else {})


tensors = sequence.tensors


def from_tensors(tensors_by_name, options):
    """The Caser, in evaluation mode, of a snapshot's tensors and its options in the manifest."""
    variant = options.get("variant", "deeprec")
    shape = {name: values.shape for name, values in tensors_by_name.items()}
    if variant == "deeprec":
        windows = sum(name.startswith("item.horizontal.") for name in shape) // 2
        made = Options(
            variant=variant, padding=options.get("padding", "included"), windows=windows,
            vertical=shape["item.vertical.weight"][0], horizontal=shape["item.horizontal.1.weight"][0],
            head_hidden=sequence.widths_of(tensors_by_name, "head"), max_history=int(options["max_history"]),
            **sequence.table_widths(tensors_by_name), batch_norm=False)
    else:
        made = Options(
            variant=variant, vertical=shape["vertical.weight"][0], horizontal=shape["horizontal.1.weight"][0],
            user_width=shape["user_embed.weight"][1], z_width=shape["fc.weight"][0], windows=1,
            max_history=int(options["max_history"]), **sequence.table_widths(tensors_by_name))
    return sequence.load(_MODELS[variant](sequence.counts_of(tensors_by_name), made), tensors_by_name)
