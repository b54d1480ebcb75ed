"""Decodes text files, whatever they were written with."""

import codecs
from collections.abc import Sequence
from pathlib import Path

from kerasdl.data.labelled.listing import named

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before that of UTF-16, which it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

_AS_WINDOWS = "kerasdl.windows"


def marked(content: bytes) -> str | None:
    """Return the encoding that a byte-order mark says; None without one."""
    return next((encoding for mark, encoding in _MARKS.items() if content.startswith(mark)), None)


def decode(content: bytes) -> tuple[str, bool]:
    """Return a text, and whether its encoding had to be guessed.

    A byte-order mark says which encoding it is. Without one it is UTF-8; what cannot be that is Windows-1252
    (which contains ISO 8859-1), so that one line of another origin spoils no other; UTF-16 without a mark is
    told by its zeros.
    """
    if (encoding := marked(content)) is not None:
        return content.decode(encoding, errors="replace"), False
    head = content[:2000]
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if len(zeros) > 1 and zeros.count(0) > 0.4 * len(zeros):
            return content.decode(encoding, errors="replace"), True
    try:
        return content.decode("utf-8"), False
    except UnicodeDecodeError:
        return content.decode("utf-8", errors=_AS_WINDOWS), True


def _as_windows(error: UnicodeError) -> tuple[str, int]:
    """Return the letters that a few bytes are in Windows-1252, and where to go on."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", errors="replace"), error.end


codecs.register_error(_AS_WINDOWS, _as_windows)


def guessed_note(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the sentence about files whose encoding was guessed; none where there are none."""
    if not paths:
        return ()
    count = "1 file is" if len(paths) == 1 else f"{len(paths):,} files are"
    return (
        f"{count} not UTF-8, and read as Windows-1252, where it cannot be UTF-8, or as UTF-16: "
        f"{named([path.name for path in paths])}. Save them as UTF-8 if letters are wrong.",
    )
