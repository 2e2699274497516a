"""Text for terminals."""


def printable(text: str) -> str:
    """Replace what a file name may hold but a terminal cannot print: bytes that are not UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
