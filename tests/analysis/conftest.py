"""Result folders that many tests of the analysis read; none of these tests writes into them but reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis import write_report
from analysis.read.results import Results, open_results
from analysis.verdicts import verdict_tables
from tests.fakes import results as fake_results
from tests.fakes import safe as fake_safe
from tests.fakes import sensitivity as fake_sensitivity
from tests.fakes.whole import whole_sweep


@pytest.fixture(scope="session")
def safe_run(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A finished run of SAFE."""
    return open_results(fake_safe.safe_run(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="session")
def safe_recipe(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A finished recipe of SAFE that declares no figures."""
    return fake_safe.safe_recipe(tmp_path_factory.mktemp("recipe"), []).open()


@pytest.fixture(scope="session")
def full_sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep with every kind of trial but designs, and its report."""
    made = fake_sensitivity.write(tmp_path_factory.mktemp("full"), fake_sensitivity.full())
    write_report(made)
    return made


@pytest.fixture(scope="session")
def reported_sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep with contrasts and a search, and its report."""
    folder = fake_results.fake_sweep(tmp_path_factory.mktemp("sweep"), search=6)
    write_report(folder)
    return folder


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A finished sweep with every kind of trial, floors and images, in which seeds diverged; judged."""
    results = open_results(whole_sweep(tmp_path_factory.mktemp("whole")))
    verdict_tables(results)
    return results


@pytest.fixture(scope="session")
def reported_whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep with every kind of trial, floors, images and lost seeds, and its report."""
    folder = whole_sweep(tmp_path_factory.mktemp("whole"))
    write_report(folder)
    return folder
