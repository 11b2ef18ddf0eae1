"""What `carelane up` says when it is ready: where, as whom, and what to try first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch.seed.people import DEMO_ACCOUNTS, DEMO_PASSWORD, DEMO_TOTP_SECRET

if TYPE_CHECKING:
    from pathlib import Path

    from launch.terminal import Terminal

SEARCH = "carelane.directory.v1.DirectoryService/SearchDoctors"


def show(terminal: Terminal, *, rest: str, grpc: str, folder: Path, demo: bool) -> None:
    """Print the addresses, the demo accounts and three things to try."""
    terminal.say("\n[bold green]Carelane is ready.[/bold green]")
    pages = f"{rest}   (pages to read and try: {rest}/docs)"
    mail = f"{rest}/inbox   (what would be sent by mail)"
    terminal.rows([("REST", pages), ("gRPC", grpc), ("Mail", mail), ("Data", str(folder))])
    if demo:
        terminal.say(f"\nDemo accounts, all with the password [bold]{DEMO_PASSWORD}[/bold]")
        terminal.rows([(email, role) for role, (_, _, email) in DEMO_ACCOUNTS.items()])
        terminal.say("\nAdministrator and clinic need a second factor, too; as the administrator:")
        terminal.say(f"  {to_sign_in(rest)}")
    terminal.say("\nThree things to try")
    for command in to_try(rest, grpc):
        terminal.say(f"  {command}")
    terminal.say("\nCtrl-C stops everything.")


def to_sign_in(rest: str) -> str:
    """Return the command that signs the administrator in; a test runs it."""
    post = "-H 'Content-Type: application/json' -d"
    email = DEMO_ACCOUNTS["admin"][2]
    password = f'{{"email":"{email}","password":"{DEMO_PASSWORD}"}}'
    cut = """sed 's/.*pendingToken":"//;s/".*//'"""
    code = f"$(.venv/bin/carelane totp {DEMO_TOTP_SECRET})"
    return (
        f"pending=$(curl -s {rest}/api/auth/login {post} '{password}' | {cut}); "
        f"curl -s {rest}/api/auth/login/complete {post} "
        f'"{{\\"pendingToken\\":\\"$pending\\",\\"code\\":\\"{code}\\"}}"'
    )


def to_try(rest: str, grpc: str) -> list[str]:
    """Return the commands that the welcome suggests; a test runs them."""
    body = '{"symptoms":"chest pain"}'
    buf = "  or .venv/bin/buf curl --protocol grpc --http2-prior-knowledge"
    return [
        f"curl '{rest}/api/doctors?symptoms=chest+pain'",
        f"grpcurl -plaintext -d '{body}' {grpc} {SEARCH}",
        f"{buf} -d '{body}' http://{grpc}/{SEARCH}",
        f"open {rest}/docs",
    ]
