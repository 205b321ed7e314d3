"""From a log to a snapshot: every step in order."""

import shutil
import tempfile
import time
import tomllib
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import torch

from trainer import (catalogue, clusters, data, examples, lightgcn, metrics, ranking, replay,
                     safetensors, snapshot)

_MODEL_FILE = "macgnn.safetensors"
_HELDOUT_NEGATIVES = 4


def train(config_path):
    """Trains what the configuration says and replaces its output directory when all is done."""
    config, server = _read_config(config_path)
    with tempfile.TemporaryDirectory(prefix="groundswell-train-") as work:
        draft = Path(work) / "snapshot"
        draft.mkdir()
        _train(config, server, draft, work)
        output = Path(config["snapshot"]["output"])
        output.mkdir(parents=True, exist_ok=True)
        for path in draft.iterdir():
            shutil.copyfile(path, output / path.name)
    print(f"wrote {output}")


def add_examples(config_path):
    """Gives the snapshot that `train` wrote its examples, of the rows that `train` would take."""
    config, server = _read_config(config_path)
    output = Path(config["snapshot"]["output"])
    log = data.read_log(config["data"]["events"])
    split = data.split_by_time(log, config["data"]["heldout_days"], config["data"]["validation_days"])
    interactions = data.index_interactions(log, split.cut_s)
    with tempfile.TemporaryDirectory(prefix="groundswell-train-") as work:
        past = replay.Replay(server, output, interactions.known_items(log), work)
        options = ranking.Options(**config["macgnn"])
        rows = _training_rows(past, split, options)
        examples.write(output, snapshot.read_manifest(output)["models"], rows, options.seed)
    snapshot.update_files(output)
    print(f"wrote {output / snapshot.EXAMPLES_FILE}")


def _read_config(path):
    """(configuration, server program); also makes PyTorch deterministic."""
    torch.set_num_threads(1)  # the same sums in the same order, on any machine
    with open(path, "rb") as stream:
        config = tomllib.load(stream)
    server = Path(config["snapshot"]["server"])
    if not server.exists():
        raise FileNotFoundError(f"{server} is not there: build it (make demo builds it), or set "
                                "snapshot.server in the configuration")
    return config, server


def _training_rows(past, split, options):
    return past.rows(0, split.cut_s, options.negatives, options.recent_len, options.recent_len,
                     options.seed)


def _train(config, server, draft, work):
    clock = _Clock()
    log = data.read_log(config["data"]["events"])
    split = data.split_by_time(log, config["data"]["heldout_days"], config["data"]["validation_days"])
    interactions = data.index_interactions(log, split.cut_s)
    _write_catalogue(draft, interactions, config["data"].get("items"))
    known = int(np.searchsorted(log.time_s, split.cut_s))
    print(f"data: {known} interactions of {len(interactions.user_ids)} users and "
          f"{len(interactions.item_ids)} items before {snapshot.rfc3339(split.cut_s)}, "
          f"{len(log) - known} after")
    clock.step("reading")

    options = lightgcn.Options(**config["lightgcn"])
    epochs = lightgcn.choose_epochs(interactions, split, options)
    user, item = lightgcn.train(interactions, split.cut_s, epochs, options)
    snapshot.write_embeddings(draft, user, item)
    clock.step(f"LightGCN, {epochs} epochs after choosing that number")

    shape = config["clusters"]["users"], config["clusters"]["items"]
    user_cluster, user_centroids = clusters.kmeans(user, shape[0], config["clusters"]["seed"])
    item_cluster, item_centroids = clusters.kmeans(item, shape[1], config["clusters"]["seed"])
    snapshot.write_clusters(draft, user_cluster, item_cluster, user_centroids, item_centroids)
    fields = _manifest_fields(config, split, interactions, known, shape)
    snapshot.write_manifest(draft, fields)
    clock.step("k-means")

    options = ranking.Options(**config["macgnn"])
    past = replay.Replay(server, draft, interactions.known_items(log), work)
    rows = _training_rows(past, split, options)
    past.graph(split.cut_s, draft / "graph.safetensors")
    clock.step(f"replay, {len(rows)} training rows")
    tables = ranking.initial_tables(user, item, user_cluster, item_cluster, shape, options.dim)
    model = ranking.train(rows, tables, options)
    safetensors.write(draft / _MODEL_FILE, ranking.weights(model))
    clock.step("MacGNN")

    fields["models"] = [{"name": "macgnn", "kind": "macgnn", "file": _MODEL_FILE, "options": {
        "attention": options.attention, "tau": str(options.tau),
        "recent_len": str(options.recent_len)}},
        {"name": "dot", "kind": "dot", "file": snapshot.EMBEDDINGS_FILE, "options": {}}]
    fields["metrics"] = _row_metrics(past, split, model, user, item, options)
    examples.write(draft, fields["models"], rows, options.seed)
    snapshot.write_manifest(draft, fields)
    clock.step("held-out rows")
    clock.total()


