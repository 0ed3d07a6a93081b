"""What commands ask of their own options."""

import typer


def given(ctx: typer.Context) -> set[str]:
    """The options that stood on the command line."""
    sources = {name: ctx.get_parameter_source(name) for name in ctx.params}
    return {name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"}
