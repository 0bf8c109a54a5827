# SPDX-License-Identifier: MIT
"""Tests of the table: medians, ratios in both directions, failed rounds, goals, and the page that it is written into."""
import pathlib
import tempfile
import unittest

import table
from rows import Goal, Row

RATE, COST = Row("rate", "messages/s", True), Row("cost", "CPU, µs", False, 1)
SERVERS = ["jabiru", "ejabberd", "prosody", "relay"]
SAMPLES = {("rate", "jabiru"): [900, 1000, 1300], ("rate", "ejabberd"): [100, 200], ("rate", "prosody"): [250],
           ("rate", "relay"): [2000], ("cost", "jabiru"): [10.5], ("cost", "ejabberd"): [105], ("cost", "prosody"): [21]}


class TableTest(unittest.TestCase):
    def line(self, row, samples=None, failures=None):
        return table.markdown([row], SERVERS, SAMPLES if samples is None else samples, failures or {}).splitlines()[-1]

    def test_more_is_better(self):
        self.assertEqual(self.line(RATE), "| messages/s | 1,000 | 150 | 250 | 2,000 | 4.0x | 50 % | - |")

    def test_less_is_better(self):
        self.assertEqual(self.line(COST), "| CPU, µs | 10.5 | 105.0 | 21.0 | - | 2.0x | - | - |")

    def test_cost_beside_the_relay(self):
        samples = SAMPLES | {("cost", "relay"): [7]}
        self.assertTrue(self.line(COST, samples).endswith("| 2.0x | 1.50x | - |"))

    def test_failures_show(self):
        failures = {("rate", "jabiru"): ["x"], ("rate", "prosody"): ["x"]}
        samples = {place: values for place, values in SAMPLES.items() if place != ("rate", "prosody")}
        self.assertEqual(self.line(RATE, samples, failures),
                         "| messages/s | 1,000 (!) | 150 | failed | 2,000 | 6.7x | 50 % | - |")

    def test_without_us_there_is_no_ratio(self):
        self.assertTrue(self.line(RATE, {("rate", "ejabberd"): [5]}).endswith("| 5 | - | - | - | - | - |"))

    def test_what_never_finished_says_so(self):
        failures = {("rate", "prosody"): [table.UNFINISHED], ("rate", "ejabberd"): [table.UNFINISHED]}
        samples = {("rate", "jabiru"): [900], ("rate", "ejabberd"): [100]}
        self.assertEqual(self.line(RATE, samples, failures),
                         "| messages/s | 900 | 100 (!) | did not finish | - | 9.0x | - | - |")

    def goal(self, goal, samples=None, row=RATE, failures=None):
        return self.line(Row(row.key, row.title, row.more_is_better, row.digits, goal), samples, failures).split(" | ")[-1][:-2]

    def test_goals_of_a_rate(self):
        self.assertEqual(self.goal(Goal(peer=4)), "≥ 4x best peer: reached")
        self.assertEqual(self.goal(Goal(peer=4.1)), "≥ 4.1x best peer: missed")
        self.assertEqual(self.goal(Goal(relay=0.5)), "≥ 50 % of relay: reached")
        self.assertEqual(self.goal(Goal(least=1001)), "≥ 1,001: missed")

    def test_goals_of_a_cost(self):
        samples = SAMPLES | {("cost", "relay"): [7]}
        self.assertEqual(self.goal(Goal(relay=1.5), samples, COST), "≤ 1.5x relay: reached")
        self.assertEqual(self.goal(Goal(relay=1.4), samples, COST), "≤ 1.4x relay: missed")
        self.assertEqual(self.goal(Goal(most=10), samples, COST), "≤ 10: missed")
        self.assertEqual(self.goal(Goal(most=10.5, peer=2), samples, COST), "≥ 2x best peer, ≤ 10.5: reached")

    def test_all_parts_of_a_goal_must_hold(self):
        self.assertEqual(self.goal(Goal(relay=0.5, peer=5)), "≥ 50 % of relay, ≥ 5x best peer: missed")

    def test_a_goal_without_the_number_beside_it_is_not_judged(self):
        alone = {("rate", "jabiru"): [1000]}
        self.assertEqual(self.goal(Goal(peer=4), alone), "≥ 4x best peer")
        self.assertEqual(self.goal(Goal(peer=4, least=2000), alone), "≥ 4x best peer, ≥ 2,000: missed")

    def test_who_fails_misses_the_goal(self):
        self.assertEqual(self.goal(Goal(peer=4), {}, failures={("rate", "jabiru"): ["x"]}), "≥ 4x best peer: missed")

    def test_the_page_keeps_what_is_around(self):
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "docs" / "performance.md"
            table.write_into(page, "rooms", "first")
            table.write_into(page, "spine", "other")
            page.write_text("before\n" + page.read_text() + "after\n")
            table.write_into(page, "rooms", "second")
            text = page.read_text()
        self.assertTrue(text.startswith("before\n") and text.endswith("after\n"))
        self.assertIn("\nsecond\n", text)
        self.assertIn("\nother\n", text)
        self.assertNotIn("first", text)


if __name__ == "__main__":
    unittest.main()
