"""From the figures of all rounds to a table: medians, and ratios to the first broker.

A round is a dict: `notes` (why it is invalid; empty if it is not), `lost`, `bench`
(the JSON of courtier-bench) and the figures that the comparison derived.
"""

import statistics

# Work that is neither the broker's nor the generator's, as a share of all CPUs.
OTHERS_SHOWN = 0.05


def field(*path, scale=1.0):
    """How to get one number out of a round; None where it is not there."""
    def get(one):
        value = one
        for key in path:
            value = value.get(key) if value is not None else None
        return None if value is None else value * scale
    return get


def rate(count, seconds):
    """How to get a count per second of courtier-bench out of a round."""
    def get(one):
        bench = one.get("bench")
        return bench[count] / bench[seconds] if bench and bench[seconds] else None
    return get


P50 = ("p50 us", field("bench", "latency_us", "p50"))
P99 = ("p99 us", field("bench", "latency_us", "p99"))
ACK_P50 = ("ack p50 us", field("bench", "ack_us", "p50"))
ACK_P99 = ("ack p99 us", field("bench", "ack_us", "p99"))
WRITTEN = [("B/msg", field("kept_bytes")), ("B/msg kernel", field("written_bytes"))]
CONNECT_P50 = ("p50 us", field("bench", "connect_us", "p50"))
CONNECT_P99 = ("p99 us", field("bench", "connect_us", "p99"))

# Per kind of scenario: the figure of record, which the ratios are of, and what
# stands beside it.
COLUMNS = {
    "message": [("CPU us/msg", field("cpu_us")), ("msg/s", rate("delivered", "elapsed_s")),
                P50, P99, ("slices/1k", field("slices", scale=1000)),
                ("peak MiB", field("pss_peak_kib", scale=1 / 1024))],
    "connect": [("CPU us/conn", field("cpu_us")), ("conn/s", rate("connects", "elapsed_s")),
                CONNECT_P50, CONNECT_P99,
                ("suback us", field("bench", "subscribe_us", "p50"))],
    "retained": [("CPU us/read", field("cpu_us")), ("CPU us/set", field("set_us")),
                 ("set/s", rate("sent", "elapsed_s")), ("read/s", rate("delivered", "read_s")),
                 P50, P99],
    "kept": [("CPU us/msg", field("cpu_us")), ("msg/s", rate("delivered", "elapsed_s")),
             P50, P99, ACK_P50, ACK_P99, *WRITTEN],
    "store": [("ack/s", rate("settled", "elapsed_s")), ACK_P50,
              ("p90", field("bench", "ack_us", "p90")), ACK_P99, ("CPU us/msg", field("set_us")),
              *WRITTEN, ("CPU us/read", field("cpu_us")), ("read/s", rate("delivered", "read_s"))],
    "reconnect": [("s to read", field("bench", "read_s")), ("CPU us/read", field("cpu_us")),
                  ("read/s", rate("delivered", "read_s")), P50, P99,
                  ("set/s", rate("settled", "elapsed_s")),
                  ("peak MiB", field("pss_peak_kib", scale=1 / 1024))],
    "idle": [("KiB/client", field("kib_per_client")),
             ("base MiB", field("pss_start_kib", scale=1 / 1024)), CONNECT_P50, CONNECT_P99],
}


def quartiles(values):
    """Lower quartile, median, upper quartile."""
    if len(values) < 2:
        return values[0], values[0], values[0]
    return tuple(statistics.quantiles(values, n=4, method="inclusive"))


def ratio_text(get, rounds, base):
    """Median and quartiles of the round-by-round ratios against the first broker."""
    ratios = [get(one) / get(other) for one, other in zip(rounds, base)
              if not one["notes"] and not other["notes"] and get(other)]
    if not ratios:
        return "-"
    low, middle, high = quartiles(ratios)
    return f"{middle:.3f} [{low:.3f} {high:.3f}]"


def median_text(get, rounds):
    """The median over the valid rounds, three digits or whole."""
    values = [get(one) for one in rounds if not one["notes"]]
    values = [value for value in values if value is not None]
    if not values:
        return "-"
    value = statistics.median(values)
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def note_text(rounds):
    """What was wrong, and how often."""
    counts = {}
    for one in rounds:
        for note in one["notes"]:
            counts[note] = counts.get(note, 0) + 1
    parts = [f"INVALID {count}/{len(rounds)}: {note}" for note, count in counts.items()]
    lost = sum(one.get("lost", 0) for one in rounds)
    if lost:
        parts.append(f"lost {lost}")
    others = statistics.median(one.get("others", 0) for one in rounds)
    if others > OTHERS_SHOWN:
        parts.append(f"others took {others:.0%} of the machine")
    return "; ".join(parts)


def print_table(title, kind, results, bases, out):
    """`results` is {row: [round, ...]}, `bases` {row: the row that it is measured against}."""
    columns = COLUMNS[kind]
    record = columns[0][1]
    rows = [["", columns[0][0], "ratio [quartiles]", *(name for name, _ in columns[1:]), ""]]
    for broker, rounds in results.items():
        cells = [median_text(get, rounds) for _, get in columns]
        ratio = ratio_text(record, rounds, results[bases[broker]])
        rows.append([broker, cells[0], ratio, *cells[1:], note_text(rounds)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    print(f"\n{title}", file=out)
    for row in rows:
        cells = "  ".join(cell.rjust(width) for cell, width in zip(row[1:-1], widths[1:]))
        print(f"  {row[0].ljust(widths[0])}  {cells}  {row[-1]}".rstrip(), file=out)
    out.flush()
