"""What a line of JSON may become in a file that lost power or was written over."""

DAMAGED_LINES = {
    "no JSON": b"x",
    "zeros": bytes(64),
    "no UTF-8": b"\xff\xfe",
    "a list": b"[1]",
    "nested": b"[" * 100_000,
}
"""None of which is an object; without their ends."""
