"""The checks of imports and sizes see what they are there to see."""

from pathlib import Path

import pytest
from grimp import ImportGraph

from tools import sizes
from tools.import_contracts import CoreAlone, DomainsMeetAtServices


def kept(contract: type, importer: str, imported: str) -> bool:
    graph = ImportGraph()
    graph.add_import(importer=importer, imported=imported, line_number=3, line_contents="import")
    return contract("contract", {}, {}).check(graph, verbose=False).kept


@pytest.mark.parametrize(
    "imported", ["server.auth.service", "server.app", "server.settings", "bff.app", "launch.cli"]
)
def test_core_may_not_import_the_rest(imported: str) -> None:
    assert not kept(CoreAlone, "server.core.rpc", imported)


def test_core_imports_core_and_domains_import_core() -> None:
    assert kept(CoreAlone, "server.core.rpc", "server.core.errors")
    assert kept(CoreAlone, "server.auth.service", "server.core.errors")


@pytest.mark.parametrize("private", ["models", "servicer"])
def test_a_domain_may_not_reach_into_another(private: str) -> None:
    assert not kept(DomainsMeetAtServices, "server.admin.service", f"server.auth.{private}")


def test_a_domain_calls_anothers_service_and_app_wires_all() -> None:
    assert kept(DomainsMeetAtServices, "server.admin.service", "server.auth.service")
    assert kept(DomainsMeetAtServices, "server.auth.service", "server.auth.models")
    assert kept(DomainsMeetAtServices, "server.app", "server.auth.servicer")


@pytest.mark.parametrize(("lines", "code"), [(50, 0), (51, 1)])
def test_a_function_has_at_most_fifty_lines(tmp_path: Path, lines: int, code: int) -> None:
    short = "".join(f"def f{n}():\n    return {n}\n" for n in range(12))
    body = "    pass\n" * (lines - 1)
    (tmp_path / "long.py").write_text(f"{short}def long():\n{body}", "utf-8")
    assert sizes.main([str(tmp_path)]) == code


@pytest.mark.parametrize(("lines", "code"), [(400, 0), (401, 1)])
def test_a_file_has_at_most_four_hundred_lines(tmp_path: Path, lines: int, code: int) -> None:
    (tmp_path / "long.py").write_text("def f():\n    return 1\n" + "\n" * (lines - 2), "utf-8")
    assert sizes.main([str(tmp_path)]) == code


def test_a_docstring_does_not_count(tmp_path: Path) -> None:
    docstring = '    """Say.\n' + "    more\n" * 60 + '    """\n'
    (tmp_path / "said.py").write_text(f"def f():\n{docstring}    return 1\n", "utf-8")
    assert sizes.main([str(tmp_path)]) == 0
