"""The blocks of a page, as plain values without HTML."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import rich.table


@dataclasses.dataclass(frozen=True)
class Figure:
    """A headline number: its name, its text and a note."""

    name: str
    value: str
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Figures:
    """Headline numbers, side by side."""

    items: Sequence[Figure]


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclasses.dataclass(frozen=True)
class Notice:
    """A highlighted paragraph, with a command to type where there is one."""

    text: str
    kind: Literal["note", "warning", "error"] = "note"
    command: str = ""


@dataclasses.dataclass(frozen=True)
class Code:
    """The text of a file, collapsed under its title unless it is `open`."""

    title: str
    text: str
    open: bool = False


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: title of the column.
        form: format specification of its numbers (".2%"); such columns are aligned right.
    """

    title: str
    form: str | None = None

    @property
    def numeric(self) -> bool:
        """Whether it holds numbers."""
        return self.form is not None

    def text(self, value: Any) -> str:
        """Return a cell's text; empty for None."""
        if value is None:
            return ""
        if self.form is None or isinstance(value, str):
            return str(value)
        try:
            if self.form.endswith("g") and abs(value) >= 1000 and value == int(value):
                return f"{value:,.0f}"  # a count: ".4g" would round it
            return format(value, self.form).replace("%", " %")
        except (TypeError, ValueError, OverflowError):  # of a document that holds something else
            return str(value)


def headline(figures: Mapping[str, Any], titles: Mapping[str, tuple[str, str, str]]) -> list[Figures]:
    """Return the headline numbers of some figures; those that are not there are left out.

    Args:
        figures: name -> number.
        titles: name -> title, format, and note; other figures go into its braces.
    """
    items = []
    for name, (title, form, note) in titles.items():
        if figures.get(name) is None:
            continue
        try:
            said = note.format(**figures)
        except (KeyError, ValueError, TypeError):  # what the note needs was not measured
            said = ""
        items.append(Figure(title, Column("", form).text(figures[name]), said))
    return [Figures(items)] if items else []


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; the first cell of each row names the row.

    Attributes:
        caption: title of the table.
        columns: titles and formats of the columns.
        rows: values of the cells, texts, numbers or pictures; None for an empty one.
        sortable: whether readers can sort it by each column.
        half: whether it is half as wide as the page.
        links: address that the first cell of each row leads to, "" for none. Defaults to no links.
        folded: whether it is shown when its caption is clicked.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    sortable: bool = False
    half: bool = False
    links: Sequence[str] = ()
    folded: bool = False

    @classmethod
    def of(
        cls, caption: str, forms: Mapping[str, str | None], rows: Sequence[Sequence[Any]], **more
    ) -> "Table":
        """Return a table of some titles with the formats of their columns."""
        return cls(caption, [Column(title, form) for title, form in forms.items()], rows, **more)

    def __rich__(self) -> "rich.table.Table":
        """Return the table as rich draws it in a terminal."""
        from rich.table import Table as RichTable
        from rich.text import Text as RichText

        made = RichTable(
            title=self.caption, title_justify="left", title_style="bold", box=None, pad_edge=False
        )
        for column in self.columns:
            side = "right" if column.numeric else "left"
            made.add_column(RichText(column.title), justify=side, header_style="dim")
        for row in self.rows:
            cells = zip(self.columns, row, strict=True)
            made.add_row(*(RichText(column.text(cell)) for column, cell in cells))
        return made


def turned(table: Table, name: str = "{}") -> Table:
    """Return a table with its rows as columns; `name` is the title of the column of a row's first cell."""
    first, *rest = table.columns
    columns = [Column(""), *(Column(name.format(first.text(row[0])), "") for row in table.rows)]
    texts = [[column.text(cell) for column, cell in zip(rest, row[1:], strict=True)] for row in table.rows]
    rows = [[column.title, *cells] for column, *cells in zip(rest, *texts, strict=True)]
    return Table(table.caption, columns, rows, half=table.half, folded=table.folded)


@dataclasses.dataclass(frozen=True)
class Chart:
    """An interactive chart, with its content in words and numbers.

    Attributes:
        title: title of the chart.
        figure: `data` and `layout` of a plotly figure. Colours are names of the page's own: "--chart-1" to
            "--chart-7", "--text", ...; apply `label` to every text of a user.
        summary: sentence for screen readers.
        table: table of its numbers.
        half: whether it is half as wide as the page.
    """

    title: str
    figure: Mapping[str, Any]
    summary: str
    table: Table | None = None
    half: bool = False


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture as a data URI; small ones are drawn with square pixels."""

    source: str
    width: int
    height: int
    alt: str
    caption: str


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Pictures, side by side.

    Attributes:
        items: the pictures.
        large: whether each has its own size, one below the other.
        strip: whether each has its own size, beside each other.
    """

    items: Sequence[Picture]
    large: bool = False
    strip: bool = False


@dataclasses.dataclass(frozen=True)
class Words:
    r"""A text whose words, or characters, are shaded by a number.

    Attributes:
        title: title of the text.
        words: each word as it is written, and its number; None for one that has none.
        signed: whether numbers below 0 have a colour of their own; else all are 0 or more.
        half: whether it is half as wide as the page.
        unit: "word", or "character" for those that stand close to each other; a line ends after `\n`.
        decimals: decimals of the numbers where one points at a word.
    """

    title: str
    words: Sequence[tuple[str, float | None]]
    signed: bool = True
    half: bool = False
    unit: Literal["word", "character"] = "word"
    decimals: int = 3

    @property
    def largest(self) -> float:
        """The largest number, without its sign; 1 where there is none."""
        return max((abs(value) for _, value in self.words if value), default=1.0)

    @property
    def table(self) -> Table:
        """The words that have a number, in the order of the text; characters with places from the end."""
        form, count = f"{'+' if self.signed else ''},.{self.decimals + 1}f", len(self.words)
        rows = [
            [f"{word}({place - count})" if self.unit == "character" else word, value]
            for place, (word, value) in enumerate(self.words)
            if value is not None
        ]
        return Table(
            f"{self.title}: the numbers", [Column(self.unit), Column("score", form)], rows, sortable=True
        )


Block = Figures | Text | Notice | Code | Table | Chart | Pictures | Words


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page with a heading; the navigation lists it."""

    title: str
    blocks: Sequence[Block]


def label(text: str, limit: int = 28) -> str:
    """Return a text escaped for plotly, which reads some HTML.

    Args:
        text: text to escape.
        limit: number of characters; longer texts are cut in their middle.
    """
    if len(text) > limit:
        half = (limit - 3) // 2
        text = f"{text[: limit - 3 - half]}...{text[-half:]}"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def percent(value: float, digits: int = 2) -> str:
    """Return a part of one (0..1) as text: "98.35 %"."""
    return f"{100 * value:.{digits}f} %"
