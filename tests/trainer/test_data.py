"""Reading and splitting a log, and the rule of categories."""

import datetime
import gzip
import os
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np

from trainer import catalogue, data, evaluation, log_files, programs
from trainer.content_ids import ContentIds

_DAY = data.DAY_S


def _log(*events):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "events.csv"
        path.write_text("timestamp,user,item\n" + "".join(f"{t},{u},{i}\n" for t, u, i in events))
        return data.read_log(path)


class LogTest(unittest.TestCase):
    def test_a_log_out_of_order_is_put_in_order(self):
        log = _log((10, "a", "x"), (9, "a", "y"), (10, "a", "z"))
        self.assertEqual(log.item, ["y", "x", "z"])
        self.assertEqual(log.moved, 1)

    def test_ids_with_commas_and_quotation_marks_are_read_as_they_were_written(self):
        log = data.Log(time_s=np.array([1, 2]), user=['a "b"', "c"], item=["Mug, 5 cl", "x"])
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "events.csv"
            data.write_log(path, log)
            read = data.read_log(path)
        self.assertEqual(list(read.user), list(log.user))
        self.assertEqual(list(read.item), list(log.item))
        self.assertEqual(list(read.time_s), list(log.time_s))

    def test_the_cut_counts_back_from_the_last_interaction(self):
        split = data.split_by_time(_log((0, "a", "x"), (50 * _DAY, "a", "y")), 28, 14)
        self.assertEqual((split.validation_s, split.cut_s), (8 * _DAY, 22 * _DAY))

    def test_a_log_that_is_held_out_as_a_whole_is_refused(self):
        with self.assertRaisesRegex(ValueError, r"spans 40\.0 days; data\.heldout_days \(28\) and data\.validation_days"):
            data.split_by_time(_log((0, "a", "x"), (40 * _DAY, "a", "y")), 28, 14)

    def test_only_what_was_seen_before_the_cut_is_indexed(self):
        log = _log((0, "a", "x"), (5, "b", "y"), (6, "a", "y"), (6, "a", "z"))
        interactions = data.index_interactions(log, cut_s=6)
        self.assertEqual((interactions.user_ids, interactions.item_ids), (["a", "b"], ["x", "y"]))
        self.assertEqual(interactions.item.tolist(), [0, 1, 1, -1])


    def test_only_first_purchases_of_known_users_are_asked_for(self):
        log = _log((0, "a", "x"), (1, "b", "y"), (9, "a", "x"), (9, "a", "y"), (9, "c", "x"))
        truth = evaluation.new_items(data.index_interactions(log, 9), 9, 10)
        self.assertEqual(truth.relevant, {0: {1}})
        lists = evaluation.top_unseen(lambda user: [9.0, 1.0], truth, 1)
        self.assertEqual(lists, {0: [1]})


