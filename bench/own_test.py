# SPDX-License-Identifier: MIT
"""Tests of own.py: what is read from the programs that it runs."""
import unittest

import own

SCANNED = """stanza                               bytes     MB/s    expat  ratio
message, short                         154     1200      200    6.0
message, 2 KB of text                 2000     4000      500    8.0
ping                                   100     1000      250    4.0
"""
LIVED = """logins: 1000000 in 77.9 s of CPU, 12835 a second
memory: 2882 bytes a session with a roster of 18
messages: 2000000 in 14.9 s of CPU, 134326 a second
presences delivered: 1800000 in 5.2 s of CPU, 345245 a second
"""


class OwnTest(unittest.TestCase):
    def test_the_scanner_is_judged_by_where_it_gains_least(self):
        self.assertEqual(own.scanner_numbers(SCANNED), {"scan": 1200, "scan-expat": 250, "scan-times": 4})

    def test_a_million(self):
        self.assertEqual(own.million_numbers(LIVED), {"million-logins": 12835, "million-memory": 2882, "million-messages": 134326,
                                                      "million-presences": 345245})


if __name__ == "__main__":
    unittest.main()
