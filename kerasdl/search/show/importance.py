"""The importance of hyperparameters on the page of a search."""

from kerasdl.report import charts
from kerasdl.report.blocks import Block, Chart, Column, Notice, Table, Text, label
from kerasdl.report.metrics import words
from kerasdl.search.importance import METHOD, Importances


def importance(found: Importances, objective: str) -> list[Block]:
    """Return the importance of each hyperparameter, or why it cannot be estimated."""
    if found.reason:
        return [Notice(f"Nothing can be said about the importance of hyperparameters. {found.reason}")]
    judged = [item for item in found.items if item.loss is not None]
    clear = [item for item in judged if item.loss > 2 * item.spread]
    names = [label(words(item.name)) for item in judged]
    bars = {
        "type": "bar", "orientation": "h", "showlegend": False,
        "x": [item.loss for item in judged], "y": list(range(len(judged))),
        "text": names, "textposition": "none",
        "marker": {"color": ["--chart-1" if item in clear else "--muted" for item in judged]},
        "error_x": {"array": [item.spread for item in judged], "color": "--text", "thickness": 1, "width": 4},
        "hovertemplate": "%{text}: %{x:.3f}<extra></extra>",
    }  # fmt: skip
    layout = charts.layout(
        90 + 30 * len(judged),
        {"title": {"text": "loss of R^2 when shuffled"}, "rangemode": "tozero"},
        {"autorange": "reversed", "tickvals": bars["y"], "ticktext": names, "ticksuffix": " ",
         "showgrid": False, "zeroline": False},
        legend=False,
    )  # fmt: skip
    said = (
        ", ".join(f"{words(item.name)} ({item.loss:.2f})" for item in clear[:4]) or "no single hyperparameter"
    )
    rest = len(judged) - len(clear)
    said += f"; {rest} do not stand out from chance (muted)" if rest else ""
    summary = f"What the rank by {words(objective)} hangs on, from {found.trials} completed trials: {said}."
    about = (
        f"{METHOD} The forest's out-of-bag R^2 is {found.r2:.2f}: so much of how trials rank it foretells "
        f"for trials that it has not seen. Bars are means of several shuffles, whiskers their deviation."
    )
    figure = {"data": [bars], "layout": layout}
    return [Chart("What the outcome hangs on", figure, summary, _importance_table(found)), Text(about)]


def _importance_table(found: Importances) -> Table:
    columns = [Column("hyperparameter"), Column("loss of R^2", ".3f"), Column("+/-", ".3f")]
    columns += [Column("active in trials", "d"), Column("note")]
    rows = [
        [words(item.name), item.loss, None if item.loss is None else item.spread, item.trials, item.note]
        for item in found.items
    ]
    return Table("Importance", columns, rows)
