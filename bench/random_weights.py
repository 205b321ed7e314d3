#!/usr/bin/python3
"""Writes random weights of the published sizes, one safetensors file per model variant, into DIR.

    random_weights.py DIR                   every variant
    random_weights.py DIR macgnn-none       only the named ones

A file's metadata holds what a manifest would say of the model: its kind and its options. The same call
always writes the same bytes.
"""

import argparse
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from trainer import safetensors

SEED = 7
ROWS = 10_001  # of users and of items, row 0 included
CATEGORIES = 101
EMBEDDING_SCALE = 0.3

MACGNN = {
    "user_embed.weight": (ROWS, 10), "item_embed.weight": (ROWS, 10),
    "u_macro_embed.weight": (20, 10), "i_macro_embed.weight": (30, 10),
    **{f"{side}_shared_aggregator.{matrix}_w.weight": (20, 10) for side in "ui" for matrix in "QKV"},
    "mlp.0.weight": (200, 140), "mlp.0.bias": (200,),
    "mlp.1.alpha": (1,), "mlp.1.mean": (200,), "mlp.1.std": (200,),
    "mlp.2.weight": (80, 200), "mlp.2.bias": (80,),
    "mlp.3.alpha": (1,), "mlp.3.mean": (80,), "mlp.3.std": (80,),
    "mlp.4.weight": (1, 80), "mlp.4.bias": (1,),
}


def layers(name, *widths):
    """Shapes of linear layers NAME.0, NAME.2, ..."""
    shapes = {}
    for index, (inputs, width) in enumerate(zip(widths, widths[1:])):
        shapes[f"{name}.{2 * index}.weight"] = (width, inputs)
        shapes[f"{name}.{2 * index}.bias"] = (width,)
    return shapes


SURGE = {
    "item_embed.weight": (ROWS, 32), "cate_embed.weight": (CATEGORIES, 8),
    "metric.weight": (1, 40), "fusion.dense.weight": (40, 40),
    "augru.gates.weight": (80, 80), "augru.gates.bias": (80,),
    "augru.candidate.weight": (40, 80), "augru.candidate.bias": (40,),
    **layers("head", 160, 100, 64, 1),
}
SURGE_AUTHORS = dict(SURGE)
for _name in ("f1", "f2", "augru_attention"):
    SURGE_AUTHORS |= {f"{_name}.attention.weight": (40, 40), **layers(f"{_name}.mlp", 160, 80, 40, 1)}
SURGE_PAPER = SURGE | {"cluster.transform.weight": (40, 40), "query.transform.weight": (40, 40),
                       **layers("cluster.mlp", 120, 40, 1), **layers("query.mlp", 120, 40, 1)}


def surge_models(max_history, pool_length):
    authors = {"variant": "authors", "max_history": max_history, "pool_length": pool_length}
    return {
        f"surge-authors-{max_history}": (SURGE_AUTHORS, authors),
        **{f"surge-paper-{max_history}-{clusters}":
               (SURGE_PAPER | {"pool.weight": (clusters, 40)},
                {"variant": "paper", "max_history": max_history})
           for clusters in (10, pool_length)},
    }


_SEQUENCE = {"item_embed.weight": (ROWS, 32), "cate_embed.weight": (CATEGORIES, 8)}
_ATTENTION = {"target.attention.weight": (40, 40), **layers("target.mlp", 160, 80, 40, 1)}


def gru(name, inputs, width):
    return {f"{name}.gates.weight": (2 * width, inputs + width), f"{name}.gates.bias": (2 * width,),
            f"{name}.candidate.weight": (width, inputs + width), f"{name}.candidate.bias": (width,)}


def dice(name, *widths):
    return {f"{name}.{2 * index + 1}.{part}": (width,)
            for index, width in enumerate(widths) for part in ("alpha", "mean", "std")}


