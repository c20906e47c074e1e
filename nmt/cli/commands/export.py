"""`nmt export`: convert a model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.command_types import Command, CommandGroup
from nmt.cli.loading import open_model
from nmt.cli.options import ModelArgument, Overwrite, Quiet, TestScores, Verbose, option, require_new_file
from nmt.data.atomic_folder import require_own_folder
from nmt.log import logger

app = typer.Typer(cls=CommandGroup, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def export() -> None:
    """Convert a model for other programs."""


@app.command(cls=Command, short_help="Write a site that translates in the browser.")
def web(
    model: ModelArgument = None,
    output: Annotated[
        Path | None,
        option(
            "-o", "--output", metavar="FOLDER", help="Folder or HTML file of the site. Default: site, or site.html."
        ),
    ] = None,
    int8: Annotated[
        bool, option("--int8", help="Store the weights in 8 bits. Default: 32 bits, for exactly the same translations.")
    ] = False,
    single_file: Annotated[
        bool, option("--single-file", help="Write one HTML file, which a browser can open from the disk.")
    ] = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a folder of static files that translates in the browser.

    The site has the model and its own engine in JavaScript. It sends no text anywhere. Any web server for static files
    can publish the folder. Browsers open a single file from the disk too. The search has the decoding options of the
    model.

    For example:

      nmt export web runs/quickstart -o site
      nmt export web runs/quickstart --single-file -o translate.html --int8
      python -m http.server --directory site
    """
    from nmt.web.export import site_names, write_site  # slow

    if output is None:
        output = Path("site.html" if single_file else "site")
    if single_file:
        require_new_file(output, overwrite=overwrite)
    else:
        require_own_folder(output, site_names(), "translator.js", overwrite=overwrite)
    loaded = open_model(model)

    sizes = write_site(loaded, output, decoding=loaded.config.decoding, int8=int8, one_file=single_file)
    for name, size in sizes.items():
        logger.debug("%s: %d bytes", name, size)
    total = sum(sizes.values()) / 1e6
    next_step = f"open {output} in a browser" if single_file else f"python -m http.server --directory {output}"
    logger.info("wrote %s (%.1f MB), next step: %s", output, total, next_step)


@app.command(cls=Command, short_help="Write a model as ONNX graphs.")
def onnx(
    model: ModelArgument = None,
    output: Annotated[
        Path, option("-o", "--output", metavar="FOLDER", help="Folder of the graphs. Default: exported.")
    ] = Path("exported"),
    int8: Annotated[
        bool, option("--int8", help="Store and multiply the matrices in 8 bits. Default: 32 bits.")
    ] = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a model as ONNX graphs, with its tokenizers, its search options, and a README with a beam search.

    The graphs are compared with the model on random pieces. The result is printed and stored in translation.json.

    For example:

      nmt export onnx runs/quickstart -o exported
      nmt export onnx runs/quickstart -o exported-int8 --int8
    """
    from nmt.export.onnx_files import FILES, OPTIONS_NAME, export_onnx

    require_own_folder(output, FILES, OPTIONS_NAME, overwrite=overwrite)
    found = export_onnx(open_model(model), output, int8=int8, overwrite=overwrite)
    typer.echo(f"difference of log-probabilities: at most {found['max']:.2g}, {found['mean']:.2g} on average")
    logger.info("wrote %s, next step: see %s", output, output / "README.md")


@app.command(cls=Command, short_help="Write a folder for a model hub.")
def hub(
    model: ModelArgument = None,
    output: Annotated[Path, option("-o", "--output", metavar="FOLDER", help="Folder to upload. Default: hub.")] = Path(
        "hub"
    ),
    scores: TestScores = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a folder that is ready to upload to a model hub: model file, model card, licence and checksums.

    Every command reads the folder as a model, also after a download.

    For example:

      nmt export hub runs/quickstart -o hub
      nmt translate -m hub
    """
    from nmt.export.hub import CHECKSUMS, FILES, export_hub
    from nmt.export.model_card import read_scores

    require_own_folder(output, FILES, CHECKSUMS, overwrite=overwrite)
    tests = [] if scores is None else read_scores(scores)
    export_hub(open_model(model), output, tests, overwrite=overwrite)
    logger.info("wrote %s, next step: upload the folder", output)
