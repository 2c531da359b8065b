"""`spacy ptv2 init`: the shipped configs, as they are and for another language and backbone."""

import subprocess
import sys
from importlib.util import find_spec

import pytest
from spacy.cli import app
from spacy.util import load_config, load_config_from_str, load_model_from_config
from typer.testing import CliRunner

from spacy_ptv2.cli.init import write_config
from spacy_ptv2.cli.prompts_only import COMMENTS
from spacy_ptv2.comparison.methods import apply
from spacy_ptv2.errors import PTuningError

from ..conftest import MINILM, ROOT
from ..test_commands import BACKBONE_SETTING, CONFIGS

NAMES = [path.stem for path in CONFIGS]
WITHOUT_LORA = ("finetune_ner", "ner_prompts", "reference_ner")
WITH_LORA = [name for name in NAMES if name not in WITHOUT_LORA]


def init(*arguments):
    result = CliRunner().invoke(app, ["ptv2", "init", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.mark.parametrize("path", CONFIGS, ids=NAMES)
def test_it_is_the_shipped_file_to_the_letter(path):
    assert write_config(path.stem) == path.read_text(encoding="utf8")


@pytest.mark.parametrize("path", CONFIGS, ids=NAMES)
def test_language_and_backbone_change_and_nothing_else(path):
    name = 'a "good" backbone'
    expected = load_config(path, {BACKBONE_SETTING[path.stem]: name, "nlp.lang": "ja"}, interpolate=False)
    expected["nlp"]["tokenizer"] = {"@tokenizers": "spacy.ja.JapaneseTokenizer", "split_mode": None}
    assert load_config_from_str(write_config(path.stem, "ja", name)) == expected


def test_command_writes_a_file_and_says_how_to_train(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, output = init("ner")
    assert code == 0
    assert (tmp_path / "ner.cfg").read_text().count("spacy train ner.cfg --output training") == 1
    assert "python -m spacy train ner.cfg --output training --paths.train train.spacy" in output


@pytest.mark.parametrize(("task", "name"), [("RTE", "pairs"), ("BoolQ", "pairs"), ("CB", "pairs"), ("WiC", "wic")])
def test_tasks_of_superglue(task, name):
    assert init(task, "-") == (0, (ROOT / "configs" / f"{name}.cfg").read_text(encoding="utf8"))


def test_what_is_written_makes_a_pipeline(tiny_folder, tmp_path):
    path = tmp_path / "new" / "german.cfg"
    assert init("ner", path, "--lang", "de", "--backbone", tiny_folder)[0] == 0
    nlp = load_model_from_config(load_config(path), auto_fill=False, validate=True)
    assert nlp.lang == "de"
    assert nlp.pipe_names == ["transformer", "token_classifier"]


@pytest.mark.parametrize(
    ("lang", "tokenizer", "settings"),
    [
        ("zh", "spacy.zh.ChineseTokenizer", {"segmenter": "char"}),
        ("ja", "spacy.ja.JapaneseTokenizer", {"split_mode": None}),
        ("th", "spacy.th.ThaiTokenizer", {}),
        ("fi", "spacy.Tokenizer.v1", {}),
    ],
)
def test_a_language_brings_its_tokenizer(lang, tokenizer, settings):
    nlp = load_config_from_str(write_config("ner", lang))["nlp"]
    assert (nlp["lang"], nlp["tokenizer"]) == (lang, {"@tokenizers": tokenizer, **settings})


@pytest.mark.parametrize("name", [name for name in NAMES if name != "finetune_ner"])
def test_an_adapter_to_start_from(name):
    config = load_config_from_str(write_config(name, init_adapter="some/folder"))
    callback = config["initialize"]["after_init"]
    expected = {"source": "some/folder", "component": None, "parts": None}
    assert callback == {"@callbacks": "spacy_ptv2.init_adapter.v1", **expected}
    callback.clear()
    config["initialize"]["after_init"] = None
    assert config == load_config(ROOT / "configs" / f"{name}.cfg")


@pytest.mark.parametrize("name", WITH_LORA)
def test_prompts_only_is_what_compare_trains(name):
    before, text = write_config(name), write_config(name, prompts_only=True)
    assert load_config_from_str(text) == apply("prompt", load_config_from_str(before))
    comments, own = ([line for line in config.splitlines() if line.startswith("#")] for config in (text, before))
    assert len(comments) == len(own) + 3 and max(map(len, comments)) <= 120
    assert " ".join(comments).count("LoRA") == 1 and f"configs/{name}_prompts.cfg" in text


def test_prompts_only_is_the_shipped_file_to_the_letter():
    assert write_config("ner", prompts_only=True) == write_config("ner_prompts")
    assert all(any(said in write_config(name) for name in WITH_LORA) for said in COMMENTS)


def test_prompts_only_with_all_else(tmp_path, monkeypatch, tiny_folder):
    monkeypatch.chdir(tmp_path)
    options = ("--lang", "de", "--backbone", tiny_folder, "--init-adapter", "some/folder", "--prompts-only")
    code, output = init("textcat", *options)
    assert code == 0 and "python -m spacy train textcat_prompts.cfg" in output
    text = (tmp_path / "textcat_prompts.cfg").read_text(encoding="utf8")
    assert text == write_config("textcat", "de", str(tiny_folder), "some/folder", prompts_only=True).replace(
        "configs/textcat_prompts.cfg", "textcat_prompts.cfg"
    )


@pytest.mark.parametrize("name", WITHOUT_LORA)
def test_prompts_only_needs_lora_to_leave_out(name, tmp_path):
    code, output = init(name, tmp_path / "any.cfg", "--prompts-only")
    assert code == 1 and "P851" in output and name in output and not (tmp_path / "any.cfg").exists()


def test_where_the_backbone_is(tiny_folder, tmp_path):
    _, output = init("ner", tmp_path / "a.cfg", "--backbone", tiny_folder)
    assert str(tiny_folder) in output.replace("\n", "") and "P101" not in output
    (tmp_path / "größer").symlink_to(tiny_folder)
    _, output = init("ner", tmp_path / "ö.cfg", "--backbone", tmp_path / "größer")
    assert "P101" not in output
    _, output = init("ner", tmp_path / "b.cfg", "--backbone", "nobody/nothing")
    assert "P101" in output and (tmp_path / "b.cfg").exists()


def test_a_dash_prints_the_config_alone():
    code, output = init("ner", "-", "--lang", "fr")
    assert code == 0
    assert load_config_from_str(output)["nlp"]["lang"] == "fr"
    assert MINILM in output


def test_a_file_that_is_there_stays(tmp_path):
    path = tmp_path / "ner.cfg"
    path.write_text("mine")
    code, output = init("ner", path)
    assert code == 1 and "P413" in output and path.read_text() == "mine"
    assert init("ner", path, "--force")[0] == 0
    assert path.read_text() != "mine"


def test_unknown_tasks_and_languages_are_refused(tmp_path):
    with pytest.raises(PTuningError, match=r"P412.*'unknown'.*" + ", ".join(NAMES)):
        write_config("unknown")
    code, output = init("unknown", tmp_path / "unknown.cfg")
    assert code == 1 and "P412" in output
    code, output = init("ner", tmp_path / "ner.cfg", "--lang", "zz")
    assert code == 1 and "E048" in output and not (tmp_path / "ner.cfg").exists()


def test_help_names_every_task():
    code, output = init("--help")
    assert code == 0
    assert all(name in output for name in NAMES)


@pytest.mark.slow
def test_a_wheel_holds_them(tmp_path):
    """This checkout is installed in place, so what goes into a wheel is looked at too."""
    if find_spec("setuptools") is None:  # not imported here: it fails if another test has loaded Python's own distutils
        pytest.skip("needs setuptools")
    command = [sys.executable, "setup.py", "--quiet", "egg_info", "--egg-base", tmp_path]
    command += ["build_py", "--build-lib", tmp_path / "lib"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    built = {path.name for path in (tmp_path / "lib" / "spacy_ptv2" / "configs").iterdir()}
    assert built == {"__init__.py", *(path.name for path in CONFIGS)}
