"""The figures of engine-results.json as Markdown and as a picture."""

import statistics

PEERS = ["ONNX Runtime", "XGBoost", "LightGBM", "lleaves", "TL2cgen", "YDF", "scikit-learn"]
COLOURS = {"ONNX Runtime": "#8a8f98", "XGBoost": "#c0843a", "LightGBM": "#5d9e5f", "lleaves": "#9b6fb0",
           "TL2cgen": "#b8a03e", "YDF": "#3f8fb5", "scikit-learn": "#b9bcc2"}
OURS = {"avx512": ("#c2303a", "-"), "avx2": ("#c2303a", "--"), "portable": ("#c2303a", ":")}


def us(nanoseconds):
    """Microseconds with three digits."""
    if nanoseconds is None:
        return ""
    value = nanoseconds / 1000
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 \
        else f"{value:.3f}"


def is_ours(engine):
    return engine.startswith("martlet")


def ratio(case, batch, threads, ours, peers=None):
    """The fastest peer over ours: (ratio, peer); None where one of them is missing. Rounds are compared pairwise."""
    figures = case["figures"][str(threads)][str(batch)]
    found = {name: f for name, f in figures.items() if not is_ours(name) and (peers is None or name in peers)}
    if ours not in figures or not found:
        return None
    best = min(found, key=lambda name: found[name]["median"])
    mine = figures[ours]["rounds"]
    theirs = found[best]["rounds"]
    return statistics.median(b / a for a, b in zip(mine, theirs)), best


def case_table(case, batches):
    figures = case["figures"]["1"]
    engines = [e for e in case["engines"] if any(e in figures[str(b)] for b in batches)]
    lines = ["| µs a row, one thread, batch of | " + " | ".join(map(str, batches)) + " |", "|---" * (len(batches) + 1) + "|"]
    for engine in engines:
        cells = [figures[str(b)].get(engine, {}).get("median") for b in batches]
        name = f"**{engine}**" if is_ours(engine) else engine
        lines.append(f"| {name} | " + " | ".join(map(us, cells)) + " |")
    for ours in [e for e in engines if is_ours(e)]:
        cells = []
        for batch in batches:
            found = ratio(case, batch, 1, ours)
            cells.append(f"{found[0]:.1f} × {found[1]}" if found else "")
        lines.append(f"| fastest peer over {ours} | " + " | ".join(cells) + " |")
    return lines


def two_threads_table(results):
    batches = results["batches"]
    lines = ["| µs a row, two threads, batch of | " + " | ".join(map(str, batches)) + " |",
             "|---" * (len(batches) + 1) + "|"]
    for case in results["cases"]:
        ours = next((e for e in case["engines"] if is_ours(e)), None)
        cells = []
        for batch in batches:
            figures = case["figures"].get("2", {}).get(str(batch), {})
            found = ratio(case, batch, 2, ours) if ours in figures else None
            cells.append(f"{us(figures[ours]['median'])} ({found[0]:.1f} × {found[1]})" if found else "")
        lines.append(f"| {case['title']} | " + " | ".join(cells) + " |")
    return lines


def summary(results):
    """One line a case: what the fastest peer takes over what martlet takes."""
    batches = results["batches"]
    lines = ["| fastest peer's time over martlet's, batch of | " + " | ".join(map(str, batches)) + " |",
             "|---" * (len(batches) + 1) + "|"]
    for case in results["cases"]:
        for ours in [e for e in case["engines"] if is_ours(e)]:
            cells = []
            for batch in batches:
                found = ratio(case, batch, 1, ours)
                cells.append(f"{found[0]:.1f}" if found else "")
            lines.append(f"| {case['title']}, {ours.removeprefix('martlet ')} | " + " | ".join(cells) + " |")
    return lines


# What is aimed at: text, case, batches, kernels, and by peers how many times as long they have to take.
OTHERS = tuple(p for p in PEERS if p != "YDF")
BARS = [
    ("500 boosted trees of depth 6, batch 64 and more", "ydf-500-6", (64, 512, 4096), "avx512", {("YDF",): 8, OTHERS: 15}),
    ("the same with AVX2 alone", "ydf-500-6", (64, 512, 4096), "avx2", {("YDF",): 3, OTHERS: 6}),
    ("the same, batch 8", "ydf-500-6", (8,), "avx512", {("YDF",): 2, OTHERS: 6}),
    ("the same, batch 1", "ydf-500-6", (1,), "avx512", {("YDF",): 4, OTHERS: 8}),
    ("random forest, batch 64 and more", "forest-200", (64, 512, 4096), "avx512", {tuple(PEERS): 4}),
    ("random forest, batch 1", "forest-200", (1,), "avx512", {tuple(PEERS): 2}),
    ("pipeline with text columns", "logistic-text", (1, 8, 64, 512, 4096), "avx512",
     {("scikit-learn",): 20, ("ONNX Runtime",): 5}),
    ("neural net 64-32, batch 1", "mlp-64-32", (1,), "avx512", {tuple(PEERS): 2}),
    ("neural net 64-32, batch 512", "mlp-64-32", (512,), "avx512", {tuple(PEERS): 1}),
]


