"""Snapshots of foreign models, and that the server takes them.

GROUNDSWELL_SERVER names the program. Needs PyTorch.
"""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import urllib.request
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from trainer import __main__ as command_line
from trainer import data, examples, macgnn, rankers, ranking, replay, safetensors, snapshot

torch.set_num_threads(1)

_ROOT = Path(__file__).parents[2]
_SERVER = os.environ["GROUNDSWELL_SERVER"]
_EVENTS, _DIM, _RECENT_LEN = 3000, 6, 5


def _run(*arguments):
    """What `python3 -m trainer` with these arguments prints; SystemExit where it fails."""
    printed = io.StringIO()
    with mock.patch.object(sys, "argv", ["trainer", *map(str, arguments)]), \
            contextlib.redirect_stdout(printed):
        command_line.main()
    return printed.getvalue()


class _Served:
    """A server on this database, asked over HTTP."""

    def __init__(self, data_dir):
        self.process = subprocess.Popen(
            [_SERVER, "serve", f"--server.data_dir={data_dir}", "--logging.level=warn",
             *(f"--server.{name}_address=127.0.0.1:0" for name in ("grpc", "http", "connect")),
             "--request.default_deadline_ms=60000"], stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        ready = next(line for line in self.process.stdout if line.startswith("ready "))
        self.port = int(re.search(r"connect_port=(\d+)", ready).group(1))
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.stdout.close()
        self.process.wait(60)

    def ask(self, method, message):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/groundswell.v1.{method}",
                                         json.dumps(message).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


class ForeignTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = work = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        log = data.read_log(_ROOT / "data/online-retail/events.csv.zst")
        cls.log = log = data.Log(log.time_s[:_EVENTS], log.user[:_EVENTS], log.item[:_EVENTS])
        cls.user_ids, cls.item_ids = list(dict.fromkeys(log.user)), list(dict.fromkeys(log.item))[:-5]
        random = np.random.default_rng(1)
        cls.user = random.normal(size=(len(cls.user_ids), _DIM))
        cls.item = random.normal(size=(len(cls.item_ids), _DIM)).astype(np.float32)
        np.save(work / "users.npy", cls.user)
        safetensors.write(work / "items.safetensors", {"item": cls.item, "bias": cls.item[:, 0].copy()})
        (work / "users.txt").write_text("\n".join(cls.user_ids) + "\n", encoding="utf-8")
        (work / "items.txt").write_text("\n".join(cls.item_ids) + "\n", encoding="utf-8")
        # As the authors number clusters: from 1.
        np.save(work / "user-clusters.npy", 1 + np.arange(len(cls.user)) % 3)
        np.save(work / "item-clusters.npy", 1 + np.arange(len(cls.item)) % 4)
        with open(work / "events.csv", "w", encoding="utf-8") as stream:
            stream.write("timestamp,user,item\n")
            stream.writelines(f"{t},{u},{i}\n" for t, u, i in zip(log.time_s, log.user, log.item))
        cls.vectors = work / "vectors"
        cls.printed = _run(*cls._vectors(), "--output", cls.vectors,
                           "--user-cluster-of", work / "user-clusters.npy",
                           "--item-cluster-of", work / "item-clusters.npy")
        cls._write_macgnn()

    @classmethod
    def _vectors(cls, **changes):
        given = {"users": cls.work / "users.npy", "items": cls.work / "items.safetensors",
                 "user-ids": cls.work / "users.txt", "item-ids": cls.work / "items.txt",
                 "events": cls.work / "events.csv", "server": _SERVER, "name": "foreign", **changes}
        return ["import-vectors", *(part for name, value in given.items() for part in (f"--{name}", value))]

    @classmethod
    def _write_macgnn(cls):
        """Rows, and a checkpoint as the authors' code saves it."""
        known = set(cls.item_ids)
        keep = [row for row in range(len(cls.log)) if cls.log.item[row] in known]
        log = data.Log(cls.log.time_s[keep], [cls.log.user[row] for row in keep],
                       [cls.log.item[row] for row in keep])
        events = cls.work / "known.csv"
        with open(events, "w", encoding="utf-8") as stream:
            stream.write("timestamp,user,item\n")
            stream.writelines(f"{t},{u},{i}\n" for t, u, i in zip(log.time_s, log.user, log.item))
        cls.rows = cls.work / "rows.safetensors"
        subprocess.run([_SERVER, "replay", "--snapshot", cls.vectors, "--events", events, "--rows-out",
                        cls.rows, "--recent-len", str(_RECENT_LEN), "--history-len", "7"], check=True,
                       capture_output=True)
        torch.manual_seed(1)
        model = macgnn.MacGnn(len(cls.user) + 1, len(cls.item) + 1, 4, 5, macgnn.Options(dim=4))
        cls.state = {name: value for name, value in model.state_dict().items()
                     if not name.endswith((".mean", ".std"))}
        cls.state["cate_embed.weight"] = torch.rand(3, 4)
        cls.state["mlp.4.bias"] = cls.state["mlp.4.bias"].bfloat16()  # converted, as the server does
        cls.checkpoint = cls.work / "macgnn.pth"
        torch.save(cls.state, cls.checkpoint)

    def _macgnn(self, output, checkpoint=None, **changes):
        given = {"checkpoint": checkpoint or self.checkpoint, "rows": self.rows,
                 "snapshot": self.vectors, "output": self.work / output, "tau": "1.9",
                 "recent-len": str(_RECENT_LEN), **changes}
        return ["import-macgnn", *(part for name, value in given.items() for part in (f"--{name}", value))]

    def _import(self, directory):
        return subprocess.run([_SERVER, "import", "--snapshot", str(directory), "--data-dir",
                               str(self.work / f"{directory.name}-db")], capture_output=True, text=True)

    def _refused(self, arguments, message):
        with self.assertRaisesRegex(SystemExit, message):
            _run(*arguments)

    def test_events_weigh_in_a_snapshot_of_vectors(self):
        exported = self.work / "log.jsonl"
        user, item = self.user_ids[0], self.item_ids[0]
        exported.write_text("".join(
            f'{{"timestamp": {at}, "user": "{user}", "item": "{item}", "type": "{type_}", "event_id": "{at}"}}\n'
            for at, type_ in enumerate(("buy", "buy", "back", "look"))), encoding="utf-8")
        _run(*self._vectors(events=exported), "--event-types", "buy=3,back=-2,look=1",
             "--output", self.work / "weighted")
        graph, _ = safetensors.read(self.work / "weighted/graph.safetensors")
        self.assertEqual((graph["count"].tolist(), graph["user_begin"][-1]), ([3, 1, 1], 3),
                         "of the newest interaction two were taken back")
        self._refused([*self._vectors(events=exported), "--output", self.work / "refused"],
                      'log.jsonl:1: type is "buy"; it must be one of the configured types')

    def test_the_server_takes_a_snapshot_of_vectors(self):
        imported = self._import(self.vectors)
        self.assertEqual(imported.returncode, 0, imported.stderr)
        self.assertIn(f"proved by {examples.ROWS} examples: dot within", imported.stdout)
        self.assertRegex(self.printed, r"\d+ of 3000 interactions .* left out")
        manifest = snapshot.read_manifest(self.vectors)
        self.assertEqual((manifest["users"], manifest["items"], manifest["user_clusters"],
                          manifest["item_clusters"]), (len(self.user), len(self.item), 4, 5))
        self.assertEqual(manifest["data"]["events_sha256"], snapshot.sha256(self.work / "events.csv"))
        embeddings, _ = safetensors.read(self.vectors / "embeddings.safetensors")
        np.testing.assert_array_equal(embeddings["user"], self.user.astype(np.float32))

    def test_vectors_come_with_a_fold_in(self):
        for kind, options, names in (("als", ("--alpha", 40, "--lambda", 0.5), ["users", "items"]),
                                     ("newest", ("--half", 3), ["users"])):
            output = self.work / f"with-{kind}"
            _run(*self._vectors(), "--encoder", kind, *options, "--output", output)
            imported = self._import(output)
            self.assertEqual(imported.returncode, 0, imported.stderr)
            self.assertEqual([entry["name"] for entry in snapshot.read_manifest(output)["encoders"]], names)
            for name in names:
                self.assertIn(f"{name} within", imported.stdout)
        for options, message in (
                (("--alpha", 40), "--alpha is an option of an encoder: name it by --encoder"),
                (("--encoder", "als", "--alpha", 40), "--encoder als: set alpha and lambda"),
                (("--encoder", "als", "--half", 3), "--encoder als: nothing reads half"),
                (("--encoder", "newest", "--lambda", 3), "--encoder newest: nothing reads lambda")):
            self._refused([*self._vectors(), *options, "--output", self.work / "refused"], message)

    def _tables(self):
        """Nothing but ids and vectors: a CSV, and JSON lines."""
        users, items = self.work / "users.csv", self.work / "items.jsonl"
        users.write_text("customer_id,vector\n" + "".join(
            f'"{id_}","[{", ".join(map(str, row))}]"\n' for id_, row in zip(self.user_ids, self.user)), encoding="utf-8")
        items.write_text("".join(json.dumps({"sku": id_, "embedding": row.tolist()}) + "\n"
                                 for id_, row in zip(self.item_ids, self.item)), encoding="utf-8")
        return users, items

    def test_ids_and_vectors_are_enough(self):
        users, items = self._tables()
        output = self.work / "tables"
        printed = _run("import-vectors", "--users", users, "--items", items, "--name", "tables", "--output", output)
        self.assertIn(f"{len(self.user)} users, {len(self.item)} items, 0 interactions", printed)
        imported = self._import(output)
        self.assertEqual(imported.returncode, 0, imported.stderr)
        with _Served(self.work / "tables-db") as served:
            user, best = self.user_ids[3], int(np.argmax(self.user[3] @ self.item.T))
            listed = served.ask("RecommendationService/Recommend", {"userId": user, "pageSize": 3, "ranker": "dot"})
            self.assertEqual(listed["items"][0]["itemId"], self.item_ids[best])
            # The log begins with the server, and nothing of it was trained on.
            self.assertEqual(served.ask("InteractionService/RecordInteraction", {"interaction": {
                "eventId": "first", "userId": user, "itemId": self.item_ids[best], "eventType": "purchase",
                "eventTime": "1999-01-01T00:00:00Z"}})["offset"], "1")

    def test_a_column_for_each_number_is_a_table_too(self):
        users, items = self._tables()
        wide = self.work / "wide.csv"
        wide.write_text("id," + ",".join(map(str, range(_DIM))) + "\n" + "".join(
            f'{id_},{",".join(map(str, row))}\n' for id_, row in zip(self.user_ids, self.user)), encoding="utf-8")
        for name, table in (("narrow", users), ("wide", wide)):
            _run("import-vectors", "--users", table, "--items", items, "--name", "one", "--output", self.work / name)
        embeddings = [safetensors.read(self.work / name / "embeddings.safetensors")[0]["user"] for name in ("narrow", "wide")]
        np.testing.assert_array_equal(*embeddings)

    def test_mistakes_in_tables_are_named(self):
        users, items = self._tables()
        cases = (("name,vector\na,1 2\n", "no column is known to hold the user; the columns are name, vector"),
                 ("id\na\n", "there is no vector beside the column id"),
                 ("id,vector\na,1 2\nb,1 x\n", ":3: the vector of 'b' is"),
                 ("id,vector\na,1 2\nb,1\n", r":3: the vector of 'b' has shape \[1\]; it must have 2 numbers"),
                 ("id,vector\na,1 nan\n", ":2: .* not finite"), ("id,vector\n", "has no vectors"),
                 ("id,vector\na,1 2\na,1 2\n", "line 3: the id a is also in line 2"))
        for text, message in cases:
            with self.subTest(message=message):
                path = self.work / "bad.csv"
                path.write_text(text, encoding="utf-8")
                self._refused(["import-vectors", "--users", path, "--items", items, "--name", "bad", "--output",
                               self.work / "bad"], message)
        for text, message in (('[1, 2]\n', ":1: it must be one JSON object"), ('\n["id"]\n', ":2: it must be one JSON object"),
                              ('{"id": null, "vector": [1]}\n', ":1: the id is null; it must be a string or an integer"),
                              ('{"id": true, "vector": [1]}\n', ":1: the id is true")):
            with self.subTest(message=message):
                path = self.work / "bad.jsonl"
                path.write_text(text, encoding="utf-8")
                self._refused(["import-vectors", "--users", path, "--items", items, "--name", "bad", "--output",
                               self.work / "bad"], message)
        self._refused([*self._vectors(users=users), "--output", self.work / "bad"], "--user-ids goes with .npy")
        self._refused(["import-vectors", "--users", self.work / "users.npy", "--items", items, "--name", "bad", "--output",
                       self.work / "bad"], "users.npy has no ids: give --user-ids")
        self._refused(["import-vectors", "--users", users, "--items", items, "--event-types", "buy=1", "--name", "bad",
                       "--output", self.work / "bad"], "give --events, too")

    def test_clusters_by_k_means(self):
        output = self.work / "k-means"
        _run(*self._vectors(), "--output", output, "--user-clusters", 3, "--item-clusters", 2)
        self.assertEqual(self._import(output).returncode, 0)

    def test_the_server_takes_the_authors_macgnn(self):
        _run(*self._macgnn("macgnn"))
        imported = self._import(self.work / "macgnn")
        self.assertEqual(imported.returncode, 0, imported.stderr)
        self.assertIn("macgnn within", imported.stdout)
        manifest = snapshot.read_manifest(self.work / "macgnn")
        self.assertEqual([model["name"] for model in manifest["models"]], ["dot", "macgnn"])
        self.assertEqual(manifest["data"]["macgnn.checkpoint_sha256"], snapshot.sha256(self.checkpoint))

    def test_dice_is_frozen_over_the_given_rows(self):
        _run(*self._macgnn("frozen", name="m"))
        tensors, _ = safetensors.read(self.work / "frozen/m.safetensors")
        np.testing.assert_array_equal(tensors["mlp.0.weight"], self.state["mlp.0.weight"].numpy())
        model = rankers.read(self.work / "frozen", snapshot.read_manifest(self.work / "frozen")["models"][1])
        columns, _ = safetensors.read(self.rows)
        candidates = columns["item"].shape[1]
        self.assertTrue((columns["source"] >= 0).all())
        batch = ranking.tensors({
            name: np.repeat(columns[name], candidates, 0) if name in ("user", "u1", "u2", "urec")
            else columns[name].reshape(-1, *columns[name].shape[2:]).copy() for name in replay.FEATURES})
        with torch.no_grad():
            z = model.mlp[0](model.concat(batch)).double()
        np.testing.assert_allclose(tensors["mlp.1.mean"], z.mean(0).numpy(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(tensors["mlp.1.std"], z.std(0).numpy(), rtol=1e-3)

    def test_mistakes_in_a_checkpoint_are_named(self):
        cases = (
            ({"mlp.2.bias": None}, "mlp.2.bias is missing"),
            ({"user_embed.weight": torch.rand(7, 4)}, "user_embed.weight has 7 rows; .* needs"),
            ({"u_macro_embed.weight": torch.rand(5, 4)}, "number clusters from 1"),
            ({"mlp.0.weight": torch.rand(200, 50)}, r"\[200, 50\]; with tables of width 4"),
            ({"mlp.4.bias": torch.tensor([float("nan")])}, "not finite"),
            ({"mlp.6.bias": torch.rand(1)}, "no tensor of MacGNN"))
        for number, (changes, message) in enumerate(cases):
            with self.subTest(message=message):
                state = {name: value for name, value in {**self.state, **changes}.items()
                         if value is not None}
                path = self.work / f"bad-{number}.pth"
                torch.save(state, path)
                self._refused(self._macgnn(f"bad-{number}", path), message)
                self.assertFalse((self.work / f"bad-{number}").exists())

    def test_a_pickled_model_is_not_run(self):
        path = self.work / "whole.pth"
        torch.save(macgnn.MacGnn(3, 3, 2, 2, macgnn.Options()), path)
        self._refused(self._macgnn("whole", path), r"torch.save\(model.state_dict\(\)")
        path.write_bytes(b"no zip")
        self._refused(self._macgnn("whole", path), "no file of tensors")

    def test_rows_that_do_not_fit_are_refused(self):
        self._refused(self._macgnn("short", **{"recent-len": "6"}), "irec has 5 neighbours")
        self._refused(self._macgnn("other", rows=self.work / "items.safetensors"), "replay --rows-out")
        self._refused(self._macgnn("other", name="dot"), "another name")
        self._refused(self._macgnn("vectors"), "there already")

    def test_mistakes_in_vectors_are_named(self):
        work = self.work
        np.save(work / "narrow.npy", self.user[:, :3])
        np.save(work / "flat.npy", self.user[:, 0])
        np.save(work / "nan.npy", np.where(np.arange(len(self.user))[:, None] == 2, np.nan, self.user))
        (work / "twice.txt").write_text("a\n" * len(self.user))
        (work / "few.txt").write_text("a\nb\n")
        (work / "long.txt").write_text("\n".join(["x" * 257, *self.user_ids[1:]]))
        (work / "strangers.txt").write_text("\n".join(f"x{n}" for n in range(len(self.user))))
        safetensors.write(work / "two.safetensors", {"a": self.item, "b": self.item})
        cases = (
            ({"users": work / "narrow.npy"}, "3 wide"), ({"users": work / "flat.npy"}, "a matrix of floats"),
            ({"users": work / "nan.npy"}, "row 2"), ({"user-ids": work / "twice.txt"}, "also in line 1"),
            ({"user-ids": work / "few.txt"}, "2 ids"), ({"user-ids": work / "long.txt"}, "257 bytes"),
            ({"user-ids": work / "strangers.txt"}, "ids that the log has"),
            ({"items": work / "two.safetensors"}, 'one must be named "item"'),
            ({"user-clusters": "9999"}, "9999 clusters of"),
            ({"user-cluster-of": work / "users.npy"}, "one integer"))
        for changes, message in cases:
            with self.subTest(message=message):
                self._refused([*self._vectors(**changes), "--output", work / "bad"], message)
                self.assertFalse((work / "bad").exists())


if __name__ == "__main__":
    unittest.main()
