# SPDX-License-Identifier: MIT
"""Medians of all rounds, their ratios, the goals, and the table of docs/performance.md."""
import statistics

OURS, LIMIT = "jabiru", "relay"
UNFINISHED = "did not finish"  # a failure with this text shows as such


def medians(samples):
    """{(row, server): [numbers]} to {(row, server): median}."""
    return {place: statistics.median(numbers) for place, numbers in samples.items() if numbers}


def best_peer(row, values):
    """The best number of the other servers in this row, or None."""
    others = [value for (key, server), value in values.items() if key == row.key and server not in (OURS, LIMIT)]
    return (max if row.more_is_better else min)(others, default=None)


def times_better(row, values):
    """How many times better we are than the best peer: above 1 is better, whichever way the row counts. Or None."""
    ours, best = values.get((row.key, OURS)), best_peer(row, values)
    if not ours or not best:
        return None
    return ours / best if row.more_is_better else best / ours


def to_limit(row, values):
    """Our number divided by the relay's, or None."""
    ours, limit = values.get((row.key, OURS)), values.get((row.key, LIMIT))
    return ours / limit if ours and limit else None


def ratio_to_peer(row, values):
    ratio = times_better(row, values)
    return "-" if ratio is None else f"{ratio:.1f}x"


def ratio_to_limit(row, values):
    """Rates as a part of what the relay passes; times and costs as a multiple of what it takes."""
    ratio = to_limit(row, values)
    if ratio is None:
        return "-"
    return f"{100 * ratio:.0f} %" if row.more_is_better else f"{ratio:.2f}x"


def goal_parts(row, values):
    """Each part of the row's goal, as (words, the number that is judged or None, the limit, whether more is better)."""
    goal, ours = row.goal, values.get((row.key, OURS))
    rate = row.more_is_better
    relay_words = f"≥ {100 * (goal.relay or 0):.0f} % of relay" if rate else f"≤ {goal.relay}x relay"
    parts = [(relay_words, to_limit(row, values), goal.relay, rate),
             (f"≥ {goal.peer}x best peer", times_better(row, values), goal.peer, True),
             (f"≤ {goal.most:,}" if goal.most else "", ours, goal.most, False),
             (f"≥ {goal.least:,}" if goal.least else "", ours, goal.least, True)]
    return [part for part in parts if part[2] is not None]


def goal_cell(row, values, failures):
    """The goal and how it went. Nothing is said of it where a number is missing that would decide it; where ours is
    missing because we failed, it is missed."""
    if not row.goal:
        return "-"
    parts = goal_parts(row, values)
    words = ", ".join(part[0] for part in parts)
    held = [None if number is None else number >= limit if more else number <= limit for _, number, limit, more in parts]
    failed = (row.key, OURS) in failures and (row.key, OURS) not in values
    if False in held or failed:
        return f"{words}: missed"
    return words if None in held else f"{words}: reached"


def number(value, digits):
    return f"{value:,.{digits}f}"


def cell(row, server, values, failures):
    place = (row.key, server)
    if place in values:
        return number(values[place], row.digits) + (" (!)" if place in failures else "")
    if place in failures:
        return UNFINISHED if UNFINISHED in failures[place] else "failed"
    return "-"


def markdown(rows, servers, samples, failures):
    """The table; a number is marked (!) where some of its work failed."""
    values = medians(samples)
    lines = [f"| work | {' | '.join(servers)} | to the best peer | to the relay | goal |",
             "| --- " * (len(servers) + 4) + "|"]
    for row in rows:
        cells = [cell(row, server, values, failures) for server in servers]
        cells += [ratio_to_peer(row, values), ratio_to_limit(row, values), goal_cell(row, values, failures)]
        lines.append(f"| {row.title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def write_into(path, section, text):
    """Replaces what stands between the marks of this section of the page; they are put at its end if they are not there."""
    begin, end = (f"<!-- bench/run writes {section} {word} here -->" for word in ("from", "to"))
    page = path.read_text() if path.exists() else "# Performance\n"
    if begin not in page or end not in page:
        page += f"\n{begin}\n{end}\n"
    before, rest = page.split(begin, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end, 1)[1]}")