class LogFileTest(unittest.TestCase):
    """The forms of a log, and how parts of one are joined."""

    def setUp(self):
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def _write(self, name, text):
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return path

    def _read(self, *paths, **weights):
        return data.read_log(list(paths), log_files.EventWeights(**weights))

    @staticmethod
    def _rows(log):
        return list(zip(log.time_s.tolist(), log.user, log.item, log.weight.tolist()))

    def test_every_form_is_read_to_the_same_log(self):
        csv = self._write("a.csv", "item,timestamp,user,weight,type,price\n\"x,1\",10.25,a,,view,3\n"
                                   "y,1970-01-01T00:00:11Z,b,-2,return,4\n\n")
        lines = self._write("a.jsonl", '{"timestamp": "1970-01-01T00:00:10.250Z", "user": "a", "item": "x,1", "type": '
                                       '"view", "weight": 1}\n{"timestamp": 11, "user": "b", "item": "y", "weight": '
                                       '"-2", "event_id": null}\n')
        subprocess.run(["zstd", "-q", csv], check=True)
        subprocess.run(["zstd", "-q", lines], check=True)
        for path in (csv, lines, Path(f"{csv}.zst"), Path(f"{lines}.zst")):
            self.assertEqual(self._rows(self._read(path)), [(10, "a", "x,1", 1), (11, "b", "y", -2)], path)

    def test_times_are_those_that_the_server_reads(self):
        for text, time_us in (("99999999999", 99_999_999_999_000_000), ("100000000000", 100_000_000_000_000),
                              ("1322000000123", 1_322_000_000_123_000), ("1322000000123456", 1_322_000_000_123_456),
                              ("1322000000123456789", 1_322_000_000_123_457), ("0.0000005", 1), ("1.5e1", 15_000_000),
                              ("2011-11-22T22:13:20.123456789Z", 1_322_000_000_123_456)):
            path = self._write("a.csv", f"timestamp,user,item\n{text},a,x\n")
            (record,) = log_files.read(path, log_files.EventWeights())
            self.assertEqual(record.time_us, time_us, text)

    def test_ids_are_those_that_ingest_makes(self):
        # Those of tests/unit/client/content_ids_test.cc.
        path = self._write("a.csv", "timestamp,user,item,type,weight,event_id\n"
                                    "1322000000,ann,mug,,,\n"
                                    "1322000000,ann,mug,purchase,,\n"
                                    "1322000000,ann,mug,,,its own\n"
                                    "1322000000,ann,mug,view,,\n"
                                    "1322000000.25,ann,mug,view,3,\n"
                                    '1322000001,"Zoë, 1","Mug ""5"" ☕",purchase,5,\n'
                                    '1322000002.0000005,"Zoë, 1","Mug ""5"" ☕",return,-2,\n'
                                    "1322000000,ann,mug,,,\n")
        self.assertEqual([record.event_id for record in log_files.read(path, log_files.EventWeights())],
                         ["526c26adb244e95998665719dbd9d615", "526c26adb244e95998665719dbd9d615:2", "its own",
                          "333514a472100c20d6e1d01689fffbda", "ed99662ea2cb371f3df9faf5f91e5e07",
                          "125b2d3d1e142f19218be5e69e2ce47d", "af20dd5d8558230d5f2f032dda9067e7",
                          "526c26adb244e95998665719dbd9d615:3"])

    def test_equal_records_are_told_apart_while_no_more_lie_between_them_than_are_kept(self):
        def ids_with(between):
            ids = ContentIds(kept=10)
            return [ids.id_of("u", item, "view", None, 0) for item in ("i", *map(str, range(between)), "i")]

        self.assertEqual(ids_with(9)[-1], ids_with(9)[0] + ":2")
        self.assertEqual(ids_with(10)[-1], ids_with(10)[0])
        ids = ContentIds(kept=2)  # each has one of its kind near
        self.assertEqual([ids.id_of("u", "i", "view", 1, 0)[32:] for _ in range(4)], ["", ":2", ":3", ":4"])

    def test_a_type_weighs_what_the_server_is_told(self):
        path = self._write("a.csv", "timestamp,user,item,type\n1,a,x,buy\n2,a,x,look\n3,a,x,\n")
        log = self._read(path, of_type={"buy": 5, "look": -1}, default_type="buy")
        self.assertEqual(log.weight.tolist(), [5, -1, 5])
        plain = self._write("b.csv", "timestamp,user,item\n1,a,x\n")
        self.assertEqual(self._read(plain, of_type={"purchase": 3}).weight.tolist(), [3])

    def test_what_hides_an_item_is_no_interaction(self):
        path = self._write("a.csv", "timestamp,user,item,type\n1,a,x,view\n2,a,y,hide\n")
        log = self._read(path)
        self.assertEqual((log.item, log.left_out), (["x"], {"of weight 0": 1}))

    def test_the_default_types_are_those_of_the_server(self):
        documented = (Path(__file__).parents[2] / "docs/configuration.md").read_text(encoding="utf-8")
        types = ", ".join(f"`{name} = {weight}`" for name, weight in sorted(log_files.DEFAULT_EVENT_TYPES.items()))
        self.assertIn(f"| `[event_types]` | {types} |", documented)

    def test_what_is_no_interaction_is_refused_by_file_line_field_and_value(self):
        for text, message in (
                ("1,,x,,\n", 'bad.csv:2: user is ""'),
                ("noon,a,x,,\n", 'bad.csv:2: timestamp is "noon"; it must be Unix seconds'),
                ("-1,a,x,,\n", 'timestamp is "-1"'),
                ("1970-01-01T00:00:11,a,x,,\n", "timestamp is .*RFC 3339"),  # of which zone?
                ("1,a,x,look,\n", 'type is "look"; it must be one of the configured types, cart, hide'),
                ("1,a,x,,1.5\n", 'weight is "1.5"; it must be a whole number'),
                ("1,a,x,,1000001\n", 'weight is "1000001"'),
                ("1,a,x,,1\n1,a,x\n", "bad.csv:3: it has 3 fields and the header 5"),
                ('1,a,"x,,1\n', "bad.csv:2: .*quotation")):
            path = self._write("bad.csv", "timestamp,user,item,type,weight\n" + text)
            with self.assertRaisesRegex(ValueError, message):
                self._read(path)
        for basic, extended in (("2021", "2021-01-01T00:00:00Z"), ("20111122", "2011-11-22T00:00:00Z"),
                                ("2021021310", "2021-02-13T10:00:00Z"), ("202102131030", "2021-02-13T10:30:00Z"),
                                ("20210213103000.0", "2021-02-13T10:30:00Z")):
            with self.assertRaisesRegex(ValueError, f'bad.csv:2: .*"{basic}".* write it as {extended}'):
                self._read(self._write("bad.csv", f"timestamp,user,item\n{basic},a,x\n"))
        of_seconds = self._read(self._write("a.csv", "timestamp,user,item\n7,a,x\n2021,a,x\n20111122,a,x\n"))
        self.assertEqual(len(of_seconds.user), 3)
        path = self._write("bad.jsonl", '{"timestamp": 1, "user": "a", "item": "x"}\n[1]\n')
        with self.assertRaisesRegex(ValueError, "bad.jsonl:2: the line is .*one JSON object"):
            self._read(path)
        path = self._write("bad.jsonl", '{"timestamp": 1, "user": ["a"], "item": "x"}\n')
        with self.assertRaisesRegex(ValueError, "bad.jsonl:1: user is .*a string"):
            self._read(path)
        path = self._write("bad.jsonl", '{"timestamp": 1, "user": "a", "user": "b", "item": "x"}\n')
        with self.assertRaisesRegex(ValueError, 'bad.jsonl:1: the key "user" is there more than once'):
            self._read(path)

    def test_keys_that_nobody_reads_may_be_there_twice(self):
        log = self._read(self._write("a.jsonl", '{"timestamp": 1, "user": "a", "item": "x", "n": {"user": 1, "user": 2}, "n": 3}\n'))
        self.assertEqual(len(log), 1)

    def test_what_weighs_nothing_is_left_out_and_counted(self):
        log = self._read(self._write("a.csv", "timestamp,user,item,weight\n1,a,x,0\n2,a,x,1\n"))
        self.assertEqual((len(log), data.described(log)), (1, ["data: 1 records of weight 0 left out"]))

    def test_what_no_server_takes_is_left_out_and_counted(self):
        later = int(time.time()) + 2 * 86_400
        log = self._read(self._write("a.csv", f'timestamp,user,item\n1,a,x\n2,"a\tb",x\n3,a,{"x" * 257}\n{later},a,x\n'
                                              f"{later - 90_000},a,y\n"))
        self.assertEqual([row[1:] for row in self._rows(log)], [("a", "x", 1), ("a", "y", 1)])
        self.assertEqual(sorted(log.left_out.values()), [1, 2])
        self.assertTrue(any("a day after" in line for line in data.described(log)))
        log = self._read(self._write("a.jsonl", f'{{"timestamp": {later}, "user": "a", "item": "x", "event_id": "e"}}\n'
                                                '{"timestamp": 1, "user": "a", "item": "x", "event_id": "e"}\n'))
        self.assertEqual((self._rows(log), log.moved), ([(1, "a", "x", 1)], 0))
        self.assertEqual(sum(log.left_out.values()), 1)
        with self.assertRaisesRegex(ValueError, "a.jsonl:1: user is .*half a character"):
            self._read(self._write("a.jsonl", '{"timestamp": 2, "user": "\\ud800", "item": "x"}\n'))

    def test_an_interaction_in_two_parts_counts_once(self):
        trained = self._write("shop.csv", "timestamp,user,item\n1,a,x\n2,b,y\n3,a,y\n3,a,y\n")
        ids = [record.event_id for record in log_files.read(trained, log_files.EventWeights())]
        # As `groundswell ingest` made the ids, and `groundswell log` exports in order of arrival.
        exported = self._write("log.jsonl", "".join(
            f'{{"timestamp": "{time}", "user": "{user}", "item": "{item}", "type": "purchase", "weight": 1, '
            f'"event_id": "{id_}", "offset": {offset}}}\n' for time, user, item, id_, offset in (
                ("1970-01-01T00:00:03Z", "a", "y", ids[3], 3), ("1970-01-01T00:00:09Z", "c", "y", "p1", 4),
                ("1970-01-01T00:00:08.5Z", "c", "x", "p2", 5))))
        log = self._read(trained, exported)
        self.assertEqual(self._rows(log), [(1, "a", "x", 1), (2, "b", "y", 1), (3, "a", "y", 1), (3, "a", "y", 1),
                                           (8, "c", "x", 1), (9, "c", "y", 1)])
        self.assertEqual(log.offset.tolist(), [0, 0, 0, 3, 5, 4])
        self.assertEqual(data.described(log), ["data: 1 records with an event id that was there before left out",
                                               "data: 1 records came after later ones: put in order "
                                               "of time"])
        self.assertEqual(data.graph_offset(log, 3), (2, []))
        offset, (warning,) = data.graph_offset(log, 9)
        self.assertEqual(offset, 5)
        self.assertIn("1 interactions of the held-out time came to the server before", warning)

    def test_one_id_of_two_interactions_is_refused(self):
        one = self._write("a.csv", "timestamp,user,item,event_id\n1,a,x,e\n2,a,x,e\n")
        with self.assertRaisesRegex(ValueError, 'a.csv:3: event_id is "e", which .*a.csv:2 has'):
            self._read(one)
        with self.assertRaisesRegex(ValueError, "is there twice"):
            self._read(one, one)

    def test_files_of_one_name_are_parts_of_one_log(self):
        parts = []
        for day, records in enumerate(("1,a,x\n2,a,x\n", "2,a,x\n2.5,b,x\n3,b,y\n")):
            (self.directory / f"day={day}").mkdir()
            parts.append(self._write(f"day={day}/part-0.csv", "timestamp,user,item\n" + records))
        log = self._read(*parts)
        self.assertEqual(self._rows(log), [(1, "a", "x", 1), (2, "a", "x", 1), (2, "b", "x", 1), (3, "b", "y", 1)])
        self.assertEqual(log.left_out, {"with an event id that was there before": 1})

    def test_records_that_may_count_twice_are_told_of(self):
        one = self._write("a.csv", "timestamp,user,item\n1,a,x\n2,a,y\n")
        other = self._write("b.csv", "timestamp,user,item,event_id\n2,a,y,e\n")
        self.assertIn("warning: 1 records without an event id", data.described(self._read(one, other))[0])

    def test_offsets_that_end_before_the_interactions_are_told_of(self):
        log = data.Log(np.array([1, 2, 3]), list("abc"), list("xyz"), offset=np.array([0, 0, 1]))
        offset, (warning,) = data.graph_offset(log, 4)
        self.assertEqual(offset, 3)
        self.assertIn("import it into a new directory", warning)


