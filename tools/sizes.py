"""Hold functions and files to the sizes that docs and design promise.

A function's length is its lines from `def` to the last statement, without its docstring.
"""

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

FUNCTION_MOST, FUNCTION_90, FUNCTION_MEDIAN = 50, 25, 8
FILE_MOST, FILE_90 = 400, 250


def main(folders: list[str]) -> int:
    paths = [path for folder in folders for path in sorted(Path(folder).rglob("*.py"))]
    files = {str(path): len(path.read_text("utf-8").splitlines()) for path in paths}
    functions = {name: lines for path in paths for name, lines in function_lines(path)}
    if not files or not functions:
        return 0
    problems = [
        *above("file", files, FILE_MOST, FILE_90),
        *above("function", functions, FUNCTION_MOST, FUNCTION_90),
    ]
    median = statistics.median(functions.values())
    if median > FUNCTION_MEDIAN:
        problems.append(f"the median function has {median:g} lines; {FUNCTION_MEDIAN} is the most")
    print("\n".join(problems) or summary(files, functions))
    return bool(problems)


def function_lines(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path}:{node.lineno} {node.name}", length(node)


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    whole = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is None:
        return whole
    docstring = function.body[0]
    return whole - ((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1)


def above(kind: str, sizes: dict[str, int], most: int, ninety: int) -> Iterator[str]:
    for name, lines in sizes.items():
        if lines > most:
            yield f"{name}: a {kind} of {lines} lines; {most} is the most"
    large = {name: lines for name, lines in sizes.items() if lines > ninety}
    if len(large) * 10 > len(sizes) and len(large) > 1:
        named = ", ".join(f"{name} ({lines})" for name, lines in large.items())
        yield f"more than one {kind} in ten has over {ninety} lines: {named}"


def summary(files: dict[str, int], functions: dict[str, int]) -> str:
    lengths = sorted(functions.values())
    return (
        f"{len(files)} files, the longest {max(files.values())} lines; {len(lengths)} functions, "
        f"median {statistics.median(lengths):g}, 90 % within {lengths[len(lengths) * 9 // 10]}, "
        f"the longest {lengths[-1]}."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
