"""Registry of generators."""

from galenic.generators.generator import Generator
from galenic.generators.tables.related_generator import RelatedTablesGenerator
from galenic.generators.tables.table_generator import TableGenerator

GENERATORS: dict[str, type[Generator]] = {"table": TableGenerator, "related-tables": RelatedTablesGenerator}
