"""Import contracts that find the domains by themselves: a new one is held from its first line.

A domain is a folder of the server that is not core.
"""

from collections.abc import Iterator

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output

CORE = "core"
PRIVATE = {"models", "servicer"}


def part(module: str, number: int) -> str:
    """Name the folder or file at that depth of a server module; empty when there is none."""
    parts = module.split(".")
    return parts[number] if parts[0] == "server" and len(parts) > number else ""


def links(graph: ImportGraph) -> Iterator[tuple[str, str]]:
    for importer in sorted(graph.modules):
        for imported in sorted(graph.find_modules_directly_imported_by(importer)):
            yield importer, imported


class _SingleImports(Contract):
    """Looks at each import by itself, and shows the refused ones with their lines."""

    @staticmethod
    def refuses(importer: str, imported: str) -> bool:
        raise NotImplementedError

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002 - its form
        broken = [
            f"{importer} imports {imported} (line {detail['line_number']})"
            for importer, imported in links(graph)
            if self.refuses(importer, imported)
            for detail in graph.get_import_details(importer=importer, imported=imported)
        ]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for line in check.metadata["broken"]:
            output.print_error(line)


class CoreAlone(_SingleImports):
    """Core imports nothing of this house but core."""

    type_name = "core_alone"

    @staticmethod
    def refuses(importer: str, imported: str) -> bool:
        return part(importer, 1) == CORE and part(imported, 1) != CORE and imported != "server"


class DomainsMeetAtServices(_SingleImports):
    """No domain imports another's tables or handlers."""

    type_name = "domains_meet_at_services"

    @staticmethod
    def refuses(importer: str, imported: str) -> bool:
        here, there = part(importer, 1), part(imported, 1)
        inside_a_domain = bool(part(importer, 2)) and here != CORE
        return inside_a_domain and here != there and part(imported, 2) in PRIVATE
