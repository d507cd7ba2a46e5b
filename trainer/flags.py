"""A config's fields as command-line flags: --help shows those of each class as a group of their
own."""

import re
from collections.abc import Sequence
from dataclasses import MISSING, Field, field, fields, make_dataclass
from typing import Annotated, Any, get_type_hints

import tyro
from docstring_parser import parse_from_object  # tyro brings it


def parse_flags(config_class: type, prog: str, arguments: Sequence[str] | None = None) -> Any:
    """Parse the command line's flags, or `arguments`, into a config_class.

    config_class: a keyword-only dataclass; a field's docstring is its help, with the default of the
    class itself. A field belongs to the group of the class, of those that config_class derives
    from, that first has it. The class's own group comes first.
    """
    groups = {}
    for cls in config_class.__mro__[:-1]:
        inherited = {f.name for base in cls.__mro__[1:-1] for f in fields(base)}
        names = {f.name for f in fields(cls)} - inherited
        own = [f for f in fields(config_class) if f.name in names]
        if own:
            groups[_title(cls)] = _group(config_class, cls, own)
    together = make_dataclass(config_class.__name__, list(groups.items()), kw_only=True)
    parsed = tyro.cli(
        tyro.conf.OmitArgPrefixes[together],
        prog=prog,
        args=arguments,
        description=_words(config_class.__doc__),
    )
    values = [vars(getattr(parsed, name)) for name in groups]
    return config_class(**{name: value for group in values for name, value in group.items()})


def _title(cls: type) -> str:
    words = re.findall("[A-Z]+(?![a-z])|[A-Z][a-z]+", cls.__name__.removesuffix("Config"))
    return "_".join(words).lower()


def _group(config_class: type, cls: type, own: Sequence[Field]) -> type:
    hints = get_type_hints(config_class, include_extras=True)
    helps = {}
    for base in reversed(config_class.__mro__[:-1]):
        helps |= {p.arg_name: _words(p.description) for p in parse_from_object(base).params}
    entries = [
        (
            f.name,
            Annotated[hints[f.name], tyro.conf.arg(help=helps.get(f.name))],
            field(default=f.default, default_factory=f.default_factory),
        )
        for f in sorted(own, key=lambda f: not _required(f))
    ]
    group = make_dataclass(cls.__name__, entries, kw_only=True)
    group.__doc__ = None if cls is config_class else cls.__doc__  # that one is at the top already
    return group


def _required(f: Field) -> bool:
    return f.default is MISSING and f.default_factory is MISSING


def _words(text: str | None) -> str:
    return " ".join((text or "").split())
