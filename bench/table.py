# SPDX-License-Identifier: MIT
"""Medians of all rounds, their ratios, and the table of docs/performance.md."""
import statistics

OURS, LIMIT = "jabiru", "relay"


def medians(samples):
    """{(row, server): [numbers]} to {(row, server): median}."""
    return {place: statistics.median(numbers) for place, numbers in samples.items() if numbers}


def best_peer(row, values):
    """The best number of the other servers in this row, or None."""
    others = [value for (key, server), value in values.items() if key == row.key and server not in (OURS, LIMIT)]
    return (max if row.more_is_better else min)(others, default=None)


def ratio_to_peer(row, values):
    """How many times better we are than the best peer: above 1 is better, whichever way the row counts."""
    ours, best = values.get((row.key, OURS)), best_peer(row, values)
    if not ours or not best:
        return "-"
    return f"{ours / best if row.more_is_better else best / ours:.1f}x"


def ratio_to_limit(row, values):
    """Rates as a part of what the relay passes; times and costs as a multiple of what it takes."""
    ours, limit = values.get((row.key, OURS)), values.get((row.key, LIMIT))
    if not ours or not limit:
        return "-"
    return f"{100 * ours / limit:.0f} %" if row.more_is_better else f"{ours / limit:.2f}x"


def number(value, digits):
    return f"{value:,.{digits}f}"


def cell(row, server, values, failures):
    if (row.key, server) in values:
        return number(values[row.key, server], row.digits) + (" (!)" if (row.key, server) in failures else "")
    return "failed" if (row.key, server) in failures else "-"


def markdown(rows, servers, samples, failures):
    """The table; a number is marked (!) where some of its work failed."""
    values = medians(samples)
    lines = [f"| work | {' | '.join(servers)} | to the best peer | to the relay |",
             "| --- " * (len(servers) + 3) + "|"]
    for row in rows:
        cells = [cell(row, server, values, failures) for server in servers]
        cells += [ratio_to_peer(row, values), ratio_to_limit(row, values)]
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
