"""Recall@20 and NDCG@20 of what a running server answers, beside two baselines.

The server must hold the snapshot and no interaction after it. Every user with a past before the cut
and a first purchase after it is asked for once; the baselines get the same users and leave out the
same seen items.
"""

import importlib
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import grpc
import numpy as np
from tqdm import tqdm

from trainer import data, evaluation, metrics, safetensors, snapshot

_K = 20
_GOOGLE_PROTOS = "/usr/share/gocode/src/github.com/gogo/googleapis"  # golang-github-gogo-googleapis-dev
_DEADLINE_S = 5.0  # generous: quality is measured here, not latency


def evaluate(config_path, address, write):
    with open(config_path, "rb") as stream:
        config = tomllib.load(stream)
    directory = Path(config["snapshot"]["output"])
    log = data.read_log(config["data"]["events"])
    split = data.split_by_time(log, config["data"]["heldout_days"], config["data"]["validation_days"])
    interactions = data.index_interactions(log, split.cut_s)
    truth = evaluation.new_items(interactions, split.cut_s, split.end_s + 1)
    embeddings, _ = safetensors.read(directory / "embeddings.safetensors")
    user, item = embeddings["user"], embeddings["item"]
    counts = evaluation.popularity(interactions, len(item), split.cut_s)
    lists = {
        "popularity": evaluation.top_unseen(lambda u: counts, truth, _K),
        "dot": evaluation.top_unseen(lambda u: item @ user[u], truth, _K),
        "server": _ask(address, interactions, truth),
    }
    found = {}
    print(f"{len(truth.relevant)} users, "
          f"{np.mean([len(items) for items in truth.relevant.values()]):.1f} new items each")
    for name, answer in lists.items():
        recall, ndcg = metrics.mean_recall_ndcg(answer, truth.relevant, _K)
        print(f"{name:12s} Recall@{_K} {recall:.4f}  NDCG@{_K} {ndcg:.4f}")
        prefix = "heldout" if name == "server" else f"heldout.{name}"
        found[f"{prefix}.recall_at_{_K}"] = round(recall, 4)
        found[f"{prefix}.ndcg_at_{_K}"] = round(ndcg, 4)
    if write:
        snapshot.update_metrics(directory, found)


def _ask(address, interactions, truth):
    """user -> the server's list; refuses an answer that was degraded."""
    index = {id_: position for position, id_ in enumerate(interactions.item_ids)}
    lists, began = {}, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="groundswell-stubs-") as stubs:
        messages, services = compile_stubs(stubs)
        with grpc.insecure_channel(address) as channel:
            recommend = services.RecommendationServiceStub(channel).Recommend
            for user in tqdm(truth.relevant, desc="recommend", disable=None):
                request = messages.RecommendRequest(
                    user_id=interactions.user_ids[user], page_size=_K)
                answer = recommend(request, timeout=_DEADLINE_S)
                if answer.degradations or answer.fallback_reason or not answer.ranker:
                    raise ValueError(f"user {request.user_id}: the answer is degraded: {answer}")
                lists[user] = [index[entry.item_id] for entry in answer.items]
    print(f"{len(lists)} requests in {time.monotonic() - began:.1f} s, one after the other")
    return lists


def compile_stubs(directory):
    """The Python stubs of our .proto files, generated into `directory`; those of recommend.proto
    imported."""
    proto = Path(__file__).resolve().parent.parent / "proto"
    plugin = shutil.which("grpc_python_plugin")
    if plugin is None or shutil.which("protoc") is None:
        raise FileNotFoundError("protoc and grpc_python_plugin are needed: scripts/install-packages")
    subprocess.run([
        "protoc", f"-I{proto}", f"-I{_GOOGLE_PROTOS}", f"--python_out={directory}",
        f"--grpc_python_out={directory}", f"--plugin=protoc-gen-grpc_python={plugin}",
        *(str(path) for path in (proto / "groundswell/v1").glob("*.proto")),
        f"{_GOOGLE_PROTOS}/google/rpc/status.proto"], check=True)
    sys.path.insert(0, directory)
    # Debian has no google.rpc for Python: the generated package stands beside google.protobuf.
    google = importlib.import_module("google")
    google.__path__ = [*google.__path__, str(Path(directory) / "google")]
    return (importlib.import_module("groundswell.v1.recommend_pb2"),
            importlib.import_module("groundswell.v1.recommend_pb2_grpc"))
