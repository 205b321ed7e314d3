"""What the catalogue has, and which calls were slow: by HTTP and by the command line, against a real server.

    items_test.py SERVER_PROGRAM CLI_PROGRAM SNAPSHOT_DIRECTORY
"""

import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

from connect_server import Server

READ = "/groundswell.v1.RecommendationService/"
ADMIN = "/groundswell.v1.AdminService/"


class ItemsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.server = Server(server_program, snapshot, cls.directory.name, "--logging.slow_call_ms=1")
        lines = (pathlib.Path(snapshot) / "items.jsonl").read_text(encoding="utf-8").splitlines()
        cls.items = [json.loads(line) for line in lines]

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.directory.cleanup()

    def pages(self, method, field, **request):
        """All entries, over all pages."""
        entries, token = [], ""
        while True:
            answer = self.server.call(READ + method, {**request, "pageToken": token})
            entries += answer.get(field, [])
            token = answer.get("nextPageToken", "")
            if not token:
                return entries

    def cli(self, *arguments):
        finished = subprocess.run(
            [cli_program, "--server", f"127.0.0.1:{self.server.ports['grpc']}", *arguments], capture_output=True,
            text=True, timeout=300, check=False)
        self.assertEqual(finished.returncode, 0, finished.stderr)
        return finished.stdout

    def test_a_search_finds_what_the_catalogue_has(self):
        for text, category in (("", ""), ("lamp", ""), ("85", ""), ("T-LIGHT", ""), ("no such title", ""), ("", "bags")):
            with self.subTest(text=text, category=category):
                found = self.pages("ListItems", "items", query=text, category=category, pageSize=100)
                self.assertEqual([item["itemId"] for item in found if not item.get("created")],
                                 [item["id"] for item in self.items
                                  if text.lower() in item["id"].lower() + "\n" + item.get("title", "").lower()
                                  and category in ("", item.get("category", ""))])

    def test_categories_are_counted(self):
        counted = {entry.get("category", ""): int(entry.get("itemCount", 0))
                   for entry in self.pages("ListCategories", "categories", pageSize=7)}
        expected = collections.Counter(item.get("category", "") for item in self.items)
        self.assertEqual({name: counted[name] for name in expected}, expected)

    def test_an_item_follows_what_happens_to_it(self):
        self.server.call(ADMIN + "UpsertItem", {
            "itemId": "new-item", "title": "New", "category": "new things", "availableFrom": "9999-01-01T00:00:00Z"})
        item = self.server.call(READ + "GetItem", {"itemId": "new-item"})
        self.assertEqual(item["item"], {
            "itemId": "new-item", "title": "New", "category": "new things", "state": "ITEM_STATE_NOT_AVAILABLE",
            "created": True, "availableFrom": "9999-01-01T00:00:00Z"})
        self.assertEqual(item["vector"], "ITEM_VECTOR_NONE")
        self.assertNotIn("lastInteractionTime", item)
        self.server.call(ADMIN + "UpsertItem", {"itemId": "new-item", "title": "New", "category": "new things",
                                                "embedding": [0.5] * 64})
        recorded = self.server.call("/groundswell.v1.InteractionService/RecordInteraction", {"interaction": {
            "eventId": "e", "userId": "17850", "itemId": "new-item", "eventType": "purchase",
            "eventTime": "2011-12-09T12:00:00Z"}})
        item = self.server.call(READ + "GetItem", {"itemId": "new-item", "consistencyToken": recorded["consistencyToken"]})
        self.assertEqual((item["item"]["state"], item["vector"]), ("ITEM_STATE_ACTIVE", "ITEM_VECTOR_LIVE"))
        self.assertEqual((item["userCount"], item["newestUserCount"], item["lastInteractionTime"]),
                         ("1", 1, "2011-12-09T12:00:00Z"))
        self.assertIn("new-item", [entry["itemId"] for entry in self.pages("ListItems", "items", query="new-")])
        self.assertIn("active", self.cli("item", "new-item"))
        self.server.call(ADMIN + "RemoveItem",
                         {"itemId": "new-item", "requestId": "11111111-2222-4333-8444-555555555555"})
        self.assertEqual(self.server.call(READ + "GetItem", {"itemId": "new-item"})["item"],
                         {"itemId": "new-item", "state": "ITEM_STATE_REMOVED"})
        self.assertEqual(self.pages("ListItems", "items", query="new-item"), [])

    def test_the_command_line_shows_tables_and_json(self):
        listed = json.loads(self.cli("--json", "items", "--query", "85123a", "-n", "3"))
        self.assertEqual(listed["items"][0]["item_id"], "85123A")
        self.assertIn("next page: --page-token", self.cli("items", "-n", "2"))
        self.assertRegex(self.cli("item", "85123A"), r"vector +trained")
        self.assertRegex(self.cli("categories"), r"bags +[0-9]+")

    def test_slow_calls_are_listed_by_stage(self):
        # A hundred lists take more than a millisecond anywhere.
        self.server.call(READ + "BatchRecommend",
                         {"requests": [{"userId": "17850", "explainItems": 10} for _ in range(100)]},
                         traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        answer = self.server.call(ADMIN + "ListSlowCalls", {})
        self.assertEqual(answer["threshold"], "0.001s")
        slow = next(call for call in answer["calls"] if call["method"] == "BatchRecommend")
        self.assertEqual((slow["code"], slow["traceId"]), ("OK", "4bf92f3577b34da6a3ce929d0e0e4736"))
        self.assertGreaterEqual(float(slow["timings"]["total"].rstrip("s")), 0.001)
        self.assertIn("retrieval", slow["timings"])
        self.assertLessEqual(len(answer["calls"]), int(answer["totalCount"]))
        self.assertIn("BatchRecommend", self.cli("slow-calls", "-n", "200"))
        self.assertEqual(self.server.ask(ADMIN + "ListSlowCalls", json.dumps({"limit": 201}))[0], 400)


if __name__ == "__main__":
    server_program, cli_program, snapshot = sys.argv[1:4]
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
