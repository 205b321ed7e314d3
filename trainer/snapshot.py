"""Writes a snapshot directory as docs/snapshot.md describes it."""

import hashlib
import json
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from trainer import safetensors

FORMAT_VERSION = 1
EMBEDDINGS_FILE = "embeddings.safetensors"
CLUSTERS_FILE = "clusters.safetensors"
GRAPH_FILE = "graph.safetensors"
EXAMPLES_FILE = "examples.safetensors"
ENCODER_EXAMPLES_FILE = "encoder_examples.safetensors"
BLEND_FILE = "blend.json"
_MANIFEST = "manifest.json"


def write_embeddings(directory, user, item):
    safetensors.write(Path(directory) / EMBEDDINGS_FILE, {"user": user, "item": item})


def write_clusters(directory, user, item, user_centroids, item_centroids):
    safetensors.write(Path(directory) / CLUSTERS_FILE, {
        "user": user, "item": item,
        "user_centroids": user_centroids, "item_centroids": item_centroids})


def write_empty_graph(directory, users):
    """Of users who took nothing yet."""
    safetensors.write(Path(directory) / GRAPH_FILE, {
        "user_begin": np.zeros(users + 1, np.int64), "item": np.zeros(0, np.int32), "count": np.zeros(0, np.int32),
        "last_time_us": np.zeros(0, np.int64), "last_offset": np.zeros(0, np.int32)})


def write_examples(directory, features, logits):
    """`features` as the replay names them, n rows each; `logits` holds n numbers by model."""
    width = lambda name: np.int64 if name.endswith("_us") else np.int32  # of times
    tensors = {name: values.astype(width(name)) for name, values in features.items()}
    for model, values in logits.items():
        tensors[f"logit.{model}"] = values.astype(np.float32)
    safetensors.write(Path(directory) / EXAMPLES_FILE, tensors)


def write_catalogue(directory, user_ids, items):
    """`items` holds (id, title, category) in the order of the indices."""
    with open(Path(directory) / "users.jsonl", "w", encoding="utf-8") as stream:
        for id_ in user_ids:
            stream.write(json.dumps({"id": id_}, ensure_ascii=False) + "\n")
    with open(Path(directory) / "items.jsonl", "w", encoding="utf-8") as stream:
        for id_, title, category in items:
            entry = {"id": id_, "title": title, "category": category}
            stream.write(json.dumps(entry, ensure_ascii=False) + "\n")


def read_categories(directory):
    """The category of every item, in the order of the indices."""
    with open(Path(directory) / "items.jsonl", encoding="utf-8") as stream:
        return [json.loads(line).get("category", "") for line in stream]


def read_item_ids(directory):
    """The ids of the items, likewise."""
    with open(Path(directory) / "items.jsonl", encoding="utf-8") as stream:
        return [json.loads(line)["id"] for line in stream]


def sha256(path):
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_all(paths):
    """The digest of each file, in order, with a comma between them."""
    return ",".join(sha256(path) for path in paths)


def rfc3339(time_s):
    return datetime.fromtimestamp(time_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_manifest(directory, fields):
    """Writes manifest.json: `fields`, and size and SHA-256 of every other file of the directory."""
    directory = Path(directory)
    files = {}
    for path in sorted(directory.iterdir()):
        if _is_of_snapshot(path):
            files[path.name] = {"sha256": sha256(path), "bytes": path.stat().st_size}
    manifest = {"format_version": FORMAT_VERSION, **fields, "files": files}
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    (directory / _MANIFEST).write_text(text, encoding="utf-8")


def read_manifest(directory):
    return json.loads((Path(directory) / _MANIFEST).read_text(encoding="utf-8"))


def files_to_replace(directory):
    """The files beside the manifest of a snapshot that this trainer wrote, which may be written anew; none
    of a directory that is empty or not there. ValueError where something else would be overwritten or
    removed. What no snapshot has, such as a README beside one, may be there and stays."""
    directory = Path(directory)
    if not directory.exists():
        return []
    remedy = "name a new or an empty directory in [snapshot] output, or move what is there away"
    if not directory.is_dir():
        raise ValueError(f"{directory} is no directory; {remedy}")
    lying = sorted(directory.iterdir())
    if not lying:
        return []
    if directory / _MANIFEST not in lying:
        raise ValueError(f"{directory} holds {lying[0].name} and no {_MANIFEST}, so it is no snapshot; {remedy}")
    listed = _listed_files(directory / _MANIFEST, remedy)
    for path in lying:
        if path.name not in (_MANIFEST, *listed) and _is_of_snapshot(path):
            raise ValueError(f"{directory} holds {path.name}, which its {_MANIFEST} does not list; {remedy}")
        if path.name in (_MANIFEST, *listed) and (path.is_symlink() or not path.is_file()):
            raise ValueError(f"{path} is no regular file; {remedy}")
    return listed


def _listed_files(manifest_path, remedy):
    try:
        manifest = read_manifest(manifest_path.parent)
    except (ValueError, OSError) as error:
        raise ValueError(f"{manifest_path} is no snapshot's ({error}); {remedy}") from error
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if type(version) is not int or version != FORMAT_VERSION:
        raise ValueError(f"{manifest_path}: format_version is {json.dumps(version)[:64]} and not "
                         f"{FORMAT_VERSION}, as this trainer writes it; {remedy}")
    files = manifest.get("files")
    if not isinstance(files, dict):
        raise ValueError(f"{manifest_path}: files is {json.dumps(files)[:64]}; it must be a table; {remedy}")
    for name in files:
        if Path(name).name != name or not _is_of_snapshot(Path(name)):
            raise ValueError(f'{manifest_path}: files has "{name[:64]}", which this trainer did not write; {remedy}')
    return list(files)


def _is_of_snapshot(path):
    return path.suffix in (".jsonl", ".safetensors") or path.name == BLEND_FILE


def update_files(directory):
    """Writes a finished snapshot's manifest again, with the files that are there now."""
    manifest = read_manifest(directory)
    del manifest["format_version"], manifest["files"]
    write_manifest(directory, manifest)


def update_metrics(directory, metrics):
    """Adds to the metrics of a finished snapshot's manifest."""
    path = Path(directory) / _MANIFEST
    manifest = read_manifest(directory)
    manifest["metrics"].update(metrics)
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")
