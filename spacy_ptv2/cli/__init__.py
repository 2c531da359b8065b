"""``spacy ptv2``. spaCy imports this module at every `spacy` call, so it imports neither torch nor transformers."""

from __future__ import annotations

import typer
from spacy.cli._util import app as spacy_app

from .annotate import annotate_cli
from .calibrate import calibrate_cli
from .compare import compare_cli
from .convert import convert_cli
from .data_report import data_report_cli
from .demo import demo_cli
from .evaluate import evaluate_cli
from .init import init_cli
from .interchange import export_cli, import_cli
from .migrate import migrate_cli
from .onnx_export import export_onnx_cli
from .packaging import info_cli, package_backbone_cli, package_cli, verify_cli
from .plain_errors import show_errors_plainly
from .push import push_cli
from .rate_finder import rate_finder_cli
from .report import report_cli
from .train import train_cli
from .trials import trials_cli
from .tune import tune_cli

WITH_OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}  # --section.setting, as spacy train has

app = typer.Typer(name="ptv2", help="P-Tuning v2: adapters over a frozen transformer.", no_args_is_help=True)
app.command("init")(init_cli)
app.command("migrate")(migrate_cli)
app.command("convert")(convert_cli)
app.command("data-report")(data_report_cli)
app.command("train", context_settings=WITH_OVERRIDES)(train_cli)
app.command("evaluate")(evaluate_cli)
app.command("calibrate")(calibrate_cli)
app.command("annotate")(annotate_cli)
app.command("compare", context_settings=WITH_OVERRIDES)(compare_cli)
app.command("report")(report_cli)
app.command("import")(import_cli)
app.command("export")(export_cli)
app.command("export-onnx")(export_onnx_cli)
app.command("trials", context_settings=WITH_OVERRIDES)(trials_cli)
app.command("tune", context_settings=WITH_OVERRIDES)(tune_cli)
app.command("lr-find", context_settings=WITH_OVERRIDES)(rate_finder_cli)
app.command("demo")(demo_cli)
app.command("package")(package_cli)
app.command("package-backbone")(package_backbone_cli)
app.command("push")(push_cli)
app.command("verify")(verify_cli)
app.command("info")(info_cli)
spacy_app.add_typer(app)
show_errors_plainly(spacy_app)
