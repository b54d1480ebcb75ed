"""What a page is made of: values that know nothing of HTML, of runs or of any kind of problem."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal


@dataclasses.dataclass(frozen=True)
class Figure:
    """One headline number: its name, the number as it is shown, and what it needs to be understood."""

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
    """A paragraph that stands out, with a command to type where there is one."""

    text: str
    kind: Literal["note", "warning", "error"] = "note"
    command: str = ""


@dataclasses.dataclass(frozen=True)
class Code:
    """Text of a file, folded away under its title."""

    title: str
    text: str


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: what stands above it.
        form: format specification of its numbers (".2%"); columns that have one are set flush right.
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
        return format(value, self.form).replace("%", " %")


@dataclasses.dataclass(frozen=True)
class Table:
    """A table; the first cell of each row names the row.

    Attributes:
        caption: what it shows.
        columns: titles and formats.
        rows: values, None for an empty cell.
        sortable: readers can sort it by each column.
        half: half the page wide, where there is room for two.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    sortable: bool = False
    half: bool = False


@dataclasses.dataclass(frozen=True)
class Chart:
    """A chart that can be hovered, and the same in words and numbers.

    Attributes:
        title: what it shows.
        figure: `data` and `layout` of a plotly figure. Colours are names of the page's own: "--chart-1" to
            "--chart-7", "--text", ...; `label` has to go over every text that is not ours.
        summary: what a reader sees in it, in a sentence; read out in its place.
        table: its numbers.
        half: half the page wide, where there is room for two.
    """

    title: str
    figure: Mapping[str, Any]
    summary: str
    table: Table | None = None
    half: bool = False


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture as a data URI, small ones to be drawn with square pixels."""

    source: str
    width: int
    height: int
    alt: str
    caption: str


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Pictures, side by side; large ones as large as they are."""

    items: Sequence[Picture]
    large: bool = False


@dataclasses.dataclass(frozen=True)
class Sheet:
    """Pictures in rows and columns; their own captions are not shown.

    Attributes:
        caption: what it shows.
        columns: a title above each column; the last one stands over all that are left.
        rows: what names a row, and its pictures.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Picture]]]


Block = Figures | Text | Notice | Code | Table | Chart | Pictures | Sheet


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the page with a heading; the navigation lists it."""

    title: str
    blocks: Sequence[Block]


def label(text: str, limit: int = 28) -> str:
    """Return a text as plotly shows it unchanged: it reads some HTML in what it is given.

    Args:
        text: any text.
        limit: longer ones are cut in their middle.
    """
    if len(text) > limit:
        half = (limit - 3) // 2
        text = f"{text[: limit - 3 - half]}...{text[-half:]}"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def percent(value: float, digits: int = 2) -> str:
    """Return a part of one (0..1) as text: "98.35 %"."""
    return f"{100 * value:.{digits}f} %"
