"""Croissant 1.0 metadata of a released table (MLCommons Croissant format specification 1.0)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from galenic.schema import Column

TYPES = {"numeric": "sc:Float", "integer": "sc:Integer", "date": "sc:Date"}
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant_metadata(name: str, about: str, tables: Mapping[str, tuple[tuple[Column, ...], str]]) -> dict[str, Any]:
    """JSON-LD document. tables: name -> (columns, sha256 of NAME.csv); each is one record set, each column one field of it."""
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": about,
        "datePublished": datetime.now(UTC).date().isoformat(),
        "version": "1.0.0",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": f"{table}.csv",
                "name": f"{table}.csv",
                "contentUrl": f"{table}.csv",
                "encodingFormat": "text/csv",
                "sha256": sha256,
            }
            for table, (_columns, sha256) in tables.items()
        ],
        "recordSet": [
            _record_set("rows" if len(tables) == 1 else f"{table}-rows", table, columns)
            for table, (columns, _sha256) in tables.items()
        ],
    }


def _record_set(rows: str, table: str, columns: tuple[Column, ...]) -> dict[str, Any]:
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{rows}/{column.name}",
            "name": column.name,
            "description": " ".join(p for p in (column.kind, f"in {column.unit}" if column.unit else "") if p),
            "dataType": TYPES.get(column.kind, "sc:Text"),
            "source": {"fileObject": {"@id": f"{table}.csv"}, "extract": {"column": column.name}},
        }
        for column in columns
    ]
    return {"@type": "cr:RecordSet", "@id": rows, "name": rows, "field": fields}
