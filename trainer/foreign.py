"""Snapshots of what was trained elsewhere: vectors of users and items, and the authors' MacGNN."""

import contextlib
import json
import os
import pickle
import shutil
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import torch

from trainer import (clusters, configuration, data, encoders, examples, log_files, macgnn, programs, ranking, replay,
                     safetensors, snapshot, tables)

_UNUSED = "cate_embed.weight"  # in the authors' checkpoints; nothing reads it
_STATISTICS = tuple(f"mlp.{layer}.{name}" for layer in (1, 3) for name in ("mean", "std"))
_ID_BYTES_MAX = 256


def import_macgnn(checkpoint, rows_path, source, output, name, options):
    """Writes to `output` the snapshot `source` with one more model, a MacGNN with the manifest's
    `options`. Its Dice statistics are frozen over the rows, which are also its examples."""
    output = _new_directory(output)
    manifest = snapshot.read_manifest(source)
    if name in (model["name"] for model in manifest["models"]):
        raise ValueError(f"{source} has a model {name}: give the new one another name")
    rows = _read_rows(rows_path, int(options["recent_len"]))
    tensors = _macgnn_tensors(checkpoint, manifest)
    model = macgnn.from_tensors(tensors, options)
    ranking.freeze_dice(model, rows)
    with _draft(output) as draft:
        shutil.copytree(source, draft, dirs_exist_ok=True)
        file = f"{name}.safetensors"
        safetensors.write(draft / file, macgnn.tensors(model))
        manifest["models"].append({"name": name, "kind": "macgnn", "file": file, "options": options})
        examples.write(draft, manifest["models"], rows, 1)
        manifest["data"] = {**manifest.get("data", {}),
                            f"{name}.checkpoint_sha256": snapshot.sha256(checkpoint),
                            f"{name}.rows_sha256": snapshot.sha256(rows_path)}
        del manifest["format_version"], manifest["files"]
        snapshot.write_manifest(draft, manifest)
    print(f"wrote {output}")


def _read_rows(path, recent_len):
    columns = replay.read_columns(path)
    missing = {"source", *replay.FEATURES} - set(columns)
    if missing:
        raise ValueError(f"{path}: {', '.join(sorted(missing))} is missing; it must be a file of "
                         "groundswell-server replay --rows-out")
    for name in ("urec", "irec"):
        if columns[name].shape[-1] < recent_len:
            raise ValueError(f"{path}: {name} has {columns[name].shape[-1]} neighbours, the model reads "
                             f"{recent_len}: replay with more")
    sources = columns["source"].ravel()
    rows = np.flatnonzero(sources >= 0)  # -1: there was nothing to draw
    if len(rows) < 2:
        raise ValueError(f"{path} has {len(rows)} rows; Dice needs 2 or more, best all of the training")
    events = rows // columns["source"].shape[1]
    return replay.Rows(columns, rows, events, (sources[rows] == 0).astype(np.int32),
                       columns["user"][events], columns["event"][events])


def _macgnn_tensors(path, manifest):
    """The checkpoint's tensors by name, those of Dice's statistics zero, checked against the sizes of
    the snapshot."""
    found = _state_dict(path)
    found.pop(_UNUSED, None)
    sizes = {"user_embed": ("users", 1), "item_embed": ("items", 1), "u_macro_embed": ("user_clusters", 0),
             "i_macro_embed": ("item_clusters", 0)}
    for table, (size, more) in sizes.items():
        weight = found.get(f"{table}.weight")
        if weight is None or weight.ndim != 2:
            raise ValueError(f"{path}: {table}.weight is missing, or no matrix; a state_dict of MacGNN has it")
        if len(weight) != manifest[size] + more:
            hint = ("row 0 is the unknown one, row i + 1 belongs to index i" if more else
                    "row k belongs to cluster k; the authors number clusters from 1, so that their tables "
                    "have one row more, for a cluster 0 without members")
            raise ValueError(f"{path}: {table}.weight has {len(weight)} rows; a snapshot with "
                             f"{manifest[size]} {size} needs {manifest[size] + more} ({hint})")
    dim = found["user_embed.weight"].shape[1]
    rows = [len(found[f"{table}.weight"]) for table in sizes]
    wanted = {name: tuple(value.shape)
              for name, value in macgnn.MacGnn(*rows, macgnn.Options(dim=dim)).state_dict().items()}
    for name, shape in wanted.items():
        if name in _STATISTICS:
            found.setdefault(name, np.zeros(shape, np.float32))
        if name not in found:
            raise ValueError(f"{path}: {name} is missing; save the model's whole state_dict")
        if found[name].shape != shape:
            raise ValueError(f"{path}: {name} has shape {list(found[name].shape)}; with tables of width "
                             f"{dim} it must be {list(shape)}")
        if not np.isfinite(found[name]).all():
            raise ValueError(f"{path}: {name} has a value that is not finite: the training diverged")
    others = set(found) - set(wanted)
    if others:
        raise ValueError(f"{path}: {', '.join(sorted(others))} is no tensor of MacGNN")
    return {name: values.astype(np.float32) for name, values in found.items()}