def bars(results):
    """What was aimed at and what was measured: the worst of the batches."""
    cases = {case["name"]: case for case in results["cases"]}
    lines = ["| aim, one thread | peers | at least | measured, worst batch | |", "|---|---|---|---|---|"]
    for text, name, batches, kernels, wanted in BARS:
        for peers, least in wanted.items():
            found = [(ratio(cases[name], b, 1, "martlet " + kernels, peers), b) for b in batches] if name in cases else []
            found = [(r, b) for r, b in found if r]
            if not found:
                continue
            (value, peer), batch = min(found, key=lambda f: f[0][0])
            who = peers[0] if len(peers) == 1 else f"the fastest{' but YDF' if peers == OTHERS else ''}"
            lines.append(f"| {text}, {kernels} | {who} | {least} × | {value:.1f} × {peer}, batch {batch} | "
                         f"{'met' if value >= least else 'missed'} |")
    return lines


def markdown(results):
    machine = results["machine"]
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}; {results['date']}, "
        f"{'quick run, ' if results['quick'] else ''}medians of {results['rounds']} interleaved rounds of "
        f"{results['seconds']} s, load average {machine['load']} at the start.",
        "",
        "Peers: " + ", ".join(f"{name} {version}" for name, version in results["versions"].items()) + ".", ""]
    lines += ["![µs a row by batch](images/engine.svg)", ""]
    lines += bars(results) + [""] + summary(results) + [""]
    for case in results["cases"]:
        notes = "; ".join(filter(None, [case["notes"], *case["remarks"]]))
        lines += [f"**{case['title']}**{' (' + notes + ')' if notes else ''}", "", *case_table(case, results["batches"]), ""]
    if any("2" in case["figures"] for case in results["cases"]):
        lines += ["Two threads, each with its own calls, time over all rows of both; in brackets how many times as long "
                  "the fastest peer takes:", "", *two_threads_table(results), ""]
    return "\n".join(lines).rstrip() + "\n"


def draw(results, *paths):
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "martlet"
    import matplotlib.pyplot as plt
    from matplotlib import ticker

    cases, batches = results["cases"], results["batches"]
    columns = 3
    rows = (len(cases) + columns - 1) // columns
    figure, axes = plt.subplots(rows, columns, figsize=(11, 2.9 * rows + 0.6), squeeze=False, sharex=True)
    handles = {}
    for axis, case in zip(axes.flat, cases):
        for engine in case["engines"]:
            values = [case["figures"]["1"][str(b)].get(engine, {}).get("median") for b in batches]
            points = [(b, v / 1000) for b, v in zip(batches, values) if v is not None]
            if not points:
                continue
            if is_ours(engine):
                colour, style = OURS.get(engine.removeprefix("martlet "), ("#c2303a", "-."))
                width, order = 1.8, 3
            else:
                colour, style, width, order = COLOURS.get(engine, "#333333"), "-", 1.1, 2
            (line,) = axis.plot(*zip(*points), color=colour, linestyle=style, linewidth=width, marker="o",
                                markersize=2.5, zorder=order, label=engine)
            handles.setdefault(engine, line)
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5), numticks=9))
        axis.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_xticks(batches, [str(b) for b in batches])
        axis.minorticks_off()
        axis.tick_params(labelsize=7)
        axis.grid(True, which="major", color="#e3e4e8", linewidth=0.6)
        axis.set_title(case["short"], fontsize=8.5)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    for axis in axes.flat[len(cases):]:
        axis.set_visible(False)
    for row in axes:
        row[0].set_ylabel("µs a row", fontsize=8)
    for index in range(len(cases) - min(columns, len(cases)), len(cases)):
        axes.flat[index].set_xlabel("rows a call", fontsize=8)
        axes.flat[index].tick_params(labelbottom=True)
    order = [e for e in handles if is_ours(e)] + [e for e in PEERS if e in handles]
    figure.legend([handles[e] for e in order], order, loc="upper center", ncol=min(5, len(order)), fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 1 - (0.55 / (2.9 * rows + 0.6))))
    for path in paths:
        figure.savefig(path, dpi=110, metadata={"Date": None} if str(path).endswith("svg") else None)
    plt.close(figure)
