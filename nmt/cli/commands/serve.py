"""`nmt serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nmt.cli.options import Quiet, Verbose, option
from nmt.cli.schema_options import with_decoding
from nmt.errors import UsageError
from nmt.inference.find_model import find_models

ACCESS = "Access"
LIMITS = "Limits"


@with_decoding("beam_size", "length_normalization", "alpha", "shortlist", "precision", "protect", "device", "threads")
def serve(
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="MODEL",
            help="Model files or run folders, one for each direction. Default: $NMT_MODEL, or the newest run.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str, option("--host", metavar="ADDRESS", help="Address to listen at. Default: 127.0.0.1, this machine only.")
    ] = "127.0.0.1",
    port: Annotated[
        int, option("--port", metavar="<int>", min=0, max=65535, help="Port. 0 means any free port. Default: 5000.")
    ] = 5000,
    pivot: Annotated[
        str | None,
        option(
            "--pivot",
            metavar="CODE",
            help="Language through which pairs without a model of their own are translated. Default: no such pairs.",
        ),
    ] = None,
    page: Annotated[bool, option("--page/--no-page", help="Serve the web page at /. Default: on.")] = True,
    suggestions: Annotated[
        Path | None,
        option(
            "--suggestions",
            metavar="FILE",
            help="JSON Lines file for translations that users suggest. Default: no suggestions.",
        ),
    ] = None,
    keys: Annotated[
        Path | None,
        option(
            "--keys",
            metavar="FILE",
            help="YAML file with hashes of API keys. Requests then need a key. Default: no keys.",
            rich_help_panel=ACCESS,
        ),
    ] = None,
    new_key: Annotated[
        str | None,
        option(
            "--new-key",
            metavar="NAME",
            help="Print a new API key, append its hash to the file of --keys, and exit.",
            rich_help_panel=ACCESS,
        ),
    ] = None,
    origins: Annotated[
        list[str] | None,
        option(
            "--origin",
            metavar="URL",
            help="Web site whose pages may send requests (CORS). * means all. Repeatable. Default: none.",
            rich_help_panel=ACCESS,
        ),
    ] = None,
    trusted_proxies: Annotated[
        str,
        option(
            "--trusted-proxies",
            metavar="LIST",
            help="Addresses of reverse proxies that name the client in X-Forwarded-For, separated by commas. Default: "
            "none.",
            rich_help_panel=ACCESS,
        ),
    ] = "",
    requests_per_minute: Annotated[
        int | None,
        option(
            "--requests-per-minute",
            metavar="<int>",
            min=1,
            help="Most requests of an address or key in a minute. Default: no limit.",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    max_characters: Annotated[
        int,
        option(
            "--max-characters",
            metavar="<int>",
            min=1,
            help="Most characters of a request. Default: 50000.",
            rich_help_panel=LIMITS,
        ),
    ] = 50_000,
    max_seconds: Annotated[
        float,
        option(
            "--max-seconds",
            metavar="<float>",
            min=0.1,
            help="Longest time of a request. Default: 120.",
            rich_help_panel=LIMITS,
        ),
    ] = 120.0,
    queue_lines: Annotated[
        int,
        option(
            "--queue-lines",
            metavar="<int>",
            min=1,
            help="Most lines that wait for each model. Further requests get status 429. Default: 10000.",
            rich_help_panel=LIMITS,
        ),
    ] = 10_000,
    cache_lines: Annotated[
        int,
        option(
            "--cache-lines",
            metavar="<int>",
            min=0,
            help="Translations of repeated lines that are kept for each model. 0 means none. Default: 10000.",
            rich_help_panel=LIMITS,
        ),
    ] = 10_000,
    connections: Annotated[
        int,
        option(
            "--connections",
            metavar="<int>",
            min=1,
            help="Most connections at once. Further ones replace those that send nothing, or get status 503. Default: "
            "1000.",
            rich_help_panel=LIMITS,
        ),
    ] = 1_000,
    log_format: Annotated[
        Literal["text", "json"],
        option(
            "--log-format",
            help="Form of the log. json writes a JSON object per line, also for each request, without texts, keys and "
            "addresses. Default: text.",
        ),
    ] = "text",
    *,
    decoding: dict[str, Any],
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Serve models over HTTP, with the interfaces of LibreTranslate and DeepL and a web page.

    Requires the extra serve. Other programs use the address as they use LibreTranslate. The page at / translates as
    one types. SIGHUP loads the models again. SIGTERM and Ctrl-C finish the requests in progress.

    For example:

      nmt serve runs/de-en runs/en-de --port 5000
      nmt serve --keys keys.yaml --new-key weblate
    """
    if new_key is not None:
        _append_key(keys, new_key)
        return
    paths = find_models(models or None)
    try:
        from nmt.server.application import make_service
        from nmt.server.run import serve as run_server
    except ModuleNotFoundError as error:
        raise UsageError(f'{error.name} is missing. Install it with: pip install "attention-nmt[serve]"') from None
    from nmt import log
    from nmt.server.batching import BatcherLimits
    from nmt.server.directions import Directions
    from nmt.server.settings import ServerSettings

    log.setup_server(as_json=log_format == "json")
    limits = BatcherLimits(waiting_lines=queue_lines, cached_lines=cache_lines)
    given = {name: value for name, value in decoding.items() if value is not None}

    def load() -> Directions:
        return Directions.load(paths, decoding=given, limits=limits, pivot=pivot)

    settings = ServerSettings(
        characters=max_characters,
        seconds=max_seconds,
        connections=connections,
        keys=keys,
        requests_per_minute=requests_per_minute,
        origins=tuple(origins or ()),
        suggestions=suggestions,
        page=page,
        logs_requests=log_format == "json",
    )
    run_server(
        make_service(load(), settings),
        host=host,
        port=port,
        trusted_proxies=trusted_proxies,
        reload=load,
    )


def _append_key(file: Path | None, name: str) -> None:
    """Print a new key, and append its hash to a file.

    Raises:
        UsageError: no file is given.
        DataError: the file is not a file of keys.
    """
    from nmt.server.access import new_key, read_keys

    if file is None:
        raise UsageError("--new-key requires --keys with the file for the hash of the key.")
    known = read_keys(file) if file.exists() else []
    if name in [key.name for key in known]:
        raise UsageError(f"{file} has a key of the name {name!r}. Choose another name, or remove the old entry.")
    key, entry = new_key(name)
    with open(file, "a", encoding="utf-8") as stream:
        stream.write(entry)
    typer.echo(key)