def _state_dict(path):
    """{name: array} of a file of torch.save or safetensors."""
    if str(path).endswith(".safetensors"):
        return dict(safetensors.read(path)[0])
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path} is no file of tensors alone; write it with "
                         f"torch.save(model.state_dict(), path): {str(error).splitlines()[0]}") from error
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not all(torch.is_tensor(value) for value in found.values()):
        raise ValueError(f"{path} holds no state_dict; write torch.save(model.state_dict(), path)")
    return {name: value.detach().float().numpy() for name, value in found.items()}


def import_vectors(given):
    """Writes a complete snapshot of vectors, ids and a log; the fields of `given` are the options of
    `python3 -m trainer import-vectors`."""
    output = _new_directory(given.output)
    wanted = _encoders(given)
    user_ids, user = _read_side(given.users, given.user_ids, "user")
    item_ids, item = _read_side(given.items, given.item_ids, "item")
    if user.shape[1] != item.shape[1]:
        raise ValueError(f"{given.users} is {user.shape[1]} wide and {given.items} {item.shape[1]}: vectors "
                         "whose inner product is the score have one width")
    log = _read_log(given, user_ids, item_ids)
    items = data.read_items(given.titles) if given.titles else {}
    entries = [(id_, *data.title_and_category(items, id_)) for id_ in item_ids]
    sides = {"user": _clusters(user, given.user_cluster_of, given.user_clusters, given.seed),
             "item": _clusters(item, given.item_cluster_of, given.item_clusters, given.seed)}
    with _draft(output) as draft, tempfile.TemporaryDirectory() as work:
        snapshot.write_catalogue(draft, user_ids, entries)
        snapshot.write_embeddings(draft, user, item)
        snapshot.write_clusters(draft, sides["user"][0], sides["item"][0], sides["user"][1],
                                sides["item"][1])
        fields = _manifest_fields(given, user, item, sides, len(log))
        snapshot.write_manifest(draft, fields)
        if len(log):
            past = replay.Replay(programs.server(given.server), draft, log, work)
            past.graph(int(log.time_s[-1]) + 1, draft / snapshot.GRAPH_FILE)
        else:
            snapshot.write_empty_graph(draft, len(user))
        if wanted:
            fields["encoders"] = encoders.write(draft, wanted, None, {}, given.seed)
        fields["models"] = [{"name": "dot", "kind": "dot", "file": snapshot.EMBEDDINGS_FILE, "options": {}}]
        random = np.random.default_rng(given.seed)
        pairs = {"user": random.integers(1, len(user) + 1, examples.ROWS),
                 "item": random.integers(1, len(item) + 1, examples.ROWS)}
        examples.write_batch(draft, fields["models"], pairs, given.seed)
        snapshot.write_manifest(draft, fields)
    print(f"wrote {output}: {len(user)} users, {len(item)} items, {len(log)} interactions")


_ENCODER_OPTIONS = ("alpha", "lambda", "regularisation", "half")


def _encoders(given):
    """The encoders that the options ask for, one of each side that the kind has."""
    table = {name: getattr(given, name) for name in _ENCODER_OPTIONS if getattr(given, name) is not None}
    if given.encoder is None:
        if table:
            raise ValueError(f"--{next(iter(table))} is an option of an encoder: name it by --encoder")
        return []
    where, kind = f"--encoder {given.encoder}", encoders.KINDS[given.encoder]
    options = configuration.options(kind, table, where)
    try:
        return [encoders.Encoder(f"{side}s", side, encoders.fitted(options, side, None)) for side in kind.SIDES]
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _manifest_fields(given, user, item, sides, interactions):
    return {
        "name": given.name, "version": given.version,
        "create_time": snapshot.rfc3339(int(datetime.now(timezone.utc).timestamp())),
        "users": len(user), "items": len(item), "embedding_dim": user.shape[1],
        "user_clusters": len(sides["user"][1]), "item_clusters": len(sides["item"][1]),
        "graph_offset": interactions, "models": [], "metrics": {},
        "data": {**({"events_sha256": snapshot.sha256_of_all(given.events)} if given.events else {}),
                 "users_sha256": snapshot.sha256(given.users),
                 "items_sha256": snapshot.sha256(given.items)},
    }


