"""What is told to whoever lacks an optional package."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import softjpeg
from softjpeg.common.extras import import_extra
from softjpeg.evaluation.robustness.autopgd import autopgd
from softjpeg.report.page import as_markup, render_template
from softjpeg.report.svg import to_svg


def test_the_sentence_names_module_reason_and_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError) as caught:
        import_extra("timm", extra="models")
    assert str(caught.value) == (
        "timm cannot be imported (import of timm halted; None in sys.modules): "
        'run pip install "softjpeg[models]"'
    )


def attack():
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    autopgd(network, torch.rand(1, 3, 8, 8), torch.zeros(1).long(), eps=0.1)


@pytest.mark.parametrize(
    ("module", "use", "extra"),
    [
        ("jinja2", lambda: render_template("curves_page.html"), "report"),
        ("markupsafe", lambda: as_markup("<svg>"), "report"),
        ("matplotlib", lambda: to_svg(print, salt=""), "report"),
        ("art.attacks.evasion", attack, "attack"),
    ],
)
def test_optional_parts_say_what_to_install(monkeypatch, module, use, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf'^{module} .*run pip install "softjpeg\[{extra}\]"$'):
        use()


def test_the_words_stand_in_one_place():
    source = Path(softjpeg.__file__).parent
    files = [p.name for p in source.rglob("*.py") if 'pip install "softjpeg[' in p.read_text()]
    assert files == ["extras.py"]
