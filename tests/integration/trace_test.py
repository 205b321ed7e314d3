"""Why an item is, or is not, in a list: TraceRecommend by HTTP and by the command line, against a real server.

    trace_test.py SERVER_PROGRAM CLI_PROGRAM SNAPSHOT_DIRECTORY
"""

import hashlib
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

from connect_server import Server

RECOMMEND = "/groundswell.v1.RecommendationService/Recommend"
TRACE = "/groundswell.v1.RecommendationService/TraceRecommend"
ADMIN = "/groundswell.v1.AdminService/"
USER = "17850"
TOKENS = {"shop": "read", "till": "write"}


class TraceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.server = Server(server_program, snapshot, cls.directory.name)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.directory.cleanup()

    def listed(self, request):
        """Every item id of the list, over all of its pages."""
        ids, token = [], ""
        while True:
            answer = self.server.call(RECOMMEND, {**request, "pageToken": token})
            ids += [item["itemId"] for item in answer.get("items", [])]
            token = answer.get("nextPageToken", "")
            if not token:
                return ids

    def trace(self, request, *item_ids):
        return self.server.call(TRACE, {"recommend": request, "itemIds": item_ids})

    def one(self, request, item_id):
        return self.trace(request, item_id)["items"][0]

    def set_rules(self, *rules):
        self.server.call(ADMIN + "SetListRules", {"rules": {"rules": rules}})

    def test_places_are_those_of_the_pages(self):
        chance = random.Random(5)
        self.set_rules({"name": "p", "pin": {"itemId": "22423", "position": 3}},
                       {"name": "b", "boost": {"category": "bags", "factor": 3}})
        for request in ({}, {"diversity": {"strength": 0.4}}, {"diversity": {"categoryMax": 2}, "pageSize": 10},
                        {"filter": {"includeSeen": True, "categories": ["bags"]}}, {"ranker": "dot"},
                        {"skipRanking": True}, {"onlySources": ["CANDIDATE_SOURCE_TRENDING"], "skipRanking": True},
                        {"userId": "nobody knows"}):
            request = {"userId": USER, **request}
            with self.subTest(request=request):
                ids = self.listed(request)
                asked = chance.sample(ids, min(60, len(ids)))
                answer = self.trace(request, *asked, "no such item")
                self.assertEqual([item["itemId"] for item in answer["items"]], [*asked, "no such item"])
                self.assertEqual(answer["listedCount"], len(ids))
                for item in answer["items"][:-1]:
                    self.assertEqual((item["outcome"], ids[item["place"] - 1]),
                                     ("LIST_OUTCOME_LISTED", item["itemId"]))
                self.assertEqual(answer["items"][-1],
                                 {"itemId": "no such item", "outcome": "LIST_OUTCOME_UNKNOWN_ITEM"})
        self.set_rules()

    def test_what_kept_an_item_out_is_named(self):
        request = {"userId": USER}
        ids = self.listed(request)
        first = self.one(request, ids[0])
        self.assertEqual(first["place"], 1)
        excluded = self.one({**request, "filter": {"excludedItemIds": [ids[0]]}}, ids[0])
        self.assertEqual((excluded["outcome"], excluded["filteredBy"]),
                         ("LIST_OUTCOME_FILTERED", ["LIST_FILTER_EXCLUDED"]))
        self.assertNotIn("place", excluded)
        other = next(item["category"] for item in self.trace(request, *ids[1:40])["items"]
                     if item["category"] != first["category"])
        self.assertEqual(self.one({**request, "filter": {"categories": [other]}}, ids[0])["filteredBy"],
                         ["LIST_FILTER_CATEGORY"])
        seen = self.one({**request, "hypotheticalEvents": [{"itemId": ids[0], "eventType": "purchase"}]}, ids[0])
        self.assertEqual(seen["filteredBy"], ["LIST_FILTER_SEEN"])
        hidden = self.one({**request, "filter": {"includeSeen": True},
                           "hypotheticalEvents": [{"itemId": ids[0], "eventType": "hide"}]}, ids[0])
        self.assertEqual(hidden["filteredBy"], ["LIST_FILTER_HIDDEN"])
        self.server.call(ADMIN + "UpsertItem", {"itemId": "gone", "title": "Gone"})
        self.assertIn(self.one(request, "gone")["outcome"], ("LIST_OUTCOME_NOT_PROPOSED", "LIST_OUTCOME_LISTED"))
        self.server.call(ADMIN + "RemoveItem",
                         {"itemId": "gone", "requestId": "11111111-2222-4333-8444-555555555555"})
        self.assertEqual(self.one(request, "gone")["outcome"], "LIST_OUTCOME_REMOVED_ITEM")

    def test_requests_are_checked(self):
        for spoilt, field in (({"itemIds": []}, "item_ids"), ({"itemIds": ["a"] * 2}, "item_ids"),
                              ({"itemIds": [f"i{n}" for n in range(101)]}, "item_ids"),
                              ({"recommend": {"userId": USER, "pageToken": "x"}}, "recommend.page_token"),
                              ({"recommend": {"userId": USER, "pageSize": -1}}, "page_size"),
                              ({"recommend": {}}, "user_id")):
            status, _, body = self.server.ask(
                TRACE, json.dumps({"recommend": {"userId": USER}, "itemIds": ["85123A"], **spoilt}))
            self.assertEqual(status, 400, body)
            self.assertIn(field, json.loads(body)["message"])
        self.assertIn('method="TraceRecommend"', self.server.metrics())

    def test_it_takes_the_right_read(self):
        with tempfile.TemporaryDirectory() as directory:
            clients = pathlib.Path(directory) / "clients.toml"
            clients.write_text("".join(
                f'[[client]]\nname = "{name}"\ntoken_sha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\n'
                f'rights = ["{right}"]\n' for name, right in TOKENS.items()), encoding="utf-8")
            server = Server(server_program, snapshot, directory, f"--access.clients_file={clients}")
            message = {"recommend": {"userId": USER}, "itemIds": ["85123A"]}
            try:
                for name, status in (("shop", 200), ("till", 403), ("stranger", 401)):
                    answer = server.ask(TRACE, json.dumps(message),
                                        {"Content-Type": "application/json", "Authorization": f"Bearer {name}"})
                    self.assertEqual(answer[0], status, answer[2])
            finally:
                server.stop()

    def cli(self, *arguments):
        finished = subprocess.run(
            [cli_program, "--server", f"127.0.0.1:{self.server.ports['grpc']}", *arguments], capture_output=True,
            text=True, timeout=300, check=False)
        self.assertEqual(finished.returncode, 0, finished.stderr)
        return finished.stdout

    def test_the_command_line_shows_a_table_or_json(self):
        ids = self.listed({"userId": USER, "pageSize": 10})
        told = json.loads(self.cli("--json", "trace", USER, ids[4], "no such item"))
        self.assertEqual([(item["place"], item["outcome"]) for item in told["items"]],
                         [(5, "LIST_OUTCOME_LISTED"), (0, "LIST_OUTCOME_UNKNOWN_ITEM")])
        table = self.cli("trace", USER, ids[4], "no such item", "--exclude", ids[4])
        self.assertIn("filtered: excluded", table)
        self.assertIn("unknown item", table)
        self.assertRegex(table, r"similar-items +off +0 +0")


if __name__ == "__main__":
    server_program, cli_program, snapshot = sys.argv[1:4]
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
