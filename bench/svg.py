# SPDX-License-Identifier: MIT
"""Charts as SVG: lines of several servers over a number of things, both axes logarithmic, so that a cost that grows in line
with the work is a straight line, and a factor looks alike everywhere."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 80, 110, 48, 56
COLORS = {"jabiru": "#d62728", "ejabberd": "#1f77b4", "prosody": "#2ca02c", "jabberd2": "#9467bd", "relay": "#7f7f7f"}
STYLE = "font-family='sans-serif' font-size='12' fill='#222'"
LABEL_HEIGHT = 14


class Axis:
    """A logarithmic one, from the power of ten (or half of it) below the least value to the one above the greatest."""

    def __init__(self, values, begin, end):
        low, high = math.log10(min(values)), math.log10(max(values))
        self.low, self.high = math.floor(low * 2) / 2, math.ceil(high * 2) / 2
        if self.low == self.high:
            self.high += 0.5
        self.begin, self.end = begin, end

    def at(self, value):
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return self.begin + part * (self.end - self.begin)

    def ticks(self):
        """(value, whether it is labelled): 1, 2, 5 of each power of ten; with many powers, 1 alone has a label."""
        wide = self.high - self.low > 3
        for power in range(math.floor(self.low), math.ceil(self.high) + 1):
            for digit in (1, 2, 5):
                value = digit * 10.0 ** power
                if self.low - 1e-9 <= math.log10(value) <= self.high + 1e-9:
                    yield value, digit == 1 or not wide


def number(value):
    for factor, word in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:g}{word}"
    return f"{value:g}"


def spread(places):
    """Labels that would cover each other move apart: {name: y}."""
    moved, last = {}, -math.inf
    for y, name in sorted((y, name) for name, y in places.items()):
        last = moved[name] = max(y, last + LABEL_HEIGHT)
    return moved


def grid(x_axis, y_axis, x_label, y_label):
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for value, labelled in x_axis.ticks():
        x = x_axis.at(value)
        parts.append(f"<line x1='{x:.1f}' y1='{TOP}' x2='{x:.1f}' y2='{bottom}' stroke='#e5e5e5'/>")
        if labelled:
            parts.append(f"<text x='{x:.1f}' y='{bottom + 18}' text-anchor='middle' {STYLE}>{number(value)}</text>")
    for value, labelled in y_axis.ticks():
        y = y_axis.at(value)
        parts.append(f"<line x1='{LEFT}' y1='{y:.1f}' x2='{right}' y2='{y:.1f}' stroke='#e5e5e5'/>")
        if labelled:
            parts.append(f"<text x='{LEFT - 8}' y='{y + 4:.1f}' text-anchor='end' {STYLE}>{number(value)}</text>")
    parts.append(f"<rect x='{LEFT}' y='{TOP}' width='{right - LEFT}' height='{bottom - TOP}' fill='none' stroke='#888'/>")
    parts.append(f"<text x='{(LEFT + right) / 2}' y='{HEIGHT - 14}' text-anchor='middle' {STYLE}>{escape(x_label)}</text>")
    parts.append(f"<text transform='translate(18 {(TOP + bottom) / 2}) rotate(-90)' text-anchor='middle' {STYLE}>{escape(y_label)}</text>")
    return parts


def line(name, points, x_axis, y_axis):
    color = COLORS.get(name, "#000")
    places = [(x_axis.at(x), y_axis.at(y)) for x, y in points]
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = [f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3' fill='{color}'/>" for x, y in places]
    return [f"<polyline points='{text}' fill='none' stroke='{color}' stroke-width='2'/>", *dots]


def chart(title, x_label, y_label, series):
    """The text of an SVG. `series` is {server: [(x, y), …]}, all above 0; servers without points are left out."""
    series = {name: sorted(points) for name, points in series.items() if points}
    everything = [point for points in series.values() for point in points]
    x_axis = Axis([x for x, _ in everything], LEFT, WIDTH - RIGHT)
    y_axis = Axis([y for _, y in everything], HEIGHT - BOTTOM, TOP)
    parts = [f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{HEIGHT}' viewBox='0 0 {WIDTH} {HEIGHT}'>",
             f"<rect width='{WIDTH}' height='{HEIGHT}' fill='#fff'/>",
             f"<text x='{LEFT}' y='28' font-weight='bold' {STYLE}>{escape(title)}</text>",
             *grid(x_axis, y_axis, x_label, y_label)]
    for name, points in series.items():
        parts += line(name, points, x_axis, y_axis)
    for name, y in spread({name: y_axis.at(points[-1][1]) for name, points in series.items()}).items():
        x = x_axis.at(series[name][-1][0]) + 8
        parts.append(f"<text x='{x:.1f}' y='{y + 4:.1f}' {STYLE.replace('#222', COLORS.get(name, '#000'))}>{escape(name)}</text>")
    return "\n".join([*parts, "</svg>", ""])
