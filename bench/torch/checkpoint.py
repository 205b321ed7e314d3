"""From a weights file to the module that it belongs to."""

import pathlib
import sys

import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

import sequence
from dot import Dot
from macgnn import MacGnn, PublishedMacGnn
from surge import SurgeAuthors, SurgePaper
from trainer import safetensors

# "category_of_item" is an integer tensor of SURGE's weights files: the category row of each item row.
CATEGORIES = "category_of_item"


def is_macgnn(tensors):
    return "u_macro_embed.weight" in tensors


def build(tensors, options, dtype=torch.float32, published=False):
    """The module of `tensors` by name, in evaluation mode; MacGNN's also in the published shape.

    Options are the manifest's: attention and tau (MacGNN); variant, max_history and pool_length
    (SURGE); and the kind of a sequence ranker.
    """
    shapes = {name: tuple(array.shape) for name, array in tensors.items()}
    if is_macgnn(tensors):
        module = (PublishedMacGnn if published else MacGnn)(shapes, options["attention"], float(options["tau"]))
    elif sequence.is_here(options):
        module = sequence.build(options["kind"], shapes, options)
    elif set(tensors) == {"user", "item"}:
        module = Dot(shapes)
    elif options["variant"] == "authors":
        module = SurgeAuthors(shapes, int(options["max_history"]), int(options["pool_length"]))
    elif options["variant"] == "paper":
        module = SurgePaper(shapes)
    else:
        raise ValueError(f'variant is "{options["variant"]}"; it must be "authors" or "paper"')
    state = {name: torch.from_numpy(np.array(array)) for name, array in tensors.items()}
    if is_macgnn(tensors):
        state.pop("cate_embed.weight", None)  # MacGNN's checkpoints may have it; nothing reads it
    module.load_state_dict(state, strict=True)
    return module.to(dtype).eval()


def read(path, options=None):
    """The modules of a file by the name that they add to its own. Options are those in its metadata,
    and `options` over them."""
    tensors, metadata = safetensors.read(path)
    merged = {**metadata, **(options or {})}
    try:
        modules = {"": build(tensors, merged)}
        if is_macgnn(tensors):
            modules[".published"] = build(tensors, merged, published=True)
        return modules
    except KeyError as error:
        raise ValueError(f"{path}: no option or tensor {error}") from error
