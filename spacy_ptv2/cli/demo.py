"""``spacy ptv2 demo``: a page in the browser that shows what pipelines find in a text."""

from __future__ import annotations

from typing import Annotated

import typer
from wasabi import msg

from ..errors import PTuningError
from .messages import fail, saying


def demo_cli(
    pipelines: Annotated[
        list[str],
        typer.Argument(help="Installed pipelines or folders, all over one backbone; NAME=PIPELINE to name one."),
    ],
    host: Annotated[str, typer.Option("--host", help="Where to listen. By default nobody else can reach it.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option("--port", "-p", help="0 for a free one.", min=0, max=65535)] = 8000,
) -> None:
    """Show entities, tags, frames, classes and answers of a text that you type, of all pipelines in one pass."""
    from ..demo.server import address_of, check_extra, listen, run

    try:
        check_extra()
        from ..demo.app import create_app
        from ..demo.loading import load_tasks
        from ..demo.page_guard import is_loopback
        from ..serving.naming import name_pipelines

        named = name_pipelines(pipelines)
        with saying("PW44"):
            bank, offers = load_tasks(named)
        listening = listen(host, port)
    except PTuningError as error:
        fail("Cannot show the demo", str(error))
    if not is_loopback(host):
        msg.warn(f"Whoever can reach {host} can use this page; it has neither passwords nor TLS")
    msg.good(f"Open {address_of(listening)} in a browser; Ctrl+C stops the demo")
    run(create_app(bank, offers, host), listening)
