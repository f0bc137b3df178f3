"""Registry of generators."""

from galenic.generators.generator import Generator
from galenic.generators.tables import RelatedTablesGenerator, TableGenerator

GENERATORS: dict[str, type[Generator]] = {"table": TableGenerator, "related-tables": RelatedTablesGenerator}