def caser_part(part, width, history):
    filters = {f"{part}.vertical.weight": (128, history * width), f"{part}.vertical.bias": (128,)}
    for k in (1, 2, 3):
        filters |= {f"{part}.horizontal.{k}.weight": (128, k * width), f"{part}.horizontal.{k}.bias": (128,)}
    return filters


def time_gate(name):
    return {f"lstm.{name}.weight": (40, 72), f"lstm.{name}.bias": (40,),
            f"lstm.{name}.input.weight": (40,), f"lstm.{name}.input.bias": (40,)}


NCF = {**{f"{side}_{part}.weight": (ROWS, 40) for side in ("user", "item") for part in ("gmf", "mlp")},
       **layers("mlp", 80, 80, 40), "output.weight": (1, 80)}
DIN = {**_SEQUENCE, **_ATTENTION, **layers("head", 120, 100, 64, 1)}
CASER = {**_SEQUENCE, **caser_part("item", 32, 50), **caser_part("cate", 8, 50),
         **layers("head", 2 * 128 * 4 + 40, 100, 64, 1)}
GRU4REC = {**_SEQUENCE, **gru("gru", 40, 40), **layers("head", 80, 100, 64, 1)}
DIEN = {**_SEQUENCE, **gru("gru", 40, 40), **gru("augru", 40, 40), **_ATTENTION, **dice("target.mlp", 80, 40),
        **layers("head", 160, 100, 64, 1), **dice("head", 100, 64)}
SLIREC = {**_SEQUENCE, **_ATTENTION, "long.query": (40,), **time_gate("now"), **time_gate("last"),
          "lstm.gates.weight": (160, 72), "lstm.gates.bias": (160,), "lstm.output.time.weight": (40, 80),
          **layers("alpha", 121, 80, 40, 1), **layers("head", 80, 100, 64, 1)}

# Shapes of the tensors and the options of each model.
MODELS = {
    **{f"macgnn-{attention}": (MACGNN, {"attention": attention, "tau": 1.0, "recent_len": 20})
       for attention in ("none", "neighbours")},
    **surge_models(50, 30),
    **surge_models(250, 150),
    "ncf": (NCF, {}),
    **{kind: (shapes, {"variant": "deeprec", "max_history": 50})
       for kind, shapes in (("din", DIN), ("caser", CASER), ("gru4rec", GRU4REC), ("dien", DIEN),
                            ("slirec", SLIREC))},
    "dot": ({"user": (ROWS - 1, 64), "item": (ROWS - 1, 64)}, {}),
}


def tensors(shapes):
    # RandomState's numbers, unlike those of numpy's newer generators, never change.
    random = np.random.RandomState(SEED)
    result = {}
    for name, shape in shapes.items():
        if name.endswith(("embed.weight", "gmf.weight")) or name in (
                "user", "item", "user_mlp.weight", "item_mlp.weight"):
            values = random.standard_normal(shape) * EMBEDDING_SCALE
        elif name.endswith((".std", ".alpha")):
            values = random.uniform(0.1, 1.0, shape)
        elif name.endswith((".bias", ".mean")):
            values = random.uniform(-0.1, 0.1, shape)
        else:
            values = random.standard_normal(shape) * np.sqrt(2 / shape[-1])
        result[name] = values.astype(np.float32)
    if "cate_embed.weight" in shapes:
        categories = random.randint(1, CATEGORIES, shapes["item_embed.weight"][0])
        categories[0] = 0
        result["category_of_item"] = categories.astype(np.int64)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"some of {', '.join(MODELS)}")
    arguments = parser.parse_args()
    for name in arguments.models:
        if name not in MODELS:
            parser.error(f'no model "{name}"; there are {", ".join(MODELS)}')
    arguments.directory.mkdir(parents=True, exist_ok=True)
    for name in arguments.models or MODELS:
        shapes, options = MODELS[name]
        metadata = {"kind": name.split("-", 1)[0], **options}
        safetensors.write(arguments.directory / f"{name}.safetensors", tensors(shapes), metadata)


if __name__ == "__main__":
    main()
