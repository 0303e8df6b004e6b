"""One SQL condition that each database spells differently: a JSON list of strings holds a string."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class has_tag(FunctionElement[bool]):  # noqa: N801 - reads as the SQL function that it is
    """has_tag(column, 'blue')"""

    type = sa.Boolean()
    inherit_cache = True


@compiles(has_tag, "sqlite")
def _sqlite(element: has_tag, compiler: SQLCompiler, **options: Any) -> str:
    column, tag = (compiler.process(clause, **options) for clause in element.clauses)
    return f"EXISTS (SELECT 1 FROM json_each({column}) WHERE value = {tag})"  # noqa: S608 - both are compiled SQL


@compiles(has_tag, "postgresql")
def _postgresql(element: has_tag, compiler: SQLCompiler, **options: Any) -> str:
    column, tag = (compiler.process(clause, **options) for clause in element.clauses)
    return f"jsonb_exists(CAST({column} AS jsonb), CAST({tag} AS text))"


@compiles(has_tag, "mysql", "mariadb")
def _mariadb(element: has_tag, compiler: SQLCompiler, **options: Any) -> str:
    column, tag = (compiler.process(clause, **options) for clause in element.clauses)
    return f"JSON_CONTAINS({column}, JSON_QUOTE({tag}))"