def _read_side(path, ids_path, side):
    """(ids, [n, d] f32) of users or items: of a matrix and a list of ids, or of a table that has both."""
    if Path(path).suffix in (".npy", ".safetensors"):
        if ids_path is None:
            raise ValueError(f"{path} has no ids: give --{side}-ids, one id per line in the order of its rows, or in its "
                             "place a table of ids and vectors (CSV or JSON lines)")
        vectors = _read_vectors(path, side)
        ids = Path(ids_path).read_text(encoding="utf-8").splitlines()
        if len(ids) != len(vectors):
            raise ValueError(f"{ids_path} has {len(ids)} ids and {path} {len(vectors)} rows; there must be one "
                             "id for each row")
        _check_ids(ids_path, enumerate(ids, start=1))
        return ids, vectors
    if ids_path is not None:
        raise ValueError(f"--{side}-ids goes with .npy or .safetensors: {path} is a table, which has the ids itself")
    return _read_table(path, side)


# The names in use for the columns of a table of ids and vectors, without case and separators, the best first.
_TABLE_IDS = {"user": ("id", "user", "userid", "customer", "customerid", "visitorid"),
              "item": ("id", "item", "itemid", "sku", "product", "productid", "movieid", "asin", "stockcode")}
_TABLE_VECTORS = ("vector", "embedding", "features")
_BETWEEN_NUMBERS = str.maketrans(",;|[]", "     ")


def _read_table(path, side):
    """(ids, [n, d] f32) of CSV or JSON lines: a column of ids, and one of vectors or as many columns as a vector has
    numbers."""
    ids, vectors = [], []
    with log_files.open_text(path) as stream:
        for line, id_, numbers in _table_rows(path, stream, side):
            try:
                vectors.append(np.array(numbers, np.float32))
            except (TypeError, ValueError):
                raise ValueError(f"{path}:{line}: the vector of {id_!r} is {str(numbers)[:64]}; it must be numbers") from None
            if vectors[-1].ndim != 1 or not len(vectors[-1]) or len(vectors[-1]) != len(vectors[0]):
                raise ValueError(f"{path}:{line}: the vector of {id_!r} has shape {list(vectors[-1].shape)}; it must have "
                                 f"{len(vectors[0]) or 'some'} numbers, as the first")
            if not np.isfinite(vectors[-1]).all():
                raise ValueError(f"{path}:{line}: the vector of {id_!r} has a value that is not finite as a 32-bit float")
            ids.append((line, id_))
    if not ids:
        raise ValueError(f"{path} has no vectors")
    _check_ids(path, ids)
    return [id_ for _, id_ in ids], np.stack(vectors)


def _table_rows(path, stream, side):
    """(line, id, numbers) of each record."""
    if log_files.is_json(path):
        for line, text in enumerate(stream, start=1):
            if not text.strip():
                continue
            record, twice = log_files.json_record(text)
            if record is None:
                raise ValueError(f"{path}:{line}: it must be one JSON object with an id and a vector")
            names = list(record)
            at = _table_columns(path, names, side)
            for column in at:
                if names[column] in twice:
                    raise ValueError(f'{path}:{line}: the key "{names[column]}" is there more than once')
            id_, *numbers = [list(record.values())[column] for column in at]
            if isinstance(id_, bool) or not isinstance(id_, (str, int)):
                raise ValueError(f"{path}:{line}: the id is {json.dumps(id_)[:64]}; it must be a string or an integer")
            yield line, str(id_), numbers[0] if isinstance(numbers[0], list) else numbers
        return
    for line, (id_, *texts) in tables.rows(path, stream, lambda header: _table_columns(path, header, side)):
        yield line, id_, texts[0].translate(_BETWEEN_NUMBERS).split() if len(texts) == 1 else texts


def _table_columns(path, header, side):
    """Positions of the id and of what the vector is in."""
    plain = ["".join(c for c in name.lower() if c.isalnum()) for name in header]
    id_ = next((plain.index(name) for name in _TABLE_IDS[side] if name in plain), None)
    if id_ is None:
        raise ValueError(f"{path}: no column is known to hold the {side}; the columns are {', '.join(header) or 'none'}: "
                         "call it id")
    vector = next((plain.index(name) for name in _TABLE_VECTORS if name in plain), None)
    numbers = [column for column in range(len(header)) if column != id_] if vector is None else [vector]
    if not numbers:
        raise ValueError(f"{path}: there is no vector beside the column {header[id_]}: call its column vector, or give each "
                         "of its numbers a column")
    return [id_, *numbers]


