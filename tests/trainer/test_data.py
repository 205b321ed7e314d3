"""Reading and splitting a log, and the rule of categories."""

import tempfile
import unittest
from pathlib import Path

import numpy as np

from trainer import catalogue, data, evaluation

_DAY = data.DAY_S


def _log(*events):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "events.csv"
        path.write_text("timestamp,user,item\n" + "".join(f"{t},{u},{i}\n" for t, u, i in events))
        return data.read_log(path)


class LogTest(unittest.TestCase):
    def test_a_log_out_of_order_is_refused_by_its_row(self):
        with self.assertRaisesRegex(ValueError, "row 3"):
            _log((10, "a", "x"), (9, "a", "y"))

    def test_ids_with_commas_and_quotation_marks_are_read_as_they_were_written(self):
        log = data.Log(time_s=np.array([1, 2]), user=['a "b"', "c"], item=["Mug, 5 cl", "x"])
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "events.csv"
            data.write_log(path, log)
            read = data.read_log(path)
        self.assertEqual(list(read.user), list(log.user))
        self.assertEqual(list(read.item), list(log.item))
        self.assertEqual(list(read.time_s), list(log.time_s))

    def test_a_missing_column_is_named(self):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "events.csv"
            path.write_text("timestamp,user\n1,a\n")
            with self.assertRaisesRegex(ValueError, "item"):
                data.read_log(path)

    def test_the_cut_counts_back_from_the_last_interaction(self):
        split = data.split_by_time(_log((0, "a", "x"), (50 * _DAY, "a", "y")), 28, 14)
        self.assertEqual((split.validation_s, split.cut_s), (8 * _DAY, 22 * _DAY))

    def test_only_what_was_seen_before_the_cut_is_indexed(self):
        log = _log((0, "a", "x"), (5, "b", "y"), (6, "a", "y"), (6, "a", "z"))
        interactions = data.index_interactions(log, cut_s=6)
        self.assertEqual((interactions.user_ids, interactions.item_ids), (["a", "b"], ["x", "y"]))
        self.assertEqual(interactions.item.tolist(), [0, 1, 1, -1])
        self.assertEqual(len(interactions.known_items(log)), 3)

    def test_only_first_purchases_of_known_users_are_asked_for(self):
        log = _log((0, "a", "x"), (1, "b", "y"), (9, "a", "x"), (9, "a", "y"), (9, "c", "x"))
        truth = evaluation.new_items(data.index_interactions(log, 9), 9, 10)
        self.assertEqual(truth.relevant, {0: {1}})
        lists = evaluation.top_unseen(lambda user: [9.0, 1.0], truth, 1)
        self.assertEqual(lists, {0: [1]})


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
