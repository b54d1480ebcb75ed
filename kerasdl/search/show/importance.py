"""The importance of hyperparameters on the page of a search."""

from kerasdl.report import charts
from kerasdl.report.blocks import Block, Notice, Table, Text, label
from kerasdl.report.metrics import words
from kerasdl.search.importance import METHOD, Importances


def importance(found: Importances, objective: str) -> list[Block]:
    """Return the importance of each hyperparameter, or why it cannot be estimated."""
    if found.reason:
        return [Notice(f"Nothing can be said about the importance of hyperparameters. {found.reason}")]
    judged = [item for item in found.items if item.loss is not None]
    clear = [item for item in judged if item.loss > 2 * item.spread]
    names, places = [words(item.name) for item in judged], range(len(judged))
    bars = charts.bars(
        [item.loss for item in judged], places, "%{text}: %{x:.3f}", text=[*map(label, names)],
        textposition="none", orientation="h",
        marker={"color": ["--chart-1" if item in clear else "--muted" for item in judged]},
        error_x={"array": [item.spread for item in judged], "color": "--text", "thickness": 1, "width": 4},
    )  # fmt: skip
    said = ", ".join(f"{words(item.name)} ({item.loss:.2f})" for item in clear[:4])
    rest = len(judged) - len(clear)
    summary = f"What the rank by {words(objective)} hangs on, from {found.trials} completed trials: "
    summary += said or "no single hyperparameter"
    summary += f"; {rest} do not stand out from chance (muted)." if rest else "."
    about = (
        f"{METHOD} The forest's out-of-bag R^2 is {found.r2:.2f}: so much of how trials rank it foretells "
        f"for trials that it has not seen. Bars are means of several shuffles, whiskers their deviation."
    )
    forms = {
        "hyperparameter": None,
        "loss of R^2": ".3f",
        "+/-": ".3f",
        "active in trials": "d",
        "note": None,
    }
    rows = [
        [words(item.name), item.loss, None if item.loss is None else item.spread, item.trials, item.note]
        for item in found.items
    ]
    drawn = charts.chart(
        "What the outcome hangs on", [bars],
        (charts.axis("loss of R^2 when shuffled", rangemode="tozero"), charts.named_axis(names)), summary,
        height=90 + 30 * len(judged), table=Table.of("Importance", forms, rows),
    )  # fmt: skip
    return [drawn, Text(about)]
