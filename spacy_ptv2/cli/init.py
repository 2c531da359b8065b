"""``spacy ptv2 init``: copies a shipped training config, adapted to a language and a backbone."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Annotated

import typer
from wasabi import msg

from ..corpora.tasks import plain_name
from ..errors import PTuningError
from ..shipped import SUFFIX, shipped_text
from .messages import fail, next_command, refuse_to_overwrite, say_where_backbone_is
from .prompts_only import NAMED, train_prompts_only

BACKBONE = re.compile(r'^(name|backbone) = (".+")$', re.MULTILINE)  # one line of each config
LANG = 'lang = "en"'
TOKENIZER = '@tokenizers = "spacy.Tokenizer.v1"'
NO_CALLBACK = "after_init = null\n"
CALLBACK = """
[initialize.after_init]
@callbacks = "spacy_ptv2.init_adapter.v1"
source = {source}
component = null
parts = null
"""


def init_cli(
    task: Annotated[
        str,
        typer.Argument(
            help="ner, ner_prompts, spancat, srl, frames, squad, textcat, pairs, copa, wic, tagging_parsing, treebank, "
            "multitask, multi_corpus, reference_ner, finetune_ner, or a task of SuperGLUE."
        ),
    ],
    output: Annotated[
        Path | None, typer.Argument(help="The file to write, or - for stdout. Default: TASK.cfg.", allow_dash=True)
    ] = None,
    lang: Annotated[str, typer.Option("--lang", "-l", help="The language of the texts, by spaCy's code.")] = "en",
    backbone: Annotated[str | None, typer.Option("--backbone", "-b", help="A hub id or a folder.")] = None,
    init_adapter: Annotated[
        str | None, typer.Option("--init-adapter", "-a", help="A trained pipeline whose adapter this one starts from.")
    ] = None,
    prompts_only: Annotated[bool, typer.Option("--prompts-only", help="Deep prompts alone, without LoRA.")] = False,
    force: Annotated[bool, typer.Option("--force", "-F", help="Overwrite an existing file.")] = False,
) -> None:
    """Write a shipped training config for your language and backbone, ready for `spacy train`."""
    task = plain_name(task)
    name = task + NAMED if prompts_only else task
    path = output or Path(name + SUFFIX)
    try:
        text = write_config(task, lang, backbone, init_adapter, prompts_only=prompts_only)
        if str(path) == "-":
            print(text, end="")
            return
        refuse_to_overwrite(path, force)
    except (PTuningError, ImportError) as error:  # spaCy raises ImportError for an unknown language
        fail(f"Cannot write {path}", str(error))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.replace(f"configs/{name}{SUFFIX}", shlex.quote(str(path))), encoding="utf8")
    (_, source) = BACKBONE.findall(text)[0]
    say_where_backbone_is(json.loads(source))
    msg.good(f"{path} is ready:")
    print(next_command(path))


def write_config(
    task: str,
    lang: str = "en",
    backbone: str | None = None,
    init_adapter: str | None = None,
    *,
    prompts_only: bool = False,
) -> str:
    """Return the text of a shipped config, comments included, with only the requested changes.

    task (str): The name of its file.
    lang (str): spaCy's code of a language. The config also gets its tokenizer.
    backbone (str | None): A hub id or a folder; None for the config's own.
    init_adapter (str | None): A trained pipeline whose adapter this one starts from, by its folder or package.
    prompts_only (bool): Of the adapter deep prompts train, and no LoRA. The config is named after that too.
    RAISES (PTuningError): P412 if there is no such config, P851 if it has no LoRA to leave out.
    RAISES (ImportError): E048 for an unknown language.
    """
    from spacy.util import get_lang_class

    text = shipped_text(task)
    if prompts_only:
        text = train_prompts_only(task, text)
    if backbone is not None:
        text = BACKBONE.sub(lambda found: f"{found[1]} = {json.dumps(backbone)}", text)
    if init_adapter is not None:
        text = text.replace(NO_CALLBACK, "").replace(
            "\n[initialize.tokenizer]", CALLBACK.format(source=json.dumps(init_adapter)) + "\n[initialize.tokenizer]"
        )
    tokenizer = get_lang_class(lang).default_config["nlp"]["tokenizer"]
    block = "\n".join(f"{key} = {json.dumps(value)}" for key, value in tokenizer.items())
    return text.replace(LANG, f"lang = {json.dumps(lang)}").replace(TOKENIZER, block)