class AccountTest(unittest.TestCase):
    """What becomes of interactions that take back."""

    def _account(self, *weights):
        n = len(weights)
        return data.account_of(np.arange(n), np.zeros(n, int), np.zeros(n, int), np.array(weights))

    def test_the_newest_are_taken_back_first(self):
        account = self._account(1, 2, -1, -1, -1, 4)
        never = data.NEVER_S
        self.assertEqual(account.taken_back_s.tolist(), [4, 3, never, never, never, never])
        self.assertEqual(account.is_first.tolist(), [True, False, False, False, False, True])

    def test_taking_back_more_than_there_was_does_nothing(self):
        account = self._account(2, -3, -2, -1)
        self.assertEqual(account.refused.tolist(), [False, True, False, True])
        self.assertEqual(account.taken_back_s[0], 2)

    def test_a_returned_purchase_is_neither_a_past_nor_asked_for(self):
        log = data.Log(np.arange(8), list("aabbaabc"), list("xyxyxzzz"), np.array([1, 1, 1, 1, -1, 1, 1, 1]))
        log.item[7], log.user[7] = "z", "b"
        log.weight[7] = -1
        interactions = data.index_interactions(log, 6)
        truth = evaluation.new_items(interactions, 6, 8)
        self.assertEqual(truth.seen, {0: {1, 2}, 1: {0, 1}})
        self.assertEqual(truth.relevant, {})
        self.assertEqual(str(truth.judgement), "0 of 2 events (left out: 1 take back, 1 taken back later)")

    def test_users_and_items_from_after_the_cut_are_misses_of_the_figure_of_all(self):
        log = data.Log(np.arange(5), list("abacc"), list("xyyxn"))
        truth = evaluation.new_items(data.index_interactions(log, 2), 2, 5)
        self.assertEqual(truth.relevant, {0: {1}})
        self.assertEqual(truth.everything, {0: {1}, -1: {0, -1}})
        self.assertEqual((truth.misses, str(truth.judgement)), (2, "3 of 3 events"))