def _read_vectors(path, side):
    """[n, d] f32"""
    if str(path).endswith(".safetensors"):
        tensors, _ = safetensors.read(path)
        if side not in tensors and len(tensors) != 1:
            raise ValueError(f'{path} has the tensors {", ".join(tensors)}; one must be named "{side}", or '
                             "be the only one")
        vectors = tensors[side] if side in tensors else next(iter(tensors.values()))
    else:
        vectors = np.load(path, allow_pickle=False)
    if vectors.ndim != 2 or 0 in vectors.shape or vectors.dtype.kind != "f":
        raise ValueError(f"{path} has shape {list(vectors.shape)} of {vectors.dtype}; it must be a matrix of "
                         f"floats, one row for each {side}")
    vectors = np.ascontiguousarray(vectors, np.float32)
    bad = np.flatnonzero(~np.isfinite(vectors).all(1))
    if len(bad):
        raise ValueError(f"{path}: row {bad[0]} has a value that is not finite as a 32-bit float")
    return vectors


def _check_ids(path, ids):
    """`ids`: (line, id) of each."""
    seen = {}
    for line, id_ in ids:
        if not 1 <= len(id_.encode()) <= _ID_BYTES_MAX:
            raise ValueError(f"{path}: line {line} has {len(id_.encode())} bytes; an id has 1 to "
                             f"{_ID_BYTES_MAX}")
        if seen.setdefault(id_, line) != line:
            raise ValueError(f"{path}: line {line}: the id {id_} is also in line {seen[id_]}")


def _read_log(given, user_ids, item_ids):
    """The log's interactions of these users and items, none where there is no log: no other has a place in the graph."""
    weights = log_files.EventWeights()
    if not given.events:
        if given.event_types:
            raise ValueError("--event-types is about events: give --events, too")
        return data.Log(np.zeros(0, np.int64), [], [])
    if given.event_types:
        weights.of_type = log_files.parse_event_types(given.event_types)
    log, path = data.read_log(given.events, weights), ", ".join(map(str, given.events))
    print("".join(f"{line}\n" for line in data.described(log)), end="")
    users, items = set(user_ids), set(item_ids)
    keep = [row for row in range(len(log)) if log.user[row] in users and log.item[row] in items]
    if not keep:
        raise ValueError(f"{path}: none of its {len(log)} interactions is of a user and an item of the id "
                         "lists; are these the ids that the log has?")
    if len(keep) < len(log):
        print(f"{len(log) - len(keep)} of {len(log)} interactions are of users or items that have no vector: "
              "left out")
    return log.at(keep)


def _clusters(vectors, path, count, seed):
    """(cluster of each row, centroids): those of the file, or by k-means."""
    if path is None:
        if not 1 <= count <= len(vectors):
            raise ValueError(f"{count} clusters of {len(vectors)} vectors: there must be 1 to {len(vectors)}")
        return clusters.kmeans(vectors, count, seed)
    of_row = np.load(path, allow_pickle=False)
    if of_row.shape != (len(vectors),) or of_row.dtype.kind not in "iu" or of_row.min() < 0:
        raise ValueError(f"{path} has shape {list(of_row.shape)} of {of_row.dtype}; it must be one integer, 0 "
                         f"or more, for each of the {len(vectors)} rows")
    members = np.bincount(of_row)
    sums = np.zeros((len(members), vectors.shape[1]))
    np.add.at(sums, of_row, vectors)
    # Far from everything: nobody new joins a cluster without members.
    far = 1e3 * (1.0 + np.abs(vectors).max())
    centroids = np.where(members[:, None] > 0, sums / np.maximum(members, 1)[:, None], far)
    return of_row.astype(np.int32), centroids.astype(np.float32)


def _new_directory(path):
    path = Path(path)
    if path.exists():
        raise ValueError(f"{path} is there already: name a new directory")
    return path


@contextlib.contextmanager
def _draft(output):
    """A directory beside `output` that takes its name when all is done, and is removed otherwise."""
    output.parent.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        yield path
        path.chmod(0o755)  # a temporary directory is its owner's alone
        os.rename(path, output)
    finally:
        shutil.rmtree(path, ignore_errors=True)
