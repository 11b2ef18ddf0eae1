"""Reading settings, and saying in words what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from launch.errors import Refusal

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

AnySettings = TypeVar("AnySettings", bound="BaseSettings")


def read(kind: type[AnySettings]) -> AnySettings:
    """Read settings from the environment; Refusal names each variable that is wrong."""
    try:
        return kind()
    except ValidationError as error:
        faults = "; ".join(_words(fault) for fault in error.errors(include_url=False))
        raise Refusal(f"The settings are refused: {faults}.") from None


def _words(fault: Any) -> str:
    name = ".".join(str(part) for part in fault["loc"]).upper()
    text = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "string_pattern_mismatch":
        text = "is written as HOST:PORT"  # addresses are the only settings with a pattern
    return f"{name}: {text}" if name else text
