"""The wheel of a trained pipeline: slim, or with its backbone in it.

In: a pipeline's folder. Out: a wheel that `spacy.load` finds by name and that checks its own files first. It has what
spaCy's `package` makes, plus a manifest, a sample of predictions, requirements and, if bundled, the backbone.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import spacy
import srsly
from spacy.cli.package import package as spacy_package
from spacy.language import Language
from thinc.api import Config

from ..backbones.registry import get_backbone
from ..backbones.source import Recorded
from ..bridge.adapter_shim import AdapterShim
from ..errors import Errors, PTuningError
from ..pipeline.private_settings import PRIVATE, reset
from ..pipeline.requirements import record_requirements, without, without_implied
from ..reading import read_object
from ..serialization.models import adapter_shims
from .builder import (
    HUB_ID,
    announcement,
    build_wheel,
    check_name,
    check_version,
    copy_backbone,
    describe_backbone,
    refuse_links,
    refuse_to_overwrite,
)
from .card import CARD_FILE, MARK, model_card, write_card
from .half import convert_to_float16
from .manifest import write_manifest
from .sample import SAMPLE_FILE, make_sample, sample_texts
from .summary import trained_adapters

INIT = '''"""A pipeline for spaCy, packaged by spacy-ptv2: `spacy.load("{package}")`."""

from pathlib import Path

from spacy.util import load_model_from_init_py

from spacy_ptv2.packaging.manifest import check_package

__version__ = "{version}"


def load(**overrides):
    """Check the package's files, then load the pipeline."""
    check_package(Path(__file__).parent)
    return load_model_from_init_py(__file__, **overrides)
