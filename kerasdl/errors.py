"""The two ways a command can end badly, each with the exit code the command line gives it."""


class UsageError(ValueError):
    """Something the user gave cannot be used. Exit code 2, printed without a traceback.

    The message says what happened, what was expected and how to fix it.
    """


class RunFailedError(RuntimeError):
    """The work itself failed: training diverged, an artefact is not the same model. Exit code 1."""


class MachineError(RunFailedError):
    """The machine is at fault and not the work: a full disk, files that vanished. Exit code 1."""


def missing_name(package: str, name: str, supported: str) -> RunFailedError:
    """Return the error for a private name that an upgrade of a library has removed.

    Args:
        package: name of the library's distribution.
        name: the name, or the message of the ImportError or AttributeError.
        supported: versions that have it, ">=1.4.8,<1.5".
    """
    from importlib.metadata import version

    return RunFailedError(
        f"{package} {version(package)} no longer has what kerasdl uses of it: {name}. kerasdl supports "
        f'{package}{supported}: pip install "{package}{supported}".'
    )


def did_you_mean(word: str, known, cutoff: float = 0.6) -> str:
    """Return `" Did you mean 'lenet5'?"` for the known word nearest to `word`, or an empty string.

    Args:
        word: what was written.
        known: what there is.
        cutoff: similarity that is asked for, 0 to 1. Defaults to 0.6.
    """
    import difflib

    near = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f" Did you mean {near[0]!r}?" if near else ""
