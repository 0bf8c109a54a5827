# SPDX-License-Identifier: MIT
"""Tests of the frames of websocket.py: their sizes, masks and parts."""
import unittest

from websocket import TEXT, frame, take_frame

SIZES = (0, 1, 125, 126, 65535, 65536)


def from_server(size, last=True):
    head = bytes([0x80 * last | TEXT])
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big") if size < 65536 else b"\x7f" + size.to_bytes(8, "big")
    return head + length + b"x" * size


class FrameTest(unittest.TestCase):
    def test_a_frame_of_each_size_is_taken(self):
        for size in SIZES:
            data = from_server(size)
            self.assertEqual(take_frame(data + b"next"), (TEXT, True, b"x" * size, len(data)))

    def test_what_is_not_whole_waits(self):
        for size in SIZES:
            data = from_server(size)
            for have in (0, 1, len(data) // 2, len(data) - 1):
                self.assertIsNone(take_frame(data[:have]))

    def test_parts_say_that_they_are(self):
        self.assertFalse(take_frame(from_server(5, last=False))[1])

    def test_what_a_client_sends_is_masked(self):
        for size in SIZES:
            data = bytes(n % 251 for n in range(size))
            sent = frame(data)
            self.assertTrue(sent[1] & 0x80)
            self.assertEqual(sent[1] & 0x7f, size if size < 126 else 126 if size < 65536 else 127)
            key, masked = sent[len(sent) - size - 4:len(sent) - size], sent[len(sent) - size:]
            self.assertEqual(bytes(byte ^ key[n % 4] for n, byte in enumerate(masked)), data)


if __name__ == "__main__":
    unittest.main()
