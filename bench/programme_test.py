# SPDX-License-Identifier: MIT
"""Tests of programme.py: which works a name means, and that the rows of the table do not get in each other's way."""
import unittest

import programme
from works import few_and_many


def names(*asked):
    return [work.name for work in programme.named(asked)]


class ProgrammeTest(unittest.TestCase):
    def test_a_name_means_itself_first(self):
        self.assertEqual(names("room-500"), ["room-500"])

    def test_a_name_means_all_that_begin_so(self):
        self.assertEqual(names("latency"), ["latency-plain", "latency-tls"])

    def test_works_come_in_their_order_and_once(self):
        self.assertEqual(names("room-1000", "room-1", "start"), ["start", "room-100", "room-1000"])

    def test_a_name_that_nothing_has_is_refused(self):
        with self.assertRaises(ValueError):
            programme.named(["start", "nothing"])

    def test_every_name_and_every_row_is_there_once(self):
        keys = [row.key for work in programme.WORKS for row in work.rows]
        self.assertEqual(len(keys), len(set(keys)))
        self.assertEqual(len(programme.WORKS), len({work.name for work in programme.WORKS}))

    def test_few_sessions_are_fewer_than_many(self):
        for sessions in (200, 1000, 10000):
            few, many = few_and_many(sessions)
            self.assertLess(few, many)


if __name__ == "__main__":
    unittest.main()
