# SPDX-License-Identifier: MIT
"""Tests of the charts: well-formed, each point in its place, labels apart."""
import unittest
import xml.etree.ElementTree as ET

from svg import Axis, chart, number, spread

SVG = "{http://www.w3.org/2000/svg}"
SERIES = {"jabiru": [(10, 1000), (100, 2000), (1000, 2500)], "prosody": [(100, 90), (10, 100)], "relay": []}


class SvgTest(unittest.TestCase):
    def setUp(self):
        self.root = ET.fromstring(chart("messages <per> second", "sessions", "messages/s", SERIES))

    def test_each_point_is_drawn(self):
        self.assertEqual(len(self.root.findall(SVG + "circle")), 5)
        self.assertEqual(len(self.root.findall(SVG + "polyline")), 2)

    def test_more_is_higher_and_to_the_right(self):
        dots = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in self.root.findall(SVG + "circle")]
        self.assertEqual(dots[:3], sorted(dots[:3]))
        self.assertTrue(dots[0][1] > dots[1][1] > dots[2][1])
        self.assertEqual(dots[3:], sorted(dots[3:]))

    def test_words_are_there(self):
        words = [text.text for text in self.root.findall(SVG + "text")]
        for word in ("messages <per> second", "sessions", "messages/s", "jabiru", "prosody", "1k", "100"):
            self.assertIn(word, words)
        self.assertNotIn("relay", words)

    def test_a_power_of_ten_has_the_same_width_everywhere(self):
        axis = Axis([10, 1000], 0, 100)
        self.assertAlmostEqual(axis.at(100) - axis.at(10), axis.at(1000) - axis.at(100))

    def test_one_value_is_enough(self):
        self.assertIn("<circle", chart("t", "x", "y", {"jabiru": [(10, 10)]}))

    def test_labels_do_not_cover_each_other(self):
        moved = spread({"a": 100, "b": 101, "c": 102})
        places = sorted(moved.values())
        self.assertTrue(all(b - a >= 14 for a, b in zip(places, places[1:])))

    def test_numbers_are_short(self):
        self.assertEqual([number(n) for n in (0.5, 20, 1000, 2500000, 1e9)], ["0.5", "20", "1k", "2.5M", "1G"])


if __name__ == "__main__":
    unittest.main()
