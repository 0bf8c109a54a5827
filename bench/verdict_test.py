# SPDX-License-Identifier: MIT
"""Tests of verdict.py: what must be found, and what must not."""
import unittest

from verdict import growth, judge, slope

REPORT = {"sent": 100, "lost": 0, "doubled": 0, "errors": 0}


def hour(memory, files=lambda minute: 100):
    return [{"pss": memory(minute), "files": files(minute)} for minute in range(61)]


def noise(minute):
    return 50000 * (minute * 7919 % 13 - 6)


def failed(report=None, samples=None, log="", code=0):
    samples = samples or hour(lambda minute: 1e8)
    return [what for what, good, _ in judge({**REPORT, **(report or {})}, samples, growth(samples, 60), log, code) if not good]


class Verdict(unittest.TestCase):
    def test_a_line_has_its_slope(self):
        b, half = slope([(x, 3 * x + 1) for x in range(20)])
        self.assertAlmostEqual(b, 3)
        self.assertAlmostEqual(half, 0)

    def test_all_is_well(self):
        self.assertEqual(failed(), [])

    def test_growth_in_the_first_minutes_is_none(self):
        self.assertEqual(failed(samples=hour(lambda minute: 1e8 + 1e6 * min(minute, 9) + noise(minute))), [])

    def test_a_leak_is_found(self):
        self.assertEqual(failed(samples=hour(lambda minute: 1e8 + 50000 * minute + noise(minute))),
                         ["memory does not grow after 10 minutes"])

    def test_noise_is_no_leak(self):
        self.assertEqual(failed(samples=hour(lambda minute: 1e8 + 40 * noise(minute))), [])

    def test_a_short_run_says_nothing_of_growth(self):
        self.assertIsNone(growth(hour(lambda minute: 1e8)[:12], 60))

    def test_each_fault_is_told(self):
        for fault in ({"report": {"lost": 1}}, {"report": {"doubled": 1}}, {"report": {"errors": 1}}, {"log": "warn: x"}, {"code": 1},
                      {"samples": hour(lambda minute: 1e8, lambda minute: 100 + 2 * minute)}):
            self.assertEqual(len(failed(**fault)), 1, fault)


if __name__ == "__main__":
    unittest.main()
