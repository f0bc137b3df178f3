"""Every import contract breaks the build: forbidden imports are planted in a copy of each package, and import-linter must report them."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "galenic"
PACKAGES = sorted(
    p.stem for p in SOURCE.iterdir() if (p / "__init__.py").is_file() or (p.suffix == ".py" and p.stem != "__init__")
)
WITH_MODULES = sorted(".".join(p.parent.relative_to(SOURCE).parts) for p in SOURCE.rglob("*/__init__.py"))

# DESIGN.md, "Packages and layers": from the top; packages on one row do not import each other
LAYERS = (
    {"__main__"},
    {"cli", "api", "server"},
    {"jobs"},
    {"flows"},
    {"clinic", "research", "oversight", "federation"},
    {"release"},
    {"guard", "evidence", "generators", "predictors"},
    {"custody"},
    {"installation"},
    {"privacy"},
    {"records"},
    {"security"},
    {"store"},
    {"schema"},
    {"settings"},
    {"errors"},
    {"version"},
)
ENTRY = {"__main__"}  # starts the command line; nothing but that
# external or internal module -> contract, packages that may import it
RESERVED = {
    "torch": (
        "torch only where models are trained or run",
        {"generators", "predictors", "evidence", "guard", "clinic", "research", "federation", *ENTRY},
    ),
    "fastapi": ("The web framework only in server", {"server", *ENTRY}),
    "starlette": ("The web framework only in server", {"server", *ENTRY}),
    "sqlalchemy": ("SQL only in store", {"store", *ENTRY}),
    "sqlite3": ("SQL only in store", {"store", *ENTRY}),
    "galenic.privacy.noise": ("Noise only in privacy", {"privacy", *ENTRY}),
    "galenic.store.vault": ("The vault only by privacy", {"privacy", "store", *ENTRY}),
}


def level(package: str) -> int:
    """The row of DESIGN.md's table in which a package stands."""
    return next(i for i, row in enumerate(LAYERS) if package in row)


def inner_module(package: str) -> str | None:
    """The first module of a package that is not part of its interface."""
    names = sorted(
        p.stem for p in SOURCE.joinpath(*package.split(".")).glob("*.py") if p.stem != "__init__" and p.stem.isidentifier()
    )
    return f"galenic.{package}.{names[0]}" if names else None


@pytest.fixture(scope="module")
def copied_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of src in which imports are planted: everything that is reserved, every package and every inner module, in each package;
    and two modules that import each other."""
    place = tmp_path_factory.mktemp("planted")
    shutil.copytree(ROOT / "src", place / "src", ignore=shutil.ignore_patterns("__pycache__"))
    source = place / "src" / "galenic"
    inner = [m for p in WITH_MODULES if (m := inner_module(p)) is not None]
    for package in PACKAGES:
        wanted = [*RESERVED, *(f"galenic.{p}" for p in PACKAGES if p != package), *inner]
        file = source / package / "planted.py" if (source / package).is_dir() else source / f"{package}.py"
        with file.open("a", encoding="utf-8") as out:
            out.writelines(f"\nimport {module}" for module in wanted)
    for package in WITH_MODULES:
        folder = source.joinpath(*package.split("."))
        (folder / "planted_first.py").write_text(f"import galenic.{package}.planted_second\n")
        (folder / "planted_second.py").write_text(f"import galenic.{package}.planted_first\n")
    return place


@pytest.fixture(scope="module")
def report(copied_source: Path) -> dict[str, str]:
    """import-linter's report on that copy under this repository's configuration: contract -> its section."""
    script = Path(sys.executable).with_name("lint-imports")
    if not script.is_file():
        pytest.skip("import-linter is not installed (extra lint)")
    command = [script, "--no-cache", "--config", ROOT / "pyproject.toml"]
    environment = {**os.environ, "PYTHONPATH": str(copied_source / "src"), "COLUMNS": "400"}
    done = subprocess.run(command, cwd=copied_source, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Broken contracts" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]
    return dict(sections(done.stdout.partition("Broken contracts\n")[2]))


def sections(text: str) -> Iterator[tuple[str, str]]:
    """(contract, text) of each broken contract."""
    parts = re.split(r"^(.+)\n-{3,}$", text, flags=re.MULTILINE)
    yield from zip(parts[1::2], parts[2::2], strict=True)


def imports(section: str) -> set[tuple[str, str]]:
    """(importer, imported) of each line of a section."""
    return set(re.findall(r"(galenic[\w.]*) -> ([\w.]+) \(", section))


def planted_in(package: str) -> str:
    """The module of that package in which imports were planted."""
    return f"galenic.{package}.planted" if (SOURCE / package).is_dir() else f"galenic.{package}"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_may_not_import_what_is_reserved_for_others(report: dict[str, str], package: str) -> None:
    missed = [
        (module, contract)
        for module, (contract, allowed) in RESERVED.items()
        if package not in allowed and (planted_in(package), module) not in imports(report.get(contract, ""))
    ]
    assert not missed


@pytest.mark.parametrize("package", [p for p in PACKAGES if p not in ENTRY])
def test_a_package_may_not_import_from_its_row_or_a_higher_one(report: dict[str, str], package: str) -> None:
    text = report["A package imports only from lower layers"]
    forbidden = {p for p in PACKAGES if p != package and level(p) <= level(package)} - (
        {"server"} if package == "cli" else set()
    )
    missed = {p for p in forbidden if f"galenic.{package} is not allowed to import galenic.{p}:" not in text}
    assert not missed


@pytest.mark.parametrize("package", [p for p in WITH_MODULES if inner_module(p)])
def test_inner_modules_of_a_package_may_not_be_imported_by_others(report: dict[str, str], package: str) -> None:
    module, top = inner_module(package), package.partition(".")[0]
    contracts = [f"galenic.{p} is used through its __init__" for p in (package, package.rpartition(".")[0])]
    found = set().union(*(imports(report.get(c, "")) for c in contracts))
    importers = {p for p in PACKAGES if p != top}
    assert not {p for p in importers if (planted_in(p), module) not in found}


@pytest.mark.parametrize("package", WITH_MODULES)
def test_modules_of_a_package_may_not_import_each_other(report: dict[str, str], package: str) -> None:
    text = report["No cycles between modules"]
    assert f"No cycles are allowed in galenic.{package}." in text


def test_every_package_stands_in_the_table_of_the_design() -> None:
    assert not set(PACKAGES) - set().union(*LAYERS)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    (layers,) = (c["layers"] for c in contracts if c["type"] == "layers")
    assert [set(re.findall(r"\w+", row)) for row in layers] == list(LAYERS)


def test_the_interface_of_store_holds_nothing_of_the_vault() -> None:
    from galenic import store
    from galenic.store import vault

    assert vault.__all__
    assert not set(vault.__all__) & set(store.__all__)
