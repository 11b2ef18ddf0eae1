"""SQLAlchemy statements compiled once, at import, into what asyncpg takes.

It reads private attributes of the compiled object (the versions are locked, and a test runs every
column type through it); in return a query costs what a hand-written one costs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.sql import Executable

_DIALECT = PGDialect_asyncpg(  # type: ignore[no-untyped-call]
    # without its dbapi, range types have no constructor
    dbapi=PGDialect_asyncpg.import_dbapi(),  # type: ignore[no-untyped-call]
    json_serializer=lambda value: orjson.dumps(value).decode(),
)
_UNSUPPORTED = (
    "post_compile_params",
    "literal_execute_params",
    "insert_prefetch",
    "update_prefetch",
)


class Parameter(NamedTuple):
    """One `$n`: its name, what turns the value into asyncpg's, and the value written in place."""

    name: str
    process: Callable[[Any], Any] | None
    default: Any
    required: bool


class Statement:
    """A statement ready to run; `arguments` puts named values in the order of its text."""

    def __init__(self, executable: Executable) -> None:
        compiled: Any = executable.compile(dialect=_DIALECT)  # type: ignore[attr-defined]
        for attribute in _UNSUPPORTED:
            if getattr(compiled, attribute, None):
                raise TypeError(f"statement cannot be compiled once ({attribute}):\n{compiled}")
        self.text: str = compiled.string
        self.parameters = tuple(_parameter(compiled, name) for name in compiled.positiontup or ())
        self.names = frozenset(p.name for p in self.parameters)

    def only(self, values: dict[str, Any]) -> dict[str, Any]:
        """Answer those of the values that the statement takes."""
        return {name: value for name, value in values.items() if name in self.names}

    def arguments(self, values: dict[str, Any]) -> list[Any]:
        """Answer the positional values; TypeError for one that is missing or not known."""
        if not self.names.issuperset(values):
            raise TypeError(f"unknown parameters: {sorted(values.keys() - self.names)}")
        return [
            value if process is None or value is None else process(value)
            for name, process, default, required in self.parameters
            for value in (values[name] if required else values.get(name, default),)
        ]


def _parameter(compiled: Any, name: str) -> Parameter:
    bind = compiled.binds[name]
    return Parameter(
        bind.key if bind.required else name,
        compiled._bind_processors.get(name),
        None if bind.required else bind.effective_value,
        bind.required,
    )


def sql(executable: Executable) -> Statement:
    """Compile at import; TypeError for what would have to be compiled again for every call.

    Use `column == any_(bindparam(...))` instead of `in_()`, and `server_default` or explicit
    values instead of Python-side defaults.
    """
    return Statement(executable)
