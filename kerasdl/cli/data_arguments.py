"""The arguments of commands that look at data: what it is, and the flags of the kinds that it may be."""

import argparse
from typing import Any

from kerasdl.cli.parser import Parser


def parse(parser: Parser, arguments: list[str]) -> tuple[argparse.Namespace, dict[str, Any]]:
    """Parse the arguments of a command; return its values, and the fields of the data that were given.

    Raises:
        UsageError: for unknown data and flags.
    """
    parser.add_argument(
        "data", metavar="DATA", help="what --data takes: a folder of images, a file, or a name such as digits"
    )
    if arguments and not arguments[0].startswith("-"):
        from kerasdl.cli import flags
        from kerasdl.data import guess

        flags.add_sources(parser, guess.kinds(arguments[0]))
    elif arguments[:1] not in ([], ["--help"], ["-h"]):
        parser.error("The data comes first")
    values = parser.parse(arguments)
    parts = {key.partition("."): value for key, value in vars(values).items()}
    return values, {name: value for (part, dot, name), value in parts.items() if dot and part == "data"}