def _write_catalogue(draft, interactions, items_path):
    titles = data.read_titles(items_path) if items_path else {}
    entries = []
    for id_ in interactions.item_ids:
        title = titles.get(id_, id_)
        entries.append((id_, title, catalogue.category(title)))
    snapshot.write_catalogue(draft, interactions.user_ids, entries)


def _manifest_fields(config, split, interactions, known, shape):
    return {
        "name": config["snapshot"]["name"],
        "version": snapshot.rfc3339(split.cut_s)[:10],
        "create_time": snapshot.rfc3339(int(datetime.now(timezone.utc).timestamp())),
        "users": len(interactions.user_ids),
        "items": len(interactions.item_ids),
        "embedding_dim": config["lightgcn"]["dim"],
        "user_clusters": shape[0],
        "item_clusters": shape[1],
        "graph_offset": known,
        "models": [],
        "metrics": {},
        "data": {**config["data"].get("provenance", {}),
                 "trained_until": snapshot.rfc3339(split.cut_s)},
    }


def _row_metrics(past, split, model, user, item, options):
    """AUC and GAUC of three scores on the held-out rows, with both ways to draw negatives."""
    found = {}
    for name in ("uniform", "popular"):
        rows = past.rows(split.cut_s, split.end_s + 1, {name: _HELDOUT_NEGATIVES},
                         options.recent_len, options.recent_len, options.seed)
        batch = rows.batch(np.arange(len(rows)))
        unknown_user = np.zeros((1, user.shape[1]), user.dtype)
        user_rows = np.concatenate([unknown_user, user])[batch["user"]]
        scores = {
            "macgnn": ranking.score(model, rows),
            "dot": (user_rows * item[batch["item"] - 1]).sum(1),
            "popularity": batch["i1"].sum(1),
        }
        for scorer, values in scores.items():
            auc, gauc = metrics.auc(rows.label, values), metrics.gauc(rows.user, rows.label, values)
            print(f"held out, {name} negatives: {scorer:10s}  AUC {auc:.4f}  GAUC {gauc:.4f}")
            found[f"heldout.{scorer}.{name}.auc"] = round(auc, 4)
            found[f"heldout.{scorer}.{name}.gauc"] = round(gauc, 4)
    # The headline figures: the served ranker, the harder negatives.
    found["heldout.auc"] = found["heldout.macgnn.popular.auc"]
    found["heldout.gauc"] = found["heldout.macgnn.popular.gauc"]
    return found


class _Clock:
    def __init__(self):
        self.start = self.last = time.monotonic()

    def step(self, name):
        now = time.monotonic()
        print(f"[{now - self.last:6.1f} s] {name}", flush=True)
        self.last = now

    def total(self):
        print(f"[{time.monotonic() - self.start:6.1f} s] in all", flush=True)
