"""`spacy ptv2 migrate`: what it writes and prints, and when it writes nothing."""

import subprocess
import sys
from importlib.util import find_spec

import pytest
import spacy
from spacy.cli import app
from spacy.tokens import DocBin
from spacy.util import load_config, load_config_from_str
from typer.testing import CliRunner

import spacy_ptv2.cli  # noqa: F401  (which adds the commands to spaCy's)

from ..conftest import MINILM
from ..migration.configs import small, template
from ..test_commands import spacy_command


def migrate(*arguments):
    return CliRunner().invoke(app, ["ptv2", "migrate", *map(str, arguments)])


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "train.cfg"
    path.write_text("# A comment.\n" + template("tagger", "ner"), encoding="utf8")
    return path


def test_it_writes_a_file_beside_the_config_and_says_how_to_train(config):
    before = config.read_text(encoding="utf8")
    result = migrate(config)
    assert result.exit_code == 0
    path = config.with_name("train-ptv2.cfg")
    written = load_config(path)
    assert written["components"]["transformer"]["factory"] == "ptuning_transformer"
    assert written["corpora"]["train"]["path"] == "${paths.train}"
    command = f"python -m spacy train {path} --output training --paths.train train.spacy --paths.dev dev.spacy"
    assert command in result.output.replace("\n", " ")
    assert config.read_text(encoding="utf8") == before


def test_the_table_says_what_changed_and_why(config):
    output = migrate(config).output
    lines = output.splitlines()
    assert next(line for line in lines if line.strip()).split() == ["setting", "before", "after", "why"]
    for text in ("spacy_ptv2.Muon.v1", "accumulate_gradient", "reduce_mean.v1", "160", "20000"):
        assert text in output
    both = next(number for number, line in enumerate(lines) if line.startswith("components.tagger.model."))
    assert any(line.startswith("components.ner.model.") for line in lines[both : both + 4])  # changed alike: one row
    assert "comments of a config. Lines left out: 1" in " ".join(output.split())


def test_where_the_backbone_is(config, tiny_folder):
    assert "P101" in migrate(config).output
    config.write_text(config.read_text().replace("roberta-base", str(tiny_folder)), encoding="utf8")
    output = migrate(config, "--force").output
    assert "P101" not in output and str(tiny_folder) in output.replace("\n", "")


def test_only_paths_that_are_missing_are_asked_for(config, tmp_path):
    config.write_text(config.read_text().replace("train = null", 'train = "a.spacy"'), encoding="utf8")
    output = migrate(config, tmp_path / "new" / "b.cfg").output
    assert "--paths.dev dev.spacy" in output and "--paths.train" not in output
    assert (tmp_path / "new" / "b.cfg").exists()


def test_a_dash_prints_the_config_alone(config):
    result = migrate(config, "-")
    assert result.exit_code == 0
    assert load_config_from_str(result.stdout)["training"]["optimizer"]["@optimizers"] == "spacy_ptv2.Muon.v1"
    assert "accumulate_gradient" in result.stderr and not config.with_name("train-ptv2.cfg").exists()


def test_a_file_that_is_there_stays(config):
    path = config.with_name("train-ptv2.cfg")
    path.write_text("mine")
    result = migrate(config)
    assert result.exit_code == 1 and "P413" in result.output and path.read_text() == "mine"
    assert migrate(config, config).exit_code == 1  # nor the config itself
    assert migrate(config, "--force").exit_code == 0 and path.read_text() != "mine"


@pytest.mark.parametrize("content", [None, b"[components\n", b"\xff\xfe", b"[components.a]\nb = 1\n", b"a = {\n"])
def test_what_is_no_config_is_refused(tmp_path, content):
    path = tmp_path / "broken.cfg"
    if content is not None:
        path.write_bytes(content)
    result = migrate(path)
    assert result.exit_code == 1 and "P765" in result.output and "Traceback" not in result.output
    assert [file for file in tmp_path.iterdir() if file != path] == []


def test_refusals_and_losses_are_shown(tmp_path):
    path = tmp_path / "a.cfg"
    path.write_text("[components]\n", encoding="utf8")
    result = migrate(path)
    assert result.exit_code == 1 and "P760" in result.output
    path.write_text("[components]\n" + small().replace("grad_factor = 1.0", "grad_factor = 0.0"), encoding="utf8")
    result = migrate(path)
    assert result.exit_code == 0 and "PW40" in result.output and "grad_factor" in result.output


def test_it_needs_neither_spacy_transformers_nor_transformers(config):
    """What is installed is not imported either."""
    code = "import sys, spacy_ptv2.cli; from spacy.cli import app; app(sys.argv[1:], standalone_mode=False); "
    code += "print([name for name in ('transformers', 'spacy_transformers') if name in sys.modules])"
    command = [sys.executable, "-c", code, "ptv2", "migrate", config, config.with_name("out.cfg")]
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.exhaustive
def test_the_migrated_ner_template_learns_real_entities(config, wikigold, tmp_path):
    docs = list(DocBin().from_disk(wikigold).get_docs(spacy.blank("en").vocab))[:20]
    DocBin(docs=docs).to_disk(tmp_path / "few.spacy")
    config.write_text(template("ner").replace("roberta-base", MINILM), encoding="utf8")
    assert MINILM in migrate(config).output.replace("\n", "")
    settings = {"paths.train": "few.spacy", "paths.dev": "few.spacy"}
    options = [part for name, value in settings.items() for part in (f"--{name}", tmp_path / value)]
    options += ["--initialize.before_init.epochs", 1, "--initialize.before_init.min_steps", 100]
    options += ["--training.batcher.size", 80]
    spacy_command("train", config.with_name("train-ptv2.cfg"), "--output", tmp_path / "training", *options)
    nlp = spacy.load(tmp_path / "training" / "model-best")
    assert nlp.meta["performance"]["ents_f"] > 0.3  # 0.01 before training
    if find_spec("spacy_transformers") is None:
        assert "spacy_transformers" not in sys.modules
