"""Every export of the corpus is looked at, its questions answered, loaded and checked."""

from pathlib import Path

import pytest

from tests.exports import plain
from tests.exports.running import run

DEFAULT = {
    "alipay-bill",
    "excel-workbook",
    "ga4-bigquery",
    "hive-parquet",
    "mongoexport",
    "paypal-activity",
    "segment-s3",
    "semicolon-shop",
    "shopify",
    "thinkingdata-log",
    "tlog-game",
}
"""A slice that has every format and every shape; the others are slow tests."""
EXPORTS = [
    pytest.param(export, id=export.name, marks=() if export.name in DEFAULT else pytest.mark.slow)
    for export in plain.exports()
]


@pytest.mark.parametrize("export", EXPORTS)
def test_an_export_loads_with_nothing_but_answers(export: Path, tmp_path: Path) -> None:
    assert run(export, tmp_path).wrong == []
