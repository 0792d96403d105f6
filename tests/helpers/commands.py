"""The command line, called as a person calls it."""

from typer.testing import CliRunner

from softjpeg.cli import app


def call(*words):
    """The result of ``softjpeg WORDS``."""
    return CliRunner().invoke(app, [str(word) for word in words])


def refusal(*words, code=2):
    """The one sentence that a command refuses with."""
    result = call(*words)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("softjpeg: ")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("softjpeg: ").rstrip("\n")