@unittest.skipUnless(os.environ.get(programs.SERVER_VARIABLE), f"{programs.SERVER_VARIABLE} names no program")
class OtherLogTest(unittest.TestCase):
    """Logs of another make, which `groundswell convert` reads."""

    def setUp(self):
        self.directory = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def _read(self, name, text, **how):
        path = self.directory / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return data.read_log(path, how=log_files.ReadBy(**how))

    def test_columns_times_and_order_are_those_of_a_shop(self):
        text = ('\ufeffcustomer_id;sku;event;ts\r\nann;"Mug; ""5"" cl";purchase;2011-11-22T22:13:21\r\n'
                "bob;x;view;1970-01-02\r\n")
        for name in ("orders.csv", "orders.csv.gz"):
            log = self._read(name, text)
            self.assertEqual((log.user, log.item), (["bob", "ann"], ["x", 'Mug; "5" cl']), name)
            self.assertEqual(log.time_s.tolist(), [86_400, 1_322_000_001], name)

    def test_event_ids_are_those_that_ingest_makes(self):
        own = self.directory / "own.csv"
        own.write_text("timestamp,user,item\n1322000000.25,ann,mug\n1322000001,ann,mug\n", encoding="utf-8")
        other = self.directory / "other.jsonl"
        other.write_text('{"ts": 1322000001000, "user_id": "ann", "itemId": "mug"}\n'
                         '{"ts": "2011-11-22T22:13:20.25Z", "user_id": "ann", "itemId": "mug"}\n', encoding="utf-8")
        log = data.read_log([own, other])
        self.assertEqual(len(log), 2)
        self.assertEqual(log.left_out["with an event id that was there before"], 2)

    def test_columns_are_named_where_they_cannot_be_told(self):
        text = "who,what,when,how much\nann,mug,7,3\n"
        named = {"user": "who", "item": "what", "time": "when", "weight": "how much"}
        log = self._read("odd.csv", text, columns=named)
        self.assertEqual((log.user, log.item, log.weight.tolist()), (["ann"], ["mug"], [3]))
        with self.assertRaises(subprocess.CalledProcessError):
            self._read("odd.csv", text)

    def test_what_a_server_exported_is_read_as_it_is(self):
        exported = self.directory / "log.jsonl"
        exported.write_text('{"timestamp": "2011-11-22T22:13:20Z", "user": "ann", "item": "mug", "type": "view", '
                            '"event_id": "1", "offset": 7}\n', encoding="utf-8")
        orders = self.directory / "orders.csv"
        orders.write_text("who,what,when\nbob,mug,1322000001\n", encoding="utf-8")
        log = data.read_log([orders, exported], how=log_files.ReadBy({"user": "who", "item": "what", "time": "when"}))
        self.assertEqual((log.user, log.offset.tolist()), (["ann", "bob"], [7, 0]))

    def test_a_type_that_is_no_column_is_that_of_records_that_name_none(self):
        own = self.directory / "own.csv"
        own.write_text("timestamp,user,item,type\n7,ann,mug,view\n", encoding="utf-8")
        other = self.directory / "other.csv"
        other.write_text("ts,user_id,sku\n7,ann,mug\n", encoding="utf-8")
        how = log_files.ReadBy({"type": "view"})
        weights = log_files.EventWeights({"purchase": 2, "view": 1})
        log = data.read_log([other], weights, how)
        self.assertEqual(log.weight.tolist(), [1])
        (record,), (one,) = log_files.read(own, weights), log_files.read(other, weights, how)
        self.assertEqual(one.event_id, record.event_id)