'''
BACKBONE_FOLDER = "backbone"  # in a bundle; further ones have numbers
TAKEN_OVER = ("description", "author", "url", "license")  # from meta.json into the wheel's metadata
Report = Callable[[str], None]


def package_pipeline(
    pipeline: Path,
    output: Path,
    *,
    name: str | None = None,
    version: str | None = None,
    bundle: bool = False,
    fp16: bool = False,
    texts: Path | None = None,
    overwrite: bool = False,
    report: Report = lambda text: None,
) -> Path:
    """Build a pipeline's wheel.

    pipeline (Path): Its folder. bundle (bool): Include the backbone. fp16 (bool): Convert that to float16.
    name, version (str | None): Of the package, the name without the language; by default from meta.json.
    texts (Path | None): Sample texts, one per line; None for spaCy's.
    overwrite (bool): Replace a wheel of the same name and version. report (Report): Told before each long step.
    RETURNS (Path): The wheel. RAISES (PTuningError): P413, P605, P606, P608-P612, and whatever loading raises.
    """
    if fp16 and not bundle:
        raise PTuningError(Errors.P612)
    refuse_links(pipeline)
    meta = _read_meta(pipeline)
    name, version = name or meta.get("name"), check_version(version or meta.get("version"))
    package = check_name("package name", f"{check_name('language', meta.get('lang'))}_{check_name('name', name)}")
    refuse_to_overwrite(output, package, version, overwrite=overwrite)
    sample = sample_texts(meta["lang"], texts)
    report(f"Loading {pipeline}")
    nlp = _load(pipeline)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / f"{package}-{version}"
        _lay_out(pipeline, nlp, source, name=name, version=version, bundle=bundle)
        entry_points = _bundle(nlp, source / package, fp16=fp16, report=report) if bundle else {}
        _update_components(source / package / source.name, nlp)
        report("Predicting the sample")
        _write_card(source, package, nlp)
        _complete(source, package, version, make_sample(nlp, sample))
        report("Building the wheel")
        return build_wheel(source, package, _settings(source, package, entry_points), output)


def _load(pipeline: Path) -> Language:
    """RAISES (PTuningError): P611 if nothing of ours is trained in it."""
    nlp = spacy.load(pipeline)
    if not trained_adapters(nlp):
        raise PTuningError(Errors.P611.format(path=pipeline, names=", ".join(nlp.component_names)))
    return nlp


def _lay_out(pipeline: Path, nlp: Language, source: Path, *, name: str | None, version: str, bundle: bool) -> None:
    """Let spaCy write the source folder of a package next to a staged copy of the pipeline."""
    stage = source.parent / "pipeline"
    shutil.copytree(pipeline, stage)
    _update_requirements(stage, nlp, bundle=bundle)
    write_card(stage, MARK)  # else spaCy writes one of its own
    spacy_package(stage, source.parent, name=name, version=version, create_sdist=False)
    _drop_implied(source / "meta.json", _read_meta(stage)["requirements"])


def _read_meta(pipeline: Path) -> dict[str, Any]:
    try:
        return read_object(pipeline / "meta.json")
    except (OSError, ValueError) as error:
        raise PTuningError(Errors.P301.format(path=pipeline / "meta.json", error=error)) from error


def _bundle(nlp: Language, package: Path, *, fp16: bool, report: Report) -> dict[str, list[str]]:
    """Copy a pipeline's backbones into its package and run it on the copies. RETURNS: Their entry points."""
    folders: dict[str, Path] = {}
    entry_points: dict[str, list[str]] = {}
    for shim in trained_adapters(nlp):
        backbone = shim.backbone
        if backbone.fingerprint not in folders:
            folder = folders[backbone.fingerprint] = package / (
                BACKBONE_FOLDER + ("" if not folders else str(len(folders)))
            )
            report(f"Copying the backbone from {backbone.path}")
            about = {"name": shim.source.name, "revision": shim.recorded.revision}
            copy_backbone(backbone.path, folder, about)
            if fp16:
                report("Converting it to float16")
                convert_to_float16(folder)
                describe_backbone(folder, {**about, "converted": "float16"})
            is_hub_id = HUB_ID.fullmatch(shim.source.name) and not Path(shim.source.name).is_dir()
            announced = announcement(shim.source.name if is_hub_id else package.name, package.name, folder.name)
            for group, entries in announced.items():
                entry_points.setdefault(group, []).extend(entries)
        _rest_on(shim, folders[backbone.fingerprint])
    return entry_points


def _rest_on(shim: AdapterShim, folder: Path) -> None:
    """Run an adapter on the backbone in a folder, and record that backbone for saving."""
    revision = shim.recorded.revision
    shim.encoder.backbone = get_backbone(replace(shim.source, path=str(folder)), device=shim.backbone.device)
    shim.loaded_record = Recorded(shim.backbone.fingerprint, revision)


def _update_requirements(stage: Path, nlp: Language, *, bundle: bool) -> None:
    """Write the pipeline's requirements; a bundle needs no package for its backbone."""
    models = [pipe.model for _, pipe in nlp.components if hasattr(pipe, "model")]
    record_requirements(nlp, models)
    requirements = nlp.meta["requirements"]
    if bundle:
        carried = [shim.recorded.requirement for shim in trained_adapters(nlp)]
        requirements = without(requirements, [requirement for requirement in carried if requirement])
    srsly.write_json(stage / "meta.json", {**_read_meta(stage), "requirements": requirements})


def _drop_implied(path: Path, recorded: Sequence[str]) -> None:
    """Remove the requirements that spaCy added to a meta.json for packages that ours requires: minor versions here."""
    meta = srsly.read_json(path)
    srsly.write_json(path, {**meta, "requirements": without_implied(meta["requirements"], recorded)})


def _update_components(data: Path, nlp: Language) -> None:
    """Save the adapters with what is now known about their backbone, and remove private settings from the config."""
    for name, pipe in nlp.components:
        if adapter_shims(getattr(pipe, "model", None)):
            pipe.to_disk(data / name, exclude=["vocab"])  # type: ignore[attr-defined]
    config = Config().from_disk(data / "config.cfg", interpolate=False)
    reset(config["components"], PRIVATE)
    config.to_disk(data / "config.cfg")


def _write_card(source: Path, package: str, nlp: Language) -> None:
    """Write the card next to the pipeline's files, in place of spaCy's, and where the wheel's description is read."""
    bundled = (source / package / BACKBONE_FOLDER).is_dir()
    card = model_card(nlp, _read_meta(source), package=package, bundled=bundled)
    write_card(source / package / source.name, card)
    shutil.copyfile(source / package / source.name / CARD_FILE, source / CARD_FILE)


def _complete(source: Path, package: str, version: str, sample: dict[str, Any]) -> None:
    """Add what spaCy's `package` leaves out: a module that checks the files, the sample, the manifest."""
    folder = source / package
    for target in (folder, folder / f"{package}-{version}"):
        shutil.copyfile(source / "meta.json", target / "meta.json")
    (folder / "__init__.py").write_text(INIT.format(package=package, version=version), encoding="utf8")
    (folder / SAMPLE_FILE).write_text(json.dumps(sample, ensure_ascii=False, indent=1), encoding="utf8")
    write_manifest(folder)


def _settings(source: Path, package: str, entry_points: dict[str, list[str]]) -> dict[str, Any]:
    meta = srsly.read_json(source / "meta.json")
    return {
        **{field: meta[field] for field in TAKEN_OVER if meta.get(field)},
        "name": package,
        "version": meta["version"],
        "long_description": (source / CARD_FILE).read_text(encoding="utf8", errors="replace"),
        "long_description_content_type": "text/markdown",
        "install_requires": meta.get("requirements", []),
        "entry_points": {"spacy_models": [f"{package} = {package}"], **entry_points},
    }
