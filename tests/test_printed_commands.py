"""The commands of the README and the docs: programs, commands, options, settings and files that they name exist.

Nothing is run: each line is read by the parser of the command that it calls.
"""

import re
import shlex
from importlib import import_module
from importlib.util import find_spec

import pytest
import spacy.cli
import typer
from thinc.config import Config
from typer.main import get_command
from weasel.util.config import load_project_config

import spacy_ptv2.cli  # noqa: F401  (which adds the commands to spaCy's)
from spacy_ptv2.shipped import read_shipped

from .conftest import ROOT

DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf8")
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]
    + [path for folder in ("docs", "examples") for path in (ROOT / folder).rglob("*.md")]
}
SPACY = get_command(spacy.cli.app)
PROJECT = load_project_config(ROOT, interpolate=False)
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf8")
EXTRAS = re.findall(r"^([\w-]+) = \[", (ROOT / "pyproject.toml").read_text(encoding="utf8"), flags=re.MULTILINE)
BENCHMARKS_LIB = "".join(path.read_text(encoding="utf8") for path in (ROOT / "benchmarks" / "lib").glob("*.py"))
OTHERS = ("curl", "docker", "export", "pre-commit", "source", "uvicorn")
INLINE = re.compile(r"(?<!`)`((?:[A-Z0-9_]+=\S+ )*(?:\S*python -m|spacy|make) [^`]+)`(?!`)")


def lines_of(text):
    """Yield each command of the blocks, its continuation lines joined."""
    for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL):
        yield from filter(None, block.replace("\\\n", " ").splitlines())


def check(line, *, is_whole):
    """Fail where a command names something that is not there. is_whole: All that it needs has to be there, too."""
    words = shlex.split(line, comments=True)
    while words and re.match(r"[A-Z0-9_]+=", words[0]):
        words.pop(0)
    if words[0] == "torchrun":  # what it starts is a module
        words = ["python", *words[words.index("-m") :]]
    program, *rest = words
    program = program.rpartition("/")[2]
    for path in re.findall(r"\bconfigs/[\w.]+", line):
        assert (ROOT / path).is_file(), path
    if program == "spacy" or (program == "python" and rest[:2] == ["-m", "spacy"]):
        check_words(SPACY, rest if program == "spacy" else rest[2:], is_whole)
    elif program == "python" and rest[0] == "-m":
        module, *own = rest[1:]
        assert find_spec(module) is not None, module
        if module.startswith("benchmarks."):
            check_words(command_of(module), own, is_whole)
    elif program == "python" and rest[0] != "-c":
        assert (ROOT / rest[0]).is_file(), rest[0]
    elif program == "make":
        targets = [word for word in rest if "=" not in word and not word.startswith("-")]
        assert all(re.search(rf"^{target}\b[^=]*:", MAKEFILE, flags=re.MULTILINE) for target in targets), line
    elif program == "pip":
        extras = [name for names in re.findall(r"(?:\.|spacy-ptv2)\[([\w,-]+)\]", line) for name in names.split(",")]
        assert set(extras) <= set(EXTRAS), line
    else:
        assert program in (*OTHERS, "python"), program


def takes_value(parameter):
    return parameter.param_type_name == "option" and not parameter.is_flag


def check_words(command, words, is_whole):
    """Let the parser of a command of typer read its words; it raises if it does not know an option."""
    words = list(words)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        name = words.pop(0)
        assert name in command.commands, name
        command = command.commands[name]
    context = command.context_class(command, info_name=command.name, **command.context_settings)
    if not is_whole and any(words[-1:] == [name] for own in command.params if takes_value(own) for name in own.opts):
        words.append("VALUE")
    options, others, _ = command.make_parser(context).parse_args(list(words))
    needed = [own.name for own in command.params if own.param_type_name == "argument" and own.required]
    missing = [own for own in needed if options.get(own) in (None, ())]
    assert not is_whole or not missing, missing
    assert context.allow_extra_args or not others, f"not known: {others}"
    settings = [word[2:].partition("=")[0] for word in others if word.startswith("--")]
    if settings:
        check_settings(settings, words)


def check_settings(settings, words):
    """Look overrides up in the config that they override: the shipped one of that name, ner.cfg for one's own."""
    if settings[0].startswith("vars."):
        assert set(settings) <= {f"vars.{name}" for name in PROJECT["vars"]}, settings
        assert words[0] in PROJECT["workflows"], words[0]
        return
    (config,) = [word for word in words if word.endswith(".cfg")]
    stem = config.rpartition("/")[2].removesuffix(".cfg")
    shipped = read_shipped(stem if (ROOT / "configs" / f"{stem}.cfg").is_file() else "ner")
    for setting in settings:
        section = shipped
        for name in setting.split("."):
            assert isinstance(section, Config | dict) and name in section, f"{setting}: {name}"
            section = section[name]


def command_of(name):
    """Return the command that a module of the benchmarks runs."""
    module = import_module(name)
    if isinstance(getattr(module, "app", None), typer.Typer):
        return get_command(module.app)
    app = typer.Typer()
    app.command()(module.main)
    return get_command(app)


@pytest.mark.parametrize("document", [name for name, text in DOCUMENTS.items() if any(lines_of(text))])
def test_commands_of_blocks(document):
    for line in lines_of(DOCUMENTS[document]):
        if not line.lstrip().startswith("#"):
            check(line, is_whole=True)


@pytest.mark.parametrize("document", [name for name, text in DOCUMENTS.items() if INLINE.search(text)])
def test_commands_within_sentences(document):
    text = re.sub(r"```.*?```", "", DOCUMENTS[document], flags=re.DOTALL)
    for found in INLINE.findall(text):
        check(re.sub(r"\[(.+?)\]", r"\1", " ".join(found.split())), is_whole=False)  # [what may be left out]


def test_no_block_of_commands_is_without_a_language():
    for name, text in DOCUMENTS.items():
        assert not re.search(r"^```\n(?:python|pip|make|spacy) ", text, flags=re.MULTILINE), name


@pytest.mark.parametrize(
    "line",
    [
        "python -m spacy ptv2 no-such-command",
        "python -m spacy ptv2 convert texts.conll",
        "python -m spacy ptv2 convert texts.conll corpus --splits 80,10,10",
        "python -m spacy ptv2 init ner ner.cfg no-such-argument",
        "python -m spacy train ner.cfg --paths.trian train.spacy",
        "python -m spacy train ner.cfg --no-such train.spacy",
        "python -m spacy train configs/no_such.cfg",
        "python -m spacy project run no-such-workflow . --vars.conll03 x",
        "python -m benchmarks.speed.no_such",
        "python -m benchmarks.speed.engines --no-such",
        "python project/scripts/no_such.py",
        "make no-such",
        'pip install ".[no-such]"',
        "no-such",
    ],
)
def test_what_does_not_exist_is_found(line):
    with pytest.raises(Exception) as caught:
        check(line, is_whole=True)
    assert "no" in str(caught.value).lower()
