# SPDX-License-Identifier: MIT
"""Whether a long run went well: bench/soak's samples, judged. A sample has "pss" (bytes) and "files"."""
import math
import statistics

SETTLED_AFTER = 10  # minutes: from then on nothing may grow
GROWTH_MAX = 0.01   # of the memory, from the first to the last quarter of the time after that
POINTS_MIN = 8
FILES_SLACK = 64
Z95 = 1.96


def slope(points):
    """Least squares through (x, y): the slope and half the width of its 95 % interval (Student's t, approximated)."""
    n = len(points)
    mean_x, mean_y = (statistics.fmean(point[i] for point in points) for i in (0, 1))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    b = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    rest = sum((y - mean_y - b * (x - mean_x)) ** 2 for x, y in points)
    t = Z95 + (Z95 ** 3 + Z95) / (4 * (n - 2))
    return b, t * math.sqrt(rest / (n - 2) / spread)


def growth(samples, every):
    """Of the memory after the first ten minutes: {slope and bounds in bytes an hour, first and last quarter, maximum}; None
    when that is too short a time."""
    points = [(n * every / 3600, sample["pss"]) for n, sample in enumerate(samples) if n * every >= SETTLED_AFTER * 60]
    if len(points) < POINTS_MIN:
        return None
    quarter = len(points) // 4
    first, last = (statistics.fmean(y for _, y in part) for part in (points[:quarter], points[-quarter:]))
    b, half = slope(points)
    return {"bytes_an_hour": b, "low": b - half, "high": b + half, "first_quarter": first, "last_quarter": last,
            "max": max(y for _, y in points)}


def judge(report, samples, grown, log, code):
    """[(what must be true, whether it is, what was seen)]"""
    files = [sample["files"] for sample in samples]
    checks = [("nothing is lost", report["lost"] == 0, f"{report['lost']} of {report['sent']}"),
              ("nothing comes twice", report["doubled"] == 0, str(report["doubled"])),
              ("no errors are answered, no connection is lost", report["errors"] == 0, str(report["errors"])),
              ("the log has no warning", not log, log[:2000] or "empty"),
              ("the server ends in order", code == 0, f"exit code {code}"),
              ("no files are left open", max(files) <= files[0] + FILES_SLACK, f"{files[0]} at first, {max(files)} at most")]
    if grown:
        more = grown["last_quarter"] / grown["first_quarter"] - 1
        checks.append((f"memory does not grow after {SETTLED_AFTER} minutes", more <= GROWTH_MAX or grown["low"] <= 0,
                       f"{100 * more:+.2f} % from the first to the last quarter"))
    return checks
