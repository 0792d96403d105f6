"""A run's log: one JSON object a line, always; TensorBoard's event files where wanted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from softjpeg.common.files import write_atomically


class Log:
    """Appends records, each with the step it belongs to.

    Args:
        path: the .jsonl file.
        step, tested: where the run begins or begins again, and when it was last tested: later
            records are dropped, because the run will write them once more.
        tensorboard: folder for event files; None for none.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     log = Log(Path(folder, "log.jsonl"))
    ...     log.write("step", 10, loss=2.5)
    ...     read_log(Path(folder, "log.jsonl"))
    [{'event': 'step', 'step': 10, 'loss': 2.5}]
    """

    def __init__(
        self, path: Path, step: int = 0, tested: int = 0, tensorboard: Path | None = None
    ) -> None:
        self.path = path
        if path.is_file():
            until = {"test": tested}
            past = [r for r in read_log(path) if r["step"] <= until.get(r["event"], step)]
            lines = "".join(json.dumps(record) + "\n" for record in past)
            write_atomically(path, lines.encode())
        self._writer: Any = None
        if tensorboard is not None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                wanted = "pip install tensorboard, or leave train.tensorboard out"
                raise ImportError(f"TensorBoard cannot be imported ({error}): {wanted}") from error
            self._writer = SummaryWriter(str(tensorboard), purge_step=step + 1)

    def write(self, event: str, step: int, **values: Any) -> None:
        """Append a record, at once on disk."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, "step": step, **values}) + "\n")
        if self._writer is not None:
            for name, value in values.items():
                if isinstance(value, int | float):
                    self._writer.add_scalar(f"{event}/{name}", value, step)
            self._writer.flush()


def read_log(path: Path) -> list[dict[str, Any]]:
    """All records; what a killed process or lost power left half written at the end is dropped.

    Raises:
        ValueError: a line before records is none.
    """
    records: list[dict[str, Any]] = []
    damaged = 0
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        record = _record(line)
        if record is None:
            damaged = damaged or number
        elif damaged:
            raise ValueError(f"{path}, line {damaged}: this is no record of a run's log")
        else:
            records.append(record)
    return records


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    good = isinstance(found, dict) and isinstance(found.get("event"), str)
    return found if good and type(found.get("step")) is int else None