class SplitTest(unittest.TestCase):
    def _split(self, **of_data):
        log = _log((0, "a", "x"), (50 * _DAY, "a", "y"))
        return data.split(log, {"validation_days": 14, **of_data})

    def test_what_is_held_out_begins_at_a_date(self):
        for heldout_from in ("1970-01-23", "1970-01-23T00:00:00Z", datetime.date(1970, 1, 23)):
            split = self._split(heldout_from=heldout_from)
            self.assertEqual((split.validation_s, split.cut_s, split.end_s), (8 * _DAY, 22 * _DAY, 50 * _DAY))
        for wrong, message in (("soon", "heldout_from is 'soon'"), (20111111, "heldout_from is 20111111"), ("1971-01-01", "must be within"), ("1970-01-10", "must be within")):
            with self.assertRaisesRegex(ValueError, message):
                self._split(heldout_from=wrong)


class ItemsTest(unittest.TestCase):
    def _read(self, text, name="items.csv", **rule):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / name
            path.write_text(text, encoding="utf-8")
            return data.read_items(path, **rule)

    def test_titles_and_categories_are_as_they_are(self):
        for text in ("title,SKU,Main Category\niMUG,a,mugs\n,b,bags\n",
                     "item_id:token,name:token_seq,genres:token_seq\na,iMUG,mugs\nb,,bags\n"):
            self.assertEqual(self._read(text), {"a": ("iMUG", "mugs"), "b": ("", "bags")})
        self.assertEqual(self._read('{"item": "a", "title": "iMUG", "category": ["mugs", "cups"]}\n{"item": 7, "title": null}\n',
                                    "items.jsonl"), {"a": ("iMUG", "mugs, cups"), "7": ("", "")})

    def test_those_of_the_sample_have_its_rules(self):
        self.assertEqual(self._read('description,item\nONE MUG,a\n"TWO, BIG",b\n\nONE MUG,a\n', rule=data.OF_THE_SAMPLE),
                         {"a": ("One Mug", "cups and mugs"), "b": ("Two, Big", "other")})

    def test_the_id_stands_where_there_is_no_title(self):
        items = {"a": ("", "mugs")}
        self.assertEqual(data.title_and_category(items, "a"), ("a", "mugs"))
        self.assertEqual(data.title_and_category(items, "b"), ("b", ""))

    def test_what_is_no_item_is_refused_by_file_and_line(self):
        for text, message in (
                ("a,One\nb,\"Two\nc,Three\nd,Four\n", "items.csv:3: .*quotation marks"),
                ("a,One\nb\n", "items.csv:3: it has 1 fields and the header 2"),
                ("a,One\nb,Two, big\n", "items.csv:3: it has 3 fields and the header 2"),
                (",One\n", 'items.csv:2: item is ""'),
                ("a,One\na,Two\n", 'items.csv:3: item is "a", to which line 2 gives another title')):
            with self.assertRaisesRegex(ValueError, message):
                self._read("item,description\n" + text)
        for header, message in (("item,price", "no column is known to hold a title or a category; the columns are item, price"),
                                ("", "no column is known to hold the item; the columns are none"),
                                ("item,description,item", "the header has item more than once")):
            with self.assertRaisesRegex(ValueError, message):
                self._read(header + "\n")
        with self.assertRaisesRegex(ValueError, "items.jsonl:1: it must be one JSON object"):
            self._read("[]\n", "items.jsonl")
        with self.assertRaisesRegex(ValueError, 'items.jsonl:1: the key "title" is there more than once'):
            self._read('{"item": "a", "title": "b", "title": "c"}\n', "items.jsonl")


class CatalogueTest(unittest.TestCase):
    def test_spaces_collapse_and_only_first_letters_are_capital(self):
        self.assertEqual(catalogue.clean_title("  DOCTOR'S  BAG SOFT TOY "), "Doctor's Bag Soft Toy")

    def test_the_last_known_noun_decides(self):
        self.assertEqual(catalogue.category("Red Retrospot Pudding Bowl"), "bowls and plates")
        self.assertEqual(catalogue.category("Lunch Bag Spaceboy Design"), "bags")

    def test_a_season_decides_before_any_noun(self):
        self.assertEqual(catalogue.category("Set Of 6 T-Lights Santa"), "christmas")

    def test_tea_lights_are_candles(self):
        self.assertEqual(catalogue.category("White Hanging Heart T-Light Holder"), "candles")

    def test_what_names_nothing_known_is_other(self):
        self.assertEqual(catalogue.category("Dotcom Postage"), "other")
        self.assertEqual(catalogue.category(""), "other")

    def test_every_category_is_listed(self):
        self.assertIn(catalogue.category("Mug"), catalogue.CATEGORIES)
        self.assertLessEqual(len(catalogue.CATEGORIES), 40)


if __name__ == "__main__":
    unittest.main()
