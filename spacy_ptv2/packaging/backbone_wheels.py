"""A wheel with a backbone alone, which any number of slim pipelines can require and share.

In: a hub id or a folder. Out: a wheel of data files without code, announced through the entry-point group
``spacy_ptv2_backbones`` under its hub id, with revision and fingerprint in a small JSON file.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from ..backbones.lookup import locate_backbone
from ..backbones.source import BackboneSource
from .builder import HUB_ID, announcement, build_wheel, check_name, check_version, copy_backbone, refuse_to_overwrite

FOLDER = "backbone"


def package_backbone(
    source: str,
    output: Path,
    *,
    name: str | None = None,
    version: str = "1.0.0",
    overwrite: bool = False,
    report: Callable[[str], None] = lambda text: None,
) -> Path:
    """Build the wheel of a backbone.

    source (str): A hub id, or a folder, which is announced under its own name.
    name (str | None): The distribution's name; by default made from the hub id.
    overwrite (bool): Replace a wheel of the same name and version.
    report (Callable): Called with a text before each long step.
    RETURNS (Path): The wheel.
    RAISES (BackboneError, PTuningError): P101-P109 if the backbone is not there; P413, P608, P609.
    """
    found = locate_backbone(BackboneSource(source))
    hub_id = source if HUB_ID.fullmatch(source) and not Path(source).is_dir() else found.path.name
    distribution = name or "ptv2-backbone-" + re.sub(r"[^a-z0-9]+", "-", hub_id.lower()).strip("-")
    module = check_name("package name", distribution.replace("-", "_"))
    check_version(version)
    refuse_to_overwrite(output, module, version, overwrite=overwrite)
    with tempfile.TemporaryDirectory() as folder:
        report(f"Copying the backbone from {found.path}")
        about = {"name": hub_id, "revision": found.revision}
        copy_backbone(found.path, Path(folder) / module / FOLDER, about)
        (Path(folder) / module / "__init__.py").write_text(f'"""The backbone {hub_id}, as data."""\n', encoding="utf8")
        settings = {
            "name": distribution,
            "version": version,
            "description": f"The transformer {hub_id} as a backbone for spacy-ptv2",
            "entry_points": announcement(hub_id, module, FOLDER),
        }
        report("Building the wheel")
        return build_wheel(Path(folder), module, settings, output)
