"""Results go to standard output, and what went wrong to standard error."""

import re

import pytest
import spacy
import typer
from thinc.api import Config
from typer.testing import CliRunner

from spacy_ptv2.cli import app
from spacy_ptv2.cli.overrides import check_overrides, read_numbers
from spacy_ptv2.cli.training_config import read_training_config
from spacy_ptv2.errors import PTuningError

from ..conftest import ROOT

CONFIG = ROOT / "configs" / "ner.cfg"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    spacy.blank("en").to_disk(folder / "blank")
    (folder / "empty.conll").write_text("")
    (folder / "trials.json").write_text("{")
    (folder / "broken.cfg").write_text("[nlp]\nlang = ${paths.no}\n")
    (folder / "wrong.cfg").write_text('[nlp]\nlang = "en"\nbatch_size = "x"\n')
    (folder / "raises.py").write_text("raise RuntimeError('mine')")
    return folder


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["init", "nothing"], "P412"),
        (["migrate", "broken.cfg"], "P76"),
        (["convert", "empty.conll", "out.spacy"], "P004"),
        (["data-report", "empty.conll"], "P004"),
        (["data-report", "empty.conll", "--config", "wrong.cfg"], "Config validation"),
        (["compare", CONFIG, "out", "--methods", "magic"], "P771"),
        (["compare", CONFIG, "out", "--code", "raises.py"], "Couldn't load Python code.*mine"),
        (["import", "blank", "out"], "P501"),
        (["export", "blank", "out"], "P507"),
        (["trials", CONFIG, "trials.json", "-o", "out"], "P721"),
        (["lr-find", CONFIG, "--steps", "3"], "P407"),
        (["lr-find", CONFIG, "--paths.tain", "x"], "P806"),
        (["package", "blank", "out", "--name", "x"], "P611"),
        (["report", "blank", "out.txt"], "P785"),
        (["demo", "not_here"], "P792"),
        (["package-backbone", "not/here", "out"], "P101"),
        (["verify", "not_here"], "P613"),
        (["info", "not_here"], "E050"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_errors_are_on_standard_error(files, monkeypatch, arguments, said):
    monkeypatch.chdir(files)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "1000"})
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit), repr(result.exception)
    assert re.search(said, " ".join(result.stderr.split()))
    assert not re.search(said, " ".join(result.stdout.split()))


def test_one_function_prints_the_errors_that_end_a_command():
    modules = (ROOT / "spacy_ptv2" / "cli").glob("*.py")
    own = {path.name for path in modules if re.search(r"exits=|show_validation_error", path.read_text(encoding="utf8"))}
    assert own == {"messages.py"}


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("paths.tain", "paths.train"),
        ("path.train", "paths.train"),
        ("training.max_step", "training.max_steps"),
        ("trainin.optimizer.learn_rates.prompt", "training.optimizer.learn_rates.prompt"),
        ("training.optimizer.learn_rate.prompt", "training.optimizer.learn_rates.prompt"),
        ("components.transformer.model.adapter.lora_rang", "components.transformer.model.adapter.lora_rank"),
        ("components.transformr.model.adapter.lora_rank", "components.transformer.model.adapter.lora_rank"),
        ("nlp.batchsize", "nlp.batch_size"),
    ],
)
def test_a_typo_in_an_override_is_refused_with_what_is_meant(key, meant):
    with pytest.raises(PTuningError, match=rf"P806.*ner.cfg.*--{re.escape(key)}\. Did you mean --{re.escape(meant)}\?"):
        check_overrides(Config().from_disk(CONFIG, interpolate=False), {"paths.train": "x", key: 1}, CONFIG)


def test_numbers_without_a_digit_before_or_after_the_point_are_read_as_numbers():
    texts = {"a": ".003", "b": "5.", "c": "-.5e-3", "d": "train.spacy", "e": "1.2.3", "f": 7, "g": "."}
    assert read_numbers(texts) == {**texts, "a": 0.003, "b": 5.0, "c": -0.0005}


def test_a_command_reads_them_so():
    context = typer.Context(typer.main.get_command(app))
    context.args = ["--training.optimizer.learn_rates.lora", ".003", "--training.dropout=.25"]
    training = read_training_config(context, CONFIG, None, -1)["training"]
    assert (training["optimizer"]["learn_rates"]["lora"], training["dropout"]) == (0.003, 0.25)


def test_an_override_like_nothing_else_is_refused_too():
    with pytest.raises(PTuningError, match="P806.*--zzz.qqq. Correct it, or add the setting"):
        check_overrides(Config().from_disk(CONFIG, interpolate=False), {"zzz.qqq": 1}, CONFIG)


def test_settings_that_a_config_may_have_can_be_set():
    """What spaCy or a function has a default for, what a variable refers to, and keys of dicts."""
    text = """
    [paths]
    train = null

    [nlp]
    lang = ${paths.language}

    [corpora]

    [corpora.train]
    @readers = "spacy.Corpus.v1"
    path = ${paths:train}

    [training]

    [training.optimizer]
    @optimizers = "spacy_ptv2.AdamW.v1"

    [training.optimizer.learn_rates]
    prompt = 0.1

    [training.batcher]
    @batchers = "mine.not_registered.v1"
    """
    config = Config().from_str(re.sub(r"(?m)^ +", "", text), interpolate=False)
    names = ("paths.language", "training.max_steps", "nlp.batch_size", "corpora.train.gold_preproc",
             "training.optimizer.learn_rates.head", "training.optimizer.restarts", "training.batcher.size")  # fmt: skip
    check_overrides(config, dict.fromkeys(names, 1), CONFIG)
    with pytest.raises(PTuningError, match=r"P806.*--paths.lang\. Did you mean --paths.language"):
        check_overrides(config, {"paths.lang": 1}, CONFIG)
